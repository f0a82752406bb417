"""Looks on the server for who people could be: few searches for many people, each answer checked and kept."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Protocol

from fhir_gateway.candidates.answers import Answer, Answers
from fhir_gateway.candidates.questions import (
    Kind,
    Question,
    matching_values,
    own_identifiers,
    questions_of,
    search_values,
)
from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError, ServerError, UntrustedAnswerError
from fhir_gateway.domain.identity import Candidates, Probe
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.masters import master_of
from fhir_gateway.ports import FhirReader

QUESTIONS_A_SEARCH = 200
MOST_NAMESAKES = 100
"""How many Patients a search by a name alone may bring; they only help an operator, a link needs more."""

GENDERS = ("male", "female", "other", "unknown", "")  # "" asks for any
_WITHOUT_GENDER = {"gender:missing": ["true"]}
_log = logging.getLogger(__name__)


class Proof(Protocol):
    """Whether a search may be believed, and why."""

    @property
    def works(self) -> bool:
        """Whether it may."""
        ...

    @property
    def words(self) -> str:
        """Say why, for an operator."""
        ...


class ProvingReader(FhirReader, Protocol):
    """A reader that can tell whether "not found" may be believed."""

    async def prove_search(self, resource_type: str, parameter: str) -> Proof:
        """Return whether a search by this parameter works."""
        ...


class ServerCandidates:
    """Fulfils ports.CandidateFinder; one for each environment, since it keeps answers.

    Raises PermanentServerError where the server cannot search by identifier: then nobody could be told from a new
    person. Other searches that do not work are left out and named in `unavailable`.
    """

    def __init__(self, reader: ProvingReader, *, masked_identifiers: bool = False) -> None:
        self._reader = reader
        self._masked = masked_identifiers
        self._kept = Answers()
        self._asking: dict[Question, asyncio.Future[Answer | None]] = {}
        self._reads_alone = False
        self._finding_out = asyncio.Lock()
        self._genderless: bool | None = None
        self.unavailable: dict[str, str] = {}

    async def find(self, probes: Sequence[Probe]) -> Candidates:
        """Return who the probes could be; the searches go from sure to vague.

        Who carries an identifier of the person's own ends the search for its probe, whatever the name says: identity
        decides about that. Whom the ledger knows to be near, or who shares the mother's NIK, may be a sibling: it goes on.
        """
        by_gender = await self._works("gender")
        found: dict[int, dict[str, Resource]] = {probe.number: {} for probe in probes}
        await self._ask_kind(Kind.READ, probes, found, by_gender=by_gender)
        given = await self._ask_kind(Kind.IDENTIFIER, probes, found, by_gender=by_gender)
        unknown = [probe for probe in probes if not _is_identified(probe, given, found[probe.number].values())]
        near = {probe.number: len(found[probe.number]) for probe in unknown}
        for kind in (Kind.BIRTH_DATE, Kind.PHONE):
            await self._ask_kind(kind, unknown, found, by_gender=by_gender)
        nameless = [probe for probe in unknown if len(found[probe.number]) == near[probe.number]]
        await self._ask_kind(Kind.NAME, nameless, found, by_gender=by_gender)
        return Candidates(
            patients={patient_id: one for patients in found.values() for patient_id, one in patients.items()},
            found={number: tuple(patients) for number, patients in found.items()},
        )

    def forget(self, patients: Sequence[Resource]) -> None:
        """Drop every answer that these Patients, as they are now or as they were found, could have changed."""
        for patient in patients:
            stale = list(_stale_questions(patient))
            self._kept.drop(patient.get("id", ""), stale)
            for question in stale:
                self._asking.pop(question, None)  # its answer is on the way already: given, but not kept

    def forget_all(self) -> None:
        """Drop every answer: everybody who was looked for has been found or not."""
        self._kept = Answers()

    async def _ask_kind(
        self, kind: Kind, probes: Sequence[Probe], found: Mapping[int, dict[str, Resource]], *, by_gender: bool
    ) -> Mapping[Question, Answer]:
        """Ask one kind of question for all probes and add the masters of whom it finds to `found`; return the answers."""
        dated = Kind.BIRTH_DATE not in self.unavailable
        asked = {
            probe.number: tuple(questions_of(probe, kind, by_gender=by_gender, by_birth_date=dated)) for probe in probes
        }
        questions = list(dict.fromkeys(question for several in asked.values() for question in several))
        if not questions or not await self._may_ask(kind):
            return {}
        try:
            given = await self._answers(kind, questions)
        except UntrustedAnswerError as error:
            if kind in {Kind.READ, Kind.IDENTIFIER}:
                raise
            self._leave_out(kind, str(error))
            return {}
        masters = await self._masters({one["id"]: one for answer in given.values() for one in answer})
        for number, several in asked.items():
            for question in several:
                for patient in given[question]:
                    master = masters[patient["id"]]
                    found[number][master["id"]] = master
                    # Somebody else's merge may leave with the replaced one what it told of the person.
                    if patient["id"] != master["id"]:
                        found[number][patient["id"]] = _naming(master, patient)
        return given

    async def _may_ask(self, kind: Kind) -> bool:
        if kind is Kind.READ:
            return True
        works = await self._works(kind)
        if not works and kind is Kind.IDENTIFIER:
            raise PermanentServerError(
                "The FHIR server cannot be searched for Patients by identifier, so nobody can be told from a new person: "
                + self.unavailable[kind]
            )
        return works

    async def _works(self, parameter: str) -> bool:
        if parameter in self.unavailable:
            return False
        proof = await self._reader.prove_search("Patient", parameter)
        if not proof.works:
            self._leave_out(parameter, proof.words)
        return proof.works

    def _leave_out(self, parameter: str, words: str) -> None:
        self.unavailable[str(parameter)] = words
        _log.warning("People are not searched by %s on this server: %s", parameter, words)

    async def _answers(self, kind: Kind, questions: Sequence[Question]) -> dict[Question, Answer]:
        """Return the answers: kept ones, ones that somebody is asking for already, and newly asked ones."""
        given: dict[Question, Answer] = {}
        awaited: dict[Question, asyncio.Future[Answer | None]] = {}
        new: list[Question] = []
        for question in questions:
            kept = self._kept.get(question)
            if kept is not None:
                given[question] = kept
            elif question in self._asking:
                awaited[question] = self._asking[question]
            else:
                new.append(question)
        given |= await self._ask_new(kind, new)
        for question, future in awaited.items():
            # Shielded: who gives up waiting must not take the answer from the others.
            answer = await asyncio.shield(future)
            given[question] = answer if answer is not None else (await self._answers(kind, [question]))[question]
        return given

    async def _ask_new(self, kind: Kind, questions: Sequence[Question]) -> dict[Question, Answer]:
        """Ask the server, and let others who want to know the same wait for it; None tells them that it failed."""
        flights = {question: asyncio.get_running_loop().create_future() for question in questions}
        self._asking |= flights
        given: dict[Question, Answer] = {}
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._search(kind, chunk)) for chunk in self._chunks(kind, questions)]
            for task in tasks:
                given |= task.result()
        except* ServerError as errors:
            raise _first(errors) from None
        finally:
            for question, flight in flights.items():
                flight.set_result(given.get(question))
                if self._asking.get(question) is flight:  # else it was forgotten meanwhile
                    del self._asking[question]
                    if question in given:
                        self._kept[question] = given[question]
        return given

    def _chunks(self, kind: Kind, questions: Sequence[Question]) -> Iterator[Sequence[Question]]:
        """Yield questions that go into one search; birth dates by gender, a masked NIK or a name alone."""
        alone = kind is Kind.READ and self._reads_alone
        one_by_one = kind is Kind.NAME or alone or (kind is Kind.IDENTIFIER and self._masked)
        size = 1 if one_by_one else QUESTIONS_A_SEARCH
        for _, alike in groupby(sorted(questions, key=lambda one: one.gender), key=lambda one: one.gender):
            together = list(alike)
            yield from (together[start : start + size] for start in range(0, len(together), size))

    async def _search(self, kind: Kind, questions: Sequence[Question]) -> dict[Question, Answer]:
        """Ask these questions in one search and give each its own answers."""
        if kind is Kind.READ:
            return await self._read_all(questions)
        asked = {str(kind): [value for question in questions for value in search_values(question)]}
        searches = [asked]
        if questions[0].gender:
            # Whose gender the server does not know may still be who is looked for.
            searches = [asked | {"gender": [questions[0].gender, "other", "unknown"]}]
            if await self._some_lack_gender():
                searches.append(asked | _WITHOUT_GENDER)
        matched: dict[Question, dict[str, Resource]] = {question: {} for question in questions}
        by_value = {question.value: question for question in questions}
        count = 0
        for parameters in searches:
            async for patient in self._reader.search("Patient", parameters):
                count += 1
                for question in self._questions_answered(patient, questions, by_value):
                    matched[question][patient["id"]] = patient
                if kind is Kind.NAME and count >= MOST_NAMESAKES:
                    break
        return {question: tuple(patients.values()) for question, patients in matched.items()}

    async def _some_lack_gender(self) -> bool:
        """Return whether the server has Patients without any gender, as far as it searches for them; found out once."""
        async with self._finding_out:
            if self._genderless is None:
                self._genderless = await self._finds_without_gender()
        return self._genderless

    async def _finds_without_gender(self) -> bool:
        try:
            async for patient in self._reader.search("Patient", _WITHOUT_GENDER):
                return "gender" not in patient  # else the server passed over the question
        except PermanentServerError:
            pass  # it does not search so; what else it refuses is told by the search itself
        return False

    async def _read_all(self, questions: Sequence[Question]) -> dict[Question, Answer]:
        """Read Patients by their ids together, where the server searches by `_id`; who is not found so is read alone."""
        ids = [question.value for question in questions]
        found: dict[str, Resource] = {}
        if len(ids) > 1 and not self._reads_alone:
            try:
                found = {str(one["id"]): one async for one in self._reader.search("Patient", {str(Kind.READ): ids})}
            except AccessRefusedError:
                raise
            except PermanentServerError:
                self._reads_alone = True
        async with asyncio.TaskGroup() as group:
            reads = {one: group.create_task(self._reader.read("Patient", one)) for one in ids if one not in found}
        found |= {patient_id: patient for patient_id, read in reads.items() if (patient := read.result()) is not None}
        return {each: (found[each.value],) if each.value in found else () for each in questions}

    def _questions_answered(
        self, patient: Resource, questions: Sequence[Question], by_value: Mapping[str, Question]
    ) -> Iterable[Question]:
        """Return which of the questions a match answers; none, where the server found who was not asked for."""
        if self._masked and questions[0].kind is Kind.IDENTIFIER:
            return questions  # one question, and the reader has looked at what is not masked
        return {by_value[value] for value in matching_values(patient, questions[0].kind) if value in by_value}

    async def _masters(self, patients: Mapping[str, Resource]) -> dict[str, Resource]:
        """Return for each Patient who stands for it now: itself, or who replaced it.

        An inactive Patient without a successor stands for itself, inactive as it is: whether it may be linked or a second
        person created is not for a search to say.
        """

        async def read(patient_id: str) -> Resource | None:
            question = Question(Kind.READ, patient_id)
            return next(iter((await self._answers(Kind.READ, [question]))[question]), None)

        return {patient_id: await master_of(patient, read) or patient for patient_id, patient in patients.items()}


def _naming(master: Resource, replaced: Resource) -> Resource:
    """Return a replaced Patient as one that names its master, whoever stands between them."""
    return {**replaced, "link": [{"other": {"reference": f"Patient/{master['id']}"}, "type": "replaced-by"}]}


def _is_identified(probe: Probe, given: Mapping[Question, Answer], patients: Iterable[Resource]) -> bool:
    """Return whether somebody was found by an identifier of the person's own, or carries one of them."""
    own = own_identifiers(probe)
    return any(given.get(Question(Kind.IDENTIFIER, value)) for value in own) or any(
        not own.isdisjoint(matching_values(patient, Kind.IDENTIFIER)) for patient in patients
    )


def _first(errors: BaseExceptionGroup[ServerError]) -> BaseException:
    """Return one of the errors: they tell of the same server."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _stale_questions(patient: Resource) -> Iterator[Question]:
    """Yield the questions whose answers a Patient, as it is now, belongs to."""
    yield Question(Kind.READ, str(patient.get("id", "")))
    for kind in (Kind.IDENTIFIER, Kind.PHONE, Kind.NAME):
        yield from (Question(kind, value) for value in matching_values(patient, kind))
    for day in matching_values(patient, Kind.BIRTH_DATE):
        yield from (Question(Kind.BIRTH_DATE, day, gender) for gender in GENDERS)
