"""Searches of a FHIR server page by page, for those who pull in an order of their own (ports.FhirPuller)."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from fhir_gateway.domain.errors import PermanentServerError, UntrustedAnswerError
from fhir_gateway.fhir_server.asking import Asking
from fhir_gateway.fhir_server.client import Answer, FhirClient
from fhir_gateway.fhir_server.pages import parse_page
from fhir_gateway.fhir_server.questions import is_personal
from fhir_gateway.ports.registry import PulledPage

_TOO_LONG = frozenset({413, 414, 431})

Pairs = Sequence[tuple[str, str]]


class ServerPuller:
    """Fulfils ports.FhirPuller on a FHIR server."""

    def __init__(self, client: FhirClient) -> None:
        self._asking = Asking(client)

    async def page(self, resource_type: str, pairs: Pairs) -> PulledPage:
        """Return the first page of a search; of one that the server finds too long, it may find more than was asked for.

        Raises PermanentServerError where the server refuses it, UntrustedAnswerError where it says that it ignored
        something.
        """
        while True:
            try:
                answer = await self._answer(resource_type, pairs)
            except PermanentServerError as error:
                shorter = _without_longest(pairs)
                if error.status not in _TOO_LONG or shorter == pairs:
                    raise
                pairs = shorter
            else:
                return _page(answer, resource_type, pairs)

    async def following(self, resource_type: str, link: str) -> PulledPage:
        """Return the page that a link leads to; raises PageExpiredError where the server has forgotten it."""
        return _page(await self._asking.next(resource_type, link), resource_type, ())

    async def count(self, resource_type: str, pairs: Pairs) -> int:
        """Return how many resources a search finds; raises UntrustedAnswerError where the server does not tell."""
        asked = [(name, value) for name, value in pairs if name not in ("_sort", "_count")]
        try:
            answer = await self._answer(resource_type, [*asked, ("_summary", "count")])
        except PermanentServerError as error:
            if error.status not in _TOO_LONG:
                raise
            raise UntrustedAnswerError(
                f"The server takes no search for {resource_type} that is as long as this one"
            ) from None
        page = _page(answer, resource_type, asked)
        if page.total is None:
            raise UntrustedAnswerError(f"The server does not tell how many {resource_type} resources it finds")
        return page.total

    async def _answer(self, resource_type: str, pairs: Pairs) -> Answer:
        form = urlencode(list(pairs), quote_via=quote)
        return await self._asking.ask_encoded(resource_type, form, personal=is_personal(dict(pairs)))


def _without_longest(pairs: Pairs) -> Pairs:
    """Return the parameters without the longest one of those that narrow a search, all where none does."""
    longest = max((value for name, value in pairs if not name.startswith("_")), key=len, default=None)
    return [one for one in pairs if one[0].startswith("_") or one[1] != longest]


def _page(answer: Answer, resource_type: str, pairs: Pairs) -> PulledPage:
    page = parse_page(answer.body, resource_type=resource_type, asked=[name for name, _ in pairs])
    return PulledPage(page.matches, page.next_link, page.total)
