"""Which Patients are one person: those that share a NIK; and what is to be said of any group of them.

Nobody is one person because of a number alone: every pair is compared with the identity model. What disagrees is a
conflict, and a group with conflicts is something to be looked at, not a merge. Nobody who shares the NIK is left out
of the group silently.

A NIK that ends in 0 may be a real one, or one whose last digit a spreadsheet has cut. Two Patients who carry the very
same sixteen digits share it, but since twins' and neighbours' numbers look alike once they are cut, it makes two
people one only where name, birth date and gender all agree.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from fhir_gateway.domain.identity import ComparedPair, Comparison, Grade
from fhir_gateway.domain.merges import DuplicateGroup, GroupRule, MergeConflict
from fhir_gateway.domain.records import Resource
from fhir_gateway.identity.comparators import birth_date_fits_nik
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.unseen import may_be_unseen_twins
from fhir_gateway.identity.vetoes import LIKE_NAME, VetoCode
from fhir_gateway.merging.elements import own_niks
from fhir_gateway.people.nik import Nik, NikStatus, read_nik

MOST_PATIENTS = 50
"""More Patients than these with one NIK: it is nobody's own number, and comparing all with all would tell nothing."""

IN_TWO_GROUPS = "in-two-groups"
"""The conflict's code of a Patient who stands in two groups of one plan."""
NOT_CONFIRMED = "not-confirmed"
"""The conflict's code of two whom nothing but a number holds together."""

_GRADES = (Grade.CERTAINLY_NOT, Grade.POSSIBLE, Grade.PROBABLE, Grade.CERTAIN)
_OF_VETOES = {
    VetoCode.NIK_NAME_DISAGREES: "name-disagrees",
    VetoCode.NIK_DIFFERENT: "different-niks",
    VetoCode.GENERATION: "birth-date-disagrees",
    VetoCode.TIMELINE: "born-after-death",
    VetoCode.DECIDED: "kept-apart",
}
_WITHOUT_A_NUMBER = frozenset({GroupRule.EVIDENCE, GroupRule.CHOSEN})
_BIRTH_DATE_SLIPS = frozenset({"digit", "close", "year"})
_SURE_BIRTH_DATES = frozenset({"exact", "default_day"})
_WORDS = {
    "birth-date-disagrees": "the birth dates disagree",
    "names-unread": "the names are not written alike, and in this script they cannot be compared",
    "gender-disagrees": "the one is recorded as male, the other as female",
    "kept-apart": "these two were merged once and undone, or an operator said that they are two people",
    NOT_CONFIRMED: "nothing but the number shows that they are one person",
    "cut-nik-unconfirmed": "their NIK ends in 0, as one whose last digit a spreadsheet has cut, and name, birth date and"
    " gender do not all agree",
    VetoCode.POSSIBLE_TWINS: "they may be twins, though no third is known: no number tells, and what differs in their names or"
    " numbers is what twins' differ in",
}
_MAY_BE_CUT = MergeConflict(
    "nik-may-be-cut", "the NIK ends in 0: a spreadsheet may have cut its last digit", blocks=False
)


def brings_together(nik: Nik) -> bool:
    """Say whether two Patients who carry this NIK share a number: a valid one, or sixteen digits that end in 0."""
    return nik.writable


def group_by_nik(
    patients: Iterable[Resource],
    *,
    parted: Collection[frozenset[str]] = (),
    policy: MatchingPolicy | None = None,
) -> list[DuplicateGroup]:
    """Return a group for every NIK that two or more active Patients carry, earlier NIKs included, by NIK.

    `parted` are pairs of ids that are known to be two people. Of Patients that share two NIKs there is one group, by a
    valid one before one that may be cut. Placeholders and numbers that are no NIK bring nobody together. A group of
    many is graded by grade_group.
    """
    carriers: dict[str, dict[str, Resource]] = defaultdict(dict)
    for patient in patients:
        if patient.get("active") is False or not patient.get("id"):
            continue
        for value in own_niks(patient, old=True):
            nik = read_nik(value)
            if brings_together(nik):
                carriers[nik.digits].setdefault(str(patient["id"]), patient)
    groups: dict[tuple[str, ...], DuplicateGroup] = {}
    for nik_digits, members in sorted(carriers.items(), key=lambda carried: (_may_be_cut(carried[0]), carried[0])):
        ids = tuple(sorted(members))
        if len(ids) > 1 and ids not in groups:
            groups[ids] = grade_group(
                list(members.values()), rule=GroupRule.SAME_NIK, nik=nik_digits, parted=parted, policy=policy
            )
    return sorted(groups.values(), key=lambda group: group.nik)


def _may_be_cut(nik: str) -> bool:
    return bool(nik) and read_nik(nik).status is not NikStatus.VALID


def grade_group(
    patients: Sequence[Resource],
    *,
    rule: GroupRule,
    nik: str = "",
    parted: Collection[frozenset[str]] = (),
    policy: MatchingPolicy | None = None,
) -> DuplicateGroup:
    """Compare every pair of Patients and return them as one group with its grade and its conflicts."""
    evidence = {str(patient["id"]): evidence_of(patient) for patient in patients}
    return grade_people(evidence, rule=rule, nik=nik, parted=parted, policy=policy)


def judge_anew(
    group: DuplicateGroup,
    patients: Iterable[Resource],
    *,
    parted: Collection[frozenset[str]] = (),
    policy: MatchingPolicy | None = None,
) -> DuplicateGroup:
    """Return a group as its Patients make it who were read now: what a plan file says of them is not taken on trust.

    Grade, evidence and conflicts are found again; a NIK that they do not share is none, and then nobody but the
    operator has brought them together. Of fewer than two active Patients there is nothing to judge.
    """
    members = [one for one in patients if one.get("active") is not False]
    if len(members) < 2:
        return group
    shared = set.intersection(*({read_nik(value).digits for value in own_niks(one, old=True)} for one in members))
    shared = {nik for nik in shared if brings_together(read_nik(nik))}
    nik = min(shared, key=lambda one: (_may_be_cut(one), one), default="") if group.nik in shared else ""
    rule = GroupRule.CHOSEN if group.rule is GroupRule.SAME_NIK and not nik else group.rule
    judged = grade_group(members, rule=rule, nik=nik, parted=parted, policy=policy)
    of_the_plan = tuple(one for one in group.conflicts if one.code == IN_TWO_GROUPS)
    return replace(
        judged,
        patient_ids=group.patient_ids,
        nik=group.nik if nik else "",
        conflicts=(*judged.conflicts, *of_the_plan),
    )


def grade_people(  # noqa: PLR0913 - what is known beside the people is named
    evidence: Mapping[str, PersonEvidence],
    *,
    rule: GroupRule,
    nik: str = "",
    parted: Collection[frozenset[str]] = (),
    policy: MatchingPolicy | None = None,
    compared: Callable[[str, str], Comparison] | None = None,
) -> DuplicateGroup:
    """Compare every pair of people, by Patient id, and return them as one group with its grade and its conflicts.

    `pairs` of the group are those that hold it together and those that contradict. More than MOST_PATIENTS are not
    compared: that is a conflict of its own. A `nik` that may be cut is told, and asks for more than a whole one.
    `compared` returns the comparison of two of them where they have been compared before.
    """
    ids = tuple(sorted(evidence))
    if len(ids) > MOST_PATIENTS:
        text = f"{len(ids)} Patients: too many for one person; a number that so many carry is nobody's own"
        return DuplicateGroup(
            ids, rule, Grade.POSSIBLE, nik, (), (MergeConflict("too-many-patients", text, _named(ids)),)
        )

    def compare_two(one: str, other: str) -> Comparison:
        return compare(evidence[one], evidence[other], policy=policy)

    comparison_of = compared or compare_two
    pairs = [ComparedPair(one, other, comparison_of(one, other)) for one, other in combinations(ids, 2)]
    cut = _may_be_cut(nik)
    contradictions = {
        (pair.left, pair.right): found
        for pair in pairs
        if (found := contradictions_of(pair, rule=rule, evidence=evidence, parted=parted, cut_nik=cut))
    }
    holding = _holding(pairs)
    grade = min((pair.comparison.grade for pair in holding), key=_GRADES.index, default=Grade.CERTAINLY_NOT)
    conflicts = [conflict for found in contradictions.values() for conflict in found]
    if grade in {Grade.POSSIBLE, Grade.CERTAINLY_NOT} and not conflicts:
        conflicts = _unconfirmed(holding)
    shown = [pair for pair in pairs if pair in holding or (pair.left, pair.right) in contradictions]
    if conflicts and grade is Grade.CERTAIN:
        grade = Grade.PROBABLE
    notes = (_MAY_BE_CUT,) if cut else ()
    return DuplicateGroup(ids, rule, grade, nik, tuple(shown), (*conflicts, *notes))


def contradictions_of(
    pair: ComparedPair,
    *,
    rule: GroupRule,
    evidence: Mapping[str, PersonEvidence],
    parted: Collection[frozenset[str]] = (),
    cut_nik: bool = False,
) -> tuple[MergeConflict, ...]:
    """Return what speaks against two Patients being one person: vetoes, other birth dates, genders, or unread names.

    `cut_nik` says that all they share is a NIK that may be cut: then what does not agree speaks against it, too. Whom
    evidence alone or an operator has brought together (`rule`) may also be twins of whom nobody knows, as in a load.
    """
    left, right = str(pair.left), str(pair.right)
    found = {_code(veto.code): veto.words for veto in pair.comparison.vetoes}
    if frozenset((left, right)) in parted:
        found["kept-apart"] = _WORDS["kept-apart"]
    if rule in _WITHOUT_A_NUMBER and may_be_unseen_twins(
        evidence[left], evidence[right], pair.comparison, met_on_server=True
    ):
        found.setdefault(VetoCode.POSSIBLE_TWINS.value, _WORDS[VetoCode.POSSIBLE_TWINS])
    levels = _levels(pair.comparison)
    if _birth_dates_disagree(levels.get("birth_date", ""), evidence[left], evidence[right]):
        found.setdefault("birth-date-disagrees", _WORDS["birth-date-disagrees"])
    if _names_unread(evidence[left], evidence[right]):
        found.setdefault("names-unread", _WORDS["names-unread"])
    if levels.get("gender") == "different":
        found["gender-disagrees"] = _WORDS["gender-disagrees"]
    if cut_nik and not found and not _all_agree(levels, (evidence[left], evidence[right])):
        found["cut-nik-unconfirmed"] = _WORDS["cut-nik-unconfirmed"]
    return tuple(MergeConflict(code, words, _named((left, right))) for code, words in found.items())


def _birth_dates_disagree(level: str, left: PersonEvidence, right: PersonEvidence) -> bool:
    """Say whether two birth dates contradict; a slip is none where the NIK tells which of the two is meant."""
    if level == "different":
        return True
    return level in _BIRTH_DATE_SLIPS and birth_date_fits_nik(left) == birth_date_fits_nik(right)


def _names_unread(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Say whether two have names that differ and cannot be compared, as the one's or both are in another script."""
    if left.own_keys and right.own_keys:
        return False
    named = all(one.own_keys or one.unread_names for one in (left, right))
    return named and not set(left.unread_names) & set(right.unread_names)


def _all_agree(levels: Mapping[str, str], both: tuple[PersonEvidence, PersonEvidence]) -> bool:
    """Say whether name, birth date and gender are known of both and agree; a date that only the NIK tells is none."""
    dates = levels.get("birth_date") in _SURE_BIRTH_DATES and all(one.birth_date.whole for one in both)
    return dates and levels.get("name") in LIKE_NAME and levels.get("gender") == "agree"


def _levels(comparison: Comparison) -> dict[str, str]:
    return {evidence.field: evidence.agreement for evidence in comparison.evidence}


def _code(veto: str) -> str:
    return _OF_VETOES.get(VetoCode(veto), veto)


def _named(patient_ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"Patient/{patient_id}" for patient_id in patient_ids)


def _holding(pairs: Sequence[ComparedPair]) -> list[ComparedPair]:
    """Return the pairs that hold all together, best ones first (a maximum spanning tree)."""
    best_first = sorted(
        pairs, key=lambda pair: (-_GRADES.index(pair.comparison.grade), -pair.comparison.weight, pair.left, pair.right)
    )
    component = {node: {node} for pair in pairs for node in (pair.left, pair.right)}
    holding: list[ComparedPair] = []
    for pair in best_first:
        one, other = component[pair.left], component[pair.right]
        if one is not other:
            holding.append(pair)
            one |= other
            component.update(dict.fromkeys(other, one))
    return holding


def _unconfirmed(holding: Sequence[ComparedPair]) -> list[MergeConflict]:
    return [
        MergeConflict(NOT_CONFIRMED, _WORDS[NOT_CONFIRMED], _named((str(pair.left), str(pair.right))))
        for pair in holding
        if pair.comparison.grade in {Grade.POSSIBLE, Grade.CERTAINLY_NOT}
    ]
