"""One environment, opened: what the commands call."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

import httpx

from fhir_gateway.bootstrap.collecting import few_collections
from fhir_gateway.bootstrap.inputs import open_inputs
from fhir_gateway.bootstrap.memory import keep_large_blocks_apart, tidy_memory
from fhir_gateway.bootstrap.views import (
    PatientWithDoses,
    PersonView,
    ReviewView,
    Summary,
    explained,
    patients_with_doses,
    review_view,
    summary_of,
)
from fhir_gateway.candidates import ServerCandidates
from fhir_gateway.domain.errors import ConfigurationError, ConfigurationProblem, TransientServerError
from fhir_gateway.domain.outcomes import Outcome, RowOutcome
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import Provenance, Run
from fhir_gateway.fhir_server.check import ServerCheck, check_server, what_hinders_a_load
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.history import ServerHistory
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.waiting import ServerWait
from fhir_gateway.fhir_server.writer import ServerWriter
from fhir_gateway.flows import review as review_road
from fhir_gateway.flows.load import LoadInput, LoadRequest, LoadTools, load, niks_restored, retry
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports import Progress, Source
from fhir_gateway.ports.exports import FhirHistory
from fhir_gateway.reports import write_report
from fhir_gateway.settings import EMBEDDED, Environment, home, load_environment

T = TypeVar("T")

_READ_TOGETHER = 50


class Display(Progress, Protocol):
    """A progress display that can also say something."""

    def say(self, text: str) -> None:
        """Print a line beside the progress."""
        ...

    def rest(self) -> None:
        """End the phase that is shown."""
        ...


class SystemClock:
    """The computer's clock, in UTC (ports.Clock)."""

    def now(self) -> datetime:
        """Return the current time."""
        return datetime.now(UTC)


class Gateway:
    """One environment with its ledger; every method that needs the server connects for itself."""

    def __init__(self, environment: Environment, ledger: Ledger, display: Display) -> None:
        self.environment = environment
        self.ledger = ledger
        self.display = self._display = display
        self.clock = self._clock = SystemClock()

    def inputs(self, files: Sequence[Path], *, mapping: str, clinic: str) -> list[LoadInput]:
        """Open input files with their mappings."""
        return open_inputs(files, mapping=mapping, clinic=clinic, environment=self.environment, now=self._clock.now())

    def load(self, request: LoadRequest) -> Run:
        """Load, or resume, and return the finished run.

        Raises ConfigurationError, before anything is begun, where the server cannot be used as it is configured.
        """
        self._check_nobody_loads()
        keep_large_blocks_apart()
        with few_collections():
            return self._with_tools(lambda tools: load(request, tools), to_post=True)

    def retry(self, run: int, *, user: str) -> Run | None:
        """Send what a run left failed again; None where there is nothing to send."""
        self._check_nobody_loads()
        return self._with_tools(lambda tools: retry(run, user=user, tools=tools), to_post=True)

    def link(self, review: int, patient_id: str, *, user: str, note: str) -> Run:
        """Answer a review: the rows are this Patient's."""
        return self._with_tools(
            lambda tools: review_road.link(review, patient_id, user=user, note=note, tools=tools), to_post=True
        )

    def create(self, review: int, *, user: str, note: str) -> Run:
        """Answer a review: the rows are a new person's."""
        return self._with_tools(
            lambda tools: review_road.create(review, user=user, note=note, tools=tools), to_post=True
        )

    def reject(self, review: int, *, user: str, reason: str) -> int:
        """Answer a review: the rows are wrong. Return how many they are."""
        return self._with_tools(lambda tools: review_road.reject(review, user=user, reason=reason, tools=tools))

    def summary(self, run: Run, seconds: float | None = None) -> Summary:
        """Return a run's books."""
        return summary_of(self.ledger, run, seconds)

    def forget(self, run: Run) -> None:
        """Forget a dry run."""
        with self.ledger.transaction():
            self.ledger.runs.drop(run)

    def write_report(self, run: Run, source: Source, *, file: int, target: Path) -> None:
        """Write what became of every row of a file."""
        write_report(
            source, self._row_outcomes(run, file), target, restore=lambda rows: niks_restored(rows, self.ledger)
        )

    def files_without_rows(self, run: Run) -> list[str]:
        """Return the names of the files of which the run has no row."""
        return [file.name for n, file in enumerate(run.files) if next(self._row_outcomes(run, n), None) is None]

    def review(self, number: int) -> ReviewView | None:
        """Return a review with its rows and candidates, None where there is no such review."""
        item = self.ledger.reviews.get(number)
        return self.reviews([review_road.question_of(item, self.ledger)])[0] if item else None

    def reviews(self, questions: Sequence[review_road.Question]) -> list[ReviewView]:
        """Return reviews with their rows and candidates, in their order; the candidates are read together."""
        wanted = sorted(
            {patient_id for one in questions for patient_id in review_road.asked_about(one.item, self.ledger)}
        )
        people: dict[str, PatientWithDoses] = {}

        async def read(tools: LoadTools) -> None:
            for n in range(0, len(wanted), _READ_TOGETHER):
                people.update(await patients_with_doses(wanted[n : n + _READ_TOGETHER], tools.reader))

        if wanted:
            self._with_tools(read)
        return [review_view(self.ledger, one, people, self.environment.matching) for one in questions]

    def act(self, action: Callable[[LoadTools], Awaitable[T]], *, to_post: bool = False) -> T:
        """Do something with the environment's adapters, connected; `to_post` checks first whether the server can be used."""
        return self._with_tools(action, to_post=to_post)

    def look_back(self, action: Callable[[LoadTools, FhirHistory], Awaitable[T]]) -> T:
        """Do something with the environment's adapters, connected, and with what its server remembers."""

        async def act(client: FhirClient) -> T:
            reader = ServerReader(client)
            return await action(self._tools(client, reader), ServerHistory(client, reader))

        return self._with_client(act)

    def connect(self, action: Callable[[FhirClient], Awaitable[T]]) -> T:
        """Do something with the environment's FHIR server, connected."""
        return self._with_client(action)

    def person(self, patient_id: str) -> PersonView | None:
        """Return a Patient with doses and where they came from, None where the server has no such Patient."""

        async def read(tools: LoadTools) -> tuple[Resource | None, list[Resource]]:
            patient = await tools.reader.read("Patient", patient_id)
            if patient is None:
                return None, []
            found = tools.reader.search("Immunization", {"patient": [patient_id]})
            return patient, [dose async for dose in found]

        patient, doses = self._with_tools(read)
        if patient is None:
            return None
        doses.sort(key=lambda dose: (str(dose.get("occurrenceDateTime", "")), str(dose["id"])))
        sources = self.ledger.keys.provenance(patient_id, [str(dose["id"]) for dose in doses])
        return PersonView(patient, doses, sources, self._decisions(sources))

    def check(self) -> ServerCheck:
        """Look at the environment's server: reach, credentials, version, searches."""

        async def look(client: FhirClient) -> ServerCheck:
            return await check_server(client)

        return self._with_client(look)

    def _decisions(self, sources: Sequence[Provenance]) -> list[str]:
        told: dict[str, list[str]] = {}
        for source in sources:
            run = self.ledger.runs.get(source.run)
            if run is None:
                continue
            file = next((n for n, f in enumerate(run.files) if f.name == source.file), 0)
            record = self.ledger.spool.record_at(run, file=file, row=source.row)
            stored = self.ledger.spool.decision_of(run, record[0]) if record else None
            if stored:
                lines = "\n  ".join(explained(self.ledger, run, stored.decision, self.environment.matching))
                told.setdefault(f"  {lines}", []).append(f"run {run.id}, {source.file}:{source.row}")
        return [f"{'; '.join(dict.fromkeys(places))}:\n{lines}" for lines, places in told.items()]

    def _row_outcomes(self, run: Run, file: int) -> Iterator[RowOutcome]:
        for row, key, settled in self.ledger.spool.settlements(run, file=file):
            yield RowOutcome(
                row=row,
                outcome=settled.outcome,
                reason=settled.reason,
                suggestion=settled.suggestion,
                patient_id="" if settled.outcome is Outcome.REVIEW else settled.patient_id,
                immunization_ids=settled.immunization_ids,
                match_grade=settled.grade or "",
                key=key,
            )

    def _with_tools(self, action: Callable[[LoadTools], Awaitable[T]], *, to_post: bool = False) -> T:
        async def act(client: FhirClient) -> T:
            reader = ServerReader(client)
            if to_post:
                await self._check_server(reader)
            return await action(self._tools(client, reader))

        return self._with_client(act)

    def _tools(self, client: FhirClient, reader: ServerReader) -> LoadTools:
        return LoadTools(
            ledger=self.ledger,
            reader=reader,
            writer=ServerWriter(client, reader),
            finder=ServerCandidates(reader, masked_identifiers=self.environment.fhir_server.masked_identifiers),
            clock=self._clock,
            progress=self._display,
            zone=self.environment.zone,
            matching=self.environment.matching,
            environment="" if self.environment.name == EMBEDDED else self.environment.name,
            tidy=tidy_memory,
        )

    def _check_nobody_loads(self) -> None:
        """Raise LedgerError where another load runs, before the server is spoken to; the load itself looks again."""
        with self.ledger.load_lock("a load that begins just now"):
            pass

    async def _check_server(self, reader: ServerReader) -> None:
        """Raise ConfigurationError for a server that answers, but cannot be used; one that is down may come back."""
        try:
            problem = await what_hinders_a_load(reader)
        except TransientServerError:
            return  # its patience is used up: the rows become `failed`
        if problem:
            file = f"environments/{self.environment.name}.toml"
            raise ConfigurationError([ConfigurationProblem(file, 0, 0, problem, "`env check` tells more")])

    def _with_client(self, action: Callable[[FhirClient], Awaitable[T]]) -> T:
        async def act(transport: httpx.AsyncBaseTransport | None) -> T:
            async with FhirClient(self.environment.fhir_server, transport=transport, on_wait=self._tell) as client:
                return await action(client)

        try:
            # The loop waits for the embedded server's threads before that is closed.
            with _transport(self.environment) as transport:
                return asyncio.run(act(transport))
        except BaseExceptionGroup as group:  # of tasks that ran side by side, the first failure tells
            raise _first(group) from None
        finally:
            self._display.rest()

    def _tell(self, wait: ServerWait) -> None:
        if wait.slow:
            self._display.say(f"still waiting for the FHIR server: {wait.reason}")
            return
        if not wait.down:
            self._display.say("the FHIR server is back, going on")
            return
        patience = "for ever" if wait.patience_left is None else f"for another {max(0.0, wait.patience_left):.0f} s"
        self._display.say(f"the FHIR server does not answer, waiting for it {patience}: {wait.reason}")


@contextmanager
def opened(name: str, display: Display) -> Iterator[Gateway]:
    """Open an environment with its ledger; raises ConfigurationError or LedgerError."""
    environment = load_environment(name, home())
    with Ledger(environment.ledger_url) as ledger:
        yield Gateway(environment, ledger, display)


@contextmanager
def ledger_of(name: str) -> Iterator[Ledger]:
    """Open an environment's ledger alone."""
    with Ledger(load_environment(name, home()).ledger_url) as ledger:
        yield ledger


@contextmanager
def _transport(environment: Environment) -> Iterator[httpx.AsyncBaseTransport | None]:
    """Run the embedded server inside the process where the environment is on it."""
    if environment.embedded_data is None:
        yield None
        return
    # Imported here: only who runs it needs it.
    from fhir_gateway.embedded_server.server import EmbeddedServer  # noqa: PLC0415
    from fhir_gateway.embedded_server.transport import EmbeddedTransport  # noqa: PLC0415

    with closing(EmbeddedServer(environment.embedded_data)) as server:
        yield EmbeddedTransport(server)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
