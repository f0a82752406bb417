"""The weights of agreements (data, with their origin) and what an environment may set."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from fhir_gateway.domain.errors import ConfigurationError, ConfigurationProblem

_SHIPPED = "parameters.toml"
_SETTINGS = {"household", "names"}


@dataclass(frozen=True, slots=True)
class MatchingPolicy:
    """What an environment may set in `[matching]`; weights are in bits: log2 of the odds that two records are one person.

    `certain`: from this weight on, two records are linked without asking, unless a veto stands against it (10 bits are
    odds of 1,000 to 1). `probable`: from here on an operator is asked. `possible`: from here on a candidate is worth
    showing. `margin`: by how many bits the best candidate must lead over another person. `prior`: the odds before any
    evidence, one person among the inhabitants of a regency.
    """

    certain: float = 10.0
    probable: float = 3.0
    possible: float = -4.0
    margin: float = 5.0
    prior: float = -17.0

    def problems(self) -> tuple[str, ...]:
        """Return what contradicts itself in these settings, in words."""
        found = []
        if not self.possible <= self.probable <= self.certain:
            found.append("possible, probable and certain must not fall")
        if self.margin < 0:
            found.append("margin must not be negative")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class NameWeights:
    """How words add up to a name's weight, in bits; `later_words` is the share that words after the first count."""

    word_most: float
    all_most: float
    later_words: float
    near_word: float
    initial: float
    mother_most: float


@dataclass(frozen=True, slots=True)
class HouseholdWeights:
    """How mother, phone, place and family card add up: to `most` bits at most, where one of the same family would stand.

    `later` is the share that disagreements after the worst one count.
    """

    most: float
    later: float


@dataclass(frozen=True, slots=True)
class MatchingParameters:
    """Weights by `field.level`: log2(m/u) where u is given, log2(m) where it comes from frequencies; and their origins."""

    weights: Mapping[str, float]
    names: NameWeights
    household: HouseholdWeights
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def birth_date_exact(self) -> float:
        """The weight of the same birth date."""
        return self.weights["birth_date.exact"]


@lru_cache(maxsize=1)
def default_parameters() -> MatchingParameters:
    """Return the shipped parameters."""
    return load_parameters(resources.files(__package__).joinpath(_SHIPPED).read_text("utf-8"))


def load_parameters(text: str, *, file: str = _SHIPPED) -> MatchingParameters:
    """Read parameters from TOML; raises ConfigurationError that names every fault."""
    problems: list[str] = []
    weights: dict[str, float] = {}
    origins: dict[str, str] = {}
    document = _parse(text, file)
    for name, levels in document.items():
        if name in _SETTINGS:
            origins[name] = str(levels.get("origin", ""))
            continue
        for level, entry in levels.items():
            weights[f"{name}.{level}"] = _weight(f"{name}.{level}", entry, problems)
            origins[f"{name}.{level}"] = str(entry.get("origin", "")) if isinstance(entry, dict) else ""
    problems.extend(f"{name}: its origin is missing" for name, origin in origins.items() if not origin)
    settings = {name: _settings(name, document.get(name, {}), problems) for name in sorted(_SETTINGS)}
    if problems:
        raise ConfigurationError([ConfigurationProblem(file, 0, 0, problem) for problem in problems])
    return MatchingParameters(
        MappingProxyType(weights),
        NameWeights(**settings["names"]),
        HouseholdWeights(**settings["household"]),
        MappingProxyType(origins),
    )


def _parse(text: str, file: str) -> dict[str, dict[str, Any]]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([ConfigurationProblem(file, 0, 0, f"it is no TOML: {error}")]) from error
    wrong = [name for name, levels in document.items() if not isinstance(levels, dict)]
    if wrong:
        raise ConfigurationError([ConfigurationProblem(file, 0, 0, f"{name} must be a table") for name in wrong])
    return document


def _weight(name: str, entry: Any, problems: list[str]) -> float:
    m = entry.get("m") if isinstance(entry, dict) else None
    u = entry.get("u", 1.0) if isinstance(entry, dict) else None
    if not (isinstance(m, float) and isinstance(u, float) and 0 < m <= 1 and 0 < u <= 1):
        problems.append(f"{name}: m and u must be probabilities above 0 and at most 1")
        return 0.0
    return math.log2(m / u)


def _settings(name: str, entry: Mapping[str, Any], problems: list[str]) -> dict[str, float]:
    cls = NameWeights if name == "names" else HouseholdWeights
    values = {key: value for key, value in entry.items() if key != "origin"}
    if set(values) != set(cls.__slots__) or not all(isinstance(value, float) for value in values.values()):
        problems.append(f"{name}: it must hold the numbers {', '.join(cls.__slots__)}")
    return values
