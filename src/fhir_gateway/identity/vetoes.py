"""What forbids an automatic link whatever the weights say, and what is not enough for one.

A veto says that two records are two people, or that only an operator can tell. A caution says that what agrees is not
enough to link without asking: no name, birth date or family confirms it.
"""

from enum import StrEnum
from typing import NamedTuple

from rapidfuzz.distance import OSA

from fhir_gateway.domain.identity import Evidence, Veto
from fhir_gateway.identity.comparators import (
    GENERATION_YEARS,
    BirthDateLevel,
    NikLevel,
    compare_keys_of,
    days_apart,
    is_parents_number,
    years_apart,
)
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.parameters import MatchingParameters
from fhir_gateway.identity.weighing import Household
from fhir_gateway.people.name_agreement import WORDS_MISSING, NameAgreement, NameLevel
from fhir_gateway.people.name_slips import is_slip
from fhir_gateway.people.name_sounds import same_sound


class VetoCode(StrEnum):
    """Stable codes of the vetoes."""

    NIK_DIFFERENT = "nik-different"
    NIK_NAME_DISAGREES = "nik-name-disagrees"
    TWINS = "twins"
    POSSIBLE_TWINS = "possible-twins"
    PARENT = "parent-and-child"
    GENERATION = "generation"
    TIMELINE = "impossible-timeline"
    DECIDED = "decided-different"


WORDS = {
    VetoCode.NIK_DIFFERENT: "both have a valid NIK, and they differ",
    VetoCode.NIK_NAME_DISAGREES: "the NIK is the same, but the names disagree",
    VetoCode.TWINS: "twins: born the same day in the same family, with different names or birth order",
    VetoCode.POSSIBLE_TWINS: "possibly twins: born the same day in the same family, with names that only sound alike or tell nothing",
    VetoCode.PARENT: "the NIK of the one is that of the other's parent",
    VetoCode.GENERATION: "a generation lies between the birth dates",
    VetoCode.TIMELINE: "the one was born after the other had died",
    VetoCode.DECIDED: "an operator decided that these are two people",
}
SAME_DAY = frozenset({BirthDateLevel.EXACT, BirthDateLevel.DEFAULT_DAY, BirthDateLevel.SWAPPED, BirthDateLevel.CLOSE})
SAME_NAME = frozenset({NameLevel.EXACT, NameLevel.EQUIVALENT})
LIKE_NAME = frozenset({NameLevel.EXACT, NameLevel.EQUIVALENT, NameLevel.SUBSET, NameLevel.INITIALS})
_LIKE_OR_NEAR = LIKE_NAME | {NameLevel.NEAR}
OTHER_NAME = frozenset({NameLevel.DIFFERENT, NameLevel.PARTIAL})


class Levels(NamedTuple):
    """The agreement levels of two people's comparison, and what the household weighs.

    `sharing_record` is how many births stand under a record number in common that is several people's, 0 where none is.
    """

    nik: NikLevel
    name: NameAgreement
    birth_date: BirthDateLevel
    same_gender: bool | None
    household: Household
    same_record: bool | None
    sharing_record: int
    own: bool


def find_vetoes(
    left: PersonEvidence,
    right: PersonEvidence,
    levels: Levels,
    parameters: MatchingParameters,
    frequencies: Frequencies,
) -> tuple[Veto, ...]:
    """Return everything that forbids an automatic link."""
    codes: list[VetoCode] = []
    if levels.nik in {NikLevel.DIFFERENT, NikLevel.TYPO, NikLevel.DAMAGED_DIFFERS}:
        codes.append(VetoCode.NIK_DIFFERENT)
    if levels.nik is NikLevel.AGREE and (levels.name.level in OTHER_NAME or _newborn_of_another(left, right, levels)):
        codes.append(VetoCode.NIK_NAME_DISAGREES)
    twins = _twins(left, right, levels, parameters.household.family, frequencies)
    if twins:
        codes.append(twins)
    parents = levels.nik is not NikLevel.AGREE and _is_parents(left, right)
    if parents or _is_mother(left, right) or _is_mother(right, left):
        codes.append(VetoCode.PARENT)
    if years_apart(left, right) >= GENERATION_YEARS and _of_two_days(levels):
        codes.append(VetoCode.GENERATION)
    if _born_after_death(left, right) or _born_after_death(right, left):
        codes.append(VetoCode.TIMELINE)
    return tuple(VETOES[code] for code in codes)


def _of_two_days(levels: Levels) -> bool:
    """Whether the birth dates differ in more than the year, or no number tells that only the year is written wrong."""
    number = levels.nik is NikLevel.AGREE or levels.same_record or levels.own
    return levels.birth_date is BirthDateLevel.DIFFERENT or (levels.birth_date is BirthDateLevel.YEAR and not number)


VETOES = {code: Veto(code.value, words) for code, words in WORDS.items()}


def find_caution(
    left: PersonEvidence, right: PersonEvidence, levels: Levels, parameters: MatchingParameters
) -> Evidence | None:
    """Return why these two may not be linked without asking although nothing speaks against it."""
    if left.masked or right.masked:
        return _MASKED
    if levels.own:
        return None
    if levels.nik is NikLevel.AGREE:
        return _under_one_nik(left, right, levels)
    if levels.same_record and levels.name.level not in OTHER_NAME and levels.birth_date in SAME_DAY:
        return None
    return _unsupported(levels, parameters.household.supporting)


def _under_one_nik(left: PersonEvidence, right: PersonEvidence, levels: Levels) -> Evidence | None:
    """With the same NIK: the name must confirm it, and of birth date and family not both may be another's."""
    confirmed = levels.name.level is not NameLevel.UNKNOWN or (
        levels.birth_date in SAME_DAY and levels.household.weight > 0 and (left.newborn or right.newborn)
    )
    if not confirmed:
        return _NAMELESS
    other_day = levels.birth_date is BirthDateLevel.DIFFERENT and not _no_siblings(left, right, levels)
    other_sex = levels.birth_date not in SAME_DAY and levels.same_gender is False
    if other_day or other_sex:
        return _NO_BIRTH_DATE  # a brother's or sister's number
    other_family = levels.household.other_mother and levels.household.nothing_agrees
    return _OTHER_FAMILY if other_family and levels.birth_date in _OTHER_DATE else None


def _no_siblings(left: PersonEvidence, right: PersonEvidence, levels: Levels) -> bool:
    """Whether of one NIK, name and sex the birth dates lie too near for two births of one mother: one is written wrong."""
    if levels.name.level not in SAME_NAME or levels.same_gender is False or levels.household.weight < 0:
        return False
    return of_one_birth(left, right)


_BETWEEN_BIRTHS = 240
"""Days that lie at least between the births of one mother's children who are no twins."""


def of_one_birth(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Say whether two birth dates lie too near for two births of one mother, let alone for her own and her child's."""
    days = days_apart(left, right)
    return days is not None and days < _BETWEEN_BIRTHS


def _newborn_of_another(left: PersonEvidence, right: PersonEvidence, levels: Levels) -> bool:
    """Whether one is a newborn of that day under its mother's name, its only one, and the other's mother is another.

    Of another day no newborn without a name is taken for somebody; under a number that a hospital gives to all, many stand.
    """
    nameless = (left.newborn or right.newborn) and levels.name.level is NameLevel.UNKNOWN
    return nameless and levels.birth_date in SAME_DAY and levels.household.other_mother


def too_near_for_two_births(
    left: PersonEvidence, right: PersonEvidence, levels: Levels, parameters: MatchingParameters
) -> bool:
    """Say whether two of one mother's, whom no name or sex tells apart, were born too soon after each other for two births.

    Be a day written wrong or unknown: it is one child, or a twin. Both have the same name, or one is a newborn without
    any: of sisters under nearly one name the one may have the other's day.
    """
    unnamed = left.newborn or right.newborn
    if levels.same_gender is False or levels.name.level in OTHER_NAME:
        return False
    if not unnamed and levels.name.level not in SAME_NAME:
        return False
    if levels.household.weight < parameters.household.whole_family or levels.household.parents_differ:
        return False
    in_one_year = levels.birth_date in {BirthDateLevel.PARTLY, BirthDateLevel.PARTLY_MONTH}
    return in_one_year or of_one_birth(left, right)


def _unsupported(levels: Levels, supporting: float) -> Evidence | None:
    """Without a number that agrees: birth date, name and family must carry the link together."""
    if levels.birth_date in {BirthDateLevel.UNKNOWN, BirthDateLevel.DIFFERENT, BirthDateLevel.PARTLY}:
        return _NO_BIRTH_DATE
    inexact = levels.birth_date not in SAME_DAY or levels.same_gender is False
    if inexact and levels.name.level not in SAME_NAME:
        return _NOTHING_EXACT
    if levels.birth_date is BirthDateLevel.YEAR:
        return _NO_BIRTH_DATE  # an elder sister's day, a name like hers
    other_mothers = inexact and levels.household.other_mother
    other_family = other_mothers or (levels.household.parents_differ and levels.household.weight < 0)
    namesake = levels.nik is NikLevel.DAMAGED_AGREE and other_family
    if levels.nik in _NIK_SUPPORTS and levels.name.level in SAME_NAME and not namesake:
        return None
    village_only = levels.household.village_only and levels.name.level in WORDS_MISSING
    if village_only or other_mothers:
        return _NAMESAKES  # a village is many families', a phone some
    # A school has many of 1 January, and some of nearly one name: of these the village tells too little.
    common_day = levels.birth_date is BirthDateLevel.DEFAULT_DAY and levels.name.level is not NameLevel.EXACT
    enough = supporting if levels.household.mixed or common_day else 0.0
    return None if levels.household.weight > enough else _NAMESAKES


_OTHER_DATE = frozenset(
    {
        BirthDateLevel.SWAPPED,
        BirthDateLevel.DIGIT,
        BirthDateLevel.YEAR,
        BirthDateLevel.CLOSE,
        BirthDateLevel.DIFFERENT,
    }
)
_NIK_SUPPORTS = frozenset({NikLevel.DAMAGED_AGREE, NikLevel.DAMAGED_AGREE_SERIAL, NikLevel.ODD_NEAR})
ONE_BIRTH = Evidence(
    "births", "one", 0.0, "no mother bears again so soon, so that nobody is made a second person without asking"
)
_MASKED = Evidence("caution", "masked", 0.0, "the server hides what could confirm it")
_NAMELESS = Evidence("caution", "name-unconfirmed", 0.0, "the same NIK, but no name to confirm it")
_OTHER_FAMILY = Evidence(
    "caution",
    "other-family",
    0.0,
    "the same NIK, but another birth date and another family: it may be another's number",
)
_NO_BIRTH_DATE = Evidence("caution", "birth-date-unconfirmed", 0.0, "no birth date confirms it")
_NOTHING_EXACT = Evidence("caution", "nothing-exact", 0.0, "neither name nor birth date agrees exactly")
_NAMESAKES = Evidence(
    "caution", "namesakes", 0.0, "too little agrees beyond name and birth date: they may be namesakes"
)


def _twins(
    left: PersonEvidence, right: PersonEvidence, levels: Levels, family: float, frequencies: Frequencies
) -> VetoCode | None:
    """Born the same day in one family: another name or order of birth makes twins, a name that nearly agrees may."""
    if levels.birth_date not in SAME_DAY or levels.own:
        return None
    order = _birth_orders(left, right)
    if order is False:
        return VetoCode.TWINS
    if levels.name.level in SAME_NAME:
        labelled_twin = max(left.birth_order, right.birth_order) > 0
        spelled = labelled_twin and levels.name.level is not NameLevel.EXACT and not levels.same_record
        label = (labelled_twin or levels.same_gender is False) and _no_name_but_mothers(left, right)
        in_doubt = (spelled or label) and levels.nik is not NikLevel.AGREE and order is None
        return VetoCode.POSSIBLE_TWINS if in_doubt else None
    labelled = has_label(left) or has_label(right)
    if levels.household.usual < family:
        if levels.nik is NikLevel.AGREE:
            twins_number = levels.household.usual <= 0 and _a_sound_apart(levels.name, frequencies)
            return VetoCode.POSSIBLE_TWINS if twins_number else None
        one_or_twins = bool(levels.name.near) and levels.name.level not in OTHER_NAME
        alike = one_or_twins and levels.household.usual > 0
        return VetoCode.POSSIBLE_TWINS if alike and _name_in_doubt(levels, frequencies, labelled=labelled) else None
    return _twins_by_name(left, right, levels, frequencies, order=order)


def _no_name_but_mothers(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Whether two share no name but the mother's, which stands in the line of each of her newborns."""
    mothers = {*left.mother_keys, *left.parent_keys, *right.mother_keys, *right.parent_keys}
    own, others = (tuple(key for key in one.own_keys if key not in mothers) for one in (left, right))
    return compare_keys_of(own, others).level not in SAME_NAME


def _twins_by_name(
    left: PersonEvidence, right: PersonEvidence, levels: Levels, frequencies: Frequencies, *, order: bool | None
) -> VetoCode | None:
    level = levels.name.level
    if levels.nik is NikLevel.AGREE:
        sound_alike = level is NameLevel.NEAR and not _typing_error(levels.name, frequencies)
        boy_and_girl = levels.same_gender is False and (sound_alike or level is NameLevel.UNKNOWN)
        return VetoCode.POSSIBLE_TWINS if boy_and_girl else None
    if level in OTHER_NAME:
        return VetoCode.TWINS
    if level is NameLevel.UNKNOWN:
        return _newborn_twins(left, right, levels, order=order)
    one_is_twin = levels.same_record is False and order is None and max(left.birth_order, right.birth_order) > 0
    in_doubt = one_is_twin or _name_in_doubt(levels, frequencies, labelled=has_label(left) or has_label(right))
    return VetoCode.POSSIBLE_TWINS if in_doubt else None


def has_label(known: PersonEvidence) -> bool:
    """Say whether a row without a name of the child's own was joined with a child: it may have been its twin's."""
    return not known.newborn and any(name.newborn for name in known.names)


def _a_sound_apart(name: NameAgreement, frequencies: Frequencies) -> bool:
    """Whether names differ as those of twins do, by more than a slip of the finger."""
    words = ((one, other) for one, other in name.near if not is_slip(one, other))
    return name.level is NameLevel.NEAR and not all(_same_word(one, other, frequencies) for one, other in words)


def _name_in_doubt(levels: Levels, frequencies: Frequencies, *, labelled: bool) -> bool:
    """Whether names that nearly agree may be twins'; the same record number or a typing error makes them one child's.

    The number tells nothing where it may have come with a `labelled` row, that of a newborn without a name.
    """
    if levels.same_record:
        return labelled and not _typing_error(levels.name, frequencies)
    mistyped = not levels.name.near or _typing_error(levels.name, frequencies)
    if levels.same_gender is False:
        return not (levels.name.near and mistyped)
    return levels.name.level is NameLevel.WEAK or levels.name.shortened or not mistyped


def _birth_orders(left: PersonEvidence, right: PersonEvidence) -> bool | None:
    """Whether the orders of birth agree; None where one is unknown or both are single births."""
    one, other = left.birth_order, right.birth_order
    if one < 0 or other < 0 or (one == 0) != (other == 0):
        return None
    return one == other


def _newborn_twins(
    left: PersonEvidence, right: PersonEvidence, levels: Levels, *, order: bool | None
) -> VetoCode | None:
    """Newborns of one mother and day: two numbers at one clinic, or one known twin, may be two children."""
    if not (left.newborn or right.newborn) or order is True or levels.same_record:
        return None
    one_is_twin = max(left.birth_order, right.birth_order) > 0
    registered_twice = left.newborn and right.newborn and levels.same_record is False
    return VetoCode.POSSIBLE_TWINS if one_is_twin or registered_twice or levels.same_gender is False else None


def _typing_error(name: NameAgreement, frequencies: Frequencies) -> bool:
    """Whether names differ as typing makes them differ, and not as parents choose the names of twins."""
    return all(_same_word(one, other, frequencies) for one, other in name.near)


def _same_word(one: str, other: str, frequencies: Frequencies) -> bool:
    """Whether two words are one name written twice: pronounced alike, or with neighbouring letters exchanged.

    Twins are called by names that can be told apart: Rizki and Rizka, Fani and Vani, never Hafiz and Haviz. How common
    the words are decides nothing else: one twin's common name makes the other's rare one no typing error.
    """
    if one[0] != other[0] and {one[0], other[0]} != {"j", "y"}:
        return False
    if same_sound(one, other):
        return True
    exchanged = len(one) >= _LONG_WORD and OSA.distance(one, other) == 1 and sorted(one) == sorted(other)
    return exchanged and not frequencies.are_two_names(one, other)


_LONG_WORD = 5


def _is_mother(one: PersonEvidence, newborn: PersonEvidence) -> bool:
    """Whether one carries the name of the newborn's mother, and is no child of hers that is called like her.

    Born in the same years, a boy or one whose own parent is known is the child itself, whose name stands behind "By.".
    """
    if one.newborn or not newborn.newborn or not one.own_keys:
        return False
    same_years = bool(one.birth_date.year and newborn.birth_date.year) and years_apart(one, newborn) < GENERATION_YEARS
    if same_years and (one.gender == "male" or one.mother_keys or one.parent_keys or one.parent_niks):
        return False
    return compare_keys_of(one.own_keys, newborn.mother_keys).level in _LIKE_OR_NEAR


def _is_parents(left: PersonEvidence, right: PersonEvidence) -> bool:
    return is_parents_number(left, right) or is_parents_number(right, left)


def _born_after_death(one: PersonEvidence, other: PersonEvidence) -> bool:
    born = other.birth_date
    return bool(one.deceased) and born.whole and f"{born.year:04}-{born.month:02}-{born.day:02}" > one.deceased
