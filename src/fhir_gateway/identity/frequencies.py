"""SKELETON: signatures are final, bodies follow within minutes."""

from collections.abc import Mapping


class Frequencies:
    """How common name tokens are: the share of people who carry one."""

    def __init__(self, counts: Mapping[str, int] | None = None, people: int = 0) -> None:
        """Build from counts of people per normalised token, added to the shipped ones."""


def default_frequencies() -> Frequencies:
    """Return the shipped frequencies of common Indonesian names."""
    raise NotImplementedError
