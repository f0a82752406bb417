"""Estimates what agreements weigh from a region's own rows: nothing is sent, nothing kept."""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, islice

from fhir_gateway.domain.runs import Run, RunKind
from fhir_gateway.flows.load.comparing import compare_people
from fhir_gateway.flows.load.reading import read_into_spool
from fhir_gateway.flows.load.tools import LoadRequest, LoadTools
from fhir_gateway.identity.estimation import Estimate, Estimation
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.frequencies import Frequencies

_RANDOM_PEOPLE = 5_000
_RANDOM_PAIRS = 100_000
_PAIRS_TOGETHER = 2_000
_LARGEST_PAIRED = 60
"""Wordings of one person of which each pair is counted."""


@dataclass(frozen=True, slots=True)
class EstimationStudy:
    """What was estimated, and how many distinct people the rows tell of."""

    estimates: tuple[Estimate, ...]
    people: int


async def estimate_parameters(
    request: LoadRequest,
    tools: LoadTools,
    *,
    source: str,
    seed: int,
    persons: Mapping[tuple[int, int], str] | None = None,
) -> EstimationStudy:
    """Estimate m and u from the request's rows; `tools.ledger` is a ledger of its own, to be thrown away.

    `persons` tells whom each (file's number, row) is about, where that is known; else it is settled by EM over the
    pairs that meet in a block. `source` goes into the origins; `seed` draws the random pairs.
    """
    with tools.ledger.transaction():
        run = tools.ledger.runs.start(
            kind=RunKind.DRY_RUN, fingerprint="estimate", files=(), clinic="", user="", started=tools.clock.now()
        )
    await read_into_spool(run, request, tools)
    frequencies = await compare_people(run, tools)
    estimation = Estimation(tools.matching)
    who = _who(run, persons, tools) if persons is not None else {}
    tools.progress.phase("counting agreements")
    pairs = _pairs_of_one(who) if persons is not None else _pairs_that_meet(run, tools)
    add = estimation.add_same if persons is not None else estimation.add_unknown
    for left, right in _evidence_of_pairs(run, pairs, tools):
        add(left, right, frequencies)
    numbers = list(tools.ledger.spool.open_numbers(run))
    _add_random_pairs(run, numbers, who, estimation, frequencies, tools=tools, seed=seed)
    return EstimationStudy(estimation.estimates(source), len(numbers))


def _who(run: Run, persons: Mapping[tuple[int, int], str], tools: LoadTools) -> dict[int, str]:
    """Return wording → person, by the first row of each that is known."""
    found: dict[int, str] = {}
    for record in tools.ledger.spool.unsettled(run):
        person = persons.get((record.file, record.row))
        if person:
            found.setdefault(record.person, person)
    return found


def _pairs_of_one(who: Mapping[int, str]) -> Iterator[tuple[int, int]]:
    wordings: dict[str, list[int]] = defaultdict(list)
    for number, person in who.items():
        wordings[person].append(number)
    for own in wordings.values():
        yield from combinations(sorted(own)[:_LARGEST_PAIRED], 2)


def _pairs_that_meet(run: Run, tools: LoadTools) -> Iterator[tuple[int, int]]:
    for left, right, _ in tools.ledger.spool.edges(run):
        if isinstance(right, int):
            yield left, right


def _evidence_of_pairs(
    run: Run, pairs: Iterator[tuple[int, int]], tools: LoadTools
) -> Iterator[tuple[PersonEvidence, PersonEvidence]]:
    done = 0
    while chunk := list(islice(pairs, _PAIRS_TOGETHER)):
        patients = tools.ledger.spool.patients_of(run, {number for pair in chunk for number in pair})
        known = {number: evidence_of(patient) for number, patient in patients.items()}
        yield from ((known[left], known[right]) for left, right in chunk)
        done += len(chunk)
        tools.progress.advance(done)


def _add_random_pairs(  # noqa: PLR0913 - what is drawn from, and what is counted
    run: Run,
    numbers: list[int],
    who: Mapping[int, str],
    estimation: Estimation,
    frequencies: Frequencies,
    *,
    tools: LoadTools,
    seed: int,
) -> None:
    """Count random pairs of some thousand people."""
    chance = random.Random(seed)  # noqa: S311 - a sample that can be drawn again, no secret
    drawn = chance.sample(numbers, min(len(numbers), _RANDOM_PEOPLE))
    patients = tools.ledger.spool.patients_of(run, drawn)
    known = {number: evidence_of(patient) for number, patient in patients.items()}
    possible = len(drawn) * (len(drawn) - 1) // 2
    for _ in range(min(_RANDOM_PAIRS, possible)):
        one, other = chance.sample(drawn, 2)
        if not who:
            estimation.add_random(known[one], known[other], frequencies)
        elif one in who and other in who and who[one] != who[other]:
            estimation.add_random(known[one], known[other], frequencies, known=True)
