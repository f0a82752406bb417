"""Doubts about a pair that are settled where nobody else is there: no twin, no namesake, no other child of the family.

A comparison of two cannot know who else there is. Two people's records as a whole can: where all else is certain and
nobody in the data rivals, a name that is a slip of the finger apart is no twin's.
"""

from collections.abc import Mapping

from fhir_gateway.domain.identity import Comparison
from fhir_gateway.identity.comparators import (
    NikLevel,
    compare_keys_of,
    compare_niks,
    compare_own_names,
    no_number_in_common,
)
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.parameters import HouseholdWeights, MatchingPolicy
from fhir_gateway.identity.vetoes import LIKE_NAME, SAME_NAME, VetoCode, of_one_birth
from fhir_gateway.identity.weighing import are_couple, may_be_couple, same_place
from fhir_gateway.people.name_agreement import NameAgreement, NameLevel
from fhir_gateway.people.name_slips import is_slip
from fhir_gateway.people.name_sounds import same_sound
from fhir_gateway.people.names import tokens_of_key

_Said = Mapping[str, tuple[str, float]]
_POSSIBLE_TWINS = {VetoCode.POSSIBLE_TWINS.value}
_SAME_NAME = frozenset({"exact", "equivalent"})
_LIKE = frozenset(level.value for level in LIKE_NAME)
_AGREEING = LIKE_NAME | {NameLevel.NEAR}
_ONE_DAY = frozenset({"exact", "swapped"})
_OTHER_MOTHER = frozenset({NameLevel.DIFFERENT, NameLevel.PARTIAL})


def settled_alone(  # noqa: PLR0913 - what is known beside the evidence is named
    left: PersonEvidence,
    right: PersonEvidence,
    comparison: Comparison,
    *,
    policy: MatchingPolicy,
    frequencies: Frequencies,
    in_different_lists: bool = False,
) -> bool:
    """Say whether two are one person although a veto or caution stands, provided that nobody else rivals either.

    Namesakes without a family in common must weigh more, as the region's others may be in no file; but not where a list
    with one line for each child has one for the one, and of the other only other lists tell (`in_different_lists`).
    """
    said = {one.field: (one.agreement, one.weight) for one in comparison.evidence}
    caution = said.get("caution", ("", 0.0))[0]
    parameters = policy.parameters
    if comparison.weight < policy.certain - parameters.rivals.family or said.get("gender", ("", 0.0))[0] == "different":
        return False
    if not comparison.vetoes and not caution:
        return _only_one(left, right, said, parameters.household)
    if caution == "namesakes" and not comparison.vetoes:
        family = said.get("household", ("", 0.0))[1] > 0
        rivals = parameters.rivals
        bar = policy.certain - (
            rivals.family if family else rivals.nobody if in_different_lists else rivals.no_namesake
        )
        alone = comparison.weight >= bar and _no_namesake(left, right, comparison, policy, frequencies)
        return alone and mistyped(left, right, frequencies)
    if comparison.weight < policy.certain:
        return False
    if comparison.vetoes:
        codes = {veto.code for veto in comparison.vetoes}
        one_folder = said.get("record_number", ("", 0.0))[0] != "different"
        return codes == _POSSIBLE_TWINS and not caution and one_folder and mistyped(left, right, frequencies)
    return _birth_date_settled(left, right, said, parameters.household, frequencies)


def of_one_child(comparison: Comparison, household: HouseholdWeights) -> bool:
    """Say whether two are of one name to the letter, one birthday and one family beyond doubt: no two children are."""
    said = {piece.field: (piece.agreement, piece.weight) for piece in comparison.evidence}
    exact = all(said.get(field, ("", 0.0))[0] == "exact" for field in ("name", "birth_date"))
    return exact and _same_family(said, household)


def _birth_date_settled(
    left: PersonEvidence,
    right: PersonEvidence,
    said: _Said,
    household: HouseholdWeights,
    frequencies: Frequencies,
) -> bool:
    """Say whether all of the family agrees, and only the birth date was written otherwise or in part.

    Sisters share neither name nor birthday: of the same name to the letter, the same day of another year is a wrong year.
    """
    birth_date = said.get("birth_date", ("", 0.0))[0]
    if name_two_mothers(left, right, frequencies):
        return False
    if said["caution"][0] == "birth-date-unconfirmed":
        name = said.get("name", ("", 0.0))[0]
        if not _same_family(said, household):
            return False
        if birth_date == "different" and of_one_birth(left, right):
            return name == "exact" or (name in _LIKE and said.get("nik", ("", 0.0))[0] == "agree")
        any_day = (left.birth_date.month, left.birth_date.day) == (1, 1)
        wrong_year = birth_date == "year" and not any_day and name == "exact" and not _only_mothers_name(left, right)
        return wrong_year or (birth_date == "partly" and name in _SAME_NAME)
    inexact = said["caution"][0] == "nothing-exact" and birth_date in {"digit", "swapped"}
    return inexact and _same_family(said, household) and mistyped(left, right, frequencies)


def _only_one(left: PersonEvidence, right: PersonEvidence, said: _Said, bars: HouseholdWeights) -> bool:
    """Whether birth date, sex, household and name agree, only too commonly to be certain if anybody else were there."""
    if said.get("birth_date", ("", 0.0))[0] != "exact" or said.get("record_number", ("", 0.0))[0] == "different":
        return False
    household = said.get("household", ("", 0.0))
    if "name" not in said:
        return household[1] >= bars.whole_family and _parent_agrees(left, right)
    return household[1] > 0


def _parent_agrees(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Whether a newborn's mother is the same in both, by name or number."""
    name = compare_keys_of(left.mother_keys + left.parent_keys, right.mother_keys + right.parent_keys).level
    return name in _AGREEING or not set(left.parent_niks).isdisjoint(right.parent_niks)


def _only_mothers_name(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Whether of two families nothing but the mother's name is the same: no number, phone, card or village."""
    return same_place(left.places, right.places) is not True and no_number_in_common(left, right)


def moved_with_another_phone(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Whether phone and village both differ and no parent's number is the same: of two mothers of one name, most likely."""
    if not set(left.parent_niks).isdisjoint(right.parent_niks):
        return False
    other_phone = bool(left.phones and right.phones) and set(left.phones).isdisjoint(right.phones)
    return other_phone and same_place(left.places, right.places) is False


def name_two_mothers(left: PersonEvidence, right: PersonEvidence, frequencies: Frequencies) -> bool:
    """Say whether the mothers' names differ, and are not a mother's and a father's."""
    if compare_keys_of(left.mother_keys, right.mother_keys).level not in _OTHER_MOTHER:
        return False
    return not are_couple(left.mother_keys, right.mother_keys, frequencies)


def name_one_mother(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Say whether both name the same mother, so that neither is she."""
    mothers = (known.mother_keys + known.parent_keys for known in (left, right))
    return compare_keys_of(*mothers).level in LIKE_NAME


def _same_family(said: _Said, household: HouseholdWeights) -> bool:
    return said.get("household", ("", 0.0))[1] >= household.whole_family


def _no_namesake(
    left: PersonEvidence,
    right: PersonEvidence,
    comparison: Comparison,
    policy: MatchingPolicy,
    frequencies: Frequencies,
) -> bool:
    """Say whether the whole birth date agrees, and of the family at most a parent's name or the phone differs."""
    said = {one.field: (one.agreement, one.weight) for one in comparison.evidence}
    family = said.get("household", ("", 0.0))[1]
    if said.get("birth_date", ("", 0.0))[0] != "exact" or family < policy.parameters.household.another_parent:
        return False
    couple = may_be_couple if comparison.weight >= policy.certain else are_couple
    two_mothers = compare_keys_of(left.mother_keys, right.mother_keys).level in _OTHER_MOTHER
    return not two_mothers or couple(left.mother_keys, right.mother_keys, frequencies)


def has_whole_family(comparison: Comparison, household: HouseholdWeights) -> bool:
    """Say whether the family of two agrees beyond doubt."""
    return any(one.field == "household" and one.weight >= household.whole_family for one in comparison.evidence)


def has_one_birthday(comparison: Comparison) -> bool:
    """Say whether two were born on the same day, be day and month exchanged."""
    return any(one.field == "birth_date" and one.agreement in _ONE_DAY for one in comparison.evidence)


def mistyped(left: PersonEvidence, right: PersonEvidence, frequencies: Frequencies) -> bool:
    """Whether the names differ by slips of the finger or missing words only, and no order of birth tells of twins."""
    if max(left.birth_order, right.birth_order) > 0:
        return False
    name: NameAgreement = compare_own_names(left, right)
    if name.level is NameLevel.UNKNOWN:
        return False
    return all(one_word(one, other, frequencies) for one, other in name.near)


def one_word(one: str, other: str, frequencies: Frequencies) -> bool:
    """Whether two words that nearly agree are one, mistyped or misheard, and not two names."""
    if frequencies.are_two_names(one, other):
        return False
    return is_slip(one, other) or (one[0] == other[0] and same_sound(one, other))


def known_as(left: PersonEvidence, right: PersonEvidence, one: PersonEvidence, other: PersonEvidence) -> bool:
    """Say whether of two records one has the very name by which the other's person is known; `one` is that of `left`."""
    if max(left.birth_order, right.birth_order) > 0:
        return False
    return any(compare_own_names(record, person).level in SAME_NAME for record, person in ((left, other), (right, one)))


def known_under_name(left: PersonEvidence, right: PersonEvidence, one: PersonEvidence, other: PersonEvidence) -> bool:
    """Say whether of two records that contradict each other by name or sex one agrees with the other's whole person.

    `one` is the person of `left`, `other` that of `right`. With a NIK in common any name that agrees is enough, as it is
    where a Patient carries several names; without one, or where the sex is another, it must be the same name: a brother
    under his twin sister's NIK agrees with a row of hers that has the family's name alone. Two odd spellings contradict
    nothing where both persons have the same name beside them.
    """
    if max(left.birth_order, right.birth_order) > 0:
        return False
    other_sex = bool(left.gender and right.gender and left.gender != right.gender)
    if compare_own_names(one, other).level in SAME_NAME:
        return True
    for record, person in ((left, other), (right, one)):
        level = compare_own_names(record, person).level
        if level in _AGREEING and not other_sex and compare_niks(record, person) is NikLevel.AGREE:
            return True
        if level is NameLevel.UNKNOWN and record.newborn and record.gender == person.gender:
            return compare_own_names(left, right).level is NameLevel.UNKNOWN and left.gender != right.gender
    return False


def shortens(short: PersonEvidence, full: PersonEvidence, other: PersonEvidence) -> bool:
    """Say whether `short` has but a shorter form of the name of `full`, another record of its person, with which `other` agrees.

    Of Rut Widyawati one row may say Rut and one Widyawati, who contradict each other and not her.
    """
    if max(short.birth_order, full.birth_order, other.birth_order) > 0 or _words(short) >= _words(full):
        return False
    return compare_own_names(short, full).level in LIKE_NAME and compare_own_names(other, full).level in LIKE_NAME


def _words(known: PersonEvidence) -> int:
    return max((len(tokens_of_key(key)[0]) for key in known.own_keys), default=0)
