"""What auditors ask for among all that an environment's ledger tells of pulls and of changes."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fhir_gateway.domain.changes import ChangeFilter, ChangePlace
from fhir_gateway.domain.registry import PullFilter


class EventKind(StrEnum):
    """Whether a registry was told of somebody, or the gateway changed something."""

    PULL = "pull"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are asked for; what is left empty is not asked.

    `client` is a registry's, whose events are pulls; `user` and `run` are a change's. `patients` are bare ids, any of
    which an event may concern; `since` and `until` are inclusive.
    """

    kind: EventKind | None = None
    client: str = ""
    user: str = ""
    run: int | None = None
    patients: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    @property
    def pulls(self) -> PullFilter | None:
        """Which pulls these are, None for none."""
        if self.kind is EventKind.CHANGE or self.user or self.run is not None:
            return None
        return PullFilter(self.client, self.patients, self.since, self.until)

    @property
    def changes(self) -> ChangeFilter | None:
        """Which changes these are, None for none."""
        if self.kind is EventKind.PULL or self.client:
            return None
        return ChangeFilter(self.user, self.run, self.patients, self.since, self.until)


@dataclass(frozen=True, slots=True)
class EventPlaces:
    """How far each kind of event has been told, the newest first: of pulls, and of the changes of runs, merges, answers.

    A pull's place is its number and a Patient of it.
    """

    pull: tuple[int, str]
    run: ChangePlace
    merge: ChangePlace
    answer: ChangePlace
