"""Transaction bundles: all entries or none; entries may refer to each other by their fullUrl.

https://hl7.org/fhir/R4/http.html#trules: deletes first, then creates, then updates, then reads, whatever their order.
"""

from dataclasses import dataclass, field
from typing import Any

from fhir_gateway.domain.records import Resource
from fhir_gateway.embedded_server import interactions
from fhir_gateway.embedded_server.answers import RefusedError, Response
from fhir_gateway.embedded_server.batches import (
    entries_of,
    entry_request,
    resolve_conditional_references,
    response_entry,
)
from fhir_gateway.embedded_server.interactions import Written
from fhir_gateway.embedded_server.request import Request
from fhir_gateway.embedded_server.routing import answer, written_response
from fhir_gateway.embedded_server.store import Session, Stored
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.references import iterate_references
from fhir_gateway.fhir.validation import resource_types

_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "GET": 3, "HEAD": 3}


@dataclass(slots=True)
class _Step:
    """An entry on its way: `target` is the id that its resource will have, `existing` what its condition found."""

    number: int
    request: Request
    full_url: str
    target: str = ""
    existing: Stored | None = None


@dataclass(slots=True)
class _Effects:
    """What the transaction wrote and deleted, to be judged when all is done."""

    written: list[Written] = field(default_factory=list)
    deleted: list[Stored] = field(default_factory=list)


def answer_transaction(session: Session, outer: Request, bundle: Resource) -> Resource:
    """Carry out all entries and return the transaction-response; raises RefusedError for the first that fails."""
    steps = [_step(number, outer, entry) for number, entry in enumerate(entries_of(bundle))]
    _check_shapes(steps)
    _assign_ids(session, steps)
    _resolve(session, steps)
    effects = _Effects()
    answers: dict[int, dict[str, Any]] = {}
    for step in sorted(steps, key=lambda step: _ORDER[step.request.method]):
        try:
            answers[step.number] = response_entry(step.request, _carry_out(session, step, effects))
        except RefusedError as refused:
            raise _located(step, refused) from refused
    _check_effects(session, steps, effects, base=outer.base)
    entries = [answers[number] for number in sorted(answers)]
    return {"resourceType": "Bundle", "type": "transaction-response"} | ({"entry": entries} if entries else {})


def _step(number: int, outer: Request, entry: Any) -> _Step:
    try:
        request = entry_request(outer, entry)
    except RefusedError as refused:
        raise RefusedError(refused.status, refused.code, f"Bundle.entry[{number}]: {refused}") from refused
    full_url = entry.get("fullUrl", "")
    return _Step(number, request, full_url if isinstance(full_url, str) else "")


def _located(step: _Step, refused: RefusedError) -> RefusedError:
    text = f"Bundle.entry[{step.number}]: {refused}"
    return RefusedError(refused.status, refused.code, text, issues=refused.issues)


def _check_shapes(steps: list[_Step]) -> None:
    """Refuse entries that write elsewhere than to a type or an instance, and two that write the same one."""
    seen: set[tuple[str, ...]] = set()
    for step in steps:
        path, method = step.request.path, step.request.method
        if method in ("GET", "HEAD"):
            continue
        lengths = {"POST": (1,), "PUT": (1, 2), "DELETE": (1, 2)}[method]
        if len(path) not in lengths or path[0] not in resource_types():
            raise RefusedError(400, "not-supported", f"Bundle.entry[{step.number}]: {method} is not supported there")
        if len(path) == 2 and path in seen:
            raise RefusedError(400, "invalid", f"Bundle.entry[{step.number}]: another entry writes the same resource")
        seen.add(path)


def _assign_ids(session: Session, steps: list[_Step]) -> None:
    """Find out which id each written resource has or will have, so that references to it can be resolved."""
    conditional: dict[tuple[str, str], str] = {}
    for step in steps:
        request, path = step.request, step.request.path
        if request.method == "PUT" and len(path) == 2:
            step.target = path[1]
        elif request.method == "POST" or (request.method == "PUT" and request.parameters):
            criteria = request.headers.get("if-none-exist", "") if request.method == "POST" else ""
            if criteria:
                step.existing = interactions.match_one(session, path[0], criteria, base=request.base)
            elif request.method == "PUT":
                step.existing = interactions.match_parameters(session, request, path[0])
            step.target = step.existing.id if step.existing else interactions.new_resource_id(session.next_stamp())
            if criteria and not step.existing:
                step.target = conditional.setdefault((path[0], criteria), step.target)


def _resolve(session: Session, steps: list[_Step]) -> None:
    """Put `Type/id` in the place of every reference to another entry's fullUrl."""
    targets = {
        step.full_url: f"{step.request.path[0]}/{step.target}" for step in steps if step.full_url and step.target
    }
    for step in steps:
        resource = step.request.parsed
        if not isinstance(resource, dict):
            continue
        for found in iterate_references(resource):
            reference = found.value.get("reference")
            if isinstance(reference, str) and reference in targets:
                found.value["reference"] = targets[reference]
        resolve_conditional_references(session, step.request)


def _carry_out(session: Session, step: _Step, effects: _Effects) -> Response:
    request, path = step.request, step.request.path
    if request.method in ("GET", "HEAD"):
        return answer(session, request)
    if request.method == "DELETE":
        old = session.find(*path) if len(path) == 2 else interactions.match_parameters(session, request, path[0])
        if old is not None:
            effects.deleted.append(old)
            interactions.delete(session, request, path[0], old.id, deferred=True)
        return Response(204)
    if request.method == "POST":
        written = interactions.create(session, request, path[0], new_id=step.target, deferred=True)
    elif len(path) == 2:
        written = interactions.update(session, request, path[0], path[1], deferred=True)
    else:
        written = interactions.update_conditionally(session, request, path[0], new_id=step.target, deferred=True)
    effects.written.append(written)
    return written_response(request, written)


def _check_effects(session: Session, steps: list[_Step], effects: _Effects, *, base: str) -> None:
    """Judge the whole: nothing refers to what is not there, no condition matches two, no id came out otherwise."""
    for written in effects.written:
        interactions.check_references(session, json_text.parse(written.stored.body or b"{}"), base=base)
    for old in effects.deleted:
        if not session.exists(old.resource_type, old.id):
            interactions.check_unreferenced(session, old)
    for step in steps:
        criteria = step.request.headers.get("if-none-exist", "")
        if step.request.method == "POST" and criteria:
            found = interactions.match_one(session, step.request.path[0], criteria, base=base)
            if found is not None and found.id != step.target:
                text = f"Bundle.entry[{step.number}]: its condition matches what another entry created"
                raise RefusedError(412, "conflict", text)
