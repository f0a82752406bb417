"""What is to be done with every dose of one person: pure, given what the server has."""

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from types import MappingProxyType

from fhir_gateway.bundling import immunizations
from fhir_gateway.bundling.digests import supplied
from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Dose, Resource, dose_identifier
from fhir_gateway.domain.runs import KnownKey, SpooledRecord
from fhir_gateway.flows.load.dose_plans import (
    WRONG,
    Answer,
    DoseAction,
    DosePlan,
    again,
    differs,
    doubtful,
    gone,
    of_another,
    posted_before,
)
from fhir_gateway.identity.doses import DoseSameness, as_immunization, prefer, same_dose

_STOOD_THERE = "corrected, it is a dose that stood there already, to which it is linked"


def plan_doses(  # noqa: PLR0913 - a plan needs all that is known of the person
    records: Sequence[SpooledRecord],
    existing: Sequence[Resource],
    known: Mapping[str, KnownKey],
    *,
    patient: Resource,
    zone: tzinfo,
    answer: Answer | None = None,
    elsewhere: Mapping[str, Resource] = MappingProxyType({}),
    keys: Mapping[str, KnownKey] = MappingProxyType({}),
    nobodys: Container[str] = (),
) -> list[DosePlan]:
    """Plan every dose of one person's records; each dose ends as exactly one Immunization.

    `existing` are the person's Immunizations on the server, `known` what earlier runs know of the records' keys, and
    `elsewhere` those of the keys' doses that stand with other people, by their ids; `keys` are all that stand for this
    person; `nobodys` are the ids of those elsewhere whose Patient was deleted. `answer` is an operator's on what is doubtful. The order of records does not matter: who gave a dose goes before
    who wrote it down, then the key decides.
    """
    planning = _Planning(
        {str(e["id"]): e for e in existing}, elsewhere, known, keys, patient=patient, zone=zone, answer=answer
    )
    doses = [(record, dose) for record in records for dose in record.doses]
    planning.nobodys = nobodys
    planning.said_now.update({(record.key, dose.name): dose.resource for record, dose in doses})
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
        keys: Mapping[str, KnownKey],
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
            for resource_id, resource in sorted(existing.items(), key=lambda entry: entry[1].get("status") != WRONG)
            for identifier in resource.get("identifier", [])
            if identifier.get("system") == systems.DOSE
        }
        self._known = known
        self._tellers: defaultdict[str, dict[tuple[str, str], KnownKey]] = defaultdict(dict)
        """Dose's id → the records' doses (key, name) that it stands for, each with what is known of the key."""
        for key, entry in keys.items():
            for name, dose_id in entry.doses.items():
                self._tellers[dose_id][key, name] = entry
        self.nobodys: Container[str] = ()
        self.said_now: dict[tuple[str, str], Resource] = {}
        """What these records themselves tell of their doses (key, name)."""
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
        if current is None and (there := self._elsewhere.get(known_id)) and there.get("status") != WRONG:
            return self._of_another(record, dose, known, there)
        if current is None or current.get("status") == WRONG:
            if self._answer is Answer.CREATE:
                return DosePlan(record.number, dose.name, DoseAction.CREATE, again(record, dose, known_id))
            return self._stands_elsewhere(record, dose, current) or gone(
                record, dose, known_id, deleted=current is None
            )
        changed = immunizations.corrected(current, known.supplied.get(dose.name, {}), dose.stated)
        if changed is None:
            version = str(current.get("meta", {}).get("versionId", ""))
            return DosePlan(record.number, dose.name, DoseAction.KEEP, immunization_id=known_id, version=version)
        if plan := self._another(record, dose, current, changed):
            return plan
        self._existing[known_id] = changed
        return DosePlan(record.number, dose.name, DoseAction.UPDATE, changed, known_id)

    def _another(self, record: SpooledRecord, dose: Dose, current: Resource, changed: Resource) -> DosePlan | None:
        """Plan for a correction that makes another dose of one, None where that dose just changes.

        One that stands there already is linked. What others tell of whom more is believed, or as much, is not written over.
        """
        own = str(current["id"])
        if same_dose(current, changed, zone=self._zone).sameness is not DoseSameness.DIFFERENT:
            foreign = immunizations.is_of_another_system(current)  # it is left as it is
            return DosePlan(record.number, dose.name, DoseAction.KEEP, immunization_id=own) if foreign else None
        if plan := self._standing(record, dose._replace(resource=changed), but=own):
            return self._withdrawing(plan, record, dose, current)
        if not self._told_otherwise(record, dose, current, changed):
            return None
        if self._answer is Answer.CREATE:
            return DosePlan(record.number, dose.name, DoseAction.CREATE, again(record, dose, own))
        if self._answer is Answer.LINK:
            return DosePlan(record.number, dose.name, DoseAction.KEEP, immunization_id=own)
        return differs(
            record,
            dose,
            own,
            text="this dose stands for another record as well, which tells otherwise of it",
            suggestion="link it if it is the dose that stands there, which is left as it is; create it if it is another one",
        )

    def _standing(self, record: SpooledRecord, dose: Dose, but: str = "") -> DosePlan | None:
        """Plan the link to what stands there of this dose under another id, None where nothing does."""
        for resource_id in sorted(self._existing.keys() - {but}):
            verdict = same_dose(self._existing[resource_id], dose.resource, zone=self._zone)
            if verdict.sameness is DoseSameness.SAME and not self._contradicted(resource_id, dose):
                return self._linked(record, dose, resource_id)
        return None

    def _stands_elsewhere(self, record: SpooledRecord, dose: Dose, wrong: Resource | None) -> DosePlan | None:
        """Plan for a dose that is gone or entered in error and stands under another id, None where it does not."""
        plan = self._standing(record, dose)
        if plan is None or wrong is None:
            return plan
        standing = self._existing[plan.immunization_id]
        before = {**wrong, "status": standing.get("status")}
        others = {place: known for place, known in self._tellers[str(wrong["id"])].items() if place[0] != record.key}
        return replace(plan, along=tuple(sorted(at for at in others if self._fits(at, others[at], before, standing))))

    def _withdrawing(self, plan: DosePlan, record: SpooledRecord, dose: Dose, current: Resource) -> DosePlan:
        """Return the plan, with the dose that this record made entered in error where no other record tells of just that."""
        own, place = str(current["id"]), (record.key, dose.name)
        self._tellers[own].pop(place, None)
        created = any(
            identifier.get("value") == dose_identifier(*place)
            for identifier in current.get("identifier", [])
            if identifier.get("system") == systems.DOSE
        )
        others = self._tellers[own]
        standing = self._existing[plan.immunization_id]
        planned = self._told[own] or any(other.immunization_id == own for other in self.plans)
        if not created or planned or not all(self._fits(at, others[at], current, standing) for at in others):
            return plan
        del self._existing[own]
        withdrawn = {**current, "status": WRONG}
        return replace(plan, withdrawn=withdrawn, along=tuple(sorted(others)), text=plan.text or _STOOD_THERE)

    def _fits(self, place: tuple[str, str], teller: KnownKey, *stood: Resource) -> bool:
        """Tell whether what a record told of its dose, as far as it was kept, is each of these."""
        status = teller.supplied.get(place[1], {}).get("status")
        return all(status in {None, supplied(one)["status"]} for one in stood) and any(
            all(same_dose(one, as_immunization(told), zone=self._zone).sameness is DoseSameness.SAME for one in stood)
            for told in (teller.listed.doses if teller.listed else ())
        )

    def _told_otherwise(self, record: SpooledRecord, dose: Dose, current: Resource, changed: Resource) -> bool:
        """Tell whether a correction contradicts who gave the dose or wrote it elsewhere, or as good a record of it.

        As good a one contradicts where it tells of the dose that stands there, and not of the corrected one.
        """
        if prefer(dose.resource, changed) is changed or immunizations.is_of_another_system(current):
            return True
        others = [entry for entry in self._tellers[str(current["id"])].items() if entry[0] != (record.key, dose.name)]
        return any(
            self._is_as_good(place, teller, dose) and self._is_contradicted(place, teller, current, changed)
            for place, teller in others
        )

    def _is_as_good(self, place: tuple[str, str], teller: KnownKey, dose: Dose) -> bool:
        """Tell whether what a record told of its dose counts as much as this one: only a giver's counts as much as a giver's."""
        if dose.resource.get("primarySource") is not True:
            return True
        if now := self.said_now.get(place):
            return now.get("primarySource") is True
        told = teller.supplied.get(place[1], {})
        return told.get("primarySource") == supplied({"primarySource": True})["primarySource"]

    def _is_contradicted(self, place: tuple[str, str], teller: KnownKey, current: Resource, changed: Resource) -> bool:
        """Tell whether what a record says of its dose by now is not what a correction makes of that."""
        now = self.said_now.get(place)
        if now:
            tells = [same_dose(now, one, zone=self._zone).sameness is DoseSameness.SAME for one in (current, changed)]
            told = supplied(now)
        else:
            tells = [self._fits(place, teller, one) for one in (current, changed)]
            told = teller.supplied.get(place[1], {})
        said = supplied({"status": changed.get("status")})["status"]
        given_or_not = changed.get("status") != current.get("status") and told.get("status", said) != said
        return given_or_not or tells == [True, False]

    def _of_another(self, record: SpooledRecord, dose: Dose, known: KnownKey, there: Resource) -> DosePlan:
        """Plan for a dose whose row was loaded for another person before: nothing is moved unless an operator says so."""
        has_it = any(
            same_dose(one, dose.resource, zone=self._zone).sameness is DoseSameness.SAME
            for one in self._existing.values()
        )
        told = known.supplied.get(dose.name, {})
        moves = self._answer is Answer.CREATE and there["id"] in self.nobodys  # nobody else has it
        answer = Answer.LINK if moves else self._answer
        return of_another(record, dose, there, supplied_before=told, has_it=has_it, answer=answer)

    def _posted_before(self, record: SpooledRecord, dose: Dose, own: str) -> DosePlan:
        current = self._existing[own]
        plan = posted_before(record, dose, current, answer=self._answer)
        if current.get("status") == WRONG and plan.action is DoseAction.REVIEW:
            return self._stands_elsewhere(record, dose, current) or plan
        if plan.action is DoseAction.UPDATE and plan.resource:
            if another := self._another(record, dose, current, plan.resource):
                return another
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
                doubt = doubtful(record, dose, verdict.reason, verdict.text, resource_id)
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
                doubt = doubtful(record, dose, verdict.reason, verdict.text, "")
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
