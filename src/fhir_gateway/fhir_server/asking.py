"""How a question travels: by POST, inside of a batch, or by GET, whatever of these a server does not refuse."""

from collections.abc import Sequence
from enum import StrEnum
from urllib.parse import urlsplit

from fhir_gateway.domain.errors import AccessRefusedError, PageExpiredError, PermanentServerError
from fhir_gateway.fhir_server.address import next_target
from fhir_gateway.fhir_server.client import Answer, FhirClient, Request
from fhir_gateway.fhir_server.headers import FRESH, STRICT
from fhir_gateway.fhir_server.questions import Parameters, encoded, is_personal
from fhir_gateway.fhir_server.refusals import refusal
from fhir_gateway.fhir_server.search_batches import ask_in_batch
from fhir_gateway.fhir_server.verdicts import Verdict

MATCHES_A_PAGE = 500
_NO_SUCH_OPERATION = frozenset({404, 405, 415, 501})
_NO_BATCH = frozenset({400, 422})
_EXPIRED = frozenset({404, 410})


class _Road(StrEnum):
    """How a search travels; what it says of a person belongs in no URL, as those are logged along the way."""

    POST = "POST _search"
    BATCH = "a GET inside of a batch"
    GET = "GET"


class Asking:
    """Asks a server's searches, page by page, and remembers which roads it refuses."""

    def __init__(self, client: FhirClient) -> None:
        self._client = client
        self._refused_roads: set[_Road] = set()
        self._links_by_get = False

    def by_post(self, parameters: Parameters) -> bool:
        """Say whether a search's parameters travel in a body of their own, so that they may be long."""
        return self._road(personal=is_personal(parameters)) is _Road.POST

    def _road(self, *, personal: bool) -> _Road:
        """Return the best road not refused so far; the last one is kept, so that its refusal is told."""
        roads = [_Road.POST, _Road.BATCH, _Road.GET] if personal else [_Road.POST, _Road.GET]
        return next((road for road in roads if road not in self._refused_roads), _Road.GET)

    async def ask(self, resource_type: str, parameters: Parameters, count: int | None) -> Answer:
        """Return the first page of a search, of `count` matches; raises PermanentServerError where it is refused."""
        form = encoded(parameters if count is None else {**parameters, "_count": (str(count),)})
        return await self.ask_encoded(resource_type, form, personal=is_personal(parameters))

    async def ask_encoded(self, resource_type: str, form: str, *, personal: bool) -> Answer:
        """Return the first page of a search whose parameters are a query string already; raises as ask() does."""
        doubted: _Road | None = None
        while True:
            road = _Road.GET if doubted else self._road(personal=personal)
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
        said = await ask_in_batch(self._client, [f"{resource_type}?{form}"])
        return (said.entries[0], False) if said.entries else (said.whole, True)

    async def next(self, resource_type: str, link: str) -> Answer:
        """Return the page that a link leads to; raises PageExpiredError where the server has forgotten it."""
        whole = f"{resource_type}{link}" if link.startswith("?") else link
        target = next_target(self._client.base, whole, f"a search for {resource_type}")
        parts = urlsplit(target)
        asks_again = parts.path in {resource_type, f"{resource_type}/_search"}
        by_post = asks_again and _Road.POST not in self._refused_roads and not self._links_by_get
        get = Request("GET", target, headers=FRESH)
        if by_post:  # the link may repeat what was asked: it travels like the question did
            post = Request("POST", f"{resource_type}/_search", form=parts.query, headers=FRESH)
            answer = await self._client.send(post)
            if answer.status in _NO_SUCH_OPERATION | _NO_BATCH:
                answer = await self._client.send(get)
                self._links_by_get = answer.verdict is Verdict.SUCCESS
        else:
            answer = await self._client.send(get)
        if answer.status in _EXPIRED:
            raise PageExpiredError(f"The server forgot the pages of a search for {resource_type}; begin it again")
        if answer.verdict is not Verdict.SUCCESS:
            raise refusal(answer, f"the next page of a search for {resource_type}")
        return answer

    async def first_pages(self, resource_type: str, questions: Sequence[Parameters]) -> list[Answer | None]:
        """Return the questions' first pages, got with one request; None for what has to be asked alone."""
        alone: list[Answer | None] = [None] * len(questions)
        if len(questions) == 1 or _Road.BATCH in self._refused_roads:
            return alone
        count = {"_count": (str(MATCHES_A_PAGE),)}
        targets = [f"{resource_type}?{encoded({**question, **count})}" for question in questions]
        try:
            said = await ask_in_batch(self._client, targets)
        except AccessRefusedError:
            raise
        except PermanentServerError:
            return alone  # too large an answer, or no FHIR: smaller questions may fare better
        if not said.entries:
            if said.whole.status in _NO_SUCH_OPERATION:
                self._refused_roads.add(_Road.BATCH)
            return alone
        return [one if one.verdict is Verdict.SUCCESS and one.body else None for one in said.entries]
