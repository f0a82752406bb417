"""Reads a FHIR server: resources and searches, to the last page, and nothing that was not asked for."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from urllib.parse import urlsplit

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError, UntrustedAnswerError
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir_server.address import local_target
from fhir_gateway.fhir_server.capabilities import Capabilities, parse_capabilities
from fhir_gateway.fhir_server.client import Answer, FhirClient, Request
from fhir_gateway.fhir_server.matching import carries
from fhir_gateway.fhir_server.pages import Page, parse_page
from fhir_gateway.fhir_server.proof import SearchProof, prove, prove_lists
from fhir_gateway.fhir_server.questions import (
    LONGEST_FORM,
    LONGEST_URL,
    Parameters,
    cut,
    each_alone,
    encoded,
    is_personal,
)
from fhir_gateway.fhir_server.refusals import refusal
from fhir_gateway.fhir_server.search_batches import SEARCHES_A_BATCH, ask_in_batch
from fhir_gateway.fhir_server.verdicts import Verdict

MATCHES_A_PAGE = 500
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_FRESH = {"Cache-Control": "no-cache"}  # HAPI as shipped answers a repeated search from a cache for 60 s
STRICT = {**_FRESH, "Prefer": "handling=strict"}
_NO_SUCH_OPERATION = frozenset({404, 405, 415, 501})
_TOO_LONG = frozenset({413, 414, 431})
_SHORTEST_URL = 500  # later questions are cut no shorter from the start, whatever one answer said
_NO_BATCH = frozenset({400, 422})
_EXPIRED = frozenset({404, 410})
_DATES = frozenset({"birthdate", "death-date", "date", "_lastUpdated"})

Check = Callable[[Resource], bool]
_log = logging.getLogger(__name__)


class _Expired(Exception):  # noqa: N818 - no error: the search starts again
    """The server has forgotten the pages of a search."""


class _Road(StrEnum):
    """How a search travels; what it says of a person belongs in no URL, as those are logged along the way."""

    POST = "POST _search"
    BATCH = "a GET inside of a batch"
    GET = "GET"


class ServerReader:
    """Fulfils ports.FhirReader on a FHIR server.

    Every method raises TransientServerError when the patience is used up, and PermanentServerError where the server
    refuses.
    """

    def __init__(self, client: FhirClient) -> None:
        self._client = client
        self._masked = client.policy.masked_identifiers
        self._capabilities: Capabilities | None = None
        self._gives_links = False
        self._linkless: set[str] = set()
        self._longest_url = LONGEST_URL
        self._refused_roads: set[_Road] = set()
        self._proofs: dict[tuple[str, str], SearchProof] = {}
        self._takes_one_date: set[tuple[str, str]] = set()
        self._takes_lists: bool | None = True if self._masked else None  # masked numbers cannot tell
        self._finding_out = asyncio.Lock()

    async def capabilities(self) -> Capabilities:
        """Return what the server declares, read once; raises PermanentServerError unless it speaks FHIR R4."""
        if self._capabilities is None:
            answer = await self._client.send(Request("GET", "metadata", headers=_FRESH))
            if answer.verdict is Verdict.SUCCESS:
                self._capabilities = parse_capabilities(answer.body)
            elif isinstance(answer.body, dict) and answer.body.get("resourceType") == "OperationOutcome":
                self._capabilities = Capabilities()  # it speaks FHIR, but has no statement: everything is to be proved
            else:
                raise PermanentServerError(
                    f"No FHIR server at {self._client.base}: it answered {answer.status} to GET metadata; check base_url",
                    status=answer.status,
                )
        return self._capabilities

    async def read(self, resource_type: str, resource_id: str) -> Resource | None:
        """Return the resource, None where it is missing or deleted (404 or 410, servers differ)."""
        if not _ID.fullmatch(resource_id):
            return None
        answer = await self._client.send(Request("GET", f"{resource_type}/{resource_id}", headers=_FRESH))
        if answer.status in {404, 410}:
            return None
        if answer.verdict is not Verdict.SUCCESS:
            raise refusal(answer, f"reading a {resource_type}")
        body = answer.body
        if not isinstance(body, dict) or (body.get("resourceType"), body.get("id")) != (resource_type, resource_id):
            raise UntrustedAnswerError(f"The server answered the reading of a {resource_type} with something else")
        return body

    async def search(
        self, resource_type: str, parameters: Mapping[str, Sequence[str]], *, check: Check | None = None
    ) -> AsyncIterator[Resource]:
        """Yield every match of every page once; values of one parameter are alternatives, raw (not escaped).

        Included resources follow where `_include` or `_revinclude` asked for them. `check` replaces the built-in
        look at whether a match carries what was asked. Raises UntrustedAnswerError where a match does not, where the
        server says that it ignored something, or where the answer may be cut.
        """
        seen: set[str] = set()
        longest = LONGEST_FORM if self._road(parameters) is _Road.POST else self._longest_url
        for question in await self.questions(parameters, longest=longest):
            async for resource in self._cut_shorter(resource_type, question, check=check):
                name = f"{resource.get('resourceType')}/{resource.get('id')}"
                if name not in seen:
                    seen.add(name)
                    yield resource

    async def questions(self, parameters: Parameters, *, longest: int) -> Sequence[Parameters]:
        """Return what together asks the same, nothing longer than that; value by value where lists would find nobody."""
        if self._masked and "identifier" in parameters:
            return list(cut(parameters, longest=longest, most_values=1))
        listed = any(len(values) > 1 for values in parameters.values())
        if listed and self._takes_lists is None:
            async with self._finding_out:
                await self._find_out_about_lists()
        alone = listed and self._takes_lists is False
        return list(each_alone(parameters) if alone else cut(parameters, longest=longest))

    async def _find_out_about_lists(self) -> None:
        if self._takes_lists is None:
            self._takes_lists = await prove_lists(self)
            if self._takes_lists is False:
                _log.warning(
                    "This server finds nobody by a list of values: each value is asked alone, which takes longer"
                )

    async def prove_search(self, resource_type: str, parameter: str) -> SearchProof:
        """Return whether "not found" may be believed of a search by this parameter; found out once."""
        key = (resource_type, parameter)
        proof = self._proofs.get(key)
        if proof is None:
            proof = await prove(self, resource_type, parameter, masked=self._masked)
            if proof.final:
                self._proofs[key] = proof
        return proof

    async def first_page(self, resource_type: str, parameters: Mapping[str, Sequence[str]]) -> Page:
        """Return the first page of a search as the server gives it, unchecked against the question."""
        answer = await self._ask(resource_type, parameters, 20)
        return self._noted(parse_page(answer.body, resource_type=resource_type, asked=parameters))

    async def following(
        self, resource_type: str, parameters: Parameters, first: Answer, *, check: Check | None = None
    ) -> AsyncIterator[Resource]:
        """Yield every match of a search whose first page came by another road; raises as search() does."""
        try:
            async for resource in self._pages_from(resource_type, parameters, first, check=check):
                yield resource
        except _Expired:
            async for resource in self.search(resource_type, parameters, check=check):
                yield resource

    async def _cut_shorter(
        self, resource_type: str, parameters: Parameters, *, check: Check | None
    ) -> AsyncIterator[Resource]:
        """Yield a search's results; it is cut into halves where the server says that it is too long."""
        try:
            async for resource in self._dates_apart(resource_type, parameters, check=check):
                yield resource
        except PermanentServerError as error:
            size = len(encoded(parameters))
            if error.status not in _TOO_LONG or all(len(values) < 2 for values in parameters.values()):
                raise
            self._longest_url = max(_SHORTEST_URL, min(self._longest_url, size // 2))
        else:
            return
        for part in cut(parameters, longest=size // 2 + 1):
            async for resource in self._cut_shorter(resource_type, part, check=check):
                yield resource

    async def _dates_apart(
        self, resource_type: str, parameters: Parameters, *, check: Check | None
    ) -> AsyncIterator[Resource]:
        """Yield a search's results; a list of dates is asked date by date where the server takes none (400 on HAPI)."""
        listed = next((name for name in parameters if name in _DATES and len(parameters[name]) > 1), "")
        if (resource_type, listed) not in self._takes_one_date:
            try:
                async for resource in self._pages_twice(resource_type, parameters, check=check):
                    yield resource
            except PermanentServerError as error:
                if not listed or error.status != 400:
                    raise
            else:
                return
        dates = parameters[listed]
        for start in range(0, len(dates), SEARCHES_A_BATCH):
            together = [{**parameters, listed: (value,)} for value in dates[start : start + SEARCHES_A_BATCH]]
            for question, first in zip(together, await self._first_pages(resource_type, together), strict=True):
                if first is None:
                    found = self._pages_twice(resource_type, question, check=check)
                else:
                    found = self.following(resource_type, question, first, check=check)
                async for resource in found:
                    yield resource
                self._takes_one_date.add((resource_type, listed))

    async def _first_pages(self, resource_type: str, questions: Sequence[Parameters]) -> list[Answer | None]:
        """Return the questions' first pages, got with one request; None for what has to be asked alone."""
        alone: list[Answer | None] = [None] * len(questions)
        if len(questions) == 1 or _Road.BATCH in self._refused_roads:
            return alone
        count = {"_count": (str(MATCHES_A_PAGE),)}
        targets = [f"{resource_type}?{encoded({**question, **count})}" for question in questions]
        try:
            said = await ask_in_batch(self._client, targets, headers=STRICT)
        except AccessRefusedError:
            raise
        except PermanentServerError:
            return alone  # too large an answer, or no FHIR: smaller questions may fare better
        if not said.entries:
            if said.whole.status in _NO_SUCH_OPERATION:
                self._refused_roads.add(_Road.BATCH)
            return alone
        return [one if one.verdict is Verdict.SUCCESS and one.body else None for one in said.entries]

    async def _pages_twice(
        self, resource_type: str, parameters: Parameters, *, check: Check | None
    ) -> AsyncIterator[Resource]:
        """Yield a search's results; started again once where the server forgets its pages (410 on HAPI)."""
        try:
            async for resource in self._pages(resource_type, parameters, check=check):
                yield resource
        except _Expired:
            try:
                async for resource in self._pages(resource_type, parameters, check=check):
                    yield resource
            except _Expired:
                raise UntrustedAnswerError(
                    f"The server forgot the pages of a search for {resource_type} twice; its answer is cut"
                ) from None

    async def _pages(
        self, resource_type: str, parameters: Parameters, *, check: Check | None
    ) -> AsyncIterator[Resource]:
        answer = await self._ask(resource_type, parameters, MATCHES_A_PAGE)
        async for resource in self._pages_from(resource_type, parameters, answer, check=check):
            yield resource

    async def _pages_from(
        self, resource_type: str, parameters: Parameters, answer: Answer, *, check: Check | None
    ) -> AsyncIterator[Resource]:
        got: set[str] = set()
        followed: set[str] = set()
        while True:
            page = self._noted(parse_page(answer.body, resource_type=resource_type, asked=parameters))
            new = self._checked(page, parameters, check=check, got=got)
            for resource in (*new, *page.included):
                yield resource
            if page.next_link and (page.next_link in followed or (page.matches and not new)):
                raise UntrustedAnswerError(f"The server's pages of a search for {resource_type} go in circles")
            if page.next_link:
                followed.add(page.next_link)
                answer = await self._next(resource_type, page.next_link)
            elif await self._is_whole(resource_type, parameters, page, got=len(got)):
                return
            elif not new:
                raise UntrustedAnswerError(
                    f"The server found more {resource_type} resources than it gives: no next link, and _offset is ignored"
                )
            else:
                answer = await self._ask(resource_type, {**parameters, "_offset": (str(len(got)),)}, MATCHES_A_PAGE)

    def _noted(self, page: Page) -> Page:
        """Note that this server gives next links, where it does."""
        self._gives_links = self._gives_links or bool(page.next_link)
        return page

    def _checked(self, page: Page, parameters: Parameters, *, check: Check | None, got: set[str]) -> list[Resource]:
        """Return the page's matches that no earlier page had, and add their ids to `got`."""
        new = []
        for resource in page.matches:
            fits = check(resource) if check is not None else carries(resource, parameters, masked=self._masked)
            if not fits:
                raise UntrustedAnswerError(
                    f"The server found {resource['resourceType']} resources that were not asked for:"
                    f" it does not really search by {', '.join(sorted(parameters))}"
                )
            if resource["id"] not in got:
                got.add(resource["id"])
                new.append(resource)
        return new

    async def _is_whole(self, resource_type: str, parameters: Parameters, page: Page, *, got: int) -> bool:
        """Return whether a search without a further next link gave everything.

        Some servers never give next links (Medplum's memory repository). So a number of matches that looks like the
        size of a page is held against a count, where the page itself does not tell the total. A server that was seen
        to give next links is believed without: HAPI's total counts a Patient twice that two of the values match.
        """
        if self._gives_links or (page.total is not None and got >= page.total):
            return True
        if page.total is None:
            if got == 0 or (got % 10 and got < MATCHES_A_PAGE):
                return True
            answer = await self._ask(resource_type, {**parameters, "_summary": ("count",)}, None)
            counted = parse_page(answer.body, resource_type=resource_type, asked=parameters).total
            if counted is not None and got >= counted:
                return True
            if counted is None and not await self._would_give_links(resource_type):
                raise UntrustedAnswerError(
                    f"The server gives {got} {resource_type} resources, no next link and no total: the answer may be cut"
                )
        return await self._would_give_links(resource_type)

    async def _would_give_links(self, resource_type: str) -> bool:
        """Return whether the server gives next links where there is more, found out by asking for a page of one.

        Then an answer without is whole, whatever its total says: some count a resource for each value that it matches.
        """
        if not self._gives_links and resource_type not in self._linkless:
            try:
                answer = await self._ask(resource_type, {}, 1)
            except PermanentServerError:  # it wants to be asked for somebody
                self._linkless.add(resource_type)
                return False
            page = self._noted(parse_page(answer.body, resource_type=resource_type, asked=()))
            if not page.next_link and (page.total or 0) > 1:
                self._linkless.add(resource_type)
        return self._gives_links

    def _road(self, parameters: Parameters) -> _Road:
        """Return the best road not refused so far; the last one is kept, so that its refusal is told."""
        roads = [_Road.POST, _Road.BATCH, _Road.GET] if is_personal(parameters) else [_Road.POST, _Road.GET]
        return next((road for road in roads if road not in self._refused_roads), _Road.GET)

    async def _ask(self, resource_type: str, parameters: Parameters, count: int | None) -> Answer:
        form = encoded(parameters if count is None else {**parameters, "_count": (str(count),)})
        doubted: _Road | None = None
        while True:
            road = _Road.GET if doubted else self._road(parameters)
            try:
                answer, whole = await self._travel(road, resource_type, form)
                status = answer.status
            except PermanentServerError as error:
                if error.status not in _NO_SUCH_OPERATION or road is _Road.GET:
                    raise
                status, whole = error.status, False
            if 200 <= status < 300:
                if doubted:
                    self._refused_roads.add(doubted)
                return answer
            if road is not _Road.GET and status in _NO_SUCH_OPERATION:
                self._refused_roads.add(road)
            elif road is _Road.BATCH and whole and status in _NO_BATCH:
                doubted = road  # or is it the question that is refused? The last road tells
            else:
                raise refusal(answer, f"a search for {resource_type}")

    async def _travel(self, road: _Road, resource_type: str, form: str) -> tuple[Answer, bool]:
        """Return what was said, and whether it was said of a batch as a whole."""
        if road is _Road.POST:
            request = Request("POST", f"{resource_type}/_search", form=form, headers=STRICT)
            return await self._client.send(request), False
        if road is _Road.GET:
            return await self._client.send(Request("GET", f"{resource_type}?{form}", headers=STRICT)), False
        said = await ask_in_batch(self._client, [f"{resource_type}?{form}"], headers=STRICT)
        return (said.entries[0], False) if said.entries else (said.whole, True)

    async def _next(self, resource_type: str, link: str) -> Answer:
        target = local_target(self._client.base, link)
        if target is None:
            raise UntrustedAnswerError(f"The next link of a search for {resource_type} leads outside of base_url")
        parts = urlsplit(target)
        if parts.path in {resource_type, f"{resource_type}/_search"} and self._road({"identifier": ()}) is _Road.POST:
            # The link may repeat what was asked: it travels like the question did.
            request = Request("POST", f"{resource_type}/_search", form=parts.query, headers=_FRESH)
        else:
            request = Request("GET", target, headers=_FRESH)
        answer = await self._client.send(request)
        if answer.status in _EXPIRED:
            raise _Expired
        if answer.verdict is not Verdict.SUCCESS:
            raise refusal(answer, f"the next page of a search for {resource_type}")
        return answer
