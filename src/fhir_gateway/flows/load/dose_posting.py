"""The second wave: the doses of people whose Patients are on the server."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fhir_gateway.bundling.immunizations import for_patient
from fhir_gateway.domain import systems
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.posting import BundleEntry, EntryKind, EntryOutcome
from fhir_gateway.domain.records import Dose, Resource
from fhir_gateway.domain.registry import Correction
from fhir_gateway.domain.runs import SpooledRecord, WrittenResource
from fhir_gateway.fhir.references import id_referred_to, replaces
from fhir_gateway.flows.load.dose_planning import plan_doses
from fhir_gateway.flows.load.dose_plans import Answer, DoseAction, DosePlan, of_another, posted_before
from fhir_gateway.flows.load.failing import Failure
from fhir_gateway.flows.load.following import Written, follow_replaced
from fhir_gateway.flows.load.sent import DoseResult, PersonPost
from fhir_gateway.flows.load.standing import doses_now, patients_now
from fhir_gateway.flows.load.tools import LoadTools

_CHANGED_MEANWHILE_TRIES = 5
_ON_THE_SERVER = frozenset({EntryKind.CREATED, EntryKind.EXISTED, EntryKind.UPDATED})


async def post_doses(
    people: Sequence[PersonPost], tools: LoadTools, answer: Answer | None
) -> dict[int, list[DoseResult]]:
    """Post the doses of these people and return each person's results, by the decision's number.

    Raises ServerError where the doses that the server has already cannot be read.
    """
    ready = [person for person in people if person.refusal is None and person.patient_id]
    plans: dict[int, list[DosePlan]] = {}
    outcomes: dict[str, EntryOutcome] = {}
    waiting = ready
    changed: set[str] = set()
    for _ in range(_CHANGED_MEANWHILE_TRIES):
        existing = await _existing_doses(waiting, changed, tools)
        elsewhere = await _known_elsewhere(waiting, existing, tools)
        for person in waiting:
            stand_here = [dose for dose, owner in elsewhere.values() if owner == person.patient_id]
            plans[person.number] = plan_doses(
                _each_key_once(person),
                [*existing.get(person.patient_id, []), *stand_here],
                person.known,
                patient=person.patient,
                zone=tools.zone,
                answer=answer,
                elsewhere={key: dose for key, (dose, owner) in elsewhere.items() if owner != person.patient_id},
                nobodys={key for key, (_, owner) in elsewhere.items() if not owner},
                keys=tools.ledger.keys.of_patient(person.patient_id) if person.known else {},
            )
        entries = [entry for person in waiting for entry in _entries(person, plans[person.number])]
        outcomes.update({outcome.key: outcome for outcome in await tools.writer.send(entries)})
        of_people = {person.number: _changed_meanwhile(person, plans[person.number], outcomes) for person in waiting}
        waiting = [person for person in waiting if of_people[person.number]]
        if not waiting:
            break
        changed = set().union(*of_people.values())
    await _correct_existing(ready, plans, outcomes, tools, answer)
    await _withdraw(ready, plans, outcomes, tools)
    written = {person.number: _written(person, plans[person.number], outcomes) for person in ready}
    moved = await follow_replaced(ready, written, tools)
    return {person.number: _results(person, plans[person.number], outcomes, moved) for person in ready}


async def _withdraw(
    people: Sequence[PersonPost],
    plans: Mapping[int, list[DosePlan]],
    outcomes: dict[str, EntryOutcome],
    tools: LoadTools,
) -> None:
    """Enter doses in error whose records tell of others: only now that these stand with all that was told."""
    entries = []
    for person in people:
        for index, plan in enumerate(plans[person.number]):
            outcome = outcomes.get(_entry_key(person, plans[person.number], index)) if plan.resource else None
            if plan.withdrawn and (plan.resource is None or (outcome and outcome.kind in _ON_THE_SERVER)):
                entries.append(_update(_withdrawn_key(person, plan), plan.withdrawn))
    outcomes.update({outcome.key: outcome for outcome in await tools.writer.send(entries)})


async def _correct_existing(
    people: Sequence[PersonPost],
    plans: Mapping[int, list[DosePlan]],
    outcomes: dict[str, EntryOutcome],
    tools: LoadTools,
    answer: Answer | None,
) -> None:
    """Plan again what was to be created and is there already: an earlier run posted it, and the row may have changed since."""
    waiting: dict[tuple[int, int], str] = {}
    for person in people:
        for index, plan in enumerate(plans[person.number]):
            if plan.action is DoseAction.CREATE:
                outcome = outcomes[_entry_key(person, plans[person.number], index)]
                if outcome.kind is EntryKind.EXISTED:
                    waiting[person.number, index] = outcome.resource_id
    persons = {person.number: person for person in people}
    for attempt in range(_CHANGED_MEANWHILE_TRIES):
        if not waiting:
            return
        standing = await _standing(set(waiting.values()), tools, alone=attempt > 0)
        entries = {}
        for (number, index), dose_id in waiting.items():
            person, of_person = persons[number], plans[number]
            if dose_id in standing:
                of_person[index] = _replanned(person, of_person[index], *standing[dose_id], answer=answer)
                if entry := _entry(person, of_person, index):
                    entries[number, index] = entry
        outcomes.update({outcome.key: outcome for outcome in await tools.writer.send(list(entries.values()))})
        changed = {place for place, entry in entries.items() if outcomes[entry.key].kind is EntryKind.CHANGED_MEANWHILE}
        waiting = {place: dose_id for place, dose_id in waiting.items() if place in changed}


async def _standing(ids: set[str], tools: LoadTools, *, alone: bool) -> dict[str, tuple[Resource, str]]:
    """Return id → (dose, who stands for its Patient now) of what is on the server."""
    found = await doses_now(ids, tools, alone=alone)
    owners = {dose_id: id_referred_to(dose.get("patient"), "Patient") for dose_id, dose in found.items()}
    now = await patients_now(filter(None, owners.values()), tools)
    return {
        dose_id: (dose, str(now[owner]["id"]) if (owner := owners[dose_id] or "") in now else owner)
        for dose_id, dose in found.items()
    }


def _replanned(person: PersonPost, plan: DosePlan, there: Resource, owner: str, *, answer: Answer | None) -> DosePlan:
    record, dose = _row_of(person, plan)
    if owner != person.patient_id:
        return of_another(record, dose, there, supplied_before={}, has_it=False, answer=answer)
    return posted_before(record, dose, there, answer=answer)


def _row_of(person: PersonPost, plan: DosePlan) -> tuple[SpooledRecord, Dose]:
    return next(
        (record, dose)
        for record in person.records
        if record.number == plan.number
        for dose in record.doses
        if dose.name == plan.name
    )


def _written(person: PersonPost, plans: Sequence[DosePlan], outcomes: Mapping[str, EntryOutcome]) -> Written:
    written = Written()
    for index, plan in enumerate(plans):
        outcome = outcomes.get(_entry_key(person, plans, index)) if plan.resource is not None else None
        resource_id = plan.immunization_id or (outcome.resource_id if outcome else "")
        if outcome and resource_id and outcome.kind in _ON_THE_SERVER:
            written.sent.add(resource_id)
            if outcome.kind is EntryKind.EXISTED:
                written.found.add(resource_id)
        elif plan.posted:
            written.sent.add(plan.immunization_id)
            written.found.add(plan.immunization_id)
    return written


def _each_key_once(person: PersonPost) -> list:  # type: ignore[type-arg]
    return list({record.key: record for record in person.records}.values())


async def _existing_doses(
    people: Sequence[PersonPost], changed: Iterable[str], tools: LoadTools
) -> Mapping[str, list[Resource]]:
    """Return Patient id → Immunizations, those with them whom she replaced; somebody who was created a moment ago has none.

    An index may lag: those that the ledger knows of and a search does not find are read by themselves, and so are those
    in `changed`, of which a search may still show the version before.
    """
    stands_for = await _replaced(people, tools)
    ids = sorted({person.patient_id for person in people if not person.created} | stands_for.keys())
    searched = tools.reader.search("Immunization", {"patient": ids}) if ids else None
    doses = {str(dose["id"]): dose async for dose in searched} if searched else {}
    unseen = tools.ledger.keys.doses_of(ids) - doses.keys()
    found: dict[str, list[Resource]] = {}
    for dose in (doses | await doses_now(unseen.union(changed), tools, alone=True)).values():
        patient_id = id_referred_to(dose.get("patient"), "Patient")
        found.setdefault(stands_for.get(patient_id, patient_id), []).append(dose)
    return found


async def _replaced(people: Sequence[PersonPost], tools: LoadTools) -> dict[str, str]:
    """Return replaced Patient → who of the people stands for it: another program's merge may leave doses with it.

    Whom only the Patient itself claims to have replaced is read: it may be in use, and somebody else.
    """
    found = {gone: person.patient_id for person in people for gone in person.decision.replaced}
    claimed = {gone for person in people for gone in replaces(person.patient)} - found.keys() - {""}
    now = await patients_now(claimed, tools)
    ids = {person.patient_id for person in people}
    masters = {gone: str(patient["id"]) for gone, patient in now.items()}
    return found | {gone: master for gone, master in masters.items() if gone != master and master in ids}


async def _known_elsewhere(
    people: Sequence[PersonPost], existing: Mapping[str, list[Resource]], tools: LoadTools
) -> dict[str, tuple[Resource, str]]:
    """Return id → (dose, who stands for its Patient now) of doses that rows brought before and that are not their person's.

    They stand with another person, or with a Patient whom another program has replaced, or with one that was deleted: "".
    """
    here = {str(dose["id"]): dose for doses in existing.values() for dose in doses}
    missed: set[str] = set()
    for person in people:
        hers = {dose["id"] for dose in existing.get(person.patient_id, ())}
        missed.update(dose_id for key in person.known.values() for dose_id in key.doses.values() if dose_id not in hers)
    found = {dose_id: here[dose_id] for dose_id in missed & here.keys()}
    found |= await doses_now(missed - here.keys(), tools)
    owners = {dose_id: id_referred_to(dose.get("patient"), "Patient") for dose_id, dose in found.items()}
    now = await patients_now(filter(None, owners.values()), tools)
    masters = {owner: str(patient["id"]) for owner, patient in now.items()}
    return {dose_id: (dose, masters.get(owners[dose_id], "")) for dose_id, dose in found.items()}


def _entries(person: PersonPost, plans: Sequence[DosePlan]) -> list[BundleEntry]:
    entries = [entry for index in range(len(plans)) if (entry := _entry(person, plans, index))]
    return list({entry.key: entry for entry in entries}.values())  # the last update of a dose holds all of them


def _entry(person: PersonPost, plans: Sequence[DosePlan], index: int) -> BundleEntry | None:
    plan = plans[index]
    if plan.resource is None:
        return None
    key = _entry_key(person, plans, index)
    resource = for_patient(plan.resource, person.patient_id)
    if plan.action is DoseAction.CREATE:
        value = next(i["value"] for i in resource["identifier"] if i.get("system") == systems.DOSE)
        condition = f"identifier={systems.DOSE}|{value}"
        return BundleEntry(key, "POST", "Immunization", resource, if_none_exist=condition)
    return _update(key, resource)


def _update(key: str, resource: Resource) -> BundleEntry:
    version = str(resource.get("meta", {}).get("versionId", ""))
    return BundleEntry(key, "PUT", f"Immunization/{resource['id']}", resource, if_match=version)


def _withdrawn_key(person: PersonPost, plan: DosePlan) -> str:
    return f"{person.number}-{plan.withdrawn['id']}" if plan.withdrawn else ""


def _entry_key(person: PersonPost, plans: Sequence[DosePlan], index: int) -> str:
    plan = plans[index]
    if plan.action is DoseAction.UPDATE:
        return f"{person.number}:{plan.immunization_id}"
    return f"{person.number}#{plan.twin if plan.action is DoseAction.SAME_AS else index}"


def _changed_meanwhile(person: PersonPost, plans: Sequence[DosePlan], outcomes: Mapping[str, EntryOutcome]) -> set[str]:
    """Return the doses whose updates met a newer version; then the person's doses are read and planned again."""
    changed = set()
    for index, plan in enumerate(plans):
        outcome = outcomes.get(_entry_key(person, plans, index))
        if plan.action is DoseAction.UPDATE and outcome and outcome.kind is EntryKind.CHANGED_MEANWHILE:
            changed.add(plan.immunization_id)
    if changed:
        person.created = False
    return changed


def _results(
    person: PersonPost, plans: Sequence[DosePlan], outcomes: Mapping[str, EntryOutcome], moved: Mapping[str, str]
) -> list[DoseResult]:
    results = []
    for index, plan in enumerate(plans):
        result = DoseResult(plan.number, plan.name, Outcome.LOADED, plan.immunization_id, version=plan.version)
        if plan.action is DoseAction.REVIEW:
            result = replace(result, outcome=Outcome.REVIEW, code=plan.code, text=plan.text, suggestion=plan.suggestion)
        elif plan.action is not DoseAction.KEEP:
            result = _sent(replace(result, text=plan.text), outcomes[_entry_key(person, plans, index)])
            if result.version:
                result = replace(result, version=moved.get(result.immunization_id, result.version))
        if result.outcome is Outcome.LOADED:
            result = replace(result, along=plan.along, supplied_before=plan.supplied_before)
        if plan.withdrawn and result.outcome is Outcome.LOADED:
            result = _withdrawing(result, plan, outcomes[_withdrawn_key(person, plan)])
        if plan.posted:
            created = WrittenResource(f"Immunization/{plan.immunization_id}", created=True)
            result = replace(result, written=(created, *result.written))
        if result.immunization_id in moved:
            own = f"Immunization/{result.immunization_id}"
            again = WrittenResource(own, created=False, version=moved[result.immunization_id])
            result = replace(result, written=(*result.written, again))
        results.append(result)
    return results


def _withdrawing(result: DoseResult, plan: DosePlan, outcome: EntryOutcome) -> DoseResult:
    """Return the result of a dose that now is another one, once what stood for it is entered in error; else it has failed."""
    withdrawn = str(plan.withdrawn["id"]) if plan.withdrawn else ""
    sent = _sent(DoseResult(result.number, result.name, Outcome.LOADED, withdrawn), outcome)
    if sent.outcome is not Outcome.LOADED:
        return sent
    back = Correction(f"Immunization/{withdrawn}", sent.version)
    return replace(result, withdrawn=back, written=(*result.written, *sent.written))


def _sent(result: DoseResult, outcome: EntryOutcome) -> DoseResult:
    if outcome.kind in _ON_THE_SERVER:
        is_new = outcome.kind is not EntryKind.UPDATED
        own = outcome.resource_id or result.immunization_id
        written = WrittenResource(f"Immunization/{own}", is_new, outcome.version_id)
        version = "" if is_new else outcome.version_id
        return replace(result, immunization_id=own, version=version, written=(written,))
    if outcome.kind is EntryKind.REFUSED:
        failure = Failure.REFUSED
    elif outcome.kind is EntryKind.CHANGED_MEANWHILE:
        failure = Failure.CHANGED_MEANWHILE
    else:
        failure = Failure.UNAVAILABLE
    text = outcome.message or "the dose kept changing on the server while it was being updated"
    return replace(result, outcome=Outcome.FAILED, immunization_id="", code=failure, text=text)
