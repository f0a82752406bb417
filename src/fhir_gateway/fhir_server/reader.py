"""Reads a FHIR server: resources and searches, to the last page, and nothing that was not asked for."""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence

from fhir_gateway.domain.errors import PageExpiredError, PermanentServerError, UntrustedAnswerError
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir_server.asking import MATCHES_A_PAGE, Asking
from fhir_gateway.fhir_server.capabilities import Capabilities, parse_capabilities
from fhir_gateway.fhir_server.client import Answer, FhirClient, Request
from fhir_gateway.fhir_server.headers import FRESH
from fhir_gateway.fhir_server.pages import Page
from fhir_gateway.fhir_server.paging import Check, Paging
from fhir_gateway.fhir_server.proof import SearchProof, listed_like, prove, prove_lists
from fhir_gateway.fhir_server.questions import LONGEST_FORM, LONGEST_URL, Parameters, cut, each_alone, encoded
from fhir_gateway.fhir_server.refusals import refusal
from fhir_gateway.fhir_server.search_batches import SEARCHES_A_BATCH
from fhir_gateway.fhir_server.verdicts import Verdict

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_A_LOOK = 20
"""Matches of a page that is looked at by itself."""
_SHORTEST = 500  # later questions are cut no shorter from the start, whatever one answer said
_DATES = frozenset({"birthdate", "death-date", "date", "_lastUpdated"})

_log = logging.getLogger(__name__)


class ServerReader:
    """Fulfils ports.FhirReader on a FHIR server.

    Every method raises TransientServerError when the patience is used up, and PermanentServerError where the server
    refuses.
    """

    def __init__(self, client: FhirClient) -> None:
        self._client = client
        self._masked = client.policy.masked_identifiers
        self._capabilities: Capabilities | None = None
        self._asking = Asking(client)
        self._paging = Paging(self._asking, masked=self._masked)
        self._longest = {False: LONGEST_URL, True: LONGEST_FORM}
        """The longest question that this server takes, in a URL, and (True) in a body of its own."""
        self._proofs: dict[tuple[str, str], SearchProof] = {}
        self._takes_one_date: set[tuple[str, str]] = set()
        self._takes_lists: dict[str, bool] = {"identifier": True} if self._masked else {}  # masked numbers cannot tell
        self._lists: Counter[str] = Counter()
        self._finding_out = asyncio.Lock()

    async def capabilities(self) -> Capabilities:
        """Return what the server declares, read once; raises PermanentServerError unless it speaks FHIR R4."""
        if self._capabilities is None:
            answer = await self._client.send(Request("GET", "metadata", headers=FRESH))
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
        answer = await self._client.send(Request("GET", f"{resource_type}/{resource_id}", headers=FRESH))
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
        by_post = self._asking.by_post(parameters)
        for question in await self.questions(parameters, longest=self._longest[by_post]):
            async for resource in self._cut_shorter(resource_type, question, check=check):
                name = f"{resource.get('resourceType')}/{resource.get('id')}"
                if name not in seen:
                    seen.add(name)
                    yield resource

    async def questions(self, parameters: Parameters, *, longest: int) -> Sequence[Parameters]:
        """Return what together asks the same, nothing longer than that; value by value where lists would find nobody."""
        if self._masked and "identifier" in parameters:
            return list(cut(parameters, longest=longest, most_values=1))
        lists = {listed_like(name.partition(":")[0]) for name, values in parameters.items() if len(values) > 1}
        alone = False
        for kind in sorted(lists):
            alone |= not await self._lists_taken(kind)
        return list(each_alone(parameters) if alone else cut(parameters, longest=longest))

    async def _lists_taken(self, kind: str) -> bool:
        """Return whether lists may be asked of parameters like this one; found out once there is somebody to tell.

        As long as there is nobody, that is tried with the first list, the second, the fourth, the eighth and so on.
        """
        async with self._finding_out:
            if kind not in self._takes_lists:
                self._lists[kind] += 1
                if self._lists[kind].bit_count() > 1:
                    return True
                taken = await prove_lists(self, kind)
                if taken is None:
                    return True
                self._takes_lists[kind] = taken
                if not taken:
                    _log.warning(
                        "This server does not find everybody by a list of values (%s): each value is asked alone, which "
                        "takes longer",
                        kind,
                    )
            return self._takes_lists[kind]

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
        return await self._paging.first_page(resource_type, parameters, count=_A_LOOK)

    async def following(
        self, resource_type: str, parameters: Parameters, first: Answer, *, check: Check | None = None
    ) -> AsyncIterator[Resource]:
        """Yield every match of a search whose first page came by another road; raises as search() does."""
        try:
            async for resource in self._paging.follow(resource_type, parameters, first, check=check):
                yield resource
        except PageExpiredError:
            async for resource in self.search(resource_type, parameters, check=check):
                yield resource

    async def _cut_shorter(
        self, resource_type: str, parameters: Parameters, *, check: Check | None
    ) -> AsyncIterator[Resource]:
        """Yield a search's results; a list that is refused is halved, down to a single value.

        It may be too long for the server, or for a firewall before it: they say so in many ways (400, 403, 413, 414, 422).
        """
        try:
            async for resource in self._dates_apart(resource_type, parameters, check=check):
                yield resource
        except PermanentServerError as error:
            if not 400 <= error.status < 500 or error.status == 401:
                raise
            if all(len(values) < 2 for values in parameters.values()):
                raise
        else:
            return
        half = len(encoded(parameters)) // 2
        for part in cut(parameters, longest=half + 1):
            async for resource in self._cut_shorter(resource_type, part, check=check):
                yield resource
        by_post = self._asking.by_post(parameters)
        self._longest[by_post] = max(_SHORTEST, min(self._longest[by_post], half))

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
            for question, first in zip(together, await self._asking.first_pages(resource_type, together), strict=True):
                if first is None:
                    found = self._pages_twice(resource_type, question, check=check)
                else:
                    found = self.following(resource_type, question, first, check=check)
                async for resource in found:
                    yield resource
                self._takes_one_date.add((resource_type, listed))

    async def _pages_twice(
        self, resource_type: str, parameters: Parameters, *, check: Check | None
    ) -> AsyncIterator[Resource]:
        """Yield a search's results; started again once where the server forgets its pages (410 on HAPI)."""
        try:
            async for resource in self._pages(resource_type, parameters, check=check):
                yield resource
        except PageExpiredError:
            try:
                async for resource in self._pages(resource_type, parameters, check=check):
                    yield resource
            except PageExpiredError:
                raise UntrustedAnswerError(
                    f"The server forgot the pages of a search for {resource_type} twice; its answer is cut"
                ) from None

    async def _pages(
        self, resource_type: str, parameters: Parameters, *, check: Check | None
    ) -> AsyncIterator[Resource]:
        answer = await self._asking.ask(resource_type, parameters, MATCHES_A_PAGE)
        async for resource in self._paging.follow(resource_type, parameters, answer, check=check):
            yield resource
