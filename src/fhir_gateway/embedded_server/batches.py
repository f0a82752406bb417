"""Batch bundles: every entry for itself, its outcome its own; a poisoned entry costs nobody else anything."""

from typing import Any
from urllib.parse import unquote

import orjson

from fhir_gateway.domain.records import Resource
from fhir_gateway.embedded_server.answers import RefusedError, Response, outcome, refusal_outcome, status_line, too_deep
from fhir_gateway.embedded_server.interactions import match_one
from fhir_gateway.embedded_server.request import Request, parse_query, split_path
from fhir_gateway.embedded_server.routing import answer, is_write
from fhir_gateway.embedded_server.store import Session
from fhir_gateway.fhir.references import iterate_references

MOST_ENTRIES = 10_000
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
_CONDITIONS = {"ifNoneExist": "if-none-exist", "ifMatch": "if-match", "ifNoneMatch": "if-none-match"}


def entries_of(bundle: Resource) -> list[Any]:
    """Return a bundle's entries; raises RefusedError where it has none that could be carried out."""
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise RefusedError(400, "structure", "Bundle.entry must be a list")
    if len(entries) > MOST_ENTRIES:
        raise RefusedError(413, "too-costly", f"a bundle may hold {MOST_ENTRIES} entries")
    return entries


def entry_request(outer: Request, entry: Any) -> Request:
    """Return an entry as the request that it stands for; raises RefusedError where it is none."""
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict):
        raise RefusedError(400, "required", "the entry has no request")
    method, url = request.get("method"), request.get("url")
    if method not in _METHODS or not isinstance(url, str):
        raise RefusedError(400, "invalid", f"an entry's request has a url and one of the methods {', '.join(_METHODS)}")
    path, _, query = url.removeprefix(outer.base).partition("?")
    headers: dict[str, str] = {"prefer": outer.headers.get("prefer", "")}
    for name, header in _CONDITIONS.items():
        condition = request.get(name, "")
        if not isinstance(condition, str):
            raise RefusedError(400, "invalid", f"request.{name} must be a text")
        headers[header] = condition
    return Request(
        method=method,
        path=split_path(unquote(path)),
        parameters=parse_query(query),
        headers=headers,
        base=outer.base,
        parsed=entry.get("resource"),
    )


def answer_batch(session: Session, outer: Request, bundle: Resource) -> Resource:
    """Carry out every entry for itself and return the batch-response."""
    return {
        "resourceType": "Bundle",
        "type": "batch-response",
        "entry": [_answer_entry(session, outer, entry) for entry in entries_of(bundle)],
    }


def _answer_entry(session: Session, outer: Request, entry: Any) -> dict[str, Any]:
    try:
        request = entry_request(outer, entry)
        if not is_write(request):
            return response_entry(request, answer(session, request))
        resolve_conditional_references(session, request)
    except RefusedError as refused:
        return refused_entry(refused)
    except RecursionError:
        return refused_entry(too_deep())
    session.connection.execute("SAVEPOINT entry")
    try:
        response = answer(session, request)
    except RefusedError as refused:
        session.connection.execute("ROLLBACK TO entry")
        return refused_entry(refused)
    except RecursionError:
        session.connection.execute("ROLLBACK TO entry")
        return refused_entry(too_deep())
    finally:
        if session.connection.in_transaction:  # SQLite ends it by itself where the disk is full
            session.connection.execute("RELEASE entry")
    return response_entry(request, response)


def resolve_conditional_references(session: Session, request: Request) -> None:
    """Put the one match in the place of each reference written as a search (`Patient?identifier=…`)."""
    resource = request.parsed
    if not isinstance(resource, dict):
        return
    for found in iterate_references(resource):
        text = found.value.get("reference")
        if isinstance(text, str) and "?" in text and not text.startswith(("http:", "https:", "urn:")):
            resource_type = text.partition("?")[0]
            match = match_one(session, resource_type, text, base=request.base)
            if match is None:
                raise RefusedError(412, "not-found", f"{found.path}: nothing matches the conditional reference")
            found.value["reference"] = f"{resource_type}/{match.id}"


def refused_entry(refused: RefusedError) -> dict[str, Any]:
    """Return a refusal as an entry of a response bundle."""
    return {"response": {"status": status_line(refused.status), "outcome": refusal_outcome(refused)}}


def response_entry(request: Request, response: Response) -> dict[str, Any]:
    """Return a response as an entry; what was written comes along only where Prefer asks for it."""
    entry: dict[str, Any] = {"response": {"status": status_line(response.status), **_response_headers(response)}}
    reads = request.method in ("GET", "HEAD")
    if request.prefers("return=OperationOutcome") and not reads:
        entry["response"]["outcome"] = outcome("information", "informational", "carried out")
    elif response.body and (reads or request.prefers("return=representation")):
        entry["resource"] = orjson.Fragment(response.body)
    return entry


def _response_headers(response: Response) -> dict[str, str]:
    found = {}
    headers = response.headers
    if "Location" in headers:
        found["location"] = "/".join(headers["Location"].split("/")[-4:])
    if "ETag" in headers:
        found["etag"] = headers["ETag"]
    if response.last_modified:
        found["lastModified"] = response.last_modified
    return found
