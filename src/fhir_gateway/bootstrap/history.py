"""The history of merges, wired: searched, verified, signed, proved, written out, and a person erased from it."""

import base64
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fhir_gateway.audit.checkpoints import SigningKey, new_private_key, origin, read_signing_key
from fhir_gateway.audit.merkle import Prover, root_of
from fhir_gateway.audit.verify_history import PROOF_FORMAT, PROOF_VERSION, Checkpoint, HistoryCheck, PublicKey
from fhir_gateway.bootstrap.kept_results import kept_finding
from fhir_gateway.domain.errors import ConfigurationError, ConfigurationProblem, LedgerError, UsageError
from fhir_gateway.domain.history import Erasure, HistoryEvent, MergeFilter, MergeRecord, Parting, ToldEntry
from fhir_gateway.domain.merges import GroupPlan, JournalledChange
from fhir_gateway.domain.runs import Run
from fhir_gateway.ledger.merges.history import Addition
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.reports import check_writable
from fhir_gateway.reports.targets import whole_file
from fhir_gateway.settings import Environment, home, load_environment

_WITHOUT_CHECKPOINT = (
    "no checkpoint kept elsewhere was given, so it cannot be known whether the end of the history was cut off,"
    " nor whether somebody who has the signing key wrote all of it anew"
)
_UNSIGNED = (
    "; the last {} entries are signed by nobody yet: whoever can write to the ledger could have written them anew,"
    " hashes and all"
)

_KEYLESS = (
    "the gateway has no signing key, so signatures were checked by keys that the history itself names: whoever wrote it anew"
    " could have named others"
)


@dataclass(frozen=True, slots=True)
class MergeView:
    """A merge with all that is kept of it, and the run that made it; `plan` is None where it was erased."""

    record: MergeRecord
    run: Run | None
    plan: GroupPlan | None
    entries: Sequence[ToldEntry]
    changes: Sequence[JournalledChange]


@dataclass(frozen=True, slots=True)
class Verification:
    """What verifying a history found: `faults` (the first hundred of `fault_count`) name the bad rows, first ones first.

    `root` is in base64, `signed` is how many entries the newest checkpoint of a trusted key vouches for, `erased` are merges.
    `caveats` say what could not be known.
    """

    entries: int
    merges: int
    root: str
    checkpoints: int
    signed: int
    erased: tuple[int, ...]
    faults: tuple[str, ...]
    fault_count: int
    caveats: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.fault_count


class MergeHistory:
    """The history of one environment, as auditors ask for it."""

    def __init__(
        self, environment: Environment, ledger: Ledger, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._environment = environment
        self._ledger = ledger
        self._history = ledger.merges.history
        self._now = now

    def records(self, wanted: MergeFilter, *, before: int | None = None, limit: int | None = None) -> list[MergeRecord]:
        """Return merges, the newest first: at most `limit`, and only such with a number below `before`."""
        return self._ledger.merges.search.find(wanted, before=before, limit=limit)

    def record(self, merge: int) -> MergeRecord | None:
        """Return one merge as an auditor sees it, None where there is none of this number."""
        found = self._ledger.merges.search.find(MergeFilter(), before=merge + 1, limit=1)
        return found[0] if found and found[0].merge.id == merge else None

    def partings(self, wanted: MergeFilter) -> list[Parting]:
        """Return decisions that Patients are different people, the newest first."""
        return self._ledger.merges.search.partings(wanted)

    def show(self, merge: int) -> MergeView | None:
        """Return everything that is kept of a merge, None where there is none of this number."""
        record = self.record(merge)
        if record is None:
            return None
        journal = self._ledger.merges
        run = self._ledger.runs.get(record.merge.run)
        return MergeView(
            record, run, journal.plan_of(merge), journal.search.entries(merge), list(journal.changes(merge))
        )

    def verify(self, checkpoints: Mapping[str, str], keys: Sequence[PublicKey] = ()) -> Verification:
        """Recompute everything and hold it against checkpoints that were kept elsewhere: name → note.

        Only what `keys` have signed counts, without any what the gateway's own has. Raises UsageError for a note that is
        no checkpoint.
        """
        given = {name: _checkpoint(name, note) for name, note in checkpoints.items()}
        trusted = keys or self._public_key()
        check = self._ledger.merges.check(given, trusted)
        return Verification(
            entries=check.tree.size,
            merges=check.merges,
            root=base64.b64encode(check.tree.root()).decode(),
            checkpoints=len(check.checkpoints),
            signed=check.signed,
            erased=tuple(sorted(key for key in check.erased if key > 0)),
            faults=tuple(str(fault) for fault in check.faults),
            fault_count=check.fault_count,
            caveats=_caveats(check, [checkpoint.size for checkpoint in given.values()], own_key=bool(trusted)),
        )

    def checkpoint(self) -> str:
        """Return a signed checkpoint over all entries; a new one only where something was added since the last.

        One of before counts of merges were signed is signed anew, too. Raises ConfigurationError where the signing key cannot be used.
        """
        with self._ledger.transaction():
            self._history.lock()
            key = self._signing_key()
            newest = self._history.newest_checkpoint()
            last = _signed_by(key.public, newest[1]) if newest else None
            if newest and last and last.merges is not None and last.size == self._history.size() - 1:
                return newest[1]
            now = self._now()
            if last is None:
                self._history.add(Addition(HistoryEvent.KEY, notes={"key": str(key.public)}), at=now)
            head = self._history.head()
            note = key.sign(head, time=now)
            self._history.keep_checkpoint(note, head, at=now)
            return note

    def public_key(self) -> str:
        """Return the public key of the checkpoints, as https://c2sp.org/signed-note writes it."""
        with self._ledger.transaction():
            return str(self._signing_key().public)

    def prove(self, merge: int, *, earlier: str = "") -> dict[str, Any]:
        """Return the proof that these are all of a merge's entries, and that `earlier`, a checkpoint, is of the history.

        Raises UsageError where there is no such merge or `earlier` is no checkpoint, LedgerError where that does not fit.
        """
        if not self._history.raw(merge, size=self._history.size()):
            raise UsageError(f"there is no merge {merge}; `fhir-gateway merge history` lists them")
        newest = Checkpoint.parse(note := self.checkpoint())
        counts = self._history.count_leaves(newest.size)
        if merge > len(counts):
            raise LedgerError("the history lacks merges: `fhir-gateway merge verify` tells more")
        leaves = list(self._history.leaves(newest.size))
        prover = Prover(leaves)
        return {
            "format": PROOF_FORMAT,
            "version": PROOF_VERSION,
            "merge": merge,
            "checkpoint": note,
            "entries": [
                {
                    "entry": body.decode(),
                    "index": number - 1,
                    "path": [step.hex() for step in prover.inclusion(number - 1)],
                }
                for number, body in self._history.raw(merge, size=newest.size)
            ],
            "count_path": [step.hex() for step in Prover(counts).inclusion(merge - 1)],
            "earlier": [_bridge(earlier, leaves, prover)] if earlier else [],
        }

    def export(self, target: Path, *, personal: bool) -> None:
        """Write the history for verification elsewhere, signed; `personal` adds identifiers, plans and resources.

        Raises ReportError for a target that cannot be, InterruptedRunError where writing failed.
        """
        check_writable(target)
        self.checkpoint()  # names the key in the history, by which the export's own signature is checked
        with self._ledger.transaction():
            now, key = self._now(), self._signing_key()
        lines = self._ledger.merges.export(
            environment=self._environment.name, personal=personal, at=now, sign=lambda head: key.sign(head, time=now)
        )
        with whole_file(target) as path, path.open("wb") as file:
            file.writelines(lines)

    def to_erase(self, *, nik: str = "", patient: str = "") -> Erasure:
        """Return what erasing a person would take away; raises UsageError where a merge among it is not finished."""
        return self._ledger.merges.erasing.find(nik=nik, patient=patient)

    def erase(self, what: Erasure, *, user: str, reason: str, via: str = "command") -> int:
        """Erase it for good and return the number of the entry that tells of it; what was found last goes with it."""
        with self._ledger.transaction():
            number = self._ledger.merges.erasing.erase(what, user=user, reason=reason, at=self._now(), via=via)
        kept_finding(self._environment.folder).unlink(missing_ok=True)
        self._ledger.compact()
        return number

    def _signing_key(self) -> SigningKey:
        """Return the key that signs, made if none is named and none was made yet; inside a transaction."""
        text = self._named_key() or _own_key(self._environment.history_key, create=True)
        return self._read_key(text, self._history.open())

    def _public_key(self) -> list[PublicKey]:
        """Return the one of the key that signs, none where none is named and none was made yet."""
        text = self._named_key() or _own_key(self._environment.history_key, create=False)
        return [self._read_key(text, self._history.ledger_id()).public] if text else []

    def _named_key(self) -> str:
        named = self._environment.audit.signing_key
        return named.value if named else ""

    def _read_key(self, text: str, ledger: str) -> SigningKey:
        try:
            return read_signing_key(origin(self._environment.name, ledger), text)
        except ValueError as error:
            own = str(self._environment.history_key)
            place = f"environments/{self._environment.name}.toml" if self._named_key() else own
            raise ConfigurationError([ConfigurationProblem(place, 0, 0, f"the signing key {error}")]) from error


@contextmanager
def history_of(name: str) -> Iterator[MergeHistory]:
    """Open an environment's ledger and with it its history; raises ConfigurationError or LedgerError."""
    environment = load_environment(name, home())
    with Ledger(environment.ledger_url) as ledger:
        yield MergeHistory(environment, ledger)


def _checkpoint(name: str, note: str) -> Checkpoint:
    try:
        return Checkpoint.parse(note)
    except ValueError as error:
        raise UsageError(f"{name}: {error}; `fhir-gateway merge checkpoint` prints one") from error


def _signed_by(key: PublicKey, note: str) -> Checkpoint | None:
    """Return the checkpoint, None where this key has not signed it; one that was altered in the ledger is none either."""
    try:
        checkpoint = Checkpoint.parse(note)
        return checkpoint if checkpoint.signers([key]) else None
    except ValueError:
        return None


def _bridge(note: str, leaves: Sequence[bytes], prover: Prover) -> dict[str, Any]:
    earlier = _checkpoint("the checkpoint", note)
    if not 0 < earlier.size <= len(leaves) or root_of(leaves[: earlier.size]) != earlier.root:
        raise LedgerError("the checkpoint is not of this history: `fhir-gateway merge verify --checkpoint` tells more")
    return {"checkpoint": note, "path": [step.hex() for step in prover.consistency(earlier.size)]}


def _caveats(check: HistoryCheck, sizes: Sequence[int], *, own_key: bool) -> tuple[str, ...]:
    size = check.tree.size
    caveats = () if own_key or not check.signed else (_KEYLESS,)
    if not sizes:
        unsigned = size - check.signed
        written = _UNSIGNED.format(unsigned) if unsigned > 1 else ""  # one alone tells of the checkpoint itself
        return (_WITHOUT_CHECKPOINT + written, *caveats)
    if max(sizes) < size:
        words = f"the given checkpoint vouches for {max(sizes)} {'entry' if max(sizes) == 1 else 'entries'}, nothing kept elsewhere for the {size - max(sizes)} after it"
        return (words, *caveats)
    return caveats


def _own_key(path: Path, *, create: bool) -> str:
    """Return the key that the gateway made for itself, "" where there is none yet."""
    try:
        if create and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(new_private_key())
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([ConfigurationProblem(str(path), 0, 0, "the signing key cannot be read")]) from error
