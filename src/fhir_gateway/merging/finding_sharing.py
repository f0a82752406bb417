"""Who shares a NIK: people in blocks of one NIK, or those who were searched by it, compared and graded."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from fhir_gateway.domain.finding import Found, FoundKind
from fhir_gateway.domain.merges import GroupRule
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.merging.finding_groups import found_of
from fhir_gateway.merging.finding_people import Person, unpack
from fhir_gateway.merging.grouping import grade_people


@dataclass(frozen=True, slots=True)
class Sharing:
    """The active Patients that carry a NIK, by id."""

    nik: str
    people: Mapping[str, Person]


@dataclass(frozen=True, slots=True)
class Graded:
    """Groups that share a NIK, and how many are not among them since all of their people were parted before.

    `numbers` are those of all who share a NIK, by id, where they came in blocks.
    """

    found: tuple[Found, ...]
    parted: int
    numbers: Mapping[str, int]


def grade_blocks(
    blocks: Iterable[Sequence[int]],
    records: Mapping[int, bytes],
    policy: MatchingPolicy,
    parted: Collection[frozenset[str]] = (),
) -> Graded:
    """Grade who shares a NIK in blocks of people's numbers (see finding_pages.blocks_in, finding_people.pack)."""
    found: list[Sharing] = []
    shared: dict[str, int] = {}
    for block in blocks:
        carriers: dict[str, dict[str, Person]] = defaultdict(dict)
        numbers: dict[str, int] = {}
        for number in block:
            person = unpack(records[number])
            for nik in person.niks:
                carriers[nik][person.shown.id] = person  # who was written while the server was read came twice
            numbers[person.shown.id] = number
        common = [Sharing(nik, people) for nik, people in carriers.items() if len(people) > 1]
        shared |= {one: numbers[one] for sharing in common for one in sharing.people}
        found += common
    return grade_sharing(sorted(found, key=lambda one: one.nik), policy, parted, shared)


def grade_sharing(
    sharing: Iterable[Sharing],
    policy: MatchingPolicy,
    parted: Collection[frozenset[str]],
    numbers: Mapping[str, int] | None = None,
) -> Graded:
    """Grade groups; those in which every pair was parted before are not proposed again, but counted."""
    groups = list(sharing)
    wanted = [one for one in groups if not _all_parted(one.people, parted)]
    found = tuple(_graded(one, parted, policy) for one in wanted)
    return Graded(found, len(groups) - len(wanted), numbers or {})


def _graded(sharing: Sharing, parted: Collection[frozenset[str]], policy: MatchingPolicy) -> Found:
    evidence = {patient_id: person.evidence for patient_id, person in sharing.people.items()}
    group = grade_people(evidence, rule=GroupRule.SAME_NIK, nik=sharing.nik, parted=parted, policy=policy)
    return found_of(FoundKind.SHARED_NIK, group, sharing.people)


def _all_parted(ids: Iterable[str], parted: Collection[frozenset[str]]) -> bool:
    return bool(parted) and all(frozenset(pair) in parted for pair in combinations(sorted(ids), 2))
