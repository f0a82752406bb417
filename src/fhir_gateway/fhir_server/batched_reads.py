"""Many searches in few requests: GETs in batch bundles, every page of each, each answer checked as a search's is."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass

from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError, ServerError, UntrustedAnswerError
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.searches import Search, SearchAnswer
from fhir_gateway.fhir_server.asking import MATCHES_A_PAGE
from fhir_gateway.fhir_server.client import Answer, FhirClient
from fhir_gateway.fhir_server.paging import Check
from fhir_gateway.fhir_server.questions import LONGEST_URL, encoded
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.search_batches import SEARCHES_A_BATCH, ask_in_batch
from fhir_gateway.fhir_server.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class _Question:
    """A part of a search that fits into one URL; `position` is that of the search."""

    position: int
    search: Search

    @property
    def kind(self) -> tuple[str, tuple[str, ...]]:
        """What is searched by what."""
        return self.search.resource_type, tuple(self.search.parameters)


class BatchedReads:
    """Asks many searches together; falls back to one by one, then to value by value, where a server wants it so."""

    def __init__(self, client: FhirClient, reader: ServerReader) -> None:
        self._client = client
        self._reader = reader
        self._slots = asyncio.Semaphore(client.policy.max_in_flight)
        self._batches_refused = False
        self._takes_one_value: set[tuple[str, tuple[str, ...]]] = set()

    async def search_together(
        self, searches: Sequence[Search], *, check: Check | None = None, count: int = MATCHES_A_PAGE
    ) -> list[SearchAnswer]:
        """Return every match of every page of each search, once, in the searches' order.

        A search that the server refuses (400 and the like) or does not really carry out comes back with a `problem`
        and without resources. `count` is how many matches a page is asked to have. Raises TransientServerError when
        the patience is used up, and AccessRefusedError.
        """
        questions = [
            _Question(position, Search(search.resource_type, part))
            for position, search in enumerate(searches)
            for part in await self._reader.questions(search.parameters, longest=LONGEST_URL)
        ]
        found: list[dict[str, Resource]] = [{} for _ in searches]
        problems: dict[int, str] = {}

        async def settle(question: _Question, first: Answer | None) -> None:
            try:
                async with self._slots:
                    matches = await self._matches(question, first, check)
            except AccessRefusedError:
                raise
            except PermanentServerError as error:
                problems[question.position] = str(error)
            else:
                found[question.position].update({f"{one['resourceType']}/{one['id']}": one for one in matches})

        async def ask(together: Sequence[_Question]) -> None:
            async with self._slots:
                answers = await self._first_pages(together, count)
            await _side_by_side([settle(question, answer) for question, answer in zip(together, answers, strict=True)])

        await _side_by_side([ask(together) for together in _batches(questions)])
        return [
            SearchAnswer((), problems[position]) if position in problems else SearchAnswer(tuple(matches.values()))
            for position, matches in enumerate(found)
        ]

    async def _first_pages(self, questions: Sequence[_Question], count: int) -> list[Answer | None]:
        """Return each question's first page, None where it has to be asked alone."""
        alone: list[Answer | None] = [None] * len(questions)
        if self._batches_refused or len(questions) == 1:
            return alone
        targets = [_url(question, count) for question in questions]
        try:
            said = await ask_in_batch(self._client, targets)
        except AccessRefusedError:
            raise
        except PermanentServerError:
            return alone  # the answer is too large, or no FHIR: smaller questions may fare better
        if not said.entries:
            self._batches_refused = True
            return alone
        return [one if one.verdict is Verdict.SUCCESS and one.body else None for one in said.entries]

    async def _matches(self, question: _Question, first: Answer | None, check: Check | None) -> list[Resource]:
        resource_type, parameters = question.search.resource_type, question.search.parameters
        if first is not None:
            return [one async for one in self._reader.following(resource_type, parameters, first, check=check)]
        if question.kind not in self._takes_one_value:
            try:
                return [one async for one in self._reader.search(resource_type, parameters, check=check)]
            except (AccessRefusedError, UntrustedAnswerError):
                raise
            except PermanentServerError:
                if all(len(values) < 2 for values in parameters.values()):
                    raise
        return await self._value_by_value(question, check)

    async def _value_by_value(self, question: _Question, check: Check | None) -> list[Resource]:
        """Ask for each value of the longest list alone: some servers take no lists."""
        resource_type, parameters = question.search.resource_type, question.search.parameters
        longest = max(parameters, key=lambda name: len(parameters[name]))
        found = [
            one
            for value in parameters[longest]
            async for one in self._reader.search(resource_type, {**parameters, longest: (value,)}, check=check)
        ]
        self._takes_one_value.add(question.kind)
        return found


def _url(question: _Question, count: int) -> str:
    parameters = {**question.search.parameters, "_count": (str(count),)}
    return f"{question.search.resource_type}?{encoded(parameters)}"


def _batches(questions: Sequence[_Question]) -> Iterator[Sequence[_Question]]:
    """Yield questions that go into one batch; parts of one search, which find most, go into different ones."""
    batches = -(-len(questions) // SEARCHES_A_BATCH)
    for start in range(batches):
        yield questions[start::batches]


async def _side_by_side(tasks: Sequence[Coroutine[None, None, None]]) -> None:
    """Wait for all; of several failures the first one tells, as they are of the same server."""
    try:
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(task)
    except* ServerError as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
