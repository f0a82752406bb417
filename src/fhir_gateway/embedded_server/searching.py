"""Carry out a search: one page of matches with what comes along, as a searchset Bundle."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson

from fhir_gateway.domain.records import Resource
from fhir_gateway.embedded_server.answers import outcome
from fhir_gateway.embedded_server.indexing import target_of
from fhir_gateway.embedded_server.parameters import number_of
from fhir_gateway.embedded_server.search_criteria import Condition
from fhir_gateway.embedded_server.search_request import Include, Search, write_cursor
from fhir_gateway.embedded_server.store import Session, Stored
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.references import iterate_references

_COLUMNS = "rid, type, id, version, updated, method, body"
_KEPT = {"resourceType", "id", "meta"}
_SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of matches; `next_key` is the sort key of its last one where more follow; `total` None where not asked."""

    matches: tuple[Stored, ...]
    next_key: str | int | None
    total: int | None


def find_matches(session: Session, search: Search, *, limit: int | None = None) -> Page:
    """Return a page of matches, at most `limit` (the search's own count where not given)."""
    where = _where(search)
    count = search.count if limit is None else limit
    matches: list[Stored] = []
    if not search.count_only:
        matches = [Stored(*row) for row in _select(session, search, where=where, limit=count + 1)]
    more = len(matches) > count
    matches = matches[:count]
    next_key = (matches[-1].id if search.sort == "id" else matches[-1].updated) if more and matches else None
    total: int | None = None
    if search.count_only or (search.with_total and (more or search.after is not None)):
        total = _count(session, where)
    elif search.with_total:
        total = len(matches)
    return Page(tuple(matches), next_key, total)


def answer_search(session: Session, search: Search, *, base: str, by_post: bool) -> Resource:
    """Return the searchset Bundle of a search."""
    page = find_matches(session, search)
    entries = [_entry(base, found, "match", search.elements) for found in page.matches]
    entries += [_entry(base, found, "include", frozenset()) for found in _along(session, search, page.matches)]
    entries += [{"search": {"mode": "outcome"}, "resource": _warning(name, search)} for name in search.ignored]
    url = f"{base}/{search.resource_type}"
    links = [{"relation": "self", "url": f"{url}?{search.query}" if search.query else url}]
    if page.next_key is not None:
        links.append({"relation": "next", "url": _next_url(session, search, page.next_key, url=url, by_post=by_post)})
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset"}
    if page.total is not None:
        bundle["total"] = page.total
    return bundle | {"link": links} | ({"entry": entries} if entries else {})


def _warning(name: str, search: Search) -> Resource:
    return outcome("warning", "not-supported", f"{search.resource_type} has no search parameter {name} here: ignored")


def _where(search: Search) -> Condition:
    # The plus keeps SQLite from scanning the whole type where the index tables of the conditions find few resources; ids and
    # times have indexes that begin with the type.
    by_tables = any("rid " in condition.sql for condition in search.conditions)
    type_is = "+type = ?" if by_tables else "type = ?"
    sql = " AND ".join([type_is, "body IS NOT NULL", *(condition.sql for condition in search.conditions)])
    arguments = tuple(a for condition in search.conditions for a in condition.arguments)
    return Condition(sql, (search.resource_type, *arguments))


def _select(session: Session, search: Search, *, where: Condition, limit: int) -> list[tuple]:  # type: ignore[type-arg]
    sign, order = ("<", "DESC") if search.descending else (">", "ASC")
    column = "id" if search.sort == "id" else "updated"
    behind = "" if search.after is None else f" AND {column} {sign} ?"
    sql = f"SELECT {_COLUMNS} FROM resource WHERE {where.sql}{behind} ORDER BY {column} {order} LIMIT ?"  # noqa: S608
    after = () if search.after is None else (search.after,)
    return session.rows(sql, (*where.arguments, *after, limit))


def _count(session: Session, where: Condition) -> int:
    sql = f"SELECT COUNT(*) FROM resource WHERE {where.sql}"  # noqa: S608 - built of constants
    return int(session.rows(sql, where.arguments)[0][0])


def _next_url(session: Session, search: Search, key: str | int, *, url: str, by_post: bool) -> str:
    """Return the next page's URL; values that came in a body stay out of it and are remembered here."""
    cursor = {"_cursor": write_cursor(key)}
    if not by_post:
        return f"{url}?{urlencode([*search.applied, *cursor.items()])}"
    token = secrets.token_urlsafe(18)
    session.pages.append((token, search.query))
    return f"{url}?{urlencode({'_page': token} | cursor)}"


def _entry(base: str, found: Stored, mode: str, elements: frozenset[str]) -> dict[str, object]:
    body: object = orjson.Fragment(found.body or b"null")
    if elements and found.body:
        body = _subset(json_text.parse(found.body), elements)
    return {"fullUrl": f"{base}/{found.resource_type}/{found.id}", "resource": body, "search": {"mode": mode}}


def _subset(resource: Resource, elements: frozenset[str]) -> Resource:
    kept = {name: value for name, value in resource.items() if name.lstrip("_") in elements or name in _KEPT}
    meta = kept["meta"]
    return kept | {"meta": meta | {"tag": [*meta.get("tag", []), _SUBSETTED]}}


def _along(session: Session, search: Search, matches: tuple[Stored, ...]) -> Iterator[Stored]:
    """Yield what _include and _revinclude bring along, each resource once."""
    seen = {(match.resource_type, match.id) for match in matches}
    for include in search.includes:
        for target in _included(matches, include):
            resource_type, _, resource_id = target.partition("/")
            if (resource_type, resource_id) not in seen:
                seen.add((resource_type, resource_id))
                found = session.find(resource_type, resource_id)
                if found and found.body is not None:
                    yield found
    for include in search.revincludes:
        for found in _referring(session, search.resource_type, matches, include):
            if (found.resource_type, found.id) not in seen:
                seen.add((found.resource_type, found.id))
                yield found


def _included(matches: tuple[Stored, ...], include: Include) -> Iterator[str]:
    wanted = dict(include.paths)
    for match in matches:
        for found in iterate_references(json_text.parse(match.body or b"{}")):
            reference = found.value.get("reference")
            if found.path in wanted and isinstance(reference, str):
                target = target_of(reference)
                if not wanted[found.path] or target.startswith(f"{wanted[found.path]}/"):
                    yield target


def _referring(session: Session, resource_type: str, matches: tuple[Stored, ...], include: Include) -> Iterator[Stored]:
    targets = [f"{match.resource_type}/{match.id}" for match in matches]
    numbers = [
        number_of(include.resource_type, path) for path, narrowed in include.paths if narrowed in ("", resource_type)
    ]
    sql = (
        f"SELECT {_COLUMNS} FROM resource WHERE body IS NOT NULL AND rid IN (SELECT rid FROM reference"  # noqa: S608
        " WHERE target IN (SELECT value FROM json_each(?)) AND param IN (SELECT value FROM json_each(?))) ORDER BY id"
    )
    for row in session.rows(sql, (orjson.dumps(targets).decode(), orjson.dumps(numbers).decode())):
        yield Stored(*row)
