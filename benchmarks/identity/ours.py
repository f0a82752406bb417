"""The gateway's own matching over all distinct Patients at once, as `load FILE…` does before it asks the server."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from fhir_gateway.domain.identity import ComparedPair, PersonAction, PersonDecision
from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.load.blocks import LARGEST_BLOCK, block_numbers
from fhir_gateway.flows.load.comparing import LEAST
from fhir_gateway.flows.load.components import components
from fhir_gateway.identity.combining import with_orders_of_birth
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.decision import decide
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.frequencies import count_frequencies
from fhir_gateway.identity.given import Listed
from fhir_gateway.identity.lots import LotCount
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.identity.screening import Screen

_LARGEST_FULLY_COMPARED = 40


def decide_all(patients: Iterable[Resource], listed: Sequence[Listed], policy: MatchingPolicy) -> list[PersonDecision]:
    """Return the decisions over Patients, numbered from 1, and what lists say of each."""
    evidence = [evidence_of(patient) for patient in patients]
    lots = LotCount()
    for number, said in enumerate(listed, start=1):
        lots.add(number, said)
    received = lots.result()
    frequencies = count_frequencies(evidence)
    screen = Screen(policy, frequencies, least=LEAST)
    edges: list[tuple[int, int | str]] = []
    for left, right in candidate_pairs(evidence):
        if screen.weight(evidence[left - 1], evidence[right - 1]) is not None:
            edges.append((left, right))
    of_person: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for left, right in edges:
        of_person[left].append((left, int(right)))
    decisions: list[PersonDecision] = []
    for group in components(range(1, len(evidence) + 1), edges):
        people = with_orders_of_birth({number: evidence[number - 1] for number in group})
        known = {number: listed[number - 1] for number in group} if len(group) > 1 else {}
        pairs = [
            ComparedPair(left, right, compare(people[left], people[right], policy=policy, frequencies=frequencies))
            for left, right in _to_compare(group, of_person)
        ]
        decisions += decide(people, {}, pairs, policy=policy, frequencies=frequencies, listed=known, received=received)
    return decisions


def candidate_pairs(evidence: Sequence[PersonEvidence]) -> Iterator[tuple[int, int]]:
    """Yield the pairs that share a blocking key which is not too common, each once, numbered from 1, by birth date.

    A family's and its namesakes' pairs come together then, and of their names what comparing has remembered lately.
    """
    people = sorted(range(1, len(evidence) + 1), key=lambda number: (evidence[number - 1].birth_date, number))
    keys = [tuple(dict.fromkeys(block_numbers(evidence[number - 1]))) for number in people]
    size = Counter(key for own in keys for key in own)
    blocks: dict[int, list[int]] = defaultdict(list)  # of those who come later, the last one first
    for place in reversed(range(len(people))):
        for key in keys[place]:
            if 1 < size[key] <= LARGEST_BLOCK:
                blocks[key].append(place)
    for place, own in enumerate(keys):
        later = [block for key in own if (block := blocks.get(key))]
        for block in later:
            block.pop()
        for other in sorted(set[int]().union(*later)):
            one, another = people[place], people[other]
            yield (one, another) if one < another else (another, one)


def _to_compare(group: Sequence[int], of_person: dict[int, list[tuple[int, int]]]) -> Iterator[tuple[int, int]]:
    if len(group) <= _LARGEST_FULLY_COMPARED:
        yield from combinations(sorted(group), 2)
        return
    for number in group:
        yield from of_person.get(number, ())


def labels(decisions: Sequence[PersonDecision], people: int) -> list[str]:
    """Return each Patient's label: its cluster's first member, or empty where an operator is asked."""
    result = [""] * people
    for decision in decisions:
        if decision.action is not PersonAction.REVIEW:
            for member in decision.members:
                result[member - 1] = str(min(decision.members))
    return result
