"""Weighing: agreement levels become evidence in bits, by parameters and by how common the values are."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from rapidfuzz.distance import OSA

from fhir_gateway.domain.identity import Evidence
from fhir_gateway.domain.recent import remembered
from fhir_gateway.identity.comparators import compare_keys_of, compare_own_names
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.parameters import CrowdWeights, MatchingParameters
from fhir_gateway.people.name_agreement import NameAgreement, NameLevel
from fhir_gateway.people.name_words import MOTHER_OF
from fhir_gateway.people.names import tokens_of_key

_WORDS: Mapping[str, str] = {
    "nik.agree": "the same NIK",
    "nik.typo": "two different NIKs, one typing error apart",
    "nik.different": "two different NIKs",
    "nik.damaged_agree": "what a spreadsheet left of the NIK agrees",
    "nik.damaged_agree_serial": "what a spreadsheet left of the NIK agrees, serial number included",
    "nik.damaged_differs": "what a spreadsheet left of the NIK differs",
    "nik.odd_near": "the NIK is no valid one, but one typing error away",
    "nik.odd_differs": "the NIK is no valid one, and unlike the other",
    "name.exact": "the same name",
    "name.equivalent": "the same name in another spelling",
    "name.near": "the same name but for a typing or hearing error",
    "name.subset": "one name lacks words of the other",
    "name.initials": "one name has initials for words of the other",
    "name.weak": "one name lacks words of the other, and what they share tells little",
    "name.partial": "the names share a word, others contradict",
    "name.different": "different names",
    "birth_date.exact": "the same birth date",
    "birth_date.default_day": "the same birth date, 1 January (often written for an unknown day)",
    "birth_date.partly_month": "the same year and month of birth, the day unknown",
    "birth_date.partly": "the same year of birth, the day unknown",
    "birth_date.swapped": "birth dates with day and month exchanged",
    "birth_date.digit": "birth dates one digit apart",
    "birth_date.year": "the same birthday in another year",
    "birth_date.close": "birth dates up to three days apart",
    "birth_date.different": "different birth dates",
    "gender.agree": "the same sex",
    "gender.different": "different sex",
    "record_number.agree": "the same medical record number at the same clinic",
    "record_number.different": "different medical record numbers at the same clinic",
    "record_number.shared": "the same medical record number at the same clinic",
    "own_identifier.agree": "the gateway's own identifier",
    "household.agree": "the same household",
    "household.mixed": "some of the household agrees, some differs",
    "household.different": "another household",
}
_LONG_PLACE = 5
"""A slip of the finger in a shorter word of a village's name may make it another village's."""
MOTHER_LEVELS: Mapping[NameLevel, str] = {
    NameLevel.EXACT: "agree",
    NameLevel.EQUIVALENT: "agree",
    NameLevel.NEAR: "near",
    NameLevel.SUBSET: "subset",
    NameLevel.INITIALS: "subset",
    NameLevel.WEAK: "subset",
    NameLevel.PARTIAL: "different",
    NameLevel.DIFFERENT: "different",
    NameLevel.UNKNOWN: "different",
}
"""How two mothers' names agree, by the level of names."""
_PARTS: Mapping[str, str] = {
    "parent_nik": "parent's NIK",
    "mother": "mother's name",
    "parent": "parent's name",
    "couple": "parent's name (perhaps mother here, father there)",
    "phone": "phone",
    "place": "village",
    "family_card": "family card",
}
_OF_PARENTS = frozenset({"mother", "parent", "couple"})
_FAMILYS_NUMBERS = frozenset({"parent_nik", "family_card"})
"""What no other family has; a phone may be a neighbour's or a health cadre's."""


@remembered(2048)
def piece(field: str, agreement: str, weight: float, detail: str = "") -> Evidence:
    """Return a piece of evidence in the operator's words; `detail` says what it is made of, or why it weighs so."""
    words = _WORDS[f"{field}.{agreement}"]
    return Evidence(field, agreement, weight, f"{words} ({detail})" if detail else words)


def weigh_name(agreement: NameAgreement, parameters: MatchingParameters, frequencies: Frequencies) -> float:
    """Return a name's weight in bits: its level's, and what the shared words tell."""
    level = agreement.level
    base = parameters.weights["name." + level]
    if level in {NameLevel.PARTIAL, NameLevel.DIFFERENT}:
        return base
    weight = base + _information(agreement, parameters, frequencies, parameters.names.all_most)
    # A word that many share tells little, but never less than a newborn's record without a name.
    return max(0.0, weight) if level is NameLevel.WEAK else weight


def _information(
    agreement: NameAgreement, parameters: MatchingParameters, frequencies: Frequencies, most: float
) -> float:
    names = parameters.names
    bits = [min(names.word_most, frequencies.information(word)) for word in agreement.shared if len(word) > 1]
    for one, other in agreement.near:
        between = (frequencies.information(one) + frequencies.information(other)) / 2
        bits.append(max(names.near_least, min(names.word_most, between) - names.near_word))
    total = names.initial * agreement.initials
    if bits:
        most_telling = max(bits)
        total += most_telling + names.later_words * (sum(bits) - most_telling)
    return min(most, total)


def weigh_same_birth_date(
    left: PersonEvidence, right: PersonEvidence, parameters: MatchingParameters, frequencies: Frequencies
) -> float:
    """Return the weight of the same whole birth date: more in a year in which few of the people were born."""
    rarity = frequencies.rarity_of_birth_year(left.birth_date.year or right.birth_date.year)
    return max(0.0, round(parameters.weights["birth_date.exact"] + min(parameters.birth_dates.rare_most, rarity), 2))


class Household(NamedTuple):
    """What the household weighs, and what its parts weigh each; none where nothing of it can be compared.

    `other_mother` says that the mothers' names differ, and that no number tells that it is one family. `usual` is what it
    would weigh were its village no commoner than any: twins are looked for by that. `told` says how common the village is.
    """

    weight: float
    parts: list[tuple[str, float]]
    other_mother: bool = False
    usual: float = 0.0
    told: str = ""

    @property
    def mixed(self) -> bool:
        """Whether some parts agree and others differ."""
        weights = [weight for _, weight in self.parts]
        return bool(weights) and min(weights) < 0 < max(weights)

    @property
    def parents_differ(self) -> bool:
        """Whether the parents' names speak against it."""
        return any(weight < 0 and name in _OF_PARENTS for name, weight in self.parts)

    @property
    def nothing_agrees(self) -> bool:
        """Whether all that can be compared differs."""
        return all(weight <= 0 for _, weight in self.parts)

    @property
    def village_only(self) -> bool:
        """Whether nothing but the village agrees."""
        return [name for name, weight in self.parts if weight > 0] == ["place"]

    @property
    def evidence(self) -> Evidence:
        """The household's evidence in the operator's words."""
        same = [_PARTS[name] for name, weight in self.parts if weight > 0]
        other = [_PARTS[name] for name, weight in self.parts if weight <= 0]
        said = [f"{', '.join(same)} agree"] if same else []
        said += [f"{', '.join(other)} differ"] if other else []
        said += [self.told] if self.told else []
        agreement = "mixed" if self.mixed else "agree" if same else "different"
        return piece("household", agreement, self.weight, "; ".join(said))


def weigh_household(
    left: PersonEvidence, right: PersonEvidence, parameters: MatchingParameters, frequencies: Frequencies
) -> Household:
    """Weigh mother, parent's NIK, phone, village and family card as the one fact that they are: the household."""
    parts = household_parts(left, right, parameters, frequencies)
    total = sum([weight for _, weight in parts if weight > 0], 0.0)
    downs = sorted([weight for _, weight in parts if weight < 0])
    if downs:
        total += downs[0] + parameters.household.later * sum(downs[1:])
    # Strangers agree in each by chance; a family's others agree in all, so all together tell no more than "same family".
    one_family = any(weight > 0 and name in _FAMILYS_NUMBERS for name, weight in parts)
    other_mother = not one_family and ("mother", parameters.weights["mother.different"]) in parts
    most = parameters.household.most
    if other_mother and not may_be_couple(left.mother_keys, right.mother_keys, frequencies):
        most = parameters.household.two_mothers
    lost, told = _lost_by_common_place(left, right, parameters, frequencies)
    weight, usual = (round(min(most, bits), 2) for bits in (total - lost, total))
    return Household(weight, parts, other_mother, usual, told)


def household_parts(
    left: PersonEvidence, right: PersonEvidence, parameters: MatchingParameters, frequencies: Frequencies
) -> list[tuple[str, float]]:
    """Return what the household's parts weigh each, of those that both records tell; the village as if it were like any."""
    weights = parameters.weights
    parts: list[tuple[str, float]] = []
    if left.parent_niks and right.parent_niks:
        same = any(nik[:15] == other[:15] for nik in left.parent_niks for other in right.parent_niks)
        parts.append(("parent_nik", weights["parent_nik.agree" if same else "parent_nik.different"]))
    parts.extend(_parents(left, right, parameters, frequencies))
    if left.phones and right.phones:
        shared = [phone for phone in left.phones if phone in right.phones]
        if shared:
            people = min(frequencies.people_with_phone(phone) for phone in shared)
            parts.append(("phone", weigh_phone(people, parameters)))
        else:
            parts.append(("phone", weights["phone.different"]))
    if left.places and right.places:
        neighbours = same_place(left.places, right.places)
        if neighbours is not None:
            parts.append(("place", weights["place.agree" if neighbours else "place.different"]))
    if left.families and right.families:
        same = any(card in right.families for card in left.families)
        parts.append(("family_card", weights["family_card.agree" if same else "family_card.different"]))
    return parts


def weigh_phone(people: int, parameters: MatchingParameters) -> float:
    """Return what a number in common weighs that so many people have."""
    return _weigh_number(parameters.weights["phone.agree"], people, parameters.phones)


def weigh_record(people: int, parameters: MatchingParameters) -> float:
    """Return what a clinic's record number in common weighs under which so many births stand."""
    return _weigh_number(parameters.weights["record_number.agree"], people, parameters.records)


def _weigh_number(weight: float, people: int, crowd: CrowdWeights) -> float:
    more = math.sqrt(max(0.0, people - crowd.crowd_people))
    return max(crowd.least, weight - crowd.per_root_of_more * more)


def same_place(left: tuple[str, ...], right: tuple[str, ...]) -> bool | None:
    """Say whether one of the places is the same; None where a code stands against words only, or one may be mistyped."""
    found = _common_places(left, right)
    return None if found is None else bool(found)


@remembered(2048)
def _common_places(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the places that are the same, each in its shorter form; None where that is not known (see same_place)."""
    comparable = [
        sorted((one, other), key=lambda place: (len(set(place.split())), place))
        for one in left
        for other in right
        if one.isdigit() == other.isdigit()
    ]
    words = [(set(fewer.split()), set(more.split())) for fewer, more in comparable]
    same = tuple(pair[0] for pair, (fewer, more) in zip(comparable, words, strict=True) if fewer <= more)
    if same:
        return same
    return None if not words or any(_nearly_within(fewer, more) for fewer, more in words) else ()


_TOLD_FROM = 0.5
"""Bits that a village tells less than any for an operator to be told why."""


def _lost_by_common_place(
    left: PersonEvidence, right: PersonEvidence, parameters: MatchingParameters, frequencies: Frequencies
) -> tuple[float, str]:
    """Return how much less the village in common tells than any does, in bits, and why; all of it where everybody lives there.

    A rare one tells no more: it is often another way of writing a common one.
    """
    places = _common_places(left.places, right.places)
    if not places:
        return 0.0, ""
    of_any = parameters.probabilities["place.agree"]
    least = of_any.u or 1.0
    share, told = min([frequencies.share_in_place(place, least) for place in places])
    lost = parameters.weights["place.agree"] - max(0.0, math.log2(of_any.m / max(least, share)))
    words = f"{told:.0%} of the records at hand that name a village name this one".replace("%", " %", 1)
    return lost, words if lost >= _TOLD_FROM else ""


def _nearly_within(fewer: set[str], more: set[str]) -> bool:
    """Whether each word stands among the others, but for a slip of the finger in a long one."""
    return all(word in more or any(_mistyped_place(word, other) for other in more) for word in fewer)


def _mistyped_place(one: str, other: str) -> bool:
    long = min(len(one), len(other)) >= _LONG_PLACE and not (one.isdigit() or other.isdigit())
    return long and OSA.distance(one, other, score_cutoff=1) <= 1


def _parents(
    left: PersonEvidence, right: PersonEvidence, parameters: MatchingParameters, frequencies: Frequencies
) -> list[tuple[str, float]]:
    if left.newborn != right.newborn and compare_own_names(left, right).level is not NameLevel.UNKNOWN:
        left, right = _called_itself(left), _called_itself(right)
    if left.mother_keys and right.mother_keys:
        agreement = compare_keys_of(left.mother_keys, right.mother_keys)
        weight = weigh_mother(agreement, parameters, frequencies)
        if weight < 0 and are_couple(left.mother_keys, right.mother_keys, frequencies):
            return [("couple", parameters.weights["parent.different"])]
        if weight < 0 and (called_by_child(left.mother_keys) or called_by_child(right.mother_keys)):
            return []
        return [("mother", weight)]
    left_keys, right_keys = left.mother_keys + left.parent_keys, right.mother_keys + right.parent_keys
    if not (left_keys and right_keys):
        return []
    agreement = compare_keys_of(left_keys, right_keys)
    weight = weigh_mother(agreement, parameters, frequencies)
    if weight < 0 and are_couple(left_keys, right_keys, frequencies):
        return [("couple", parameters.weights["parent.different"])]
    return [("parent", max(weight, parameters.weights["parent.different"]))]


def _called_itself(person: PersonEvidence) -> PersonEvidence:
    """Return a newborn without a parent of the name behind "By.", which is compared as its own: it cannot be both."""
    if not person.newborn:
        return person
    mothers, parents = (
        tuple(key for key in keys if key not in person.own_keys) for keys in (person.mother_keys, person.parent_keys)
    )
    return person._replace(mother_keys=mothers, parent_keys=parents)


def are_couple(left: tuple[str, ...], right: tuple[str, ...], frequencies: Frequencies) -> bool:
    """Say whether one record names a woman as the parent and the other a man: mother and father contradict nothing."""
    one, other = ({_sex_of(key, frequencies) for key in keys} for keys in (left, right))
    return (one == {"female"} and other == {"male"}) or (one == {"male"} and other == {"female"})


def may_be_couple(left: tuple[str, ...], right: tuple[str, ...], frequencies: Frequencies) -> bool:
    """Say whether the sex of one record's parent is known, and the other's is not known to be the same."""
    one, other = ({_sex_of(key, frequencies) for key in keys} for keys in (left, right))
    return one.isdisjoint(other) and ("" not in one or "" not in other)


def called_by_child(keys: tuple[str, ...]) -> bool:
    """Say whether a mother is called after her child ("Inaq X"): that contradicts no name of her own."""
    return any(key.split(" ", 1)[0] in MOTHER_OF for key in keys)


def _sex_of(key: str, frequencies: Frequencies) -> str:
    return frequencies.sex_of(tokens_of_key(key)[1])


def weigh_mother(agreement: NameAgreement, parameters: MatchingParameters, frequencies: Frequencies) -> float:
    """Return the weight of two mothers' names in bits."""
    weights, most = parameters.weights, parameters.names.mother_most
    level = MOTHER_LEVELS[agreement.level]
    if level == "different":
        return weights["mother.different"]
    weight = weights["mother." + level] + _information(agreement, parameters, frequencies, most)
    return max(weights["mother.different"], weight)
