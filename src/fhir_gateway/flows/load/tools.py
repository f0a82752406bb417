"""What the load road works with, and what it is asked to do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Protocol

from fhir_gateway.domain.recent import forget_all
from fhir_gateway.domain.records import Converted, Rejected, SourceRecord
from fhir_gateway.domain.runs import Run
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ports import CandidateFinder, Clock, FhirReader, FhirWriter, Ledger, Progress, Source


class Converter(Protocol):
    """A mapping bound to its clinic, its environment and today."""

    def __call__(self, record: SourceRecord) -> Converted | Rejected:
        """Turn a row into resources, or say why not."""
        ...

    def convert_all(self, records: Sequence[SourceRecord]) -> list[Converted | Rejected]:
        """Turn rows into resources, each as it would be alone; quicker than one by one."""
        ...

    def forget(self) -> None:
        """Forget what was remembered of rows: the last one has been read."""
        ...


@dataclass(frozen=True, slots=True)
class LoadInput:
    """One input file with the mapping that reads it; `mapping_digest` changes with the mapping's content."""

    source: Source
    mapping: str
    mapping_digest: str
    convert: Converter


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What is to be loaded; `limit` counts data rows over all files, 0 means all."""

    inputs: Sequence[LoadInput]
    clinic: str = ""
    user: str = ""
    limit: int = 0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class LoadTools:
    """The adapters and policies of one environment."""

    ledger: Ledger
    reader: FhirReader
    writer: FhirWriter
    finder: CandidateFinder
    clock: Clock
    progress: Progress
    zone: tzinfo
    matching: MatchingPolicy = field(default_factory=MatchingPolicy)
    window: int = 100
    """People that are posted together; windows overlap."""
    window_doses: int = 300
    """Doses after which a window has enough people: they are what takes memory."""
    windows_in_flight: int = 3
    environment: str = ""
    """What `--env` names, "" for the environment that is used without it."""
    tidy: Callable[[], None] = forget_all
    """Is called between the legs: what one of them remembered is of no use to the next."""

    def sent_again_by(self, run: Run, *, when: str = "when the server answers again") -> str:
        """Tell how a run's failed rows are sent again."""
        option = f" --env {self.environment}" if self.environment else ""
        return f"run `fhir-gateway runs retry {run.id}{option}` {when}"
