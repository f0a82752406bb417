"""SKELETON: signatures are final, bodies follow within minutes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MatchingPolicy:
    """What an environment may set in `[matching]`; weights are in bits, log2 of the odds that it is one person."""

    certain: float = 14.0
    """From this weight on two records are linked without asking, where no veto stands against it."""
    probable: float = 4.0
    """From this weight on an operator is asked."""
    possible: float = -4.0
    """From this weight on a candidate is shown as possible; below it is certainly not."""
    margin: float = 6.0
    """By how many bits the best candidate must lead over the next person."""
    prior: float = -20.0
    """The odds before any evidence: about one person in a population of a million."""


@dataclass(frozen=True, slots=True)
class MatchingParameters:
    """m and u probabilities of every agreement level, as log2 weights; see parameters.toml for their origin."""


def load_parameters(text: str = "") -> MatchingParameters:
    """Read parameters from TOML text, the shipped ones where it is empty; raises ConfigurationError."""
    raise NotImplementedError
