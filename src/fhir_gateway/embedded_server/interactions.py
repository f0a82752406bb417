"""Read, create, update and delete one resource, conditionally or not, inside a session.

https://hl7.org/fhir/R4/http.html. Everything that is written has been validated, and refers to what is there.
"""

import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fhir_gateway.domain.records import Resource
from fhir_gateway.embedded_server.answers import RefusedError, instant
from fhir_gateway.embedded_server.indexing import IndexRows, index
from fhir_gateway.embedded_server.request import Request, parse_query
from fhir_gateway.embedded_server.search_request import parse_search
from fhir_gateway.embedded_server.searching import find_matches
from fhir_gateway.embedded_server.store import Session, Stored
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.primitives import ID_PATTERN
from fhir_gateway.fhir.references import iterate_references, parse_literal
from fhir_gateway.fhir.validation import validate

_ID = re.compile(ID_PATTERN)
_SERVERS_META = ("versionId", "lastUpdated")


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a write: the HTTP status and the version that stands now."""

    status: int
    stored: Stored


def read(session: Session, resource_type: str, resource_id: str) -> Stored:
    """Return a resource; raises RefusedError 404 where it never was, 410 where it was deleted."""
    found = session.find(resource_type, resource_id)
    if found is None:
        raise RefusedError(404, "not-found", f"there is no such {resource_type}")
    if found.body is None:
        raise RefusedError(410, "deleted", f"this {resource_type} was deleted")
    return found


def read_version(session: Session, resource_type: str, resource_id: str, version: str) -> Stored:
    """Return a version of a resource; raises RefusedError 404 or 410 as read() does."""
    found = session.find(resource_type, resource_id)
    if found is not None and version.isascii() and version.isdigit() and len(version) < 10:
        if found.version != int(version):
            found = session.find_version(resource_type, resource_id, int(version))
        if found is not None:
            if found.body is None:
                raise RefusedError(410, "deleted", f"this version is the deletion of the {resource_type}")
            return found
    raise RefusedError(404, "not-found", f"there is no such version of a {resource_type}")


def match_one(session: Session, resource_type: str, criteria: str, *, base: str) -> Stored | None:
    """Return the one match of conditional criteria, None where nothing matches.

    Raises RefusedError 412 where several match, 400 where the criteria are empty or not understood.
    """
    parameters = [(name, value) for name, value in parse_query(criteria.partition("?")[2] or criteria) if value]
    if not any(not name.startswith("_") or name == "_id" for name, _ in parameters):
        raise RefusedError(400, "invalid", "a conditional interaction needs search criteria")
    search = parse_search(resource_type, parameters, base=base, lenient=False)
    matches = find_matches(session, search, limit=2).matches
    if len(matches) > 1:
        raise RefusedError(412, "multiple-matches", f"several resources of type {resource_type} match the criteria")
    return matches[0] if matches else None


def match_parameters(session: Session, request: Request, resource_type: str) -> Stored | None:
    """Return the one match of a request's own parameters, as match_one()."""
    return match_one(session, resource_type, urlencode(request.parameters), base=request.base)


def create(
    session: Session, request: Request, resource_type: str, *, new_id: str = "", deferred: bool = False
) -> Written:
    """Create a resource unless If-None-Exist matches one, which is then returned with 200."""
    resource = request.resource()
    criteria = request.headers.get("if-none-exist", "")
    if criteria:
        existing = match_one(session, resource_type, criteria, base=request.base)
        if existing is not None:
            return Written(200, existing)
    return _write(session, request, resource_type, resource, resource_id=new_id, old=None, deferred=deferred)


def update(
    session: Session, request: Request, resource_type: str, resource_id: str, *, deferred: bool = False
) -> Written:
    """Update a resource, or create it under the client's id; If-Match must hold (412)."""
    resource = request.resource()
    if not _ID.fullmatch(resource_id):
        raise RefusedError(400, "invalid", "an id is 1 to 64 letters, digits, hyphens or dots")
    if resource.get("id") != resource_id:
        raise RefusedError(400, "invalid", "the resource's id is not the one in the URL")
    old = session.find(resource_type, resource_id)
    _check_version(request, old)
    return _write(session, request, resource_type, resource, resource_id=resource_id, old=old, deferred=deferred)


def update_conditionally(
    session: Session, request: Request, resource_type: str, *, new_id: str = "", deferred: bool = False
) -> Written:
    """Update the one resource that the query matches, or create it; several matches are refused with 412."""
    resource = request.resource()
    match = match_parameters(session, request, resource_type)
    own_id = resource.get("id")
    if match is None:
        _check_version(request, None)
        wanted = own_id if isinstance(own_id, str) and own_id else new_id
        old = session.find(resource_type, wanted) if wanted else None
        if old is not None and old.body is not None:
            raise RefusedError(409, "conflict", "the resource with this id does not match the criteria")
        return _write(session, request, resource_type, resource, resource_id=wanted, old=old, deferred=deferred)
    if own_id not in (None, match.id):
        raise RefusedError(400, "invalid", "the resource's id is not that of the one that matches")
    _check_version(request, match)
    return _write(session, request, resource_type, resource, resource_id=match.id, old=match, deferred=deferred)


def delete(session: Session, request: Request, resource_type: str, resource_id: str, *, deferred: bool = False) -> None:
    """Delete a resource; nothing happens where it is not there. 409 while others refer to it."""
    old = session.find(resource_type, resource_id)
    _check_version(request, old)
    if old is None or old.body is None:
        return
    if not deferred:
        check_unreferenced(session, old)
    stamp = session.next_stamp()
    new = Stored(old.rid, resource_type, resource_id, old.version + 1, stamp, "DELETE", None)
    session.replace(old, new, old_index=index(json_text.parse(old.body)), new_index=IndexRows())


def delete_conditionally(session: Session, request: Request, resource_type: str) -> None:
    """Delete the one resource that the query matches; several matches are refused with 412."""
    match = match_parameters(session, request, resource_type)
    if match is not None:
        delete(session, request, resource_type, match.id)


def check_unreferenced(session: Session, old: Stored) -> None:
    """Raise RefusedError 409 while other resources refer to this one."""
    sql = (
        "SELECT r.type, COUNT(*) FROM reference f JOIN resource r ON r.rid = f.rid"
        " WHERE f.target = ? AND f.rid <> ? GROUP BY r.type"
    )
    referring = session.rows(sql, (f"{old.resource_type}/{old.id}", old.rid))
    if referring:
        words = ", ".join(f"{count} of type {kind}" for kind, count in referring)
        raise RefusedError(409, "conflict", f"cannot be deleted while others refer to it: {words}")


def check_references(session: Session, resource: Resource, *, base: str) -> None:
    """Raise RefusedError 422 where a resource refers to something of this server that is not there."""
    own = (resource["resourceType"], resource["id"])
    for found in iterate_references(resource):
        text = found.value.get("reference")
        if not isinstance(text, str) or text.startswith("#"):
            continue
        if text.startswith("urn:"):
            raise RefusedError(
                422,
                "not-found",
                f"{found.path} refers to an entry that this bundle does not resolve (a URN); in a batch, entries cannot refer to each other",
            )
        literal = parse_literal(text)
        if literal is None or literal.base not in ("", f"{base}/"):
            continue
        target = (literal.resource_type, literal.id)
        if target != own and not session.exists(*target):
            raise RefusedError(
                422, "not-found", f"{found.path} refers to a {literal.resource_type} that is not on this server"
            )


def new_resource_id(stamp: int) -> str:
    """Return an id that no other resource has; it begins with the time so that the database stays in order."""
    return f"{stamp:014x}-{secrets.token_hex(6)}"


def _check_version(request: Request, old: Stored | None) -> None:
    expected = request.expected_version()
    current = old.version if old is not None and old.body is not None else None
    if expected is not None and expected != current:
        raise RefusedError(412, "conflict", "the resource is not of the version that If-Match names")


def _write(  # noqa: PLR0913 - one write has all of these, and they belong to nothing else
    session: Session,
    request: Request,
    resource_type: str,
    resource: Resource,
    *,
    resource_id: str,
    old: Stored | None,
    deferred: bool,
) -> Written:
    if resource.get("resourceType") != resource_type:
        raise RefusedError(400, "invalid", f"the URL is for {resource_type}, the resource says otherwise")
    resource_id = resource_id or new_resource_id(session.next_stamp())
    content = _content(resource, resource_id)
    problems = validate(content)
    if problems:
        raise RefusedError(422, "invalid", "the resource is not valid R4", issues=problems)
    if not deferred:
        check_references(session, content, base=request.base)
    if old is not None and old.body is not None:
        stored = json_text.parse(old.body)
        if _canonical(_content(stored, resource_id)) == _canonical(content):
            return Written(200, old)
    stamp = session.next_stamp()
    version = old.version + 1 if old else 1
    content = content | {"meta": content.get("meta", {}) | {"versionId": str(version), "lastUpdated": instant(stamp)}}
    method = "POST" if request.method == "POST" else "PUT"
    new = Stored(old.rid if old else 0, resource_type, resource_id, version, stamp, method, json_text.dump(content))
    if old is None:
        session.insert(new, index(content))
        return Written(201, new)
    before = index(json_text.parse(old.body)) if old.body is not None else IndexRows()
    session.replace(old, new, old_index=before, new_index=index(content))
    return Written(200 if old.body is not None else 201, new)


def _content(resource: Resource, resource_id: str) -> Resource:
    """Return a resource under its id, without what only the server says of it."""
    content = {"resourceType": resource["resourceType"], "id": resource_id, **resource} | {"id": resource_id}
    meta = resource.get("meta")
    if isinstance(meta, dict):
        kept = {name: value for name, value in meta.items() if name not in _SERVERS_META}
        content.pop("meta")
        content |= {"meta": kept} if kept else {}
    return content


def _canonical(content: Any) -> bytes:
    return json_text.dump(content, ordered=True)
