"""The weights of agreements (data, with their origin) and what an environment may set."""

import difflib
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from importlib import resources
from typing import Any

from fhir_gateway.domain.errors import ConfigurationError, ConfigurationProblem
from fhir_gateway.identity.comparators import BirthDateLevel, NikLevel
from fhir_gateway.people.name_agreement import NameLevel

_SHIPPED = "parameters.toml"


@dataclass(frozen=True, slots=True)
class Probabilities:
    """Of an agreement level: `m` among records of one person, `u` among those of two, None where frequencies tell it."""

    m: float
    u: float | None

    @property
    def weight(self) -> float:
        """The weight in bits: log2(m/u), log2(m) where u comes from frequencies."""
        return math.log2(self.m / (self.u or 1.0))


@dataclass(frozen=True, slots=True)
class NameWeights:
    """How words add up to a name's weight, in bits; `later_words` is the share that words after the first count."""

    word_most: float
    all_most: float
    later_words: float
    near_word: float
    near_least: float
    initial: float
    mother_most: float


@dataclass(frozen=True, slots=True)
class HouseholdWeights:
    """How mother, phone, place and family card add up: to `most` bits at most, where one of the same family would stand.

    `later` is the share that disagreements after the worst one count. From `family` bits on twins are looked for,
    from `whole_family` on it is the same family beyond doubt. `supporting` bits outweigh that a parent's name, the phone
    or the village differs; down to `another_parent` a parent's name or the phone is all that differs. Where two mothers'
    names differ, phone and village raise it to `two_mothers` at most: only a family's number tells more.
    """

    most: float
    later: float
    family: float
    whole_family: float
    supporting: float
    another_parent: float
    two_mothers: float


@dataclass(frozen=True, slots=True)
class CrowdWeights:
    """What a number weighs less that more than `crowd_people` (births) have: `per_root_of_more` bits, down to `least`."""

    crowd_people: float
    per_root_of_more: float
    least: float


@dataclass(frozen=True, slots=True)
class LotWeights:
    """What a lot, vaccine and day in common weigh: log2(m · `peers` / people who received it), at most `most` bits.

    `m` is the probability that two lists which have doses of one person have such a one in common. `peers` are as
    many children as would come into question for a dose of that day anyway.
    """

    m: float
    peers: float
    most: float


@dataclass(frozen=True, slots=True)
class BirthDateWeights:
    """The share of a birth date's weight that the date in two damaged NIKs has where the written ones differ.

    `told_against` is the share of that where the written dates speak against it. A birth date of a year in which few
    of the people were born tells more, by `rare_most` bits at most.
    """

    told_by_nik: float
    told_against: float
    rare_most: float


@dataclass(frozen=True, slots=True)
class RivalWeights:
    """By how many bits the bar is lower where nobody else comes into question.

    Below `certain`: `nobody`, but `family` where name, birth date and more of a family agree than differ, and `no_namesake`
    where only name and birth date do. `newborn`: so far above `probable` is enough for a mother's newborn and her only
    child of that day, and so much more (`unseen_twin`) where one of them was met on the server: then a twin may be in no
    file yet.
    """

    nobody: float
    family: float
    no_namesake: float
    newborn: float
    unseen_twin: float


@dataclass(frozen=True, slots=True)
class CountingWeights:
    """How much counts of the records at hand say beside the shipped frequencies, in people.

    The shipped shares weigh as much as `shipped_people`, that of any village as `place_people`. A word or phone that fewer
    than `established_people` carry is not kept. One that `common_people` carry is a name; but not beside a name of which it is
    less than the share `recurring_error`, for that one's typing errors recur. A word is one sex's that `clear_share` of its
    bearers has; the shipped lists count as `sex_word_people` and `sex_ending_people`, and at least `sex_least_people` must
    be known.
    """

    shipped_people: float
    established_people: float
    common_people: float
    recurring_error: float
    clear_share: float
    sex_word_people: float
    sex_ending_people: float
    sex_least_people: float
    place_people: float


@dataclass(frozen=True, slots=True)
class MatchingParameters:
    """Probabilities and weights (bits) by `field.level`, how they add up, and the origin of each by its key."""

    probabilities: Mapping[str, Probabilities]
    weights: Mapping[str, float]
    names: NameWeights
    household: HouseholdWeights
    phones: CrowdWeights
    records: CrowdWeights
    lots: LotWeights
    birth_dates: BirthDateWeights
    rivals: RivalWeights
    counting: CountingWeights
    origins: Mapping[str, str]


_GROUPS: Mapping[str, type] = {
    "names": NameWeights,
    "household": HouseholdWeights,
    "phones": CrowdWeights,
    "records": CrowdWeights,
    "lots": LotWeights,
    "birth_dates": BirthDateWeights,
    "rivals": RivalWeights,
    "counting": CountingWeights,
}
_TWO_LEVELS = ("gender", "phone", "place", "parent_nik", "family_card", "record_number")
_LEVELS = (
    *(f"nik.{level}" for level in NikLevel if level is not NikLevel.UNKNOWN),
    *(f"name.{level}" for level in NameLevel if level is not NameLevel.UNKNOWN),
    *(f"birth_date.{level}" for level in BirthDateLevel if level is not BirthDateLevel.UNKNOWN),
    *(f"mother.{level}" for level in ("agree", "near", "subset", "different")),
    *(f"{name}.{level}" for name in _TWO_LEVELS for level in ("agree", "different")),
    "parent.different",
    "own_identifier.agree",
)
"""Every level of the comparators."""
_SETTINGS = tuple(f"{group}.{each.name}" for group, kind in _GROUPS.items() for each in fields(kind))


@lru_cache(maxsize=1)
def default_parameters() -> MatchingParameters:
    """Return the shipped parameters."""
    return load_parameters(resources.files(__package__).joinpath(_SHIPPED).read_text("utf-8"))


def load_parameters(text: str, *, file: str = _SHIPPED, base: MatchingParameters | None = None) -> MatchingParameters:
    """Read parameters from TOML; raises ConfigurationError that names the file and every faulty key.

    With `base` the file need only hold what it replaces there; without, everything.
    """
    entries = _entries(text, file)
    problems = [*_unknown(entries), *([] if base else _missing(entries))]
    probabilities = dict(base.probabilities) if base else {}
    settings = _settings_of(base) if base else {}
    origins = dict(base.origins) if base else {}
    for key in (key for key in (*_LEVELS, *_SETTINGS) if key in entries):
        entry = entries[key]
        origins[key] = str(entry.get("origin", "")).strip()
        if not origins[key]:
            problems.append(f"{key}: its origin is missing")
        if key in _SETTINGS:
            settings[key] = _value(key, entry, problems)
        else:
            probabilities[key] = _probabilities(key, entry, base, problems)
    weights = {key: one.weight for key, one in probabilities.items()}
    problems.extend(_contradictions(weights))
    if problems:
        raise ConfigurationError([ConfigurationProblem(file, 0, 0, problem) for problem in problems])
    groups = {group: _group(group, kind, settings) for group, kind in _GROUPS.items()}
    return MatchingParameters(probabilities, weights, **groups, origins=origins)


def _entries(text: str, file: str) -> dict[str, dict[str, Any]]:
    """Return the file's tables by dotted key; raises ConfigurationError where it is no TOML or a table is none."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([ConfigurationProblem(file, 0, 0, f"it is no TOML: {error}")]) from error
    wrong = [name for name, levels in document.items() if not isinstance(levels, dict)]
    found: dict[str, dict[str, Any]] = {}
    for name in document.keys() - set(wrong):
        for level, entry in document[name].items():
            if isinstance(entry, dict):
                found[f"{name}.{level}"] = entry
            else:
                wrong.append(f"{name}.{level}")
    if wrong:
        problems = [ConfigurationProblem(file, 0, 0, f"{name}: it must be a table") for name in wrong]
        raise ConfigurationError(problems)
    return found


def _unknown(entries: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    known = (*_LEVELS, *_SETTINGS)
    for key, entry in entries.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            yield f"{key}: there is no such parameter" + (f" (did you mean {near[0]}?)" if near else "")
            continue
        allowed = {"value", "origin"} if key in _SETTINGS else {"m", "u", "origin"}
        yield from (f"{key}.{each}: unknown, it holds {', '.join(sorted(allowed))}" for each in entry.keys() - allowed)


def _missing(entries: Mapping[str, object]) -> Iterator[str]:
    return (f"{key}: it is missing" for key in (*_LEVELS, *_SETTINGS) if key not in entries)


def _probabilities(
    key: str, entry: Mapping[str, Any], base: MatchingParameters | None, problems: list[str]
) -> Probabilities:
    before = base.probabilities.get(key) if base else None
    m, u = entry.get("m", before.m if before else None), entry.get("u", before.u if before else None)
    if before and before.u is None and "u" in entry:
        problems.append(f"{key}.u: it comes from how common the words are, and cannot be set")
    if not all(_is_number(one) and 0 < one <= 1 for one in (m, 1.0 if u is None else u)):
        problems.append(f"{key}: m and u must be probabilities above 0 and at most 1")
        return Probabilities(1.0, 1.0)
    return Probabilities(float(str(m)), None if u is None else float(str(u)))


def _value(key: str, entry: Mapping[str, Any], problems: list[str]) -> float:
    value = entry.get("value")
    if _is_number(value):
        return float(str(value))
    problems.append(f"{key}: value must be a number")
    return 0.0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _contradictions(weights: Mapping[str, float]) -> Iterator[str]:
    """Yield where an agreement would speak against one person, or a disagreement for it."""
    for key, weight in weights.items():
        if key.endswith(".different") and weight > 0:
            yield f"{key}: a disagreement must not weigh more than 0 bits (m at most u)"
        agreement = key == "birth_date.exact" or (key.endswith(".agree") and key != "mother.agree")
        if agreement and weight < 0:
            yield f"{key}: an agreement must not weigh less than 0 bits (m at least u)"


def _settings_of(parameters: MatchingParameters) -> dict[str, float]:
    return {key: getattr(getattr(parameters, (names := key.split("."))[0]), names[1]) for key in _SETTINGS}


def _group(group: str, kind: type, settings: Mapping[str, float]) -> Any:
    return kind(**{each.name: settings[f"{group}.{each.name}"] for each in fields(kind)})


@dataclass(frozen=True, slots=True)
class MatchingPolicy:
    """What an environment may set in `[matching]`; weights are in bits: log2 of the odds that two records are one person.

    `certain`: from this weight on, two records are linked without asking, unless a veto stands against it (10 bits are
    odds of 1,000 to 1). `probable`: from here on an operator is asked. `possible`: from here on a candidate is worth
    showing. `margin`: by how many bits the best candidate must lead over another person. `prior`: the odds before any
    evidence, one person among the inhabitants of a regency. `parameters`: what each agreement weighs.
    """

    certain: float = 10.0
    probable: float = 3.0
    possible: float = -4.0
    margin: float = 5.0
    prior: float = -17.0
    parameters: MatchingParameters = field(default_factory=default_parameters, repr=False)

    def thresholds(self) -> dict[str, float]:
        """Return the weights in bits that may be set, by their names."""
        names = ("certain", "probable", "possible", "margin", "prior")
        return {name: getattr(self, name) for name in names}

    def problems(self) -> tuple[str, ...]:
        """Return what contradicts itself in these settings, in words."""
        found = []
        if not self.possible <= self.probable <= self.certain:
            found.append("possible, probable and certain must not fall")
        if math.isnan(self.margin) or self.margin < 0:
            found.append("margin must not be negative")
        return tuple(found)


THRESHOLDS = tuple(each.name for each in fields(MatchingPolicy) if each.name != "parameters")
"""The settings of `[matching]` that are bits."""
