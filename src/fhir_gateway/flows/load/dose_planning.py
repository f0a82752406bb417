"""What is to be done with every dose of one person: pure, given what the server has."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from enum import StrEnum
from types import MappingProxyType

from fhir_gateway.bundling import immunizations
from fhir_gateway.bundling.digests import supplied
from fhir_gateway.domain import systems
from fhir_gateway.domain.posting import FIRST_VERSION
from fhir_gateway.domain.records import Dose, Resource, dose_identifier
from fhir_gateway.domain.runs import KnownKey, SpooledRecord
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.identity.doses import DoseSameness, prefer, same_dose

OTHER_PERSON = "correction-other-person"
"""The reason of a dose whose row was loaded for another person before."""

_WRONG = "entered-in-error"
_MOVE = (
    "if the row was of the wrong person before, link it: its dose is moved here; if both people got a dose, create it;"
    " reject the row if it is of the wrong person now"
)
_TAKE_APART = "reject the row, whose key may be another row's; if that Patient never got the dose, part it from there with `review unlink`"


class DoseAction(StrEnum):
    """What is to be done with a dose."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"
    SAME_AS = "same-as"
    REVIEW = "review"


class Answer(StrEnum):
    """An operator's answer to a doubtful dose: it is the one that the person has, or one of its own."""

    LINK = "link"
    CREATE = "create"


@dataclass(frozen=True, slots=True)
class DosePlan:
    """The plan for dose `name` of the record `number`.

    CREATE: `resource` is to be created. UPDATE: `resource` (with id and version) is to be written over
    `immunization_id`. KEEP: `immunization_id` is it, nothing to do. SAME_AS: it is the dose of the plan at index
    `twin`. REVIEW: `code`, `text` and `suggestion` say what an operator is asked. UPDATE: `text` says what
    is added to another source's dose.
    """

    number: int
    name: str
    action: DoseAction
    resource: Resource | None = None
    immunization_id: str = ""
    twin: int = -1
    version: str = ""
    """Of a dose that this very record brought before, and that is kept: the version that the server has."""
    posted: bool = False
    """Whether a dose that is kept or updated was created for this very record, by a run that did not come to note that."""
    code: str = ""
    text: str = ""
    suggestion: str = ""


def plan_doses(  # noqa: PLR0913 - a plan needs all that is known of the person
    records: Sequence[SpooledRecord],
    existing: Sequence[Resource],
    known: Mapping[str, KnownKey],
    *,
    patient: Resource,
    zone: tzinfo,
    answer: Answer | None = None,
    elsewhere: Mapping[str, Resource] = MappingProxyType({}),
) -> list[DosePlan]:
    """Plan every dose of one person's records; each dose ends as exactly one Immunization.

    `existing` are the person's Immunizations on the server, `known` what earlier runs know of the records' keys, and
    `elsewhere` those of the keys' doses that stand with other people, by their ids. `answer` is an operator's on what is
    doubtful. The order of records does not matter: who gave a dose goes before
    who wrote it down, then the key decides.
    """
    planning = _Planning(
        {str(e["id"]): e for e in existing}, elsewhere, known, patient=patient, zone=zone, answer=answer
    )
    doses = [(record, dose) for record in records for dose in record.doses]
    for record, dose in sorted(doses, key=_given_first):
        planning.add(record, dose)
    return planning.plans


def _given_first(entry: tuple[SpooledRecord, Dose]) -> tuple[bool, str, str]:
    record, dose = entry
    return (dose.resource.get("primarySource") is not True, record.key, dose.name)


class _Planning:
    """The doses planned so far, against which the next one is held."""

    def __init__(  # noqa: PLR0913 - as plan_doses
        self,
        existing: Mapping[str, Resource],
        elsewhere: Mapping[str, Resource],
        known: Mapping[str, KnownKey],
        *,
        patient: Resource,
        zone: tzinfo,
        answer: Answer | None,
    ) -> None:
        self.plans: list[DosePlan] = []
        self._existing = dict(existing)
        self._elsewhere = elsewhere
        self._by_identifier = {
            identifier.get("value"): resource_id
            for resource_id, resource in existing.items()
            for identifier in resource.get("identifier", [])
            if identifier.get("system") == systems.DOSE
        }
        self._known = known
        self._died = str(patient.get("deceasedDateTime", ""))[:10]
        self._zone = zone
        self._answer = answer
        self._told: defaultdict[str | int, list[Resource]] = defaultdict(list)
        """What rows told of a dose that is one with theirs, by its id or the index of its plan: it may lack their number."""

    def add(self, record: SpooledRecord, dose: Dose) -> None:
        known = self._known.get(record.key)
        known_id = known.doses.get(dose.name) if known else None
        if known and known_id:
            self.plans.append(self._known_dose(record, dose, known, known_id))
        elif own := self._by_identifier.get(dose_identifier(record.key, dose.name)):
            self.plans.append(self._posted_before(record, dose, own))
        else:
            self.plans.append(self._after_death(record, dose) or self._new_dose(record, dose))

    def _known_dose(self, record: SpooledRecord, dose: Dose, known: KnownKey, known_id: str) -> DosePlan:
        current = self._existing.get(known_id)
        if current is None and (there := self._elsewhere.get(known_id)) and there.get("status") != _WRONG:
            return self._of_another(record, dose, known, there)
        if current is None or current.get("status") == _WRONG:
            if self._answer is Answer.CREATE:
                return DosePlan(record.number, dose.name, DoseAction.CREATE, _again(record, dose, known_id))
            return _gone(record, dose, known_id, deleted=current is None)
        changed = immunizations.corrected(current, known.supplied.get(dose.name, {}), dose.stated)
        if changed is None:
            version = str(current.get("meta", {}).get("versionId", ""))
            return DosePlan(record.number, dose.name, DoseAction.KEEP, immunization_id=known_id, version=version)
        self._existing[known_id] = changed
        return DosePlan(record.number, dose.name, DoseAction.UPDATE, changed, known_id)

    def _of_another(self, record: SpooledRecord, dose: Dose, known: KnownKey, there: Resource) -> DosePlan:
        """Plan for a dose whose row was loaded for another person before: nothing is moved unless an operator says so."""
        has_it = any(
            same_dose(one, dose.resource, zone=self._zone).sameness is DoseSameness.SAME
            for one in self._existing.values()
        )
        told = known.supplied.get(dose.name, {})
        return of_another(record, dose, there, supplied_before=told, has_it=has_it, answer=self._answer)

    def _posted_before(self, record: SpooledRecord, dose: Dose, own: str) -> DosePlan:
        plan = posted_before(record, dose, self._existing[own], answer=self._answer)
        if plan.action is DoseAction.UPDATE and plan.resource:
            self._existing[own] = plan.resource
        return plan

    def _after_death(self, record: SpooledRecord, dose: Dose) -> DosePlan | None:
        given = str(dose.resource.get("occurrenceDateTime", ""))[:10]
        if self._answer or not self._died or not given or given <= self._died[: len(given)]:
            return None
        return DosePlan(
            record.number,
            dose.name,
            DoseAction.REVIEW,
            code="dose-after-death",
            text="the dose is dated after the person's death",
            suggestion="check the date and the person; reject the row if one of them is wrong",
        )

    def _new_dose(self, record: SpooledRecord, dose: Dose) -> DosePlan:
        doubt: DosePlan | None = None
        for resource_id in sorted(self._existing):
            verdict = same_dose(self._existing[resource_id], dose.resource, zone=self._zone)
            if self._same(verdict.sameness) and not self._contradicted(resource_id, dose):
                return self._linked(record, dose, resource_id)
            if verdict.sameness is DoseSameness.DOUBTFUL and doubt is None:
                doubt = _doubtful(record, dose, verdict.reason, verdict.text, resource_id)
        for index, plan in enumerate(self.plans):
            if plan.action is not DoseAction.CREATE or plan.resource is None:
                continue
            verdict = same_dose(plan.resource, dose.resource, zone=self._zone)
            if self._same(verdict.sameness) and not self._contradicted(index, dose):
                self.plans[index] = replace(
                    plan, resource=immunizations.completed(plan.resource, dose.resource) or plan.resource
                )
                return DosePlan(record.number, dose.name, DoseAction.SAME_AS, twin=index)
            if verdict.sameness is DoseSameness.DOUBTFUL and doubt is None:
                doubt = _doubtful(record, dose, verdict.reason, verdict.text, "")
        if doubt and self._answer is None:
            return doubt
        return DosePlan(record.number, dose.name, DoseAction.CREATE, dose.resource)

    def _same(self, sameness: DoseSameness) -> bool:
        return sameness is DoseSameness.SAME or (sameness is DoseSameness.DOUBTFUL and self._answer is Answer.LINK)

    def _contradicted(self, place: str | int, dose: Dose) -> bool:
        """Whether a dose is not the one that other rows told of, though what stands there lacks what tells them apart."""
        told = self._told[place]
        if not all(self._same(same_dose(one, dose.resource, zone=self._zone).sameness) for one in told):
            return True
        told.append(dose.resource)
        return False

    def _linked(self, record: SpooledRecord, dose: Dose, resource_id: str) -> DosePlan:
        existing = self._existing[resource_id]
        if prefer(existing, dose.resource) is not existing:
            better = immunizations.improved(existing, dose.resource)
            if better is not None:
                self._existing[resource_id] = better
                return DosePlan(record.number, dose.name, DoseAction.UPDATE, better, resource_id)
        elif fuller := immunizations.completed(existing, dose.resource):
            self._existing[resource_id] = fuller
            added = ", ".join(sorted(name for name in fuller if fuller[name] != existing.get(name)))
            text = f"the dose stood there already, from another source; added to it: {added}"
            return DosePlan(record.number, dose.name, DoseAction.UPDATE, fuller, resource_id, text=text)
        return DosePlan(record.number, dose.name, DoseAction.KEEP, immunization_id=resource_id)


def posted_before(record: SpooledRecord, dose: Dose, current: Resource, *, answer: Answer | None) -> DosePlan:
    """Plan for a dose that stands under the identifier of this very record, though the ledger does not know it.

    A run was cut off before it noted that it had posted the dose, or the ledger is lost; the row may say something else
    by now. The first version of what stands is what the record said then, so it is corrected. Later ones others may
    have written: what differs there is asked about, unless a better source says it.
    """
    own = str(current["id"])
    if current.get("status") == _WRONG:
        if answer is Answer.CREATE:
            return DosePlan(record.number, dose.name, DoseAction.CREATE, _again(record, dose, own))
        return _gone(record, dose, own, deleted=False)
    changed = immunizations.corrected(current, supplied(current), dose.stated)
    if changed is None or prefer(dose.resource, current) is current:
        return DosePlan(record.number, dose.name, DoseAction.KEEP, immunization_id=own, posted=True)
    if current.get("meta", {}).get("versionId") == FIRST_VERSION or answer is Answer.LINK:
        return DosePlan(record.number, dose.name, DoseAction.UPDATE, changed, own, posted=True)
    if answer is Answer.CREATE:
        return DosePlan(record.number, dose.name, DoseAction.CREATE, _again(record, dose, own))
    return DosePlan(
        record.number,
        dose.name,
        DoseAction.REVIEW,
        immunization_id=own,
        code="dose-differs",
        text="this dose was loaded before, without a note of it; it says something else on the server by now",
        suggestion="link it to have the row's content written over it; reject the row to leave what stands there",
    )


def of_another(  # noqa: PLR0913 - a plan needs all that is known of the dose
    record: SpooledRecord,
    dose: Dose,
    there: Resource,
    *,
    supplied_before: Mapping[str, Sequence[str]],
    has_it: bool,
    answer: Answer | None,
) -> DosePlan:
    """Plan for a dose of this record that stands with another person, though this one `has_it` perhaps as well."""
    dose_id, owner = str(there["id"]), id_referred_to(there.get("patient"), "Patient")
    if answer is Answer.CREATE and not has_it:
        return DosePlan(record.number, dose.name, DoseAction.CREATE, _again(record, dose, dose_id))
    if answer is Answer.LINK and not has_it:
        moved = immunizations.corrected(there, supplied_before, dose.stated) or there
        return DosePlan(record.number, dose.name, DoseAction.UPDATE, moved, dose_id)
    return DosePlan(
        record.number,
        dose.name,
        DoseAction.REVIEW,
        immunization_id=dose_id,
        code=OTHER_PERSON,
        text=f"the row was loaded before for Patient {owner}, with whom its dose stands"
        + (", and this person has the same dose already" if has_it else ""),
        suggestion=_TAKE_APART if has_it else _MOVE,
    )


def _again(record: SpooledRecord, dose: Dose, gone_id: str) -> Resource:
    """Return the dose under an identifier of its own, or the create would find the one that is gone."""
    others = [i for i in dose.resource.get("identifier", []) if i.get("system") != systems.DOSE]
    own = {"system": systems.DOSE, "value": dose_identifier(record.key, f"{dose.name}\x1f{gone_id}")}
    return {**dose.resource, "identifier": [own, *others]}


def _gone(record: SpooledRecord, dose: Dose, resource_id: str, *, deleted: bool) -> DosePlan:
    what = "has been deleted on" if deleted else "has been marked entered-in-error on"
    return DosePlan(
        record.number,
        dose.name,
        DoseAction.REVIEW,
        immunization_id=resource_id,
        code="dose-gone" if deleted else "dose-entered-in-error",
        text=f"this dose was loaded before and {what} the server",
        suggestion="create it again if it was given, else reject the row",
    )


def _doubtful(record: SpooledRecord, dose: Dose, code: str, text: str, resource_id: str) -> DosePlan:
    return DosePlan(
        record.number,
        dose.name,
        DoseAction.REVIEW,
        immunization_id=resource_id,
        code=code,
        text=text,
        suggestion="link it if it is the dose that the person has already, create it if it is another one",
    )
