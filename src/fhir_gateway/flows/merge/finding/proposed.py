"""What loads have proposed: pairs of Patients that one row, or another writer's Patient, showed to be one person."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from fhir_gateway.domain.finding import Found, FoundKind
from fhir_gateway.domain.merges import DuplicateGroup, GroupRule
from fhir_gateway.domain.searches import Search
from fhir_gateway.flows.merge.finding.registering import Registered
from fhir_gateway.flows.merge.finding.tools import FindTools
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.merging.finding_groups import fitting_two, found_of, join_people
from fhir_gateway.merging.finding_people import Person, person_of
from fhir_gateway.merging.grouping import NOT_CONFIRMED, grade_people

_IDS_A_SEARCH = 200

Pair = tuple[str, str]


class Proposals:
    """The proposals of an environment's loads; of several for one pair the latest tells why."""

    def __init__(self, rows: Iterable[tuple[str, str, int, str]]) -> None:
        self._why: dict[Pair, tuple[int, str]] = {
            (min(left, right), max(left, right)): (run, reason) for left, right, run, reason in rows
        }

    @property
    def patient_ids(self) -> frozenset[str]:
        """The Patients that proposals name."""
        return frozenset(one for pair in self._why for one in pair)

    def marked(self, found: Sequence[Found]) -> list[Found]:
        """Return groups, those with two Patients that a load proposed with its run and its reason."""
        return [self._marked(one) for one in found]

    def _marked(self, found: Found) -> Found:
        for pair in combinations(found.group.patient_ids, 2) if self._why else ():
            if pair in self._why:
                run, reason = self._why[pair]
                return replace(found, run=run, reason=reason)
        return found

    async def missing(
        self, found: Iterable[Found], registered: Registered, tools: FindTools
    ) -> tuple[list[Found], int]:
        """Return proposals that no group has yet, among registered people, and how many were parted since."""
        listed = {pair for one in found for pair in combinations(one.group.patient_ids, 2)} if self._why else set()
        people = {patient_id: registered.person(number) for patient_id, number in registered.numbers.items()}
        return await self._graded([pair for pair in self._why if pair not in listed], people, tools)

    async def read(self, tools: FindTools) -> tuple[list[Found], int]:
        """Return all proposals whose Patients are still there and active, read from the server one by one."""
        ids = sorted(self.patient_ids)
        searches = [
            Search("Patient", {"_id": ids[start : start + _IDS_A_SEARCH]})
            for start in range(0, len(ids), _IDS_A_SEARCH)
        ]
        answers = await tools.reader.search_together(searches) if searches else []
        people = {
            str(patient["id"]): person_of(patient)
            for answer in answers
            for patient in answer.resources
            if patient.get("active") is not False
        }
        return await self._graded(list(self._why), people, tools)

    async def _graded(
        self, pairs: Sequence[Pair], people: Mapping[str, Person], tools: FindTools
    ) -> tuple[list[Found], int]:
        open_pairs = [pair for pair in sorted(pairs) if pair[0] in people and pair[1] in people]
        parted = tools.ledger.keys.kept_apart(sorted({one for pair in open_pairs for one in pair}))
        wanted = [pair for pair in open_pairs if frozenset(pair) not in parted]
        found = await asyncio.to_thread(self._grouped, wanted, people, parted, tools.matching)
        return found, len(open_pairs) - len(wanted)

    def _grouped(
        self,
        pairs: Sequence[Pair],
        people: Mapping[str, Person],
        parted: Collection[frozenset[str]],
        policy: MatchingPolicy,
    ) -> list[Found]:
        """Return pairs as groups, chains of them as one; whom something speaks against stays in a pair."""

        def graded(ids: Iterable[str]) -> DuplicateGroup:
            evidence = {one: people[one].evidence for one in ids}
            return grade_people(evidence, rule=GroupRule.PROPOSAL, parted=parted, policy=policy)

        def contradict(one: str, other: str) -> bool:
            return any(each.blocks and each.code != NOT_CONFIRMED for each in graded((one, other)).conflicts)

        blocked = dict.fromkeys(pair for pair in pairs if any(each.blocks for each in graded(pair).conflicts))
        joined = join_people((pair for pair in pairs if pair not in blocked), contradict)
        groups = [*map(graded, (*joined.groups, *blocked)), *(fitting_two(graded(pair)) for pair in joined.torn)]
        return [self._marked(found_of(FoundKind.PROPOSAL, group, people)) for group in groups]
