"""Comparators: each compares one thing of two people and returns its agreement level; weighing comes later."""

import math
from dataclasses import replace
from datetime import date
from enum import StrEnum

from rapidfuzz.distance import OSA

from fhir_gateway.domain.recent import remembered
from fhir_gateway.identity.evidence import BirthDate, PersonEvidence
from fhir_gateway.people.name_agreement import NameAgreement, NameLevel, compare_keys
from fhir_gateway.people.name_slips import parents_choose_between
from fhir_gateway.people.name_words import WEAK_WORDS
from fhir_gateway.people.names import tokens_of_key
from fhir_gateway.people.nik import decoded_birth_date, read_nik

_NAME_RANK = {level: rank for rank, level in enumerate(NameLevel)}
_UNKNOWN_NAME = NameAgreement(NameLevel.UNKNOWN)
_LAST_DAY = date(9999, 12, 31)
_DIGITS_OF_A_SPREADSHEET = 15
_SERIAL_STARTS_AT = 12
_CLOSE_DAYS = 3
"""So near lie a day of birth and a day of registration that is taken for it."""
_NOT_THE_CHILDS = frozenset({NameLevel.NEAR, NameLevel.DIFFERENT, NameLevel.PARTIAL, NameLevel.WEAK})
_SAME_NAME = frozenset({NameLevel.EXACT, NameLevel.EQUIVALENT})
GENERATION_YEARS = 12
"""Two people of one family whose birth dates lie so far apart are no siblings' confusion but parent and child."""


class NikLevel(StrEnum):
    """How two people's NIKs agree; TYPO is a different valid NIK one error away."""

    AGREE = "agree"
    TYPO = "typo"
    DIFFERENT = "different"
    DAMAGED_AGREE = "damaged_agree"
    DAMAGED_AGREE_SERIAL = "damaged_agree_serial"
    DAMAGED_DIFFERS = "damaged_differs"
    ODD_NEAR = "odd_near"
    ODD_DIFFERS = "odd_differs"
    UNKNOWN = "unknown"

    __hash__ = str.__hash__  # as NameLevel's


class BirthDateLevel(StrEnum):
    """How two birth dates agree."""

    EXACT = "exact"
    DEFAULT_DAY = "default_day"
    PARTLY_MONTH = "partly_month"
    PARTLY = "partly"
    SWAPPED = "swapped"
    DIGIT = "digit"
    YEAR = "year"
    CLOSE = "close"
    DIFFERENT = "different"
    UNKNOWN = "unknown"

    __hash__ = str.__hash__  # as NameLevel's


def compare_niks(left: PersonEvidence, right: PersonEvidence) -> NikLevel:
    """Compare two people's own NIKs, earlier ones included; damaged ones by what is left of them.

    A number that was taken for a parent's, but is the own one of somebody who cannot be the parent, is compared as own.
    """
    parents = left.parent_niks or right.parent_niks
    if parents and (_no_parents_number(left, right) or _no_parents_number(right, left)):
        return NikLevel.AGREE
    left_valid, right_valid = left.niks + left.old_niks, right.niks + right.old_niks
    if left_valid and right_valid:
        return _compare_valid(left_valid, right_valid)
    left_damaged, right_damaged = left.damaged_niks, right.damaged_niks
    if (left_damaged or right_damaged) and (left_valid or left_damaged) and (right_valid or right_damaged):
        return _compare_damaged(left_valid + left_damaged, right_valid + right_damaged)
    if (left.odd_niks and (right_valid or right.odd_niks)) or (right.odd_niks and left_valid):
        return _compare_odd(left.odd_niks + left_valid, right.odd_niks + right_valid)
    return NikLevel.UNKNOWN


def is_parents_number(owner: PersonEvidence, child: PersonEvidence) -> bool:
    """Whether the own NIK of the one stands as the parent's in the other's record."""
    parents = child.parent_niks
    return bool(parents) and any(nik in parents for nik in owner.niks + owner.old_niks)


def _no_parents_number(owner: PersonEvidence, child: PersonEvidence) -> bool:
    if not child.parent_niks:
        return False
    born, childs = owner.birth_date.year, child.birth_date.year
    too_young = bool(born and childs) and childs - born < GENERATION_YEARS
    return too_young and is_parents_number(owner, child)


def _compare_valid(left: tuple[str, ...], right: tuple[str, ...]) -> NikLevel:
    level = NikLevel.DIFFERENT
    for one in left:
        if one in right:
            return NikLevel.AGREE
        for other in right:
            if _mistyped(one, other):
                level = NikLevel.TYPO
    return level


def _mistyped(one: str, other: str) -> bool:
    """Whether one error makes a NIK the other; two serial numbers of one place and birthday are two people (twins)."""
    return one[:_SERIAL_STARTS_AT] != other[:_SERIAL_STARTS_AT] and OSA.distance(one, other, score_cutoff=1) <= 1


def numbered_as_twins(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Whether two are numbered and called as twins are: NIKs of one place, birthday and sex that differ in the serial number.

    Their names are a sound apart, or of the same words in another order. Of one name, or one that lacks words, the number was
    mistyped or given twice.
    """
    level = compare_own_names(left, right).level
    if level not in {NameLevel.NEAR, NameLevel.EQUIVALENT}:
        return False
    valid = ((one, other) for one in left.niks + left.old_niks for other in right.niks + right.old_niks)
    if not any(one != other and one[:_SERIAL_STARTS_AT] == other[:_SERIAL_STARTS_AT] for one, other in valid):
        return False
    return level is NameLevel.NEAR or _words_of(left).isdisjoint(_words_of(right))


def _words_of(known: PersonEvidence) -> set[tuple[str, ...]]:
    return {tokens_of_key(key)[1] for key in known.own_keys}


def _compare_damaged(left: tuple[str, ...], right: tuple[str, ...]) -> NikLevel:
    best = NikLevel.DAMAGED_DIFFERS
    for one in left:
        for other in right:
            length = min(len(one), len(other))
            if one[:length] == other[:length] or _rounded(one, other) or _rounded(other, one):
                if length >= 15 and one[_SERIAL_STARTS_AT:15] != "000":
                    return NikLevel.DAMAGED_AGREE_SERIAL
                best = NikLevel.DAMAGED_AGREE
    return best


def _rounded(damaged: str, whole: str) -> bool:
    """Whether fifteen digits may be a whole number's rounded up; some programs cut off, others round."""
    if len(damaged) != _DIGITS_OF_A_SPREADSHEET or len(whole) <= _DIGITS_OF_A_SPREADSHEET or whole[-1] < "5":
        return False
    return int(damaged) == int(whole[:_DIGITS_OF_A_SPREADSHEET]) + 1


def _compare_odd(left: tuple[str, ...], right: tuple[str, ...]) -> NikLevel:
    """Compare numbers of which one is no NIK; one that was cut off within its serial number tells no more than the rest."""
    if any(_cut_off(one, other) or _cut_off(other, one) for one in left for other in right):
        return NikLevel.DAMAGED_AGREE
    near = any(OSA.distance(one, other, score_cutoff=1) <= 1 for one in left for other in right)
    return NikLevel.ODD_NEAR if near else NikLevel.ODD_DIFFERS


def _cut_off(short: str, whole: str) -> bool:
    return len(short) < len(whole) and len(short) > _SERIAL_STARTS_AT and whole.startswith(short)


def compare_birth_dates(left: PersonEvidence, right: PersonEvidence) -> BirthDateLevel:
    """Compare birth dates; where a record has none, the one that its own NIK tells stands for it."""
    one, other = left.birth_date, right.birth_date
    if one.day and other.day:
        if one.day == other.day and one.month == other.month and one.year == other.year:
            return _same_date(one)
        # Most people who meet in a block: too far apart for a slip in one place, or for three days.
        if one.day != other.day and one.month != other.month and abs(one.year - other.year) > 1:
            return BirthDateLevel.DIFFERENT
    elif not one.year and other.whole:
        one = _told(left, other)
    elif not other.year and one.whole:
        other = _told(right, one)
    return _compare_dates(one, other) if one.year and other.year else BirthDateLevel.UNKNOWN


def _told(person: PersonEvidence, near: BirthDate) -> BirthDate:
    for digits in (*person.niks, *person.damaged_niks):
        nik = read_nik(digits.ljust(16, "1"))
        told = decoded_birth_date(nik, near=date(near.year, near.month, near.day), today=_LAST_DAY)
        if told:
            return BirthDate(told.year, told.month, told.day)
    return person.birth_date


@remembered(2048)
def _compare_dates(one: BirthDate, other: BirthDate) -> BirthDateLevel:
    if one == other:
        return _same_date(one)
    if not (one.whole and other.whole):
        return _compare_partly(one, other)
    if one.year == other.year and (one.month, one.day) == (other.day, other.month):
        return BirthDateLevel.SWAPPED
    if one.year == other.year and (1, 1) in {(one.month, one.day), (other.month, other.day)}:
        return BirthDateLevel.PARTLY
    if (one.month, one.day) == (other.month, other.day):
        return BirthDateLevel.YEAR
    return _compare_distance(one, other)


def _same_date(one: BirthDate) -> BirthDateLevel:
    if not one.whole:
        return BirthDateLevel.PARTLY_MONTH if one.month else BirthDateLevel.PARTLY
    return BirthDateLevel.DEFAULT_DAY if (one.month, one.day) == (1, 1) else BirthDateLevel.EXACT


def _compare_distance(one: BirthDate, other: BirthDate) -> BirthDateLevel:
    if OSA.distance(_digits(one), _digits(other), score_cutoff=1) <= 1:
        return BirthDateLevel.DIGIT
    return BirthDateLevel.CLOSE if _days_between(one, other) <= _CLOSE_DAYS else BirthDateLevel.DIFFERENT


def _compare_partly(one: BirthDate, other: BirthDate) -> BirthDateLevel:
    if one.year != other.year:
        return BirthDateLevel.DIFFERENT
    if one.month and other.month:
        return BirthDateLevel.PARTLY_MONTH if one.month == other.month else BirthDateLevel.DIFFERENT
    return BirthDateLevel.PARTLY


def _digits(day: BirthDate) -> str:
    return f"{day.year:04}{day.month:02}{day.day:02}"


def years_apart(left: PersonEvidence, right: PersonEvidence) -> int:
    """Return how many years lie between two birth dates, 0 where one is unknown."""
    one, other = left.birth_date.year, right.birth_date.year
    return abs(one - other) if one and other else 0


def days_apart(left: PersonEvidence, right: PersonEvidence) -> int | None:
    """Return how many days lie between two whole birth dates, None where one is not known."""
    one, other = left.birth_date, right.birth_date
    return _days_between(one, other) if one.whole and other.whole else None


def months_apart(left: PersonEvidence, right: PersonEvidence) -> float:
    """Return how many months of the calendar lie between two birth dates at most as told, infinitely many where a year is not."""
    one, other = left.birth_date, right.birth_date
    if not (one.year and other.year):
        return math.inf
    return abs((one.year - other.year) * 12 + (one.month or other.month) - (other.month or one.month))


def _days_between(one: BirthDate, other: BirthDate) -> int:
    return abs((date(one.year, one.month, one.day) - date(other.year, other.month, other.day)).days)


def compare_own_names(left: PersonEvidence, right: PersonEvidence) -> NameAgreement:
    """Compare two people's own names, the best of all pairs; a newborn's temporary name contradicts nothing."""
    if left.newborn and right.newborn:
        return _UNKNOWN_NAME  # whatever stands there is the mother's name, and compared as such
    best = compare_keys_of(left.own_keys, right.own_keys)
    if (left.newborn or right.newborn) and best.level in _NOT_THE_CHILDS:
        return _UNKNOWN_NAME  # "By. Siti" may name the mother as well as the child
    return best


def compare_keys_of(left: tuple[str, ...], right: tuple[str, ...]) -> NameAgreement:
    """Compare names by their keys, the best of all pairs."""
    best = _UNKNOWN_NAME
    for one in left:
        for other in right:
            agreement = compare_keys(one, other)
            if agreement.level is NameLevel.INITIALS and _another_word(one, other):
                agreement = replace(agreement, level=NameLevel.WEAK, initials=0)
            if _NAME_RANK[agreement.level] < _NAME_RANK[best.level]:
                best = agreement
    return best


@remembered(2048)
def _another_word(one: str, other: str) -> bool:
    """Whether the longer of two names abbreviates a word that the shorter spells out: S. Mariani Dewi beside Saknah Dewi.

    Who leaves words out does not spell out another: the initial may as well be that of a word which stands nowhere.
    """
    shorter, longer = sorted((tokens_of_key(key)[1] for key in (one, other)), key=len)
    spelled_out = [word for word in shorter if word not in longer and word not in WEAK_WORDS]
    abbreviated = sum(len(word) == 1 and any(full[0] == word for full in spelled_out) for word in longer)
    others = sum(len(word) > 1 and word not in shorter and word not in WEAK_WORDS for word in longer)
    return abbreviated > 0 and others > len(spelled_out) - abbreviated


def in_chosen_spelling(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Say whether two persons' names differ by a spelling that parents choose, and none of the one is any of the other."""
    chosen = False
    for one in left.own_keys:
        for other in right.own_keys:
            if parents_choose_between(tokens_of_key(one)[0], tokens_of_key(other)[0]):
                chosen = True
            elif compare_keys(one, other).level in _SAME_NAME:
                return False
    return chosen


def numbered_twice(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Whether one clinic numbered both, but not alike."""
    clinics = {clinic for clinic, _ in left.records} & {clinic for clinic, _ in right.records}
    return bool(clinics) and set(left.records).isdisjoint(right.records)


def no_number_in_common(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Whether two families have no parent's NIK, phone or family card in common."""
    numbers = ((left.parent_niks, right.parent_niks), (left.phones, right.phones), (left.families, right.families))
    return all(set(one).isdisjoint(two) for one, two in numbers)


def birth_date_fits_nik(evidence: PersonEvidence) -> bool:
    """Say whether one of a person's own NIKs tells the person's birth date and does not contradict the gender."""
    born = evidence.birth_date
    for digits in evidence.niks:
        nik = read_nik(digits)
        same_day = (nik.birth_day, nik.birth_month, nik.birth_year) == (born.day, born.month, born.year % 100)
        if same_day and evidence.gender in {"", nik.gender}:
            return True
    return False
