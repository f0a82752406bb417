"""The history of a resource, of a type or of everything, newest first."""

from urllib.parse import urlencode

import orjson

from fhir_gateway.domain.records import Resource
from fhir_gateway.embedded_server.answers import RefusedError, etag, instant, status_line
from fhir_gateway.embedded_server.request import Request
from fhir_gateway.embedded_server.search_request import DEFAULT_COUNT, LARGEST_COUNT
from fhir_gateway.embedded_server.store import Session, Stored
from fhir_gateway.fhir.date_ranges import range_of

_KNOWN = ("_since", "_count", "_before", "_format", "_pretty")
_NEWEST = (
    "SELECT * FROM (SELECT rid, type, id, version, updated, method, body FROM resource WHERE {where}"
    " ORDER BY updated DESC LIMIT {limit}) UNION ALL"
    " SELECT * FROM (SELECT 0, type, id, version, updated, method, body FROM history WHERE {where}"
    " ORDER BY updated DESC LIMIT {limit}) ORDER BY updated DESC LIMIT {limit}"
)
"""Each table gives its newest by its index: put in order together, all would be read for every page."""
_COUNT = "SELECT (SELECT COUNT(*) FROM resource WHERE {where}) + (SELECT COUNT(*) FROM history WHERE {where})"


def answer_history(session: Session, request: Request, *, resource_type: str = "", resource_id: str = "") -> Resource:
    """Return the history Bundle of one resource, one type or the whole server; `_since` and `_count` are honoured."""
    if resource_id and session.find(resource_type, resource_id) is None:
        raise RefusedError(404, "not-found", f"there is no such {resource_type}")
    given = _given(request)
    conditions = {"type = ?": resource_type, "id = ?": resource_id}
    where: dict[str, object] = {sql: value for sql, value in conditions.items() if value}
    if "_since" in given:
        where["updated >= ?"] = _since(given["_since"])
    total = None
    if "_before" in given:
        where["updated < ?"] = _number(given["_before"], "_before")
    else:  # counted once: the pages that follow would cost as much as all of the history each
        counting = _COUNT.format(where=" AND ".join(where) or "1")
        total = session.rows(counting, (*where.values(), *where.values()))[0][0]
    count = min(_number(given.get("_count", str(DEFAULT_COUNT)), "_count"), LARGEST_COUNT)
    page = _NEWEST.format(where=" AND ".join(where) or "1", limit=count + 1)
    found = [Stored(*row) for row in session.rows(page, (*where.values(), *where.values()))]
    return _bundle(request, found, given=given, count=count, total=total)


def _bundle(request: Request, found: list[Stored], *, given: dict[str, str], count: int, total: int | None) -> Resource:
    url = f"{request.base}/{'/'.join(request.path)}"
    links = [{"relation": "self", "url": f"{url}?{urlencode(given)}" if given else url}]
    if len(found) > count and count:
        following = urlencode(given | {"_before": str(found[count - 1].updated)})
        links.append({"relation": "next", "url": f"{url}?{following}"})
    entries = [_entry(request.base, stored) for stored in found[:count]]
    bundle: Resource = {"resourceType": "Bundle", "type": "history", "link": links}
    bundle |= {} if total is None else {"total": total}
    return bundle | ({"entry": entries} if entries else {})


def _entry(base: str, stored: Stored) -> dict[str, object]:
    path = f"{stored.resource_type}/{stored.id}"
    url = stored.resource_type if stored.method == "POST" else path
    status = 204 if stored.body is None else 201 if stored.version == 1 else 200
    response = {"status": status_line(status), "etag": etag(stored.version), "lastModified": instant(stored.updated)}
    entry: dict[str, object] = {
        "fullUrl": f"{base}/{path}",
        "request": {"method": stored.method, "url": url},
        "response": response,
    }
    return entry if stored.body is None else entry | {"resource": orjson.Fragment(stored.body)}


def _given(request: Request) -> dict[str, str]:
    unknown = [name for name, _ in request.parameters if name not in _KNOWN]
    if unknown:
        raise RefusedError(400, "not-supported", f"a history can be asked for with {', '.join(_KNOWN[:2])} only")
    return {name: value for name, value in request.parameters if name not in ("_format", "_pretty")}


def _since(text: str) -> int:
    try:
        return range_of(text).low
    except ValueError as error:
        raise RefusedError(400, "invalid", f"_since cannot be read: {error}") from error


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise RefusedError(400, "invalid", f"{name} must be a whole number")
    return int(text)
