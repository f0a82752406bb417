"""Randomness that is the same on every machine for the same seed."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice(Random):
    """Python's Mersenne Twister with the three throws that an invented population needs."""

    def happens(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.random() < probability

    def pick(self, values: Sequence[T]) -> T:
        """Return one of the values, each as likely as any other."""
        return values[int(self.random() * len(values))]

    def pick_common(self, values: Sequence[T]) -> T:
        """Return one of the values, the first ones far more often, as given names and villages are."""
        return values[int(self.random() ** 1.8 * len(values))]


def dice_for(*parts: object) -> Dice:
    """Return dice of their own for this thing: the same parts always throw the same."""
    return Dice("\x1f".join(str(part) for part in parts))
