"""A server's resources in the order of (lastUpdated, id), from any position on: nothing skipped, nothing twice.

Servers order ties as they like, cut pages at a size of their own, and show in a kept result what has been written since
(seen on HAPI). So every page is a new search from the last moment on, and a group of equal lastUpdated is given whole,
ordered by id here.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.domain.records import Resource
from fhir_gateway.ports.registry import FhirPuller, PulledPage
from fhir_gateway.registry.cursors import Position, position_of

_MOST_ASKED = 64_000
_TICK = timedelta(microseconds=1)

Placed = tuple[Position, Resource]


@dataclass(frozen=True, slots=True)
class Order:
    """What is put in order: `pairs` is the search without order and size, `wanted` says which matches count."""

    resource_type: str
    pairs: Sequence[tuple[str, str]]
    wanted: Callable[[Resource], bool]
    newest_first: bool = False
    until: datetime | None = None
    """Nothing newer is given (ascending only)."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the order; `more` says whether anything follows."""

    resources: tuple[Resource, ...]
    more: bool


async def stretch(puller: FhirPuller, order: Order, *, after: Position | None, count: int) -> Stretch:
    """Return at most `count` resources behind `after`.

    Raises PermanentServerError where the server does not order by lastUpdated, or does not tell it.
    """
    kept: list[Resource] = []
    async for placed in moments(puller, order, start=after.updated if after else None, size=count + 1):
        if order.until is not None and placed[0][0].updated > order.until:
            break
        kept += [
            resource
            for position, resource in sorted(placed, key=_place, reverse=order.newest_first)
            if (after is None or _is_behind(position, after, order)) and order.wanted(resource)
        ]
        if len(kept) > count:
            break
    return Stretch(tuple(kept[:count]), more=len(kept) > count)


async def moments(
    puller: FhirPuller, order: Order, *, start: datetime | None, size: int
) -> AsyncIterator[list[Placed]]:
    """Yield the resources of one moment (lastUpdated) after the other, from `start` on; `size` is asked of a page.

    A server that heeds no bound gives the same page whatever it is asked from: what is found of it is sifted here.
    """
    asked, given, unbound = size, None, False
    links: bool | None = None
    seen: tuple[datetime | None, list[Position]] = (start, [])
    while True:
        page = await puller.page(order.resource_type, _pairs(order, start, given, asked))
        rows = _placed(page, order)
        places = [position for position, _ in rows]
        unbound = unbound or (start != seen[0] and places == seen[1])
        seen = start, places
        if unbound and page.following:
            raise PermanentServerError(
                f"The FHIR server does not search {order.resource_type} resources by _lastUpdated: they cannot be paged"
            )
        rows = [one for one in rows if one[0].updated != given and not (unbound and _is_before(one[0], start, order))]
        all_there = len(page.resources) < asked or (unbound and len(page.resources) > asked)
        ends = not page.following and all_there
        told = len(page.resources) >= (page.total or 0)
        if ends and not told and links is None:
            # It counts more than it gives: a server that links its pages where there is more miscounts, others cut.
            links = bool((await puller.page(order.resource_type, _pairs(order, None, None, 1))).following)
        whole = ends and (told or bool(links))
        if not whole and (unbound or not rows):
            asked = _more(asked, order)
            continue
        last = rows[-1][0].updated if rows else None
        for moment, group in groupby(rows, key=lambda one: one[0].updated):
            if whole or moment != last:
                yield list(group)
        if whole:
            return
        if last != rows[0][0].updated:
            start, given, asked = last, None, size
        elif page.following:
            yield await _rest(puller, order, page, rows)
            start, given, asked = last, last, size
        else:
            asked = _more(asked, order)


async def _rest(puller: FhirPuller, order: Order, page: PulledPage, rows: list[Placed]) -> list[Placed]:
    """Return all of one moment that fills more than a page."""
    moment = rows[0][0].updated
    found = {position.id: (position, resource) for position, resource in rows}
    while page.following:
        page = await puller.following(order.resource_type, page.following)
        placed = [(position_of(resource), resource) for resource in page.resources]
        found |= {position.id: (position, resource) for position, resource in placed if position.updated == moment}
        if any(position.updated != moment for position, _ in placed):
            break
    return list(found.values())


def _pairs(order: Order, start: datetime | None, given: datetime | None, asked: int) -> list[tuple[str, str]]:
    pairs = list(order.pairs)
    if start is not None and order.newest_first:
        prefix, bound = ("lt", start) if given else ("le", start + _TICK)
        pairs.append(("_lastUpdated", f"{prefix}{bound.isoformat()}"))
    elif start is not None:
        pairs.append(("_lastUpdated", f"{'gt' if given else 'ge'}{start.isoformat()}"))
    sort = "-_lastUpdated" if order.newest_first else "_lastUpdated"
    return [*pairs, ("_sort", sort), ("_count", str(asked)), ("_total", "none")]


def _placed(page: PulledPage, order: Order) -> list[Placed]:
    rows = [(position_of(resource), resource) for resource in page.resources]
    updates = [position.updated for position, _ in rows]
    if any((right > left) if order.newest_first else (right < left) for left, right in pairwise(updates)):
        raise PermanentServerError(
            f"The FHIR server does not order {order.resource_type} resources by lastUpdated (_sort=_lastUpdated)"
        )
    return rows


def _more(asked: int, order: Order) -> int:
    if asked >= _MOST_ASKED:
        raise PermanentServerError(
            f"The FHIR server wrote more than {_MOST_ASKED} {order.resource_type} resources at one moment and gives no"
            " next links: they cannot be paged"
        )
    return asked * 2


def _is_before(position: Position, start: datetime | None, order: Order) -> bool:
    """Say whether a resource lies before the moment that was asked from."""
    return start is not None and (position.updated > start if order.newest_first else position.updated < start)


def _is_behind(position: Position, after: Position, order: Order) -> bool:
    return position < after if order.newest_first else position > after


def _place(placed: Placed) -> Position:
    return placed[0]
