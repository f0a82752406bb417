"""The pages of a search, to the last one: followed, held against what was asked, and against the server's own count."""

from collections.abc import AsyncIterator, Callable

from fhir_gateway.domain.errors import PermanentServerError, UntrustedAnswerError
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir_server.asking import MATCHES_A_PAGE, Asking
from fhir_gateway.fhir_server.client import Answer
from fhir_gateway.fhir_server.matching import carries, hides_numbers
from fhir_gateway.fhir_server.pages import Page, parse_page
from fhir_gateway.fhir_server.questions import Parameters

Check = Callable[[Resource], bool]


class Paging:
    """Follows pages on one server, and remembers whether it gives links to the next."""

    def __init__(self, asking: Asking, *, masked: bool) -> None:
        self._asking = asking
        self._masked = masked
        self._gives_links = False
        self._linkless: set[str] = set()

    async def first_page(self, resource_type: str, parameters: Parameters, *, count: int) -> Page:
        """Return the first page of a search as the server gives it, unchecked against the question."""
        answer = await self._asking.ask(resource_type, parameters, count)
        return self._noted(parse_page(answer.body, resource_type=resource_type, asked=parameters))

    async def follow(
        self, resource_type: str, parameters: Parameters, answer: Answer, *, check: Check | None
    ) -> AsyncIterator[Resource]:
        """Yield every match from the first page, `answer`, to the last.

        Raises PageExpiredError, and UntrustedAnswerError where the answer may be cut or is none to what was asked.
        """
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
                answer = await self._asking.next(resource_type, page.next_link)
            elif await self._is_whole(resource_type, parameters, page, got=len(got)):
                return
            elif not new:
                raise UntrustedAnswerError(
                    f"The server found more {resource_type} resources than it gives: no next link, and _offset is ignored"
                )
            else:
                answer = await self._asking.ask(
                    resource_type, {**parameters, "_offset": (str(len(got)),)}, MATCHES_A_PAGE
                )

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
                    + (": it covers numbers, set masked_identifiers = true" if hides_numbers(resource) else "")
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
            answer = await self._asking.ask(resource_type, {**parameters, "_summary": ("count",)}, None)
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
                answer = await self._asking.ask(resource_type, {}, 1)
            except PermanentServerError:  # it wants to be asked for somebody
                self._linkless.add(resource_type)
                return False
            page = self._noted(parse_page(answer.body, resource_type=resource_type, asked=()))
            if not page.next_link and (page.total or 0) > 1:
                self._linkless.add(resource_type)
        return self._gives_links
