"""What finding duplicates needs of the outside: room on disk for a whole server's people, and a second opinion."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class FindingRecords(Protocol):
    """Records on disk, by the number that they were given; personal data that nobody else can read."""

    def __len__(self) -> int: ...

    def extend(self, records: Sequence[bytes]) -> None:
        """Write records, numbered on from 0."""
        ...

    def get(self, number: int) -> bytes:
        """Return a record."""
        ...


class FindingNumbers(Protocol):
    """64-bit numbers on disk, in parts; each part is small enough to be sorted in memory."""

    def extend(self, part: int, values: "array[int]") -> None:
        """Write numbers into a part."""
        ...

    def parts(self) -> list[int]:
        """Return the parts that have numbers, in order."""
        ...

    def of(self, part: int) -> "array[int]":
        """Return the numbers of a part."""
        ...


class FindingStore(Protocol):
    """Room for one finding, which is gone afterwards, whatever happens."""

    def records(self) -> FindingRecords:
        """Return an empty file of records."""
        ...

    def numbers(self) -> FindingNumbers:
        """Return an empty file of numbers."""
        ...


class FindingWorkers(Protocol):
    """Who does what takes long, beside the event loop and, where there are several, beside each other."""

    @property
    def together(self) -> int:
        """How many pieces of work are worth having under way."""
        ...

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Return what a pure function of a module returns; what goes in and comes out can be pickled."""
        ...


class SecondOpinion(Protocol):
    """Another model's opinion on pairs of people."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    def probabilities(
        self, people: Iterable[Mapping[str, str]], pairs: Sequence[tuple[str, str]]
    ) -> Mapping[tuple[str, str], float]:
        """Return, for pairs of ids, the probability that they are one person; none where no model can be estimated.

        `people` are all of a server, each a row of the words that can be compared, by column ("" where unknown): id,
        name, first, nik, born, gender, mother, phone, place. The model is estimated on them; of an id that comes twice
        the last row counts.
        """
        ...
