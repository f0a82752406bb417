"""Which of the people who meet under a blocking key are worth a full comparison.

Blocks hold many more strangers than records of one person, and nearly all of a comparison's work is the names and the
household. So the weights that are cheap to tell are added up first, and what is still to come is bounded by the most that
it can weigh: where the sum stays below what is asked for, the full comparison need not be made, its outcome is known.
The bounds are taken from the parameters themselves; a property test holds them against the comparison.
"""

import math
from typing import NamedTuple

from fhir_gateway.domain.identity import Grade
from fhir_gateway.identity.comparators import (
    BirthDateLevel,
    NikLevel,
    compare_birth_dates,
    compare_niks,
    compare_own_names,
    months_apart,
)
from fhir_gateway.identity.comparison import compare_records, same_gender, same_person, weight_if_possible
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.frequencies import Frequencies, default_frequencies
from fhir_gateway.identity.parameters import MatchingParameters, MatchingPolicy
from fhir_gateway.identity.vetoes import LIKE_NAME, OTHER_NAME, SAME_DAY, SAME_NAME, Levels
from fhir_gateway.identity.weighing import Household, weigh_household, weigh_name, weigh_record, weigh_same_birth_date
from fhir_gateway.people.name_agreement import WORDS_MISSING, NameAgreement, NameLevel
from fhir_gateway.people.name_contradiction import surely_contradict

_VETOED = frozenset({NikLevel.DIFFERENT, NikLevel.TYPO, NikLevel.DAMAGED_DIFFERS})
_DAMAGED_AGREE = frozenset({NikLevel.DAMAGED_AGREE, NikLevel.DAMAGED_AGREE_SERIAL})
_BOTH_SEXES = {"male", "female"}
_MONTHS_OF_ONE_BIRTH = 11
"""So many months of the calendar may lie between two days of one birth at most, 1 January for an unknown day included."""
_ROUNDING = 0.02
"""A comparison rounds the weights of name and household to hundredths."""


class _Compared(NamedTuple):
    """What the screen compared of two; None where it had no need to."""

    nik: NikLevel
    birth_date: BirthDateLevel | None = None
    name: NameAgreement | None = None
    household: Household | None = None


class Screen:
    """Says of two people whether their comparison can reach a grade at all; exact, symmetric, no I/O.

    `least` is POSSIBLE or PROBABLE. Without `frequencies` a name that agrees counts as if it were the rarest.
    """

    def __init__(self, policy: MatchingPolicy, frequencies: Frequencies | None = None, *, least: Grade) -> None:
        parameters = policy.parameters
        weights = parameters.weights
        self._policy = policy
        self._prior = policy.prior + _ROUNDING
        self._parameters = parameters
        self._frequencies = frequencies
        self._only_asked = least is not Grade.POSSIBLE
        enough = policy.probable if self._only_asked else policy.possible
        self._nik = {level: weights.get(f"nik.{level.value}", 0.0) for level in NikLevel}
        certain = policy.certain - (0.0 if self._only_asked else max(0.0, parameters.lots.most))  # which doses may tell
        self._otherwise_certain = {level: certain + min(0.0, weight) for level, weight in self._nik.items()}
        self._needed = {level: min(enough, bits) for level, bits in self._otherwise_certain.items()}
        self._needed.update((level, self._otherwise_certain[level]) for level in _VETOED)
        self._birth_date = {level: weights.get(f"birth_date.{level.value}", 0.0) for level in BirthDateLevel}
        self._any_birth_date = _most_of_dates(self._birth_date, parameters)
        self._name = {level: _most_of_name(level, parameters) for level in NameLevel}
        self._gender = {True: weights["gender.agree"], False: weights["gender.different"], None: 0.0}
        self._record = {True: weights["record_number.agree"], False: weights["record_number.different"], None: 0.0}
        if frequencies is None:
            self._record[False] = 0.0  # the one number may be nobody's
        self._household = max(0.0, parameters.household.most)
        self._family = max(0.0, min(parameters.household.family, parameters.household.most))
        self._least = {
            (nik, born, same_number): self._least_bits(nik, born, same_number=same_number)
            for nik in NikLevel
            for born in BirthDateLevel
            for same_number in (True, False)
        }

    def passes(self, left: PersonEvidence, right: PersonEvidence) -> bool:
        """Say whether a comparison is worth while; False is certain: it would be graded lower than asked for."""
        return self._compared(left, right) is not None

    def weight(self, left: PersonEvidence, right: PersonEvidence) -> float | None:
        """Return the weight that compare() tells, None where it grades CERTAINLY_NOT; what is compared for the screen is so once."""
        found = self._compared(left, right)
        if found is None:
            return None
        frequencies = self._frequencies or default_frequencies()
        levels = Levels(
            found.nik,
            found.name or compare_own_names(left, right),
            found.birth_date or compare_birth_dates(left, right),
            same_gender(left, right),
            found.household or weigh_household(left, right, self._parameters, frequencies),
            *compare_records(left, right, frequencies),
            same_person(left, right),
        )
        return weight_if_possible(left, right, levels, policy=self._policy, frequencies=frequencies)

    def _compared(self, left: PersonEvidence, right: PersonEvidence) -> "_Compared | None":
        """Return what was compared of two who may weigh enough or be of one birth, None of all others."""
        nik = compare_niks(left, right)
        if nik is NikLevel.AGREE or same_person(left, right):
            return _Compared(nik)
        born = compare_birth_dates(left, right)
        weight = self._prior + self._nik[nik]
        damaged = nik in _DAMAGED_AGREE
        if damaged or born is BirthDateLevel.EXACT:
            weight += self._most_of_birth_date(left, right, born, damaged=damaged)
        else:
            weight += self._birth_date[born]
        record, sharing = compare_records(left, right, self._frequencies or default_frequencies())
        weight += self._gender[same_gender(left, right)] + self._record[record]
        if sharing:
            weight += weigh_record(sharing, self._parameters)
        under_any_name, under_near_ones, under_other_ones = self._least[nik, born, record is True]
        if weight < under_any_name:
            return self._of_one_birth(left, right, _Compared(nik, born))
        if weight < under_other_ones and _contradict(left, right, as_typed=weight >= under_near_ones):
            return None  # nor are they of one birth
        name = compare_own_names(left, right)
        compared = _Compared(nik, born, name)
        needed = self._needed_with(nik, born, name.level, same_number=record is True)
        most = self._most_of_household(born, name.level)
        if weight + self._name[name.level] + most < needed:
            return self._of_one_birth(left, right, compared)
        return self._reaching(left, right, compared, name, bits=(weight, most, needed))

    def _reaching(
        self,
        left: PersonEvidence,
        right: PersonEvidence,
        compared: "_Compared",
        name: NameAgreement,
        *,
        bits: tuple[float, float, float],
    ) -> "_Compared | None":
        """Go on with names that are compared; bits: all else, at most of the household, what is needed."""
        frequencies = self._frequencies
        if frequencies is None:
            return compared
        weight, most, needed = bits
        if name.level is not NameLevel.UNKNOWN:
            weight += weigh_name(name, self._parameters, frequencies)
        if weight >= needed:
            return compared
        if weight + most >= needed:
            household = weigh_household(left, right, self._parameters, frequencies)
            compared = compared._replace(household=household)
            if weight + min(most, household.weight) >= needed:
                return compared
        return self._of_one_birth(left, right, compared)

    def _of_one_birth(self, left: PersonEvidence, right: PersonEvidence, compared: "_Compared") -> "_Compared | None":
        """Return what was compared of two whose mother cannot have borne both, and who may be asked about whatever they weigh.

        See too_near_for_two_births().
        """
        if months_apart(left, right) > _MONTHS_OF_ONE_BIRTH or {left.gender, right.gender} == _BOTH_SEXES:
            return None
        if not (left.newborn or right.newborn):
            name = compared.name
            if name is None:
                if _contradict(left, right, as_typed=False):  # most strangers' names do, which is told sooner
                    return None
                name = compare_own_names(left, right)
                compared = compared._replace(name=name)
            if name.level not in SAME_NAME:
                return None
        frequencies = self._frequencies
        if frequencies is None:
            return compared
        household = compared.household or weigh_household(left, right, self._parameters, frequencies)
        enough = household.weight >= self._parameters.household.whole_family
        return compared._replace(household=household) if enough else None

    def _most_of_birth_date(
        self, left: PersonEvidence, right: PersonEvidence, born: BirthDateLevel, *, damaged: bool
    ) -> float:
        if born is BirthDateLevel.EXACT:
            if self._frequencies is None:
                return max(0.0, self._birth_date[born] + self._parameters.birth_dates.rare_most)
            return weigh_same_birth_date(left, right, self._parameters, self._frequencies)
        return self._any_birth_date if damaged else self._birth_date[born]

    def _least_bits(self, nik: NikLevel, born: BirthDateLevel, *, same_number: bool) -> tuple[float, float, float]:
        """Return what must be there before name and household are added: at all, under names that may be nearly typed alike, under others."""
        missing = {
            name: self._needed_with(nik, born, name, same_number=same_number)
            - self._name[name]
            - self._most_of_household(born, name)
            for name in NameLevel
        }
        as_typed = min(missing[name] for name in (NameLevel.NEAR, *WORDS_MISSING))
        return min(missing.values()), as_typed, min(missing[name] for name in OTHER_NAME)

    def _most_of_household(self, born: BirthDateLevel, name: NameLevel) -> float:
        """Return the most that the household weighs: born the same day in one family under another name are twins."""
        return self._family if name in OTHER_NAME and born in SAME_DAY else self._household

    def _needed_with(self, nik: NikLevel, born: BirthDateLevel, name: NameLevel, *, same_number: bool) -> float:
        """Return the bits that a pair needs; infinitely many where nothing makes it one that is asked for."""
        # Never certain without a birth date, and nobody is asked about brothers and sisters: only a veto asks.
        other_birth = self._only_asked and born is BirthDateLevel.DIFFERENT and name not in SAME_NAME
        if nik not in _VETOED and (same_number or not other_birth):
            return self._needed[nik]
        copied = nik is NikLevel.DIFFERENT and born is BirthDateLevel.EXACT  # from another line, perhaps
        asked = name in LIKE_NAME or ((nik is NikLevel.TYPO or copied) and name in {NameLevel.NEAR, NameLevel.WEAK})
        asked = asked or (name is NameLevel.UNKNOWN and born in SAME_DAY)  # a newborn's, perhaps
        return self._otherwise_certain[nik] if asked else math.inf


def _contradict(left: PersonEvidence, right: PersonEvidence, *, as_typed: bool) -> bool:
    """Whether all names of two people surely contradict each other (see surely_contradict)."""
    if left.newborn or right.newborn or not (left.own_keys and right.own_keys):
        return False
    for one in left.own_keys:
        for other in right.own_keys:
            if not surely_contradict(one, other, as_typed=as_typed):
                return False
    return True


def _most_of_dates(levels: dict[BirthDateLevel, float], parameters: MatchingParameters) -> float:
    """Return the most that birth dates weigh where damaged NIKs agree: these may tell one, too."""
    told = parameters.birth_dates.told_by_nik * max(1.0, parameters.birth_dates.told_against)
    return max(0.0, *levels.values()) + max(0.0, told * levels[BirthDateLevel.EXACT])


def _most_of_name(level: NameLevel, parameters: MatchingParameters) -> float:
    base = parameters.weights.get(f"name.{level.value}", 0.0)
    if level in OTHER_NAME or level is NameLevel.UNKNOWN:
        return base
    most = base + parameters.names.all_most
    return max(0.0, most) if level is NameLevel.WEAK else most
