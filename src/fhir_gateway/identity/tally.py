"""How often numbers occur among many, in a few bytes for each that differs."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

_COUNTED_TOGETHER = 50_000
"""So many numbers are counted at once: only the distinct ones among them take more than sixteen bytes."""
_SHARE = 4
"""Of many distinct numbers so large a share is counted at once: what is known is gone through for each time."""


class Tally:
    """Counts numbers below 2⁶⁴; memory grows with the distinct ones, not with how many were added."""

    def __init__(self) -> None:
        self._waiting = array("Q")
        self._numbers = array("Q")
        self._counts = array("Q")

    def extend(self, numbers: Iterable[int]) -> None:
        """Count these numbers."""
        self._waiting.extend(numbers)
        if len(self._waiting) >= max(_COUNTED_TOGETHER, len(self._numbers) // _SHARE):
            self._take_in(Counter(self._waiting))
            self._waiting = array("Q")

    def add(self, other: "Tally") -> None:
        """Count what another one has counted."""
        waiting, counted = other.parts()
        self.extend(waiting)
        if counted:
            self._take_in(counted)

    def parts(self) -> tuple[Sequence[int], dict[int, int]]:
        """Return what was added lately as it was, and the counts of everything before."""
        return self._waiting, dict(zip(self._numbers, self._counts, strict=True))

    def items(self) -> Iterator[tuple[int, int]]:
        """Yield each number with its count, in no order that means anything."""
        self._take_in(Counter(self._waiting))
        self._waiting = array("Q")
        yield from zip(self._numbers, self._counts, strict=True)

    def _take_in(self, counted: dict[int, int]) -> None:
        for place, number in enumerate(self._numbers):
            self._counts[place] += counted.pop(number, 0)
        self._numbers.extend(counted.keys())
        self._counts.extend(counted.values())
