"""One environment as registries see it: what works there, searches, reads, and what is written down of each pull."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from fhir_gateway import __version__
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.registry import Answered, PulledVersion, Puller, PullKind, Request
from fhir_gateway.fhir_server.capabilities import Capabilities
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.history import ServerHistory
from fhir_gateway.fhir_server.pulling import ServerPuller
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.flows.registry.histories import HistoryPage, history
from fhir_gateway.flows.registry.searching import by_id, search, tell
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports import Clock
from fhir_gateway.registry.bundles import searchset, self_url, warnings
from fhir_gateway.registry.capabilities import Endpoint, capability_statement, served_searches
from fhir_gateway.registry.cursors import read_cursor, write_cursor
from fhir_gateway.registry.enriching import patient_in, subset
from fhir_gateway.registry.exports import NotPermittedError
from fhir_gateway.registry.histories import (
    HISTORY_TYPES,
    Going,
    history_bundle,
    history_url,
    parse_history,
    place_of,
    read_going,
    write_going,
)
from fhir_gateway.registry.parameters import SearchProblemError, elements_of, parse_search, to_pairs
from fhir_gateway.registry.scopes import allows
from fhir_gateway.registry.tokens import published
from fhir_gateway.serving.registry.door import RegistryDoor
from fhir_gateway.serving.registry.embedded_reading import nearest
from fhir_gateway.serving.registry.keys import RegistryKeys
from fhir_gateway.serving.registry.pull_book import PullBook
from fhir_gateway.settings import Environment

CURSOR = "_cursor"


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as it came: by whom, from where, under which address of the endpoint.

    `told` is False where nothing but the headers of the answer will leave.
    """

    resource_type: str
    pairs: Sequence[tuple[str, str]]
    raw: bytes
    lenient: bool
    puller: Puller
    address: str
    base: str
    told: bool = True


class Registry:
    """One environment's registry endpoint, without HTTP."""

    def __init__(  # noqa: PLR0913 - the parts of an opened environment
        self,
        settings: Environment,
        ledger: Ledger,
        client: FhirClient,
        reader: ServerReader,
        *,
        book: PullBook,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._book = book
        self._reader = reader
        self._clock = clock
        self._started = clock.now()
        self._served: tuple[Capabilities, dict[str, frozenset[str]]] | None = None
        self._keys = RegistryKeys(settings.folder)
        self.policy = settings.registry
        near = nearest(reader, transport)
        self.tools = RegistryTools(near, ServerPuller(client), clock, settling=settings.settling)
        self._past = ServerHistory(client, reader)
        self.door = RegistryDoor(settings, ledger, self._keys, book=book, clock=clock)

    def published_keys(self) -> dict[str, Any]:
        """Return the public parts of the keys that sign tokens, as a JWKS."""
        return published(self._keys.all(self._clock.now()))

    async def served(self) -> dict[str, frozenset[str]]:
        """Return which search parameters work; raises ServerError where the FHIR server does not answer."""
        declared = await self._reader.capabilities()
        if self._served is None or self._served[0] is not declared:
            found = served_searches({name: one.search_parameters for name, one in declared.types.items()})
            self._served = declared, found
        return self._served[1]

    async def metadata(self, base: str) -> Resource:
        """Return the CapabilityStatement."""
        served = await self.served()
        histories = [one for one in served if await self.keeps_history(one)]
        started = self._started
        return capability_statement(
            Endpoint(served, base, f"{base}/auth/token", __version__, started, histories=histories)
        )

    async def search(self, asked: Asked) -> Resource:
        """Return the Bundle that answers a search, written down as a pull.

        Raises SearchProblemError, and NotPermittedError where Patients are to be included without their scope: a page's
        link is followed with the token of now, which may permit less than the one that the search began with.
        """
        now = self._clock.now()
        given = dict(asked.pairs)
        if CURSOR in given:
            content = self._opened(given[CURSOR], now)
            cursor = read_cursor(content, resource_type=asked.resource_type, now=now)
            wanted, after = cursor.search, cursor.position
            asked = replace(asked, raw=urlencode(to_pairs(wanted), quote_via=quote).encode())
        else:
            served = (await self.served()).get(asked.resource_type, frozenset())
            wanted, after = parse_search(asked.resource_type, asked.pairs, served=served, lenient=asked.lenient), None
        if wanted.with_patients and not allows(asked.puller.scopes, "Patient", "r"):
            raise NotPermittedError("the token does not permit this: system/Patient.r is needed")
        found = await search(wanted, self.tools, after=after)
        await self._write_down(asked, PullKind.SEARCH, [*found.originals, *found.included], now)
        following = ""
        if found.following is not None:
            sealed = self._keys.seal(write_cursor(found.following, now=now), now)
            following = f"{asked.base}/{asked.resource_type}?{CURSOR}={sealed}"
        links = {"self": self_url(wanted, base=asked.base), "next": following}
        others = [*found.included, *warnings(ignored=wanted.ignored, replaced=found.replaced)]
        return searchset(found.matches, others, base=asked.base, links=links, total=found.total)

    async def read(self, asked: Asked, resource_id: str, *, elements: Sequence[str] = ()) -> Resource | None:
        """Return a resource with what its references lead to, None where there is none; some `elements` of it only.

        Raises SearchProblemError for what is no name of an element.
        """
        wanted = elements_of(asked.resource_type, elements)
        found = await self.tools.reader.read(asked.resource_type, resource_id)
        if found is None:
            return None
        read = replace(asked, raw=f"{asked.resource_type}/{resource_id}".encode())
        await self._write_down(read, PullKind.READ, [found], self._clock.now())
        (told,), _ = await tell([found], self.tools)
        return subset(told, wanted)

    async def keeps_history(self, resource_type: str) -> bool:
        """Say whether the history of a type is told here: the FHIR server behind has to declare it."""
        return resource_type in HISTORY_TYPES and await self._past.is_kept(resource_type)

    async def history(self, asked: Asked, resource_id: str = "") -> Resource | None:
        """Return the Bundle with versions of a type, or of one resource; None where there is no such resource.

        It is written down as a pull. Raises SearchProblemError.
        """
        now = self._clock.now()
        cursor = dict(asked.pairs).get(CURSOR)
        if cursor is None:
            wanted = parse_history(asked.resource_type, resource_id, asked.pairs, lenient=asked.lenient)
            after, link = None, ""
        else:
            content = self._opened(cursor, now)
            going = read_going(content, resource_type=asked.resource_type, resource_id=resource_id, now=now)
            wanted, after, link = going.asked, going.place, going.link
        until = self.tools.settled_until()
        page = await history(wanted, self._past, after=after, link=link, until=until)
        if resource_id and not page.versions and after is None and wanted.since is None:
            return None
        given = {place_of(one): one.resource for one in page.versions if one.resource is not None}
        told, _ = await tell(list(given.values()), self.tools)
        own = history_url(wanted, base=asked.base)
        asked = replace(asked, raw=own.removeprefix(f"{asked.base}/").encode())
        await self._note(asked, PullKind.HISTORY, [*given.values()], await self._current(page), now)
        following = ""
        if page.more:
            going = Going(wanted, place_of(page.versions[-1]), page.link)
            sealed = self._keys.seal(write_going(going, now=now), now)
            following = f"{asked.base}/{wanted.path}?{CURSOR}={sealed}"
        links = {"self": own, "next": following}
        return history_bundle(page.versions, dict(zip(given, told, strict=True)), base=asked.base, links=links)

    async def _current(self, page: HistoryPage) -> list[PulledVersion]:
        """Return which of the versions are the newest that there are: by older ones nobody is brought up to date."""
        versions: list[PulledVersion] = []
        newest = {one.id: one for one in reversed(page.versions)}
        resource_type = page.versions[0].resource_type if page.versions else ""
        standing = {one["id"]: one for one in await by_id(resource_type, sorted(newest), self.tools)}
        for resource_id, one in newest.items():
            current = standing.get(resource_id)
            if one.resource is not None and current is not None and version_of(one.resource) == version_of(current):
                versions.append(PulledVersion(f"{resource_type}/{resource_id}", version_of(current)))
            elif one.resource is None and current is None:
                versions.append(PulledVersion(f"{resource_type}/{resource_id}", f"deleted {one.updated.isoformat()}"))
        return versions

    def _opened(self, sealed: str, now: datetime) -> bytes:
        """Return what a page's link holds; raises SearchProblemError."""
        content = self._keys.unseal(sealed, now)
        if content is None:
            raise SearchProblemError("value", "this page is none of this endpoint: follow its next links as they are")
        return content

    async def _write_down(self, asked: Asked, kind: PullKind, given: Sequence[Resource], now: datetime) -> None:
        versions = [PulledVersion(f"{one['resourceType']}/{one['id']}", version_of(one)) for one in given]
        await self._note(asked, kind, given, versions, now)

    async def _note(
        self,
        asked: Asked,
        kind: PullKind,
        given: Sequence[Resource],
        versions: Sequence[PulledVersion],
        now: datetime,
    ) -> None:
        if not asked.told:
            given, versions = (), ()
        puller = asked.puller
        request = Request(puller.client, puller.token, kind, asked.resource_type, asked.raw, asked.address, now)
        people = {one["id"] if one["resourceType"] == "Patient" else patient_in(one) for one in given} - {""}
        await self._book.write(Answered(request, len(given), tuple(versions), frozenset(people)))


def version_of(resource: Resource) -> str:
    """Return a resource's version id, "" where the server tells none."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else ""
