"""Files, servers and the clock, as flows see them."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from fhir_gateway.domain.identity import Candidates, Probe
from fhir_gateway.domain.posting import BundleEntry, EntryOutcome
from fhir_gateway.domain.records import Layout, Resource, SourceRecord, UnreadableRow


class Clock(Protocol):
    """The time, so that tests can hold it."""

    def now(self) -> datetime:
        """Return the current time, with its zone."""
        ...


class Source(Protocol):
    """An opened input file; it can be read any number of times."""

    path: Path
    layout: Layout
    header: tuple[str, ...]
    """The columns as the file spells them, `gateway_*` included."""
    unread: tuple[str, ...]
    """The columns that the mapping does not read, in words; a report's own are not among them."""
    without_doses: bool
    """Whether a wide sheet has none of the columns that hold doses: only persons are read from it."""
    delimiter: str
    """What separates the cells of a CSV file, "" in other kinds."""
    encoding: str
    """The name of Python's codec that a text file is read with, "" in other kinds."""
    byte_order_mark: bool
    """Whether a CSV report of this file begins with a BOM: always, unless the file is UTF-8 without one."""

    @property
    def modified(self) -> datetime:
        """When the file was last written, in UTC."""
        ...

    def records(self) -> Iterator[SourceRecord | UnreadableRow]:
        """Yield every data row in order, rows numbered from 1.

        Columns are in the layout's spelling, their values in the header's order, one for every column of the header.
        Raises SourceError where the file has changed since it was opened or cannot be read on, and behind the last row
        where all of them together say that the mapping reads a column wrong.
        """
        ...

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file's bytes, in hex."""
        ...

    def progress(self) -> float:
        """Return how much of the file the newest `records()` has read, from 0 to 1."""
        ...


class FhirReader(Protocol):
    """Reads a FHIR server; every method raises a ServerError when the server's patience is used up."""

    async def read(self, resource_type: str, resource_id: str) -> Resource | None:
        """Return the resource, None where it is missing or deleted."""
        ...

    def search(self, resource_type: str, parameters: Mapping[str, Sequence[str]]) -> AsyncIterator[Resource]:
        """Yield every match of every page; values of one parameter are alternatives (OR).

        Raises UntrustedAnswerError where the server did not search for what was asked (an ignored parameter).
        """
        ...


class FhirWriter(Protocol):
    """Writes batches to a FHIR server."""

    async def send(self, entries: Sequence[BundleEntry]) -> Sequence[EntryOutcome]:
        """Send the entries and return one outcome each, in their order; transient failures have been retried.

        A server that is gone for longer than the environment's patience gives UNAVAILABLE entries. Raises
        AccessRefusedError only: then nothing can be sent until the credentials are corrected.
        """
        ...


class CandidateFinder(Protocol):
    """Finds who a person could be on the server."""

    async def find(self, probes: Sequence[Probe]) -> Candidates:
        """Return the active Patients that really carry what was probed for, and masters of replaced ones.

        A replaced one whose number its master lacks is given beside it, and names it in its `replaced-by` link.
        """
        ...

    def forget(self, patients: Sequence[Resource]) -> None:
        """Drop cached answers that a Patient written by ourselves has made stale."""
        ...

    def forget_all(self) -> None:
        """Drop all cached answers: nobody else will be looked for in this run."""
        ...


class Progress(Protocol):
    """Shows an operator how far a run has come."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin a phase; `total` counts what it will do, None where that is not known."""
        ...

    def advance(self, done: int, share: float | None = None) -> None:
        """Say how much of the phase is done so far; `share`, from 0 to 1, where its total is not known as a number."""
        ...
