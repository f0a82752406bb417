"""A history as a registry asks for it (`_history`, https://hl7.org/fhir/R4/http.html#history), and what it is told.

Histories go from the newest version back; a page ends at a version, and the next one begins behind it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

import orjson

from fhir_gateway.domain.records import Resource
from fhir_gateway.ports.exports import PastVersion
from fhir_gateway.registry.cursors import PAGES_LIVE
from fhir_gateway.registry.parameters import DEFAULT_COUNT, LARGEST_COUNT, SearchProblemError

HISTORY_TYPES = frozenset({"Immunization", "Patient"})
"""Whose history is told."""

_OF = "history"
_PASSED_OVER = frozenset({"_format", "_pretty"})


@dataclass(frozen=True, slots=True)
class HistorySearch:
    """The versions of a type, or of one resource (`resource_id`), written at or after `since`."""

    resource_type: str
    resource_id: str = ""
    since: datetime | None = None
    count: int = DEFAULT_COUNT

    @property
    def path(self) -> str:
        """The history's address below the endpoint's."""
        return "/".join(filter(None, (self.resource_type, self.resource_id, "_history")))


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A version's place in a history; newer ones are greater."""

    updated: datetime
    id: str
    version: str


def place_of(version: PastVersion) -> Place:
    """Return where a version stands."""
    return Place(version.updated, version.id, _version_id(version))


def parse_history(
    resource_type: str, resource_id: str, pairs: Iterable[tuple[str, str]], *, lenient: bool = False
) -> HistorySearch:
    """Take `_since` and `_count` apart; raises SearchProblemError for what cannot be read, and unless `lenient` is known."""
    given: dict[str, str] = {}
    for name, text in pairs:
        if name in given:
            raise SearchProblemError("value", f"{name} may be given once")
        if name in {"_since", "_count"}:
            given[name] = text
        elif name not in _PASSED_OVER and not lenient:
            raise SearchProblemError("not-supported", "a history can be asked for with _since and _count")
    count = given.get("_count", str(DEFAULT_COUNT))
    if not (count.isascii() and count.isdigit() and len(count) < 10):
        raise SearchProblemError("value", "_count is a whole number")
    since = _instant(given["_since"]) if "_since" in given else None
    return HistorySearch(resource_type, resource_id, since, min(int(count), LARGEST_COUNT) or DEFAULT_COUNT)


@dataclass(frozen=True, slots=True)
class Going:
    """A history and how it goes on: behind `place`, which the server tells again behind its own `link`."""

    asked: HistorySearch
    place: Place
    link: str = ""


def write_going(going: Going, *, now: datetime) -> bytes:
    """Return what a page's next link holds; it has to be sealed."""
    asked, place = going.asked, going.place
    return orjson.dumps(
        {
            "of": _OF,
            "type": asked.resource_type,
            "resource": asked.resource_id,
            "since": asked.since,
            "count": asked.count,
            "updated": place.updated,
            "id": place.id,
            "version": place.version,
            "link": going.link,
            "until": now + PAGES_LIVE,
        }
    )


def read_going(content: bytes, *, resource_type: str, resource_id: str, now: datetime) -> Going:
    """Return what write_going wrote; raises SearchProblemError for another history's, and for one that is too old."""
    said = orjson.loads(content)
    if said.get("of") != _OF or (said["type"], said["resource"]) != (resource_type, resource_id):
        raise SearchProblemError("value", "this page belongs to something else than this history")
    if datetime.fromisoformat(said["until"]) < now:
        raise SearchProblemError("expired", f"pages live for {PAGES_LIVE.days} days; ask for the history again")
    since = datetime.fromisoformat(said["since"]) if said["since"] else None
    place = Place(datetime.fromisoformat(said["updated"]), said["id"], said["version"])
    return Going(HistorySearch(resource_type, resource_id, since, said["count"]), place, said.get("link", ""))


def history_url(asked: HistorySearch, *, base: str) -> str:
    """Return a history's own address."""
    pairs = [("_since", asked.since.isoformat())] if asked.since else []
    return f"{base}/{asked.path}?{urlencode([*pairs, ('_count', str(asked.count))], quote_via=quote)}"


def history_bundle(
    versions: Sequence[PastVersion], told: Mapping[Place, Resource], *, base: str, links: Mapping[str, str]
) -> Resource:
    """Return the Bundle of a page; `told` are the resources as they are to be told, `links` relation → URL or ""."""
    entries = [_entry(one, told.get(place_of(one)), base) for one in versions]
    link = [{"relation": relation, "url": url} for relation, url in links.items() if url]
    return {"resourceType": "Bundle", "type": "history", "link": link} | ({"entry": entries} if entries else {})


def _entry(version: PastVersion, resource: Resource | None, base: str) -> Resource:
    name = f"{version.resource_type}/{version.id}"
    method = "DELETE" if resource is None else "POST" if version.created else "PUT"
    status = {"DELETE": "204 No Content", "POST": "201 Created", "PUT": "200 OK"}[method]
    number = _version_id(version)
    return {
        "fullUrl": f"{base}/{name}",
        **({} if resource is None else {"resource": resource}),
        "request": {"method": method, "url": version.resource_type if method == "POST" else name},
        "response": {
            "status": status,
            **({"etag": f'W/"{number}"'} if number else {}),
            "lastModified": version.updated.astimezone(UTC).isoformat(),
        },
    }


def _version_id(version: PastVersion) -> str:
    meta = (version.resource or {}).get("meta")
    number = meta.get("versionId") if isinstance(meta, dict) else None
    return number if isinstance(number, str) else ""


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # a + that was not encoded arrives as a blank
        at = moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise SearchProblemError("value", "_since is an instant such as 2024-01-31T08:00:00+07:00")
    return at
