"""How merges, their plans and changes stand in the ledger's rows."""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy.engine import Row

from fhir_gateway.audit.entries import row_line, written_time
from fhir_gateway.domain import systems
from fhir_gateway.domain.history import MergeRecord
from fhir_gateway.domain.identity import ComparedPair, Comparison, Evidence, Grade, Veto
from fhir_gateway.domain.merges import (
    ChangeKind,
    ChangeState,
    DuplicateDose,
    DuplicateGroup,
    ElementChange,
    FieldChoice,
    GroupPlan,
    GroupRule,
    JournalledChange,
    Merge,
    MergeConflict,
    MergeState,
    PlannedChange,
)
from fhir_gateway.fhir import json_text
from fhir_gateway.people.nik import NIK_LENGTH, read_nik

_change_of = itemgetter("merge", "number", "resource", "kind", "before_version", "bodies")
_step_of = itemgetter("merge", "number", "resource", "after_version", "state", "message")


def change_row(merge: int, change: JournalledChange) -> dict[str, Any]:
    """Return the row of a planned change, without its entry."""
    bodies = json_text.dump(change.before) + b"\n" + json_text.dump(change.after)
    return {
        "merge": merge,
        "number": change.number,
        "resource": change.resource,
        "kind": change.kind or "",
        "before_version": change.before_version,
        "bodies": zlib.compress(bodies, 6),
    }


def step_row(merge: int, change: JournalledChange) -> dict[str, Any]:
    """Return the row of what became of a change, without its entry."""
    return {
        "merge": merge,
        "number": change.number,
        "resource": change.resource,
        "after_version": change.after_version,
        "state": change.state,
        "message": change.message,
    }


def change_line(row: Mapping[str, Any]) -> bytes:
    """Return a change's row as it is hashed."""
    return row_line(*_change_of(row))


def step_line(row: Mapping[str, Any]) -> bytes:
    """Return a step's row as it is hashed."""
    return row_line(*_step_of(row))


def read_change(row: Row[Any], step: Row[Any] | None) -> JournalledChange:
    """Return a change from its row and the newest of its steps."""
    before, _, after = zlib.decompress(row.bodies).partition(b"\n")
    change = JournalledChange(
        number=row.number,
        resource=row.resource,
        kind=ChangeKind(row.kind) if row.kind else None,
        before=json_text.parse(before),
        after=json_text.parse(after),
        before_version=row.before_version,
    )
    if step is None:
        return change
    return replace(
        change,
        resource=step.resource,
        after_version=step.after_version,
        state=ChangeState(step.state),
        message=step.message,
    )


def read_merge(row: Row[Any], person: Mapping[str, Any], failed: Iterable[str]) -> Merge:
    """Return a merge from its row; `person` is {} where that was erased."""
    return Merge(
        id=row.id,
        run=row.run,
        state=MergeState(row.state),
        nik=person.get("nik", ""),
        survivor=person.get("survivor", ""),
        replaced=tuple(person.get("replaced", ())),
        rule=GroupRule(row.rule),
        grade=Grade(row.grade),
        user=row.user,
        begun=datetime.fromisoformat(row.begun),
        finished=_moment(row.finished),
        changed=row.changed,
        requests=row.requests,
        failed=tuple(failed),
        remaining=tuple(person.get("remaining", ())),
    )


def read_record(row: Row[Any], person: Mapping[str, Any], failed: Iterable[str]) -> MergeRecord:
    """Return what an auditor sees of a merge."""
    return MergeRecord(
        merge=read_merge(row, person, failed),
        via=row.via,
        undo_user=row.undo_user,
        undo_via=row.undo_via,
        undo_begun=_moment(row.undo_begun),
        undone=_moment(row.undone),
        undo_reason=person.get("reason", ""),
        undo_conflicts=tuple(person.get("conflicts", ())),
        erased=row.erased,
    )


def person_body(plan: GroupPlan) -> dict[str, Any]:
    """Return whom a merge is about: what its group shares, its Patients, and every NIK that stands on one of them."""
    patients = [change.before for change in plan.changes if change.before.get("resourceType") == "Patient"]
    identifiers = [each for patient in patients for each in patient.get("identifier", ())]
    niks = {read_nik(str(each.get("value", ""))).digits for each in identifiers if each.get("system") == systems.NIK}
    return {
        "nik": plan.group.nik,
        "niks": sorted(nik for nik in niks if len(nik) == NIK_LENGTH and nik != plan.group.nik),
        "survivor": plan.survivor,
        "replaced": list(plan.replaced),
    }


def subjects_of(person: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (kind, value) by which an entry can be found: every NIK and every Patient's id."""
    patients = [person.get("survivor", ""), *person.get("replaced", ()), *person.get("patients", ())]
    niks = [person.get("nik", ""), *person.get("niks", ())]
    return sorted({("patient", each) for each in patients if each} | {("nik", each) for each in niks if each})


def new_merge(run: int, plan: GroupPlan, *, user: str, via: str, at: datetime) -> dict[str, Any]:
    """Return the row of a merge that begins, without its number."""
    return {
        "run": run,
        "state": MergeState.APPLYING,
        "rule": plan.group.rule,
        "grade": plan.group.grade,
        "user": user,
        "via": via,
        "begun": written_time(at),
        "finished": "",
        "changed": 0,
        "requests": 0,
        "undo_user": "",
        "undo_via": "",
        "undo_begun": "",
        "undone": "",
        "erased": False,
    }


def plan_body(plan: GroupPlan) -> GroupPlan:
    """Return a plan as it is kept: its resources stand in the changes' rows."""
    return replace(
        plan,
        scores=dict(plan.scores),
        changes=tuple(replace(change, before={}, after={}) for change in plan.changes),
    )


def read_plan(body: Mapping[str, Any]) -> GroupPlan:
    """Return the plan that plan_body() made."""
    group = body["group"]
    return GroupPlan(
        group=DuplicateGroup(
            patient_ids=tuple(group["patient_ids"]),
            rule=GroupRule(group["rule"]),
            grade=Grade(group["grade"]),
            nik=group["nik"],
            pairs=tuple(_pair(pair) for pair in group["pairs"]),
            conflicts=_conflicts(group["conflicts"]),
        ),
        survivor=body["survivor"],
        replaced=tuple(body["replaced"]),
        survivor_words=body["survivor_words"],
        scores={patient: float(score) for patient, score in body["scores"].items()},
        fields=tuple(
            FieldChoice(f["field"], f["rule"], tuple(f["taken_from"]), tuple(f["dropped"])) for f in body["fields"]
        ),
        doses=tuple(DuplicateDose(**dose) for dose in body["doses"]),
        changes=tuple(_planned(change) for change in body["changes"]),
        conflicts=_conflicts(body["conflicts"]),
        unsearched=tuple(body["unsearched"]),
        digest=body["digest"],
    )


def _planned(body: Mapping[str, Any]) -> PlannedChange:
    return PlannedChange(
        resource=body["resource"],
        kind=ChangeKind(body["kind"]),
        version=body["version"],
        elements=tuple(ElementChange(**element) for element in body["elements"]),
        before={},
        after={},
    )


def _conflicts(bodies: Iterable[Mapping[str, Any]]) -> tuple[MergeConflict, ...]:
    return tuple(MergeConflict(**{**body, "resources": tuple(body["resources"])}) for body in bodies)


def _pair(body: Mapping[str, Any]) -> ComparedPair:
    compared = body["comparison"]
    comparison = Comparison(
        evidence=tuple(Evidence(**{**item, "weight": float(item["weight"])}) for item in compared["evidence"]),
        vetoes=tuple(Veto(**veto) for veto in compared["vetoes"]),
        weight=float(compared["weight"]),
        grade=Grade(compared["grade"]),
    )
    return ComparedPair(body["left"], body["right"], comparison)


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
