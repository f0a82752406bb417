"""The ledger of one environment: its parts over one connection, transactions, and the locks of loads, merges and answers."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy import make_url, text

from fhir_gateway.domain.errors import LedgerError
from fhir_gateway.ledger.access import AccessKeys
from fhir_gateway.ledger.database import open_engine, plain_errors
from fhir_gateway.ledger.keys import Keys
from fhir_gateway.ledger.merges.changed import MergeChanged
from fhir_gateway.ledger.merges.jobs import MergeJobs
from fhir_gateway.ledger.merges.journal import Merges
from fhir_gateway.ledger.merges.merged_keys import MergedKeys
from fhir_gateway.ledger.registry.clients import RegistryClients
from fhir_gateway.ledger.registry.exports import Exports
from fhir_gateway.ledger.registry.groups import Groups
from fhir_gateway.ledger.registry.pulls import Pulls
from fhir_gateway.ledger.runs.answered import AnswerChanges
from fhir_gateway.ledger.runs.changed import RunChanges
from fhir_gateway.ledger.runs.reviews import Reviews
from fhir_gateway.ledger.runs.runs import Runs
from fhir_gateway.ledger.runs.verdicts import Verdicts
from fhir_gateway.ledger.spool.spool import Spool

_LONGEST_WORDS = 400
_PAUSE = 0.05
"""Seconds between two looks whether another process's answer has been posted."""
_LOOKS = 1200


class _PlaceTakenError(LedgerError):
    """Another process holds the lock."""


class Ledger:
    """The ledger at `url`; close it, or use it as a context manager. Raises LedgerError where it cannot be used."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._answering = False
        self._engine = open_engine(url)
        self._connection = self._engine.connect()
        self.runs = Runs(self._connection)
        self.spool = Spool(self._connection, self._engine)
        self.keys = Keys(self._connection)
        self.reviews = Reviews(self._connection)
        self.verdicts = Verdicts(self._connection)
        self.merges = Merges(self._connection)
        self.access = AccessKeys(self._connection)
        self.merge_jobs = MergeJobs(self._connection)
        self.merged_keys = MergedKeys(self._connection)
        self.registry_clients = RegistryClients(self._connection)
        self.pulls = Pulls(self._connection)
        self.exports = Exports(self._connection)
        self.groups = Groups(self._connection)
        self.answer_changes = AnswerChanges(self._connection)
        self.run_changes = RunChanges(self._connection)
        self.merge_changed = MergeChanged(self._connection, self.merges)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything that happens inside, or nothing."""
        with plain_errors():
            try:
                yield
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.commit()

    @contextmanager
    def load_lock(self, what: str) -> Iterator[Callable[[str], None]]:
        """Hold the environment's one place for a load; `what` tells others who holds it.

        Yields what changes those words. Raises LedgerError naming the load that runs. The lock goes with the process,
        however that ends.
        """
        with self._held(".lock", what, "a load runs in this environment already: {holder}; wait for it to end") as tell:
            yield tell

    @contextmanager
    def merge_lock(self, what: str) -> Iterator[None]:
        """Hold the environment's one place for merging; loads go on beside it. Raises LedgerError as load_lock does."""
        with self._held(
            ".merge.lock", what, "merges are made in this environment already: {holder}; wait for their end"
        ):
            yield

    @asynccontextmanager
    async def answer_lock(self, what: str) -> AsyncIterator[None]:
        """Hold the environment's one place for an answer to a review, and wait a minute for another process's.

        May be held within itself, as an answer settles further questions. Raises LedgerError naming who holds it.
        """
        if self._answering:
            yield
            return
        refusal = "another answer is being posted in this environment: {holder}; run the command again after it"
        with ExitStack() as stack:
            for look in range(_LOOKS):
                try:
                    stack.enter_context(self._held(".answer.lock", what, refusal))
                    break
                except _PlaceTakenError:
                    if look == _LOOKS - 1:
                        raise
                    await asyncio.sleep(_PAUSE)
            self._answering = True
            try:
                yield
            finally:
                self._answering = False

    @contextmanager
    def _held(self, suffix: str, what: str, refusal: str) -> Iterator[Callable[[str], None]]:
        path = Path(make_url(self._url).database or "ledger").with_suffix(suffix)
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise LedgerError(f"the lock {path} of the ledger cannot be opened: {error.strerror}") from error

        def tell(words: str) -> None:
            try:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, words.encode()[:_LONGEST_WORDS], 0)
            except OSError as error:
                raise LedgerError(
                    f"the lock {path} of the ledger cannot be written: {error.strerror}; what is done is kept,"
                    " run the command again when that is solved"
                ) from error

        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(descriptor, _LONGEST_WORDS).decode(errors="replace").strip()
                raise _PlaceTakenError(refusal.format(holder=holder or "it has just begun")) from None
            tell(what)
            yield tell
        finally:
            os.close(descriptor)

    def compact(self) -> None:
        """Take what was deleted out of SQLite's write-ahead log, too."""
        self._connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
