"""Merges, plans and their evidence as plain values: what the API answers with and what the console exports."""

from collections.abc import Iterable, Iterator
from typing import Any

from fhir_gateway.bootstrap.history import Verification
from fhir_gateway.bootstrap.views import THRESHOLDS_OF_TODAY, of_its_time
from fhir_gateway.domain.history import MergeRecord, Parting
from fhir_gateway.domain.identity import ComparedPair
from fhir_gateway.domain.merges import DuplicateGroup, GroupPlan, JournalledChange, MergeConflict, UndoConflict
from fhir_gateway.domain.runs import Run
from fhir_gateway.flows.merge import UndoOutcome
from fhir_gateway.identity.explain import explain_comparison
from fhir_gateway.identity.parameters import MatchingPolicy

Waterfall = tuple[ComparedPair, tuple[str, ...]]


def told_record(record: MergeRecord) -> dict[str, Any]:
    """Return a merge with what its history says of it; ids are bare, times with their zone."""
    merge = record.merge
    return {
        "merge": merge.id,
        "state": merge.state,
        "nik": merge.nik,
        "survivor": merge.survivor,
        "replaced": list(merge.replaced),
        "rule": merge.rule,
        "grade": merge.grade,
        "run": merge.run,
        "user": merge.user,
        "via": record.via,
        "begun": merge.begun,
        "finished": merge.finished,
        "changed": merge.changed,
        "requests": merge.requests,
        "failed": list(merge.failed),
        "remaining": list(merge.remaining),
        "undo_user": record.undo_user,
        "undo_via": record.undo_via,
        "undone": record.undone,
        "undo_reason": record.undo_reason,
        "undo_conflicts": [dict(each) for each in record.undo_conflicts],
        "erased": record.erased,
    }


def told_parting(parting: Parting) -> dict[str, Any]:
    """Return a decision that Patients are different people; `overruled` are merges of them, made since, that stand."""
    return {
        "entry": parting.entry,
        "patients": list(parting.patient_ids),
        "user": parting.user,
        "via": parting.via,
        "at": parting.at,
        "reason": parting.reason,
        "overruled": list(parting.overruled),
        "erased": parting.erased,
    }


def told_plan(plan: GroupPlan, run: Run | None, policy: MatchingPolicy) -> dict[str, Any]:
    """Return why a group that was merged is one person, who stays, and what was decided of each field and dose.

    `run` is the one that merged it, `policy` the environment's as it is today.
    """
    return {
        **told_group(plan.group, policy),
        "evidence": _evidence(waterfalls_of_then(plan.group, run, policy)),
        "survivor": plan.survivor,
        "survivor_words": plan.survivor_words,
        "scores": dict(plan.scores),
        "replaced": list(plan.replaced),
        "fields": [
            {"field": each.field, "rule": each.rule, "taken_from": list(each.taken_from), "dropped": list(each.dropped)}
            for each in plan.fields
        ],
        "doses": [{"kept": each.kept, "in_error": each.in_error, "text": each.text} for each in plan.doses],
        "conflicts": _conflicts(plan.conflicts),
        "unsearched": list(plan.unsearched),
        "changes": len(plan.changes),
        "digest": plan.digest,
    }


def told_group(group: DuplicateGroup, policy: MatchingPolicy) -> dict[str, Any]:
    """Return who may be one person, and the evidence for it in words."""
    return {
        "patients": list(group.patient_ids),
        "nik": group.nik,
        "rule": group.rule,
        "grade": group.grade,
        "conflicts": _conflicts(group.conflicts),
        "evidence": _evidence(waterfalls(group, policy)),
    }


def _evidence(told: Iterable[Waterfall]) -> list[dict[str, Any]]:
    return [{"pair": [pair.left, pair.right], "words": list(words)} for pair, words in told]


def waterfalls(group: DuplicateGroup, policy: MatchingPolicy) -> Iterator[Waterfall]:
    """Yield each comparison that holds a group together, in words, line by line."""
    for pair in group.pairs:
        yield pair, explain_comparison(pair.comparison, policy=policy)


def waterfalls_of_then(group: DuplicateGroup, run: Run | None, policy: MatchingPolicy) -> Iterator[Waterfall]:
    """Yield the comparisons of a group that a run merged, with the thresholds of then; where they were not kept it is said."""
    kept = run is not None and bool(run.thresholds)
    for pair, words in waterfalls(group, of_its_time(policy, run)):
        yield pair, words if kept else (*words, THRESHOLDS_OF_TODAY)


def told_change(change: JournalledChange) -> dict[str, Any]:
    """Return one journalled change with the resource before and after; `kind` is None for what the merge created."""
    return {
        "number": change.number,
        "resource": change.resource,
        "kind": change.kind,
        "state": change.state,
        "message": change.message,
        "before_version": change.before_version,
        "after_version": change.after_version,
        "before": change.before,
        "after": change.after,
    }


def told_undo(outcome: UndoOutcome) -> dict[str, Any]:
    """Return what became of an undoing, or would: conflicts with both values, what was put back, what arrived since."""
    return {
        "conflicts": [_undo_conflict(each) for each in outcome.conflicts],
        "restored": outcome.restored,
        "kept": [_undo_conflict(each) for each in outcome.kept],
        "failed": list(outcome.failed),
        "arrived": list(outcome.arrived),
        "withdrawn": list(outcome.withdrawn),
        "copied": list(outcome.copied),
    }


def told_of_rows(outcome: UndoOutcome) -> list[str]:
    """Return in words what an undoing made of doses for the rows that went elsewhere or came since."""
    words = {
        "entered in error, as the rows are all of others by now": outcome.withdrawn,
        "made for rows that came since, whose dose went back": outcome.copied,
    }
    return [f"{said}: {', '.join(doses)}" for said, doses in words.items() if doses]


def told_verification(found: Verification) -> dict[str, Any]:
    """Return what verifying a history found; `not_known` says what could not be known."""
    return {
        "passed": found.passed,
        "entries": found.entries,
        "merges": found.merges,
        "root": found.root,
        "checkpoints": found.checkpoints,
        "signed": found.signed,
        "erased": list(found.erased),
        "faults": list(found.faults),
        "fault_count": found.fault_count,
        "not_known": list(found.caveats),
    }


def _undo_conflict(conflict: UndoConflict) -> dict[str, Any]:
    return {"resource": conflict.resource, "path": conflict.path, "before": conflict.before, "now": conflict.now}


def _conflicts(conflicts: Iterable[MergeConflict]) -> list[dict[str, Any]]:
    return [
        {"code": each.code, "text": each.text, "resources": list(each.resources), "blocks": each.blocks}
        for each in conflicts
    ]
