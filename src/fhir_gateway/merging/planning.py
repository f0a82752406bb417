"""Plans how one group of Patients becomes one: who stays, every change to every resource, what is doubtful.

Nothing here writes anything. The same group on the same server content always gives the same plan.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import combinations
from typing import Any

from fhir_gateway.domain.merges import (
    ChangeKind,
    DuplicateDose,
    DuplicateGroup,
    ElementChange,
    FieldChoice,
    GroupPlan,
    MergeConflict,
    PlannedChange,
)
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir import json_text
from fhir_gateway.identity.doses import local_date
from fhir_gateway.merging.changes import element_changes
from fhir_gateway.merging.doses import MergedDoses, merge_doses
from fhir_gateway.merging.elements import objects, text
from fhir_gateway.merging.masters import Survivor, choose_survivor
from fhir_gateway.merging.overtaking import Overtaken, Verdict, overtaken
from fhir_gateway.merging.repointing import (
    UNTOUCHED,
    patients_elsewhere,
    patients_referred_to,
    repoint,
    repoint_doses,
    versioned_references,
)
from fhir_gateway.merging.survivorship import mark_replaced, merge_patients
from fhir_gateway.merging.versions import name_of, version_of, without_version

__all__ = ["Overtaken", "Verdict", "element_changes", "overtaken", "plan_digest", "plan_group"]

_DAY = re.compile(r"\d{4}")
_COVER = re.compile(r"#{3}|\*{3}")
_SEEN_PERIODS = ("period", "effectivePeriod", "performedPeriod")
_SEEN = ("occurrenceDateTime", "effectiveDateTime", "performedDateTime", "recordedDate", "authoredOn", "date", "issued")
"""Elements that tell when something was done to a person; the ones that most resources have."""
_VERSIONED = "a reference names a version of a replaced Patient: it will name the survivor, without a version"
_ELSEWHERE = (
    "a reference to a replaced Patient's id names another address than base_url: it is not moved; if that is this server"
    " itself, set base_url to it"
)
_AFTER_DEATH = "a dose was given after the death that one of the Patients records"
_COVERED = "the server covers values of these Patients (### or ***): writing them back would store the cover"
_APART = "these two were merged once and undone, or an operator said that they are two people"


def plan_group(  # noqa: PLR0913 - what a plan stands on is named
    group: DuplicateGroup,
    patients: Mapping[str, Resource] | Iterable[Resource],
    referring: Iterable[Resource],
    *,
    zone: tzinfo,
    parted: Collection[frozenset[str]] = (),
    base: str = "",
    unsearched: Sequence[str] = (),
) -> GroupPlan:
    """Plan how a group becomes one Patient.

    `patients` are the group's Patients as they stand on the server now, `referring` all resources that refer to any of
    them, the survivor-to-be included (its own count for its score, and its doses may be a duplicate's). `parted` are
    pairs of ids that must not be merged, `base` is the server's own address, `unsearched` the `Type.path` that no search
    of this server reaches. A member that is missing or inactive by now is left out and named as a conflict; with fewer
    than two left the plan has no changes.
    """
    found = {
        str(patient["id"]): patient for patient in (patients.values() if isinstance(patients, Mapping) else patients)
    }
    present = [found[member] for member in group.patient_ids if _active(found.get(member))]
    conflicts = [*group.conflicts, *_absent(group, found), *_kept_apart(group, parted)]
    if len(present) < 2:
        survivor = Survivor(str(present[0]["id"]) if present else "", "nobody is left to be merged", {})
        return _plan(group, survivor, conflicts, unsearched=unsearched)
    referring = tuple(referring)
    ground = _ground(present, referring, base)
    chosen = choose_survivor(present, ground.counts(), last_seen=ground.last_seen())
    survivor_now = next(patient for patient in present if patient["id"] == chosen.id)
    replaced = [patient for patient in present if patient is not survivor_now]
    ids = tuple(str(patient["id"]) for patient in replaced)
    conflicts += _elsewhere(referring, ids, base)
    merged = merge_patients(survivor_now, replaced)
    doses = merge_doses(ground.doses(), chosen.id, zone=zone)
    conflicts += [*chosen.conflicts, *merged.conflicts, *doses.conflicts]
    conflicts += [*_after_death(merged.resource, ground, zone), *_versioned(ground, ids), *_covered(present)]
    after = repoint(merged.resource, ids, chosen.id, base=base)
    gone = [mark_replaced(repoint(patient, ids, chosen.id, base=base), chosen.id) for patient in replaced]
    changes = (
        _change(survivor_now, after, ChangeKind.SURVIVOR),
        *(_change(old, new, ChangeKind.REPLACED) for old, new in zip(replaced, gone, strict=True)),
        *_referring_changes(ground, doses, ids, chosen.id),
    )
    return _plan(
        group,
        chosen,
        conflicts,
        replaced=ids,
        fields=merged.choices,
        doses=doses.duplicates,
        changes=changes,
        unsearched=unsearched,
    )


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a plan stands on: resources by `Type/id`, and to which of the members each of them refers."""

    resources: Mapping[str, Resource]
    referred: Mapping[str, frozenset[str]]
    base: str

    def counts(self) -> Counter[str]:
        """Return how many resources refer to each member."""
        return Counter(member for ids in self.referred.values() for member in ids)

    def last_seen(self) -> dict[str, str]:
        """Return for each member the latest day of anything that refers to it."""
        latest: dict[str, str] = {}
        for name, ids in self.referred.items():
            day = max(_days(self.resources[name]), default="")
            latest.update({member: max(latest.get(member, ""), day) for member in ids})
        return latest

    def doses(self) -> list[tuple[str, Resource]]:
        """Return each Immunization of a member with the member's id."""
        found = []
        for name, resource in self.resources.items():
            if resource["resourceType"] == "Immunization":
                subject = {"resourceType": "Immunization", "patient": resource.get("patient")}
                owner = patients_referred_to(subject, base=self.base) & self.referred[name]
                found += [(member, resource) for member in owner]
        return found


def _ground(present: Sequence[Resource], referring: Iterable[Resource], base: str) -> _Ground:
    members = frozenset(str(patient["id"]) for patient in present)
    own = {f"Patient/{member}" for member in members}
    resources = {
        name_of(resource): resource
        for resource in referring
        if resource.get("id") and name_of(resource) not in own and resource.get("resourceType") not in UNTOUCHED
    }
    referred = {name: patients_referred_to(resource, base=base) & members for name, resource in resources.items()}
    concerned = {name: ids for name, ids in referred.items() if ids}
    return _Ground({name: resources[name] for name in concerned}, concerned, base)


def _days(resource: Resource) -> Iterator[str]:
    """Yield the days on which something was done to a person, as far as a resource tells them."""
    periods = [resource.get(name) for name in _SEEN_PERIODS]
    dates = [resource.get(name) for name in _SEEN] + [one.get("start") for one in periods if isinstance(one, dict)]
    for date in dates:
        if _DAY.match(text(date)):
            yield text(date)[:10]


def _plan(  # noqa: PLR0913 - a plan has as many parts
    group: DuplicateGroup,
    survivor: Survivor,
    conflicts: Iterable[MergeConflict],
    *,
    replaced: tuple[str, ...] = (),
    fields: tuple[FieldChoice, ...] = (),
    doses: tuple[DuplicateDose, ...] = (),
    changes: tuple[PlannedChange, ...] = (),
    unsearched: Sequence[str] = (),
) -> GroupPlan:
    listed = _each_once(list(dict.fromkeys(conflicts)))
    return GroupPlan(
        group=group,
        survivor=survivor.id,
        replaced=replaced,
        survivor_words=survivor.words,
        scores=dict(survivor.scores),
        fields=fields,
        doses=doses,
        changes=changes,
        conflicts=listed,
        unsearched=tuple(unsearched),
        digest=plan_digest(survivor.id, replaced, changes, listed),
    )


def _each_once(conflicts: Sequence[MergeConflict]) -> tuple[MergeConflict, ...]:
    """Leave out what is told again of the same Patients: two birth dates that disagree in a pair, and in the choice of one."""

    def told_again(place: int) -> bool:
        one = conflicts[place]
        return any(
            one.code == other.code and one.blocks <= other.blocks and set(one.resources) <= set(other.resources)
            for other in conflicts[place + 1 :]
        )

    return tuple(one for place, one in enumerate(conflicts) if not told_again(place))


def plan_digest(
    survivor: str, replaced: Sequence[str], changes: Iterable[PlannedChange], conflicts: Iterable[MergeConflict]
) -> str:
    """Return a SHA-256 in hex over what a plan changes and what it warns of; versions and times are no part of it."""
    content: list[Any] = [
        survivor,
        sorted(replaced),
        sorted([change.resource, change.kind.value, [_element(e) for e in change.elements]] for change in changes),
        sorted([conflict.code, *conflict.resources] for conflict in conflicts),
    ]
    return hashlib.sha256(json_text.dump(content, ordered=True)).hexdigest()


def _element(change: ElementChange) -> str:
    """Return an element's change as text, so that changes can be sorted whatever their values are."""
    return json_text.dump([change.path, change.before, change.after], ordered=True).decode()


def _active(patient: Resource | None) -> bool:
    return patient is not None and patient.get("active") is not False


def _absent(group: DuplicateGroup, found: Mapping[str, Resource]) -> list[MergeConflict]:
    conflicts = []
    for member in group.patient_ids:
        if member not in found:
            words = "this Patient is not on the server any more"
            conflicts.append(MergeConflict("patient-missing", words, (f"Patient/{member}",)))
        elif not _active(found[member]):
            words = "this Patient is inactive by now, so it is left out"
            conflicts.append(MergeConflict("patient-inactive", words, (f"Patient/{member}",), blocks=False))
    return conflicts


def _kept_apart(group: DuplicateGroup, parted: Collection[frozenset[str]]) -> list[MergeConflict]:
    return [
        MergeConflict("kept-apart", _APART, (f"Patient/{one}", f"Patient/{other}"))
        for one, other in combinations(group.patient_ids, 2)
        if frozenset((one, other)) in parted
    ]


def _after_death(survivor: Resource, ground: _Ground, zone: tzinfo) -> list[MergeConflict]:
    """Return a conflict for doses of any of the Patients on a day after the death that the merged Patient has."""
    died = text(survivor.get("deceasedDateTime"))[:10]
    late = sorted(
        name_of(dose)
        for _, dose in ground.doses()
        if died and dose.get("status") == "completed" and local_date(dose, zone=zone)[: len(died)] > died
    )
    return [MergeConflict("dose-after-death", _AFTER_DEATH, tuple(late))] if late else []


def _versioned(ground: _Ground, replaced: Collection[str]) -> list[MergeConflict]:
    names = tuple(
        sorted(
            name
            for name, resource in ground.resources.items()
            if versioned_references(resource, replaced, base=ground.base)
        )
    )
    return [MergeConflict("versioned-reference", _VERSIONED, names, blocks=False)] if names else []


def _elsewhere(referring: Iterable[Resource], replaced: Collection[str], base: str) -> list[MergeConflict]:
    """Return a conflict for references by another address: the server's own on its inside, or another server's."""
    names = tuple(
        sorted(name_of(one) for one in referring if not patients_elsewhere(one, base=base).isdisjoint(replaced))
    )
    return [MergeConflict("foreign-reference", _ELSEWHERE, names)] if names else []


def _covered(patients: Sequence[Resource]) -> list[MergeConflict]:
    """Return a conflict for Patients with an identifier's value, or a name, of which the server shows a cover only."""
    covered = [
        patient
        for patient in patients
        if any(_COVER.search(text(one.get("value"))) for one in objects(patient.get("identifier")))
        or any(_COVER.search(text(one.get("text")) + text(one.get("family"))) for one in objects(patient.get("name")))
    ]
    return [MergeConflict("covered-values", _COVERED, tuple(map(name_of, covered)))] if covered else []


def _referring_changes(
    ground: _Ground, doses: MergedDoses, replaced: Collection[str], survivor_id: str
) -> list[PlannedChange]:
    kept = {pair.in_error: pair.kept for pair in doses.duplicates}
    changes = []
    for _, resource in sorted(ground.resources.items()):
        dose_id = str(resource["id"]) if resource["resourceType"] == "Immunization" else ""
        moved = repoint(doses.changed.get(dose_id, resource), replaced, survivor_id, base=ground.base)
        after = repoint_doses(moved, kept, base=ground.base)
        kind = ChangeKind.REFERENCE
        if dose_id in doses.changed:
            kind = ChangeKind.DOSE_KEPT if dose_id in kept.values() else ChangeKind.DOSE_IN_ERROR
        if after is not resource and after != resource:
            changes.append(_change(resource, after, kind))
    return changes


def _change(before: Resource, after: Resource, kind: ChangeKind) -> PlannedChange:
    bare, changed = without_version(before), without_version(after)
    return PlannedChange(name_of(before), kind, version_of(before), element_changes(bare, changed), bare, changed)
