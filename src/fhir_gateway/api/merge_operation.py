"""`POST /{environment}/fhir/Patient/$merge` and its undoing: FHIR R5's operation, as an R4 server can offer it."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from fhir_gateway.api.answer_models import MergeAnswer
from fhir_gateway.api.answers import FHIR_JSON, FhirJson, RequestRefusedError, json_response
from fhir_gateway.api.documented import CONFLICT, OF_AN_ENVIRONMENT
from fhir_gateway.api.merge_parameters import MergeParameters, NamedPatient, read_merge, read_parameters
from fhir_gateway.api.security import Environment, Operator
from fhir_gateway.bootstrap.told_merges import told_of_rows
from fhir_gateway.domain.merges import ChangeKind, GroupPlan
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.flows.merge.applying import ApplyRequest, GroupOutcome
from fhir_gateway.serving.environments import ServedEnvironment

router = APIRouter(prefix="/{environment}/fhir", tags=["merge operation"], responses=OF_AN_ENVIRONMENT)

_VIA = "$merge"
_LARGEST = 2**31
_UNDO_KINDS = {"merge": "valuePositiveInt", "target-patient": "valueReference", "reason": "valueString"}
_WRITTEN_BY_THE_SERVER = frozenset({"versionId", "lastUpdated", "source"})
_BODY = {
    "content": {FHIR_JSON: {"schema": {"type": "object", "description": "A Parameters resource."}}},
    "required": True,
}


@router.post(
    "/Patient/$merge",
    response_class=FhirJson,
    response_model=MergeAnswer,
    responses=CONFLICT,
    summary="Merge one Patient into another",
    openapi_extra={"requestBody": _BODY},
)
async def merge(request: Request, environment: Environment, caller: Operator) -> Response:
    """Make `source-patient` one with `target-patient`, or tell with `preview` what would be done.

    Takes a Parameters resource: `source-patient` and `target-patient` (references) or their `…-identifier`s,
    `preview`, and `result-patient`, which has to be what a preview has answered. Every reference to the source leads to
    the target afterwards. Answers with Parameters `input`, `outcome`, `result`; 409 where a conflict or the rule which
    Patient survives stands against it.
    """
    asked = read_merge(await request.body())
    source, target = (
        await _found(environment, asked.source, "source"),
        await _found(environment, asked.target, "target"),
    )
    planned = await environment.merges.plan_pair([source, target])
    _check(planned, asked, target)
    previewed = next(change.after for change in planned.changes if change.kind is ChangeKind.SURVIVOR)
    if asked.result is not None and not _same(asked.result, previewed):
        words = (
            "result-patient is not what the rules make of these Patients: ask with preview, and correct it afterwards"
        )
        raise RequestRefusedError(422, words, code="business-rule")
    if asked.preview:
        words = f"Preview: {len(planned.changes)} resources would change, nothing was written"
        return _answer(asked, [_issue("information", "informational", words), *_conflicts(planned)], previewed)
    plan = await environment.merges.plan_groups([planned.group])
    (outcome,) = await environment.merges.apply(plan, ApplyRequest(caller.user, via=_VIA))
    issues = [*_issues(outcome), *_conflicts(planned)]
    return _answer(asked, issues, await environment.reader.read("Patient", planned.survivor) or previewed)


@router.post(
    "/Patient/$undo-merge",
    response_class=FhirJson,
    response_model=MergeAnswer,
    responses=CONFLICT,
    summary="Undo a merge",
    openapi_extra={"requestBody": _BODY},
)
async def undo(request: Request, environment: Environment, caller: Operator) -> Response:
    """Take a merge apart: everything that it changed is restored, what was edited since stays.

    Takes a Parameters resource: `merge` (its number) or `target-patient` (its newest merge), and a `reason`. Answers
    with Parameters `outcome` and `result`, the Patient that survived.
    """
    found = read_parameters(await request.body(), _UNDO_KINDS, frozenset())
    number = _merge_number(environment, found)
    reason = found.get("reason", [""])[0]
    if not isinstance(reason, str):
        raise RequestRefusedError(400, "reason must be a text")
    undone = await environment.merges.undo(number, user=caller.user, via="$undo-merge", reason=reason)
    if undone.conflicts:
        places = ", ".join(f"{each.resource}{each.path}" for each in undone.conflicts)
        words = f"changed by others since, so that a person has to decide: {places}; decide with merges/{number}/undo"
        raise RequestRefusedError(409, words, code="conflict")
    issues = [_issue("information", "informational", f"Merge {number}: {undone.restored} resources were put back")]
    issues += [_issue("warning", "informational", words) for words in told_of_rows(undone)]
    issues += [_issue("warning", "incomplete", words) for words in undone.failed]
    patient = await environment.reader.read("Patient", undone.merge.survivor)
    return _parameters([("outcome", _outcome(issues)), ("result", patient)])


def _merge_number(environment: ServedEnvironment, found: dict[str, list[Any]]) -> int:
    if numbers := found.get("merge"):
        if isinstance(numbers[0], bool) or not isinstance(numbers[0], int):
            raise RequestRefusedError(400, "merge must be a positive number")
        if not 0 < numbers[0] <= _LARGEST or environment.merges.record(numbers[0]) is None:
            raise RequestRefusedError(404, "there is no merge of this number in this environment")
        return numbers[0]
    reference = found.get("target-patient", [None])[0]
    target = id_referred_to(reference, "Patient")
    merges = [merge for merge in environment.ledger.merges.by_patient([target]) if merge.survivor == target]
    if not merges:
        raise RequestRefusedError(404, "no merge with this target-patient: name merge or target-patient")
    return merges[-1].id


async def _found(environment: ServedEnvironment, named: NamedPatient, side: str) -> str:
    """Return the bare id of the Patient that is meant; raises 404 or 422 unless that is exactly one."""
    if named.id:
        patient = await environment.reader.read("Patient", named.id)
        if patient is None:
            raise RequestRefusedError(404, f"there is no such {side}-patient")
        if not set(named.identifiers) <= _identifiers(patient):
            raise RequestRefusedError(422, f"{side}-patient does not carry {side}-patient-identifier")
        return named.id
    system, value = named.identifiers[0]
    found = [
        patient
        async for patient in environment.reader.search("Patient", {"identifier": [f"{system}|{value}"]})
        if set(named.identifiers) <= _identifiers(patient) and patient.get("active") is not False
    ]
    if len(found) != 1:
        words = f"{len(found)} active Patients carry {side}-patient-identifier: name one by {side}-patient"
        raise RequestRefusedError(422 if found else 404, words)
    return str(found[0]["id"])


def _identifiers(patient: Resource) -> set[tuple[str, str]]:
    given = patient.get("identifier")
    every = given if isinstance(given, list) else []
    return {(str(each.get("system", "")), str(each.get("value", ""))) for each in every if isinstance(each, dict)}


def _check(planned: GroupPlan, asked: MergeParameters, target: str) -> None:
    """Raise 409 where the plan is not what was asked for, or must not be carried out."""
    blocking = [f"{conflict.code}: {conflict.text}" for conflict in planned.conflicts if conflict.blocks]
    if blocking and not asked.preview:
        raise RequestRefusedError(409, "; ".join(blocking), code="conflict")
    if planned.replaced and planned.survivor != target:
        words = f"Patient/{planned.survivor} survives ({planned.survivor_words}): ask with it as target-patient"
        raise RequestRefusedError(409, words, code="business-rule")
    if not planned.replaced:
        raise RequestRefusedError(409, "; ".join(blocking) or "nobody is left to be merged", code="conflict")


def _conflicts(planned: GroupPlan) -> list[dict[str, Any]]:
    """Return what a person has to look at: an error where it stands against the merge, else a warning."""
    return [
        _issue("error" if each.blocks else "warning", "conflict", f"{each.code}: {each.text}")
        for each in planned.conflicts
    ]


def _same(asked: Resource, previewed: Resource) -> bool:
    return _bare(asked) == _bare(previewed)


def _bare(patient: Resource) -> Resource:
    meta = {key: value for key, value in patient.get("meta", {}).items() if key not in _WRITTEN_BY_THE_SERVER}
    return {key: value for key, value in patient.items() if key not in {"meta", "text"}} | (
        {"meta": meta} if meta else {}
    )


def _issues(outcome: GroupOutcome) -> list[dict[str, Any]]:
    merge = outcome.merge
    if merge is None:
        raise RequestRefusedError(409, "; ".join(outcome.refused), code="conflict")
    said = [_issue("information", "informational", f"Merge {merge.id}: {merge.changed} resources were changed")]
    said += [_issue("warning", "incomplete", f"{name} could not be changed; ask again") for name in merge.failed]
    said += [_issue("warning", "incomplete", f"{name} still refers to the source") for name in merge.remaining]
    said += [_issue("warning", "incomplete", f"{path} cannot be searched here") for path in outcome.unsearched]
    return said


def _issue(severity: str, code: str, text: str) -> dict[str, Any]:
    return {"severity": severity, "code": code, "diagnostics": text}


def _outcome(issues: list[dict[str, Any]]) -> Resource:
    return {"resourceType": "OperationOutcome", "issue": issues}


def _answer(asked: MergeParameters, issues: list[dict[str, Any]], result: Resource) -> Response:
    return _parameters([("input", asked.input), ("outcome", _outcome(issues)), ("result", result)])


def _parameters(resources: list[tuple[str, Resource | None]]) -> Response:
    parameter = [{"name": name, "resource": resource} for name, resource in resources if resource is not None]
    return json_response({"resourceType": "Parameters", "parameter": parameter}, media_type=FHIR_JSON)
