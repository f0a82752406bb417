"""Which of a person's Patients' values survive, field by field, and what becomes of the replaced ones.

The survivor keeps what it says and takes over what it lacks; earlier names and other numbers come with `use=old`.
Nothing is lost: what does not survive stays on the replaced Patient and in the journal. docs/decisions/0015 has the
rule and the reason of each field.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_gateway.domain import systems
from fhir_gateway.domain.merges import FieldChoice, MergeConflict
from fhir_gateway.domain.records import Resource
from fhir_gateway.merging.elements import objects, replaced_by_tag, text
from fhir_gateway.merging.lists import LISTS, link_rule, merge_list, merge_names, merge_security
from fhir_gateway.merging.singles import choose_birth_date, choose_deceased, choose_gender, choose_multiple_birth

_FIRST_KNOWN = ("maritalStatus", "managingOrganization")


@dataclass(frozen=True, slots=True)
class MergedPatient:
    """The survivor after the merge, what was taken from whom, and what a person has to look at."""

    resource: Resource
    choices: tuple[FieldChoice, ...]
    conflicts: tuple[MergeConflict, ...]


def merge_patients(survivor: Resource, replaced: Sequence[Resource]) -> MergedPatient:
    """Return the survivor with what the replaced Patients add, tagged as golden record and linked `replaces`.

    The replaced are taken in the order of their ids, so that the same Patients always give the same result. Only fields
    in which something was decided (taken or dropped) have a choice. The arguments are not changed.
    """
    others = sorted(replaced, key=lambda patient: str(patient["id"]))
    patients = [survivor, *others]
    result = dict(survivor)
    choices: list[FieldChoice] = []
    conflicts: list[MergeConflict] = []
    for decide in (choose_birth_date, choose_gender, choose_deceased, choose_multiple_birth):
        chosen = decide(patients)
        result.update(chosen.elements)
        for name in chosen.removed:
            result.pop(name, None)
        choices.extend(chosen.choices)
        conflicts.extend(chosen.conflicts)
    choices.extend(_take_first_known(result, patients))
    choices.extend(merge_names(result, patients))
    for rule in (*LISTS, link_rule([str(patient["id"]) for patient in patients])):
        choices.extend(merge_list(result, patients, rule))
    choices.extend(merge_security(result, patients))
    conflicts.extend(_modifiers(patients))
    tagged = with_golden_tag(result, str(survivor["id"]))
    return MergedPatient(_linked(tagged, others), tuple(choices), tuple(conflicts))


def mark_replaced(patient: Resource, survivor_id: str) -> Resource:
    """Return a replaced Patient: inactive, linked `replaced-by`, tagged with the survivor's id; the rest as it is."""
    marked = with_golden_tag(patient | {"active": False}, survivor_id)
    return _with_link(marked, survivor_id, "replaced-by")


def _take_first_known(result: Resource, patients: Sequence[Resource]) -> list[FieldChoice]:
    choices = []
    for name in _FIRST_KNOWN:
        known = [patient for patient in patients if patient.get(name) and not _points_inside(patient[name])]
        if not known or all(patient.get(name) == patients[0].get(name) for patient in known):
            continue
        taken = patients[0] if patients[0].get(name) else known[0]
        result[name] = taken[name]
        dropped = [str(patient["id"]) for patient in known if patient[name] != taken[name]]
        choices.append(FieldChoice(name, "the survivor's, else the first known", (str(taken["id"]),), tuple(dropped)))
    return choices


def _points_inside(value: object) -> bool:
    """Whether an element refers to a contained resource, which does not come along."""
    return isinstance(value, dict) and text(value.get("reference")).startswith("#")


def _modifiers(patients: Sequence[Resource]) -> list[MergeConflict]:
    """Return a conflict for each replaced Patient with modifiers: they change what it means, and nobody here knows how."""
    words = "a modifierExtension or implicitRules changes what this Patient means: nothing here can tell how"
    own = patients[0]
    return [
        MergeConflict("modified-meaning", words, (f"Patient/{patient['id']}",))
        for patient in patients[1:]
        if any(
            patient.get(name) and patient.get(name) != own.get(name) for name in ("modifierExtension", "implicitRules")
        )
    ]


def with_golden_tag(patient: Resource, survivor_id: str) -> Resource:
    """Return the Patient with the golden-record tag of this survivor, in the place of one that it has."""
    if replaced_by_tag(patient) == survivor_id:
        return patient
    meta = patient.get("meta")
    rest = dict(meta) if isinstance(meta, dict) else {}
    tag = {"system": systems.REPLACED_BY_TAG, "code": survivor_id}
    tags = [other for other in objects(rest.get("tag")) if other.get("system") != systems.REPLACED_BY_TAG]
    return patient | {"meta": rest | {"tag": [*tags, tag]}}


def without_golden_tag(patient: Resource) -> Resource:
    """Return the Patient without a golden-record tag; itself where it has none."""
    if not replaced_by_tag(patient):
        return patient
    meta = patient["meta"]
    tags = [tag for tag in objects(meta["tag"]) if tag.get("system") != systems.REPLACED_BY_TAG]
    rest = {name: value for name, value in meta.items() if name != "tag"} | ({"tag": tags} if tags else {})
    return {name: value for name, value in patient.items() if name != "meta"} | ({"meta": rest} if rest else {})


def _linked(patient: Resource, others: Sequence[Resource]) -> Resource:
    for other in others:
        patient = _with_link(patient, str(other["id"]), "replaces")
    return patient


def _with_link(patient: Resource, other_id: str, kind: str) -> Resource:
    reference = f"Patient/{other_id}"
    links = objects(patient.get("link"))
    for link in links:
        other = link.get("other")
        if link.get("type") == kind and isinstance(other, dict) and other.get("reference") == reference:
            return patient
    return patient | {"link": [*links, {"other": {"reference": reference}, "type": kind}]}
