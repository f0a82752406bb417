"""Where a page ended: a key that neither skips nor repeats while data arrives (keyset paging over lastUpdated and id).

A resource that is written again while a client pages moves behind its cursor and comes once more, as the newer version
that it is then.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.domain.records import Resource
from fhir_gateway.registry.parameters import RegistrySearch, SearchProblemError, parse_search, to_pairs

PAGES_LIVE = timedelta(days=7)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """The last resource of a page; ordered as pages are. `updated` is its meta.lastUpdated as an instant."""

    updated: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """A search and where its last page ended."""

    search: RegistrySearch
    position: Position


def position_of(resource: Resource) -> Position:
    """Return a resource's place among all; raises PermanentServerError where the server does not tell when it wrote it."""
    meta = resource.get("meta")
    written = meta.get("lastUpdated") if isinstance(meta, dict) else None
    try:
        moment = datetime.fromisoformat(str(written))
    except ValueError:
        named = resource.get("resourceType")
        raise PermanentServerError(
            f"The FHIR server does not say when it wrote a {named} (meta.lastUpdated): its content cannot be paged"
        ) from None
    return Position(moment if moment.tzinfo else moment.replace(tzinfo=UTC), str(resource["id"]))


def write_cursor(cursor: Cursor, *, now: datetime) -> bytes:
    """Return a cursor as bytes, which have to be sealed: they hold the search, and that may name a person."""
    return orjson.dumps(
        {
            "type": cursor.search.resource_type,
            "pairs": to_pairs(cursor.search),
            "updated": cursor.position.updated.isoformat(),
            "id": cursor.position.id,
            "until": (now + PAGES_LIVE).isoformat(),
        }
    )


def read_cursor(content: bytes, *, resource_type: str, now: datetime) -> Cursor:
    """Return what write_cursor wrote; raises SearchProblemError for another type's, and for one that is too old."""
    said = orjson.loads(content)
    if "pairs" not in said:
        raise SearchProblemError("value", "this page belongs to something else than a search")
    if said["type"] != resource_type:
        raise SearchProblemError("value", "this page belongs to a search of another resource type")
    if datetime.fromisoformat(said["until"]) < now:
        raise SearchProblemError("expired", f"pages live for {PAGES_LIVE.days} days; begin the search again")
    pairs = [(str(name), str(value)) for name, value in said["pairs"]]
    search = parse_search(resource_type, pairs, served={name for name, _ in pairs})
    return Cursor(search, Position(datetime.fromisoformat(said["updated"]), said["id"]))
