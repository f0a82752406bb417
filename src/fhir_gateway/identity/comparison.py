"""Comparing two people: evidence weighed in the sense of Fellegi and Sunter, vetoes above the sum, a grade.

The sum of log2(m/u) over what was compared, plus the prior, is the logarithm of the odds that two records are one
person (Fellegi and Sunter, 1969). It holds for independent fields only: the household's parts are one comparison,
and what a NIK tells counts only where the NIK itself does not. Twins, parents and namesakes are where independence
fails; vetoes and cautions stand there.
"""

from typing import NamedTuple

from fhir_gateway.domain.identity import Comparison, Grade, Veto
from fhir_gateway.identity.comparators import (
    BirthDateLevel,
    NikLevel,
    birth_date_fits_nik,
    compare_birth_dates,
    compare_niks,
    compare_own_names,
)
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.frequencies import Frequencies, default_frequencies
from fhir_gateway.identity.parameters import MatchingParameters, MatchingPolicy
from fhir_gateway.identity.vetoes import (
    LIKE_NAME,
    ONE_BIRTH,
    SAME_DAY,
    SAME_NAME,
    Levels,
    VetoCode,
    find_caution,
    find_vetoes,
    too_near_for_two_births,
)
from fhir_gateway.identity.weighing import piece, weigh_household, weigh_name, weigh_record, weigh_same_birth_date
from fhir_gateway.people.name_agreement import NameLevel

DEFAULT_POLICY = MatchingPolicy()
_PLAIN: dict[str, str] = {level: level.value for levels in (NikLevel, NameLevel, BirthDateLevel) for level in levels}
"""Levels as plain text: an enum's `value` is slow where it is asked 60,000 times a second."""
_ASK_WHEN_OTHERWISE_CERTAIN = frozenset(
    {VetoCode.NIK_DIFFERENT.value, VetoCode.GENERATION.value, VetoCode.TIMELINE.value}
)
_ASK_OF_ONE_MISTYPED = _ASK_WHEN_OTHERWISE_CERTAIN | {VetoCode.POSSIBLE_TWINS.value}
_DAMAGED_AGREE = frozenset({NikLevel.DAMAGED_AGREE, NikLevel.DAMAGED_AGREE_SERIAL})
_BIRTH_IN_NIK = "but what is left of the NIK tells one birth date of both"
_TWO_NUMBERS = frozenset({VetoCode.NIK_DIFFERENT.value})
_NOT_ASKED = frozenset({Grade.POSSIBLE, Grade.CERTAINLY_NOT})
_NEARLY = frozenset({NameLevel.NEAR, NameLevel.WEAK})
_TWO_PEOPLE = frozenset({VetoCode.TWINS.value, VetoCode.PARENT.value, VetoCode.DECIDED.value})


class _Weighed(NamedTuple):
    """What the levels of two people weigh each, as (field, level, bits), the household aside; and all with the prior."""

    left: PersonEvidence
    right: PersonEvidence
    levels: Levels
    pieces: list[tuple[str, str, float]]
    weight: float


def compare(
    left: PersonEvidence,
    right: PersonEvidence,
    *,
    policy: MatchingPolicy | None = None,
    frequencies: Frequencies | None = None,
) -> Comparison:
    """Weigh two people's evidence; symmetric and pure. None stands for the shipped values."""
    policy = policy or DEFAULT_POLICY
    frequencies = frequencies or default_frequencies()
    weighed = _weigh(left, right, find_levels(left, right, policy.parameters, frequencies), policy, frequencies)
    why = {"birth_date": _BIRTH_IN_NIK} if _nik_stands_for_birth_date(weighed.levels) else {}
    if sharing := weighed.levels.sharing_record:
        why["record_number"] = f"several people's: {sharing} birth dates stand under it"
    evidence = [piece(*each, why.get(each[0], "")) for each in weighed.pieces]
    if weighed.levels.household.parts:
        evidence.append(weighed.levels.household.evidence)
    vetoes = find_vetoes(left, right, weighed.levels, policy.parameters, frequencies)
    caution = find_caution(left, right, weighed.levels, policy.parameters)
    if caution:
        evidence.append(caution)
    grade = _grade(weighed, vetoes, policy=policy, cautious=caution is not None)
    if grade in _NOT_ASKED and _of_one_birth(weighed, vetoes, policy):
        evidence.append(ONE_BIRTH)
        grade = Grade.PROBABLE
    return Comparison(tuple(evidence), vetoes, round(weighed.weight, 2), grade)


def weight_if_possible(
    left: PersonEvidence, right: PersonEvidence, levels: Levels, *, policy: MatchingPolicy, frequencies: Frequencies
) -> float | None:
    """Return the weight that compare() tells, None where it grades CERTAINLY_NOT; quicker, as nothing is put into words."""
    weighed = _weigh(left, right, levels, policy, frequencies)
    vetoes = find_vetoes(left, right, levels, policy.parameters, frequencies)
    grade = _grade(weighed, vetoes, policy=policy, cautious=False)
    if grade is Grade.CERTAINLY_NOT and not _of_one_birth(weighed, vetoes, policy):
        return None
    return round(weighed.weight, 2)


def compare_records(left: PersonEvidence, right: PersonEvidence, frequencies: Frequencies) -> tuple[bool | None, int]:
    """Say whether one clinic gave both the same record number of their own; None where no clinic gave both one.

    Beside that, how many births stand under the number in common where it is several people's, which tells the less.
    """
    if not (left.records and right.records):
        return None, 0
    records, others = frequencies.own_records(left), frequencies.own_records(right)
    common = [record for record in records if record in others]
    if common:
        people = min([frequencies.people_with_record(record) for record in common])
        return (None, people) if people else (True, 0)
    if left.newborn != right.newborn:
        return None, 0  # a child that gets its own name is often registered anew
    clinics = {clinic for clinic, _ in records}
    return (False if any(clinic in clinics for clinic, _ in others) else None), 0


def find_levels(
    left: PersonEvidence, right: PersonEvidence, parameters: MatchingParameters, frequencies: Frequencies
) -> Levels:
    """Return how two people agree in each thing that is compared."""
    return Levels(
        compare_niks(left, right),
        compare_own_names(left, right),
        compare_birth_dates(left, right),
        same_gender(left, right),
        weigh_household(left, right, parameters, frequencies),
        *compare_records(left, right, frequencies),
        same_person(left, right),
    )


def same_gender(left: PersonEvidence, right: PersonEvidence) -> bool | None:
    """Whether the sex is the same; None where one is unknown."""
    return left.gender == right.gender if left.gender and right.gender else None


def same_person(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Whether both carry one of the gateway's own identifiers."""
    return bool(left.persons) and any(person in right.persons for person in left.persons)


def _weigh(
    left: PersonEvidence, right: PersonEvidence, levels: Levels, policy: MatchingPolicy, frequencies: Frequencies
) -> _Weighed:
    parameters = policy.parameters
    weights = parameters.weights
    pieces: list[tuple[str, str, float]] = []
    if levels.own:
        pieces.append(("own_identifier", "agree", weights["own_identifier.agree"]))
    if levels.nik is not NikLevel.UNKNOWN:
        nik = _PLAIN[levels.nik]
        pieces.append(("nik", nik, weights["nik." + nik]))
    if levels.name.level is not NameLevel.UNKNOWN:
        bits = round(weigh_name(levels.name, parameters, frequencies), 2)
        pieces.append(("name", _PLAIN[levels.name.level], bits))
    if levels.same_gender is not None:
        agreement = "agree" if levels.same_gender else "different"
        pieces.append(("gender", agreement, weights["gender." + agreement]))
    if levels.same_record is not None:
        agreement = "agree" if levels.same_record else "different"
        pieces.append(("record_number", agreement, weights["record_number." + agreement]))
    elif levels.sharing_record:
        pieces.append(("record_number", "shared", round(weigh_record(levels.sharing_record, parameters), 2)))
    if levels.birth_date is not BirthDateLevel.UNKNOWN:
        bits = _birth_date_weight(left, right, levels, parameters, frequencies)
        pieces.append(("birth_date", _PLAIN[levels.birth_date], bits))
    weight = policy.prior + (sum([bits for _, _, bits in pieces]) + levels.household.weight)
    return _Weighed(left, right, levels, pieces, weight)


def _nik_stands_for_birth_date(levels: Levels) -> bool:
    return levels.nik in _DAMAGED_AGREE and levels.birth_date not in SAME_DAY


def _birth_date_weight(
    left: PersonEvidence,
    right: PersonEvidence,
    levels: Levels,
    parameters: MatchingParameters,
    frequencies: Frequencies,
) -> float:
    """Where the birth dates disagree but what is left of the NIKs agrees, the date in the NIKs stands for them."""
    if levels.birth_date is BirthDateLevel.EXACT:
        return weigh_same_birth_date(left, right, parameters, frequencies)
    weight = parameters.weights["birth_date." + _PLAIN[levels.birth_date]]
    if _nik_stands_for_birth_date(levels):
        share = parameters.birth_dates.told_by_nik * (parameters.birth_dates.told_against if weight < 0 else 1.0)
        return max(weight, 0.0) + share * parameters.weights["birth_date.exact"]
    return weight


def _of_one_birth(weighed: _Weighed, vetoes: tuple[Veto, ...], policy: MatchingPolicy) -> bool:
    """Whether two must be one child, or twins, by their days and mother; of what else forbids it two NIKs alone may stand."""
    only_numbers = all(veto.code in _TWO_NUMBERS for veto in vetoes)
    return only_numbers and too_near_for_two_births(weighed.left, weighed.right, weighed.levels, policy.parameters)


def _grade(weighed: _Weighed, vetoes: tuple[Veto, ...], *, policy: MatchingPolicy, cautious: bool) -> Grade:
    levels, weight = weighed.levels, weighed.weight
    if vetoes:
        return _vetoed_grade(weighed, vetoes, policy)
    if weight >= policy.certain and not cautious:
        return Grade.CERTAIN
    if weight >= policy.probable or (levels.nik is NikLevel.AGREE and weight >= policy.possible):
        return Grade.POSSIBLE if _other_birth(levels) else Grade.PROBABLE
    return Grade.POSSIBLE if weight >= policy.possible else Grade.CERTAINLY_NOT


def _other_birth(levels: Levels) -> bool:
    """Whether name and birth date both differ, as those of brothers and sisters do: no operator need be asked."""
    another = levels.birth_date is BirthDateLevel.DIFFERENT and levels.name.level not in SAME_NAME
    return another and levels.nik is not NikLevel.AGREE and not levels.same_record and not levels.own


def _vetoed_grade(weighed: _Weighed, vetoes: tuple[Veto, ...], policy: MatchingPolicy) -> Grade:
    """Return whether a vetoed pair is an operator's to decide (probable); a NIK hit is never silently a new person."""
    levels, weight = weighed.levels, weighed.weight
    codes = {veto.code for veto in vetoes}
    if VetoCode.NIK_NAME_DISAGREES.value in codes or levels.nik is NikLevel.AGREE:
        return Grade.PROBABLE
    if codes & _TWO_PEOPLE:
        return Grade.CERTAINLY_NOT
    if codes == {VetoCode.POSSIBLE_TWINS.value}:
        return Grade.PROBABLE if weight >= policy.probable else Grade.CERTAINLY_NOT
    otherwise = weight - min(0.0, policy.parameters.weights.get(f"nik.{levels.nik.value}", 0.0))
    # Twins' numbers differ in the serial: of another place or day, one typing error away, the number is more likely one
    # child's; and one of another birthday than that of its own row is hardly a twin's, but of the line above.
    no_twins = levels.nik is NikLevel.TYPO or _has_another_birthdays_number(weighed)
    same_name = levels.name.level in LIKE_NAME or (no_twins and levels.name.level in _NEARLY)
    # A newborn's number is often invented or cut; its name is the mother's, and compared with the family.
    unnamed = weighed.left.newborn or weighed.right.newborn
    same_name = same_name or (unnamed and levels.birth_date in SAME_DAY)
    asked = _ASK_OF_ONE_MISTYPED if no_twins else _ASK_WHEN_OTHERWISE_CERTAIN
    if not (codes <= asked and same_name):
        return Grade.CERTAINLY_NOT
    if otherwise >= policy.certain:
        return Grade.PROBABLE
    told_by_doses = codes == _TWO_NUMBERS and otherwise >= policy.certain - policy.parameters.lots.most
    return Grade.POSSIBLE if told_by_doses else Grade.CERTAINLY_NOT


def _has_another_birthdays_number(weighed: _Weighed) -> bool:
    """Whether of two born the same day under two valid NIKs the one's number is of that day, and the other's of another."""
    levels = weighed.levels
    if levels.nik is not NikLevel.DIFFERENT or levels.birth_date is not BirthDateLevel.EXACT:
        return False
    return birth_date_fits_nik(weighed.left) != birth_date_fits_nik(weighed.right)
