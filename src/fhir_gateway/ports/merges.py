"""The journal and the history of merges as flows see them; what the methods do is told where they are made."""

# ruff: noqa: D102 - the adapter's methods carry the docstrings

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from fhir_gateway.domain.merges import ChangeState, GroupPlan, JournalledChange, Merge


class MergeJournal(Protocol):
    """The merges of one environment: what each was to change, and how far it has come.

    Whatever closes a step (`finish`, `finish_undo`) adds its entry to the tamper-evident history in the same
    transaction, so that neither stands without the other.
    """

    def begin(  # noqa: PLR0913
        self,
        run: int,
        plan: GroupPlan,
        created: Sequence[JournalledChange],
        *,
        user: str,
        at: datetime,
        via: str = "command",
    ) -> Merge:
        """Write a group's changes down before anything is sent; `created` are resources that the merge will add.

        The plan's changes are numbered from 1 in their order, `created` go on from there. `via` says from where the
        merge was asked for.
        """
        ...

    def unfinished(self) -> list[Merge]:
        """Return merges that are APPLYING or UNDOING, oldest first."""
        ...

    def get(self, merge: int) -> Merge | None: ...

    def plan_of(self, merge: int) -> GroupPlan | None:
        """Return the plan that a merge follows (its changes without bodies), None where it was erased."""
        ...

    def changes(self, merge: int, *states: ChangeState) -> Iterator[JournalledChange]:
        """Yield a merge's changes in order, of those states only where any are named."""
        ...

    def replace(self, merge: int, changes: Sequence[JournalledChange]) -> None:
        """Write down what changes have become after they were planned anew, before that is sent: one entry for all.

        A number that the merge did not have yet is added: a resource that came to refer to a replaced Patient meanwhile.
        """
        ...

    def settle(self, merge: int, changes: Sequence[JournalledChange], *, requests: int = 0) -> None:
        """Write down what the server did with some changes."""
        ...

    def finish(self, merge: int, *, at: datetime, remaining: Sequence[str]) -> Merge:
        """Close a merge after its proof: APPLIED, with what still refers to a replaced Patient.

        It is closed again, with a new entry, when changes that failed were mended by repeating the command.
        """
        ...

    def begin_undo(  # noqa: PLR0913
        self,
        merge: int,
        *,
        user: str,
        at: datetime,
        reason: str,
        via: str = "command",
        decisions: Mapping[str, Any] = ...,
    ) -> Merge: ...

    def undo_decisions(self, merge: int) -> Mapping[str, Any]:
        """Return what was decided when the merge's undoing was begun or went on, {} where nothing was."""
        ...

    def finish_undo(self, merge: int, *, at: datetime, conflicts: Sequence[dict[str, Any]]) -> Merge:
        """Close an undoing: UNDONE; the pairs are kept apart from now on."""
        ...

    def part(self, patient_ids: Sequence[str], *, user: str, at: datetime, reason: str, via: str = "command") -> None:
        """Write down that an operator holds these Patients for different people."""
        ...

    def by_patient(self, patient_ids: Sequence[str]) -> list[Merge]:
        """Return the merges in which any of these Patients survived or was replaced, oldest first."""
        ...
