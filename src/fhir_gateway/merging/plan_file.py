"""A plan as a file that can be read, reviewed and kept: indented JSON with a hash over its content.

It holds what changes, element by element, and no whole resources. It does hold patients' data: treat it as such.
References that change alike stand together, so that a group of hundreds of resources stays readable. An edited file is
refused: another plan is made by planning anew.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.identity import ComparedPair, Comparison, Evidence, Grade, Veto
from fhir_gateway.domain.merges import (
    ChangeKind,
    DuplicateDose,
    DuplicateGroup,
    ElementChange,
    FieldChoice,
    GroupPlan,
    GroupRule,
    MergeConflict,
    MergePlan,
    PlannedChange,
)
from fhir_gateway.fhir import json_text

FORMAT = "fhir-gateway merge plan 1"
_AGAIN = "make it anew with `merge plan`"


def write_plan(plan: MergePlan) -> str:
    """Return the file's text; the same plan always gives the same text."""
    content = {
        "format": FORMAT,
        "environment": plan.environment,
        "made": plan.made.isoformat(),
        "groups": [_written_group(group) for group in plan.groups],
    }
    # Hashed as it will be read again: a float and the Decimal that is read for it are written alike.
    digest = _hash(json_text.parse(json_text.dump(content)))
    return json_text.dump({"content_sha256": digest} | content, indented=True).decode() + "\n"


def read_plan(text: str) -> MergePlan:
    """Return the plan in a file's text; its changes have elements, but no whole resources (`before`, `after` empty).

    Raises UsageError where the text is no plan, of another format, or was changed after it was written.
    """
    try:
        content = json_text.parse(text)
    except ValueError as error:
        raise UsageError(f"this is no merge plan: it is no JSON; {_AGAIN}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UsageError(f"this is no merge plan that this version reads (it reads {FORMAT!r}); {_AGAIN}")
    claimed = content.pop("content_sha256", None)
    if claimed != _hash(content):
        raise UsageError(f"the plan was changed after it was written: its content hash does not fit; {_AGAIN}")
    try:
        groups = tuple(_read_group(group) for group in content["groups"])
        return MergePlan(content["environment"], datetime.fromisoformat(content["made"]), groups)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"the plan is damaged: something that belongs to it is missing; {_AGAIN}") from error


def _hash(content: Any) -> str:
    return hashlib.sha256(json_text.dump(content, ordered=True)).hexdigest()


def _written_group(plan: GroupPlan) -> dict[str, Any]:
    group = plan.group
    return {
        "patients": list(group.patient_ids),
        "nik": group.nik,
        "rule": group.rule.value,
        "grade": group.grade.value,
        "survivor": plan.survivor,
        "survivor_words": plan.survivor_words,
        "replaced": list(plan.replaced),
        "scores": dict(plan.scores),
        "conflicts": [_written_conflict(conflict) for conflict in plan.conflicts],
        "group_conflicts": [_written_conflict(conflict) for conflict in group.conflicts],
        "fields": [
            {"field": one.field, "rule": one.rule, "taken_from": list(one.taken_from), "dropped": list(one.dropped)}
            for one in plan.fields
        ],
        "doses": [{"kept": dose.kept, "in_error": dose.in_error, "text": dose.text} for dose in plan.doses],
        "changes": _written_changes(plan.changes),
        "unsearched": list(plan.unsearched),
        "pairs": [_written_pair(pair) for pair in group.pairs],
        "digest": plan.digest,
    }


def _written_conflict(conflict: MergeConflict) -> dict[str, Any]:
    return {
        "code": conflict.code,
        "text": conflict.text,
        "resources": list(conflict.resources),
        "blocks": conflict.blocks,
    }


def _written_changes(changes: Iterable[PlannedChange]) -> list[dict[str, Any]]:
    """Return the changes in order; resources in a row that change alike stand together as `Type/id version`."""
    written: list[dict[str, Any]] = []
    for change in changes:
        elements = [
            {"path": element.path, "before": element.before, "after": element.after} for element in change.elements
        ]
        same = {"kind": change.kind.value, "elements": elements}
        if written and {name: written[-1][name] for name in same} == same:
            written[-1]["resources"].append(f"{change.resource} {change.version}")
        else:
            written.append({"resources": [f"{change.resource} {change.version}"], **same})
    return written


def _written_pair(pair: ComparedPair) -> dict[str, Any]:
    comparison = pair.comparison
    return {
        "left": pair.left,
        "right": pair.right,
        "grade": comparison.grade.value,
        "weight": round(comparison.weight, 2),
        "evidence": [
            {"field": one.field, "agreement": one.agreement, "weight": round(one.weight, 2), "words": one.words}
            for one in comparison.evidence
        ],
        "vetoes": [{"code": veto.code, "words": veto.words} for veto in comparison.vetoes],
    }


def _read_group(data: dict[str, Any]) -> GroupPlan:
    group = DuplicateGroup(
        tuple(data["patients"]),
        GroupRule(data["rule"]),
        Grade(data["grade"]),
        data["nik"],
        tuple(_read_pair(pair) for pair in data["pairs"]),
        tuple(_read_conflict(conflict) for conflict in data["group_conflicts"]),
    )
    return GroupPlan(
        group=group,
        survivor=data["survivor"],
        replaced=tuple(data["replaced"]),
        survivor_words=data["survivor_words"],
        scores={patient_id: float(score) for patient_id, score in data["scores"].items()},
        fields=tuple(
            FieldChoice(one["field"], one["rule"], tuple(one["taken_from"]), tuple(one["dropped"]))
            for one in data["fields"]
        ),
        doses=tuple(DuplicateDose(dose["kept"], dose["in_error"], dose["text"]) for dose in data["doses"]),
        changes=tuple(change for changes in data["changes"] for change in _read_changes(changes)),
        conflicts=tuple(_read_conflict(conflict) for conflict in data["conflicts"]),
        unsearched=tuple(data["unsearched"]),
        digest=data["digest"],
    )


def _read_changes(data: dict[str, Any]) -> Iterable[PlannedChange]:
    elements = tuple(ElementChange(one["path"], one["before"], one["after"]) for one in data["elements"])
    for named in data["resources"]:
        resource, _, version = named.partition(" ")
        yield PlannedChange(resource, ChangeKind(data["kind"]), version, elements, {}, {})


def _read_conflict(data: dict[str, Any]) -> MergeConflict:
    return MergeConflict(data["code"], data["text"], tuple(data["resources"]), data["blocks"])


def _read_pair(data: dict[str, Any]) -> ComparedPair:
    comparison = Comparison(
        tuple(Evidence(one["field"], one["agreement"], float(one["weight"]), one["words"]) for one in data["evidence"]),
        tuple(Veto(veto["code"], veto["words"]) for veto in data["vetoes"]),
        float(data["weight"]),
        Grade(data["grade"]),
    )
    return ComparedPair(data["left"], data["right"], comparison)
