"""Searches of a FHIR server page by page, for those who pull in an order of their own (ports.FhirPuller)."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode, urlsplit

from fhir_gateway.domain.errors import PageExpiredError, UntrustedAnswerError
from fhir_gateway.fhir_server.address import local_target
from fhir_gateway.fhir_server.client import Answer, FhirClient, Request
from fhir_gateway.fhir_server.headers import STRICT
from fhir_gateway.fhir_server.pages import parse_page
from fhir_gateway.fhir_server.refusals import refusal
from fhir_gateway.fhir_server.verdicts import Verdict
from fhir_gateway.ports.registry import PulledPage

_NO_SUCH_OPERATION = frozenset({404, 405, 415, 501})
_EXPIRED = frozenset({404, 410})
_TOO_LONG = frozenset({413, 414, 431})

Pairs = Sequence[tuple[str, str]]


class ServerPuller:
    """Fulfils ports.FhirPuller on a FHIR server."""

    def __init__(self, client: FhirClient) -> None:
        self._client = client
        self._takes_post = True

    async def page(self, resource_type: str, pairs: Pairs) -> PulledPage:
        """Return the first page of a search; of one that the server finds too long, it may find more than was asked for.

        Raises PermanentServerError where the server refuses it, UntrustedAnswerError where it says that it ignored
        something.
        """
        answer = await self._answer(resource_type, pairs)
        while answer.status in _TOO_LONG and (shorter := _without_longest(pairs)) != pairs:
            pairs = shorter
            answer = await self._answer(resource_type, pairs)
        return _page(_succeeded(answer, resource_type), resource_type, pairs)

    async def following(self, resource_type: str, link: str) -> PulledPage:
        """Return the page that a link leads to; raises PageExpiredError where the server has forgotten it."""
        target = local_target(self._client.base, link)
        if target is None:
            raise UntrustedAnswerError(f"The next link of a search for {resource_type} leads outside of base_url")
        parts = urlsplit(target)
        if parts.path in {resource_type, f"{resource_type}/_search"} and self._takes_post:
            request = Request("POST", f"{resource_type}/_search", form=parts.query, headers=STRICT)
        else:
            request = Request("GET", target, headers=STRICT)
        answer = await self._client.send(request)
        if answer.status in _EXPIRED:
            raise PageExpiredError(f"The server forgot the pages of a search for {resource_type}; begin it again")
        if answer.verdict is not Verdict.SUCCESS:
            raise refusal(answer, f"the next page of a search for {resource_type}")
        return _page(answer, resource_type, ())

    async def count(self, resource_type: str, pairs: Pairs) -> int:
        """Return how many resources a search finds; raises UntrustedAnswerError where the server does not tell."""
        asked = [(name, value) for name, value in pairs if name not in ("_sort", "_count")]
        answer = await self._answer(resource_type, [*asked, ("_summary", "count")])
        if answer.status in _TOO_LONG:
            raise UntrustedAnswerError(f"The server takes no search for {resource_type} that is as long as this one")
        page = _page(_succeeded(answer, resource_type), resource_type, asked)
        if page.total is None:
            raise UntrustedAnswerError(f"The server does not tell how many {resource_type} resources it finds")
        return page.total

    async def _answer(self, resource_type: str, pairs: Pairs) -> Answer:
        form = urlencode(list(pairs), quote_via=quote)
        if self._takes_post:
            answer = await self._client.send(Request("POST", f"{resource_type}/_search", form=form, headers=STRICT))
            if answer.verdict is Verdict.SUCCESS or answer.status not in _NO_SUCH_OPERATION:
                return answer
            self._takes_post = False
        return await self._client.send(Request("GET", f"{resource_type}?{form}", headers=STRICT))


def _succeeded(answer: Answer, resource_type: str) -> Answer:
    if answer.verdict is not Verdict.SUCCESS:
        raise refusal(answer, f"a search for {resource_type}")
    return answer


def _without_longest(pairs: Pairs) -> Pairs:
    """Return the parameters without the longest one of those that narrow a search, all where none does."""
    longest = max((value for name, value in pairs if not name.startswith("_")), key=len, default=None)
    return [one for one in pairs if one[0].startswith("_") or one[1] != longest]


def _page(answer: Answer, resource_type: str, pairs: Pairs) -> PulledPage:
    page = parse_page(answer.body, resource_type=resource_type, asked=[name for name, _ in pairs])
    return PulledPage(page.matches, page.next_link, page.total)
