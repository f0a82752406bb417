"""The fourth leg: patients before their doses, window by window; windows overlap so that no time is lost."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from fhir_gateway.bundling import patients
from fhir_gateway.domain import systems
from fhir_gateway.domain.errors import AccessRefusedError, ServerError
from fhir_gateway.domain.identity import PersonAction
from fhir_gateway.domain.posting import FIRST_VERSION, BundleEntry, EntryKind, EntryOutcome
from fhir_gateway.domain.records import Resource, person_identifier
from fhir_gateway.domain.runs import Run, SpooledRecord, WrittenResource
from fhir_gateway.flows.load.dose_plans import Answer
from fhir_gateway.flows.load.dose_posting import post_doses
from fhir_gateway.flows.load.failing import Failure
from fhir_gateway.flows.load.sent import PersonPost, Refusal
from fhir_gateway.flows.load.settling import settle_failed, settle_people, settle_reviews
from fhir_gateway.flows.load.standing import is_out_of_use, patients_now
from fhir_gateway.flows.load.tools import LoadTools

_CHANGED_MEANWHILE_TRIES = 5
_TAKEN_TOGETHER = 25
"""People that are read from the ledger together; only then it is known how many doses they have."""


async def post(run: Run, tools: LoadTools, *, total: int, answer: Answer | None = None) -> None:
    """Post every open decision of the run and settle its records; what is settled already is passed over."""
    tools.progress.phase("posting", total)
    waiting = asyncio.Semaphore(tools.windows_in_flight)
    done = last = 0

    async def window(people: list[PersonPost]) -> None:
        nonlocal done
        try:
            await _post_window(run, people, tools, answer)
        finally:
            waiting.release()
        done += sum(len(person.records) for person in people)
        tools.progress.advance(done)

    async with asyncio.TaskGroup() as tasks:
        while True:
            await waiting.acquire()
            people = _next_window(run, tools, after=last)
            if not people:
                break
            last = people[-1].number
            tasks.create_task(window(people))


def _next_window(run: Run, tools: LoadTools, *, after: int) -> list[PersonPost]:
    """Return the next people, few enough and with so few doses that all windows in flight stay small.

    A person has one dose in one export and twenty in another.
    """
    window: list[PersonPost] = []
    doses = 0
    while len(window) < tools.window and doses < tools.window_doses:
        limit = min(_TAKEN_TOGETHER, tools.window - len(window))
        people = _next_people(run, tools, after=window[-1].number if window else after, limit=limit)
        if not people:
            break
        window += people
        doses += sum(len(record.doses) for person in people for record in person.records)
    return window


def _next_people(run: Run, tools: LoadTools, *, after: int, limit: int) -> list[PersonPost]:
    spool = tools.ledger.spool
    decisions = spool.open_decisions(run, after=after, limit=limit)
    records: dict[int, list[SpooledRecord]] = {}
    for record in spool.records_of(run, [m for stored in decisions for m in stored.decision.members]):
        records.setdefault(record.person, []).append(record)
    known = tools.ledger.keys.known({record.key for group in records.values() for record in group})
    people = []
    for stored in decisions:
        own = [record for member in stored.decision.members for record in records.get(member, ())]
        people.append(
            PersonPost(
                number=stored.number,
                decision=stored.decision,
                identifier=stored.identifier,
                records=sorted(own, key=lambda record: record.number),
                known={record.key: known[record.key] for record in own if record.key in known},
                patient_id=stored.decision.patient_id,
            )
        )
    return people


async def _post_window(run: Run, people: Sequence[PersonPost], tools: LoadTools, answer: Answer | None) -> None:
    doubtful = [person for person in people if person.decision.action is PersonAction.REVIEW]
    certain = [person for person in people if person.decision.action is not PersonAction.REVIEW and person.records]
    with tools.ledger.transaction():
        settle_reviews(run, doubtful, tools)
        tools.ledger.spool.close(run, [person.number for person in people if not person.records])
    if not certain:
        return
    try:
        await _post_patients(run, certain, tools)
        doses = await post_doses(certain, tools, answer)
    except AccessRefusedError:
        raise  # it concerns the whole run
    except ServerError as error:
        with tools.ledger.transaction():
            settle_failed(run, certain, error, tools)
        return
    with tools.ledger.transaction():
        settle_people(run, certain, doses, tools)


async def _post_patients(run: Run, people: Sequence[PersonPost], tools: LoadTools) -> None:
    current = tools.ledger.spool.candidates(run, {person.patient_id for person in people if person.patient_id})
    waiting = list(people)
    await _follow(waiting, current, tools)
    for attempt in range(_CHANGED_MEANWHILE_TRIES):
        entries = [entry for person in waiting if (entry := _patient_entry(person, current)) is not None]
        outcomes = {outcome.key: outcome for outcome in await tools.writer.send(entries)}
        changed = [person for person in waiting if _received(person, outcomes.get(str(person.number)))]
        with tools.ledger.transaction():
            received = {p.number: p.patient_id for p in waiting if p.patient_id and p.refusal is None}
            tools.ledger.spool.receive(run, received)
        tools.finder.forget([person.patient for person in waiting if str(person.number) in outcomes])
        if not changed:
            return
        waiting = changed
        if attempt < _CHANGED_MEANWHILE_TRIES - 1:
            await _follow(waiting, current, tools, alone=True)
    for person in waiting:
        person.refusal = Refusal(
            Failure.CHANGED_MEANWHILE, "the Patient kept changing on the server while it was being updated"
        )


async def _follow(
    people: Sequence[PersonPost], current: dict[str, Resource], tools: LoadTools, *, alone: bool = False
) -> None:
    """Read people's Patients as they are now; who was replaced since the look-up becomes who stands for it."""
    known = [person for person in people if person.patient_id and person.refusal is None]
    now = await patients_now((person.patient_id for person in known), tools, alone=alone)
    for person in known:
        patient, before = now.get(person.patient_id), current.get(person.patient_id)
        if patient is None:
            person.refusal = Refusal(Failure.CHANGED_MEANWHILE, "the Patient has been deleted on the server meanwhile")
        elif is_out_of_use(patient) and not (before and is_out_of_use(before)):  # else it was chosen as it is
            person.refusal = Refusal(
                Failure.CHANGED_MEANWHILE, "the Patient has been put out of use on the server meanwhile"
            )
        else:
            person.patient_id = str(patient["id"])
            current[person.patient_id] = patient


def _patient_entry(person: PersonPost, current: Mapping[str, Resource]) -> BundleEntry | None:
    """Return what is to be sent for the person, None where the server has everything; notes the Patient as it will be."""
    if person.refusal:
        return None
    key = str(person.number)
    if not person.patient_id:
        person.patient = patients.combined(wordings(person.records), identifier=person.identifier)
        condition = f"identifier={systems.PERSON}|{person.identifier}"
        return BundleEntry(key, "POST", "Patient", person.patient, if_none_exist=condition)
    before = current.get(person.patient_id)
    if before is None:
        return None
    person.patient = _improved(person, before)
    if person.patient is before:
        return None
    version = str(before.get("meta", {}).get("versionId", ""))
    return BundleEntry(key, "PUT", f"Patient/{person.patient_id}", person.patient, if_match=version)


def _improved(person: PersonPost, before: Resource) -> Resource:
    result = before
    for record in person.records:
        known = person.known.get(record.key)
        if known is not None and "patient" in known.supplied:
            result = patients.corrected(result, known.supplied["patient"], record.patient) or result
    addition = patients.combined(wordings(person.records))
    if _is_forgotten(person, before):
        result = patients.recreated(result, addition) or result
    return patients.enriched(result, addition) or result


def _is_forgotten(person: PersonPost, patient: Resource) -> bool:
    """Tell whether these very records created the Patient, the ledger does not know it, and nobody has written to it since."""
    own = {i.get("value") for i in patient.get("identifier", ()) if i.get("system") == systems.PERSON}
    return (
        patient.get("meta", {}).get("versionId") == FIRST_VERSION
        and not any(record.key in person.known for record in person.records)
        and any(person_identifier(record.key) in own for record in person.records)
    )


def wordings(records: Iterable[SpooledRecord]) -> list[patients.Said]:
    """Return what records say of their person, each wording once."""
    said: dict[int, patients.Said] = {}
    for record in records:
        known = said.get(record.person)
        said[record.person] = patients.Said(record.patient, known.records + 1 if known else 1)
    return list(said.values())


def _received(person: PersonPost, outcome: EntryOutcome | None) -> bool:
    """Note what the server did with the person's Patient; tell whether what to write has to be decided again."""
    if outcome is None:
        return False
    match outcome.kind:
        case EntryKind.CREATED | EntryKind.EXISTED | EntryKind.UPDATED:
            person.created = outcome.kind is EntryKind.CREATED
            person.patient_id = outcome.resource_id or person.patient_id
            person.patient = {**person.patient, "id": person.patient_id}
            is_new = outcome.kind is not EntryKind.UPDATED
            person.written += (WrittenResource(f"Patient/{person.patient_id}", is_new, outcome.version_id),)
            return outcome.kind is EntryKind.EXISTED  # an earlier run created it, perhaps of other words
        case EntryKind.CHANGED_MEANWHILE:
            return True
        case EntryKind.REFUSED:
            person.refusal = Refusal(Failure.REFUSED, outcome.message)
        case EntryKind.UNAVAILABLE:
            person.refusal = Refusal(Failure.UNAVAILABLE, outcome.message)
    return False
