"""The second leg: the run's people are compared with one another, then with whom the server and the ledger know."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from fhir_gateway.domain import systems
from fhir_gateway.domain.identity import Grade, Probe
from fhir_gateway.domain.records import Resource, person_identifier
from fhir_gateway.domain.runs import Run
from fhir_gateway.fhir.references import replaced_by
from fhir_gateway.flows.load.blocks import LARGEST_BLOCK, block_numbers, known_block_numbers
from fhir_gateway.flows.load.reading import WITNESSES
from fhir_gateway.flows.load.shared_niks import count_niks, park_people_under_one_nik
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.identity.blocking import probe_of
from fhir_gateway.identity.combining import combine
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.frequencies import Frequencies, FrequencyCount
from fhir_gateway.identity.screening import Screen
from fhir_gateway.identity.shared_niks import NikCount

_Person = tuple[int, str, Resource]
"""A spooled person: number, digest, Patient."""

LEAST = Grade.POSSIBLE
"""The least grade of a pair that a decision has to look at."""
OWN = 1e6
"""The weight of an edge to the Patient that the same key created: stronger than any evidence."""

_WINDOW = 300
_WINDOWS_IN_FLIGHT = 2
"""With the windows' own searches side by side that is enough to keep a server busy."""
_PAIRS_TOGETHER = 500
_CACHED_PEOPLE = 1_000


async def compare_people(run: Run, tools: LoadTools) -> Frequencies:
    """Compare the run's people that share a blocking key, and keep every pair that a decision has to look at.

    Returns how common the run's names and phones are, for the legs that follow.
    """
    frequencies = await _block(run, tools)
    tools.progress.phase("comparing people")
    screen = Screen(tools.matching, frequencies, least=LEAST)
    evidence = _Evidence(run, tools)
    compared = 0
    pairs = tools.ledger.spool.pairs(run, largest_block=LARGEST_BLOCK)
    while chunk := list(islice(pairs, _PAIRS_TOGETHER)):
        known = evidence.of({number for _, *pair in chunk for number in pair})
        edges: list[tuple[int, int | str, float]] = []
        for _, left, right in chunk:
            weight = screen.weight(known[left], known[right])
            if weight is not None:
                edges.append((left, right, weight))
        with tools.ledger.transaction():
            tools.ledger.spool.connect(run, edges)
        compared += len(chunk)
        tools.progress.advance(compared, _share_of_pairs(chunk[-1][0]))
        await asyncio.sleep(0)  # where Ctrl-C takes effect
    return frequencies


class _Evidence:
    """The evidence of spooled people, the latest of it kept: pairs come block by block, so the same people come together."""

    def __init__(self, run: Run, tools: LoadTools) -> None:
        self._run = run
        self._spool = tools.ledger.spool
        self._kept: dict[int, PersonEvidence] = {}

    def of(self, numbers: set[int]) -> Mapping[int, PersonEvidence]:
        """Return number → evidence of these people (and of some others)."""
        if len(self._kept) > _CACHED_PEOPLE:
            self._kept = {number: self._kept[number] for number in numbers & self._kept.keys()}
        missing = self._spool.patients_of(self._run, numbers - self._kept.keys())
        self._kept.update((number, evidence_of(patient)) for number, patient in missing.items())
        return self._kept


def waiting_people(run: Run, tools: LoadTools) -> int:
    """Return of how many people it has to be told who they are."""
    return sum(1 for _ in tools.ledger.spool.open_numbers(run, waiting=WITNESSES))


def _share_of_pairs(key: int) -> float:
    """Return about which share of the pairs has been compared, up to a hashed key: hashes lie evenly among 64 bits."""
    return key / 2**64 + 0.5


async def _block(run: Run, tools: LoadTools) -> Frequencies:
    """Write everybody's blocking keys, and let those wait whose NIK is many people's; return how common names and phones are."""
    tools.progress.phase("grouping people", waiting_people(run, tools))
    people = tools.ledger.spool.open_people(run, waiting=WITNESSES)
    count, niks = FrequencyCount(), NikCount()
    done = 0
    while chunk := list(islice(people, _WINDOW)):
        keys: list[tuple[int, int]] = []
        for number, _, patient in chunk:
            evidence = evidence_of(patient)
            count.add(evidence)
            count_niks(niks, evidence)
            keys.extend((key, number) for key in block_numbers(evidence))
        with tools.ledger.transaction():
            tools.ledger.spool.block(run, keys)
        done += len(chunk)
        tools.progress.advance(done)
        await asyncio.sleep(0)
    park_people_under_one_nik(run, niks, tools)
    return count.result(tools.matching.parameters.counting)


async def look_up(run: Run, tools: LoadTools, *, frequencies: Frequencies | None = None) -> None:
    """Find who the run's people could be on the server, and keep those candidates and the pairs that matter."""
    tools.progress.phase("looking people up", waiting_people(run, tools))
    waiting = asyncio.Semaphore(_WINDOWS_IN_FLIGHT)
    done = 0

    async def window(people: Sequence[_Person]) -> None:
        nonlocal done
        async with waiting:
            await _look_up_window(run, people, tools, frequencies=frequencies)
        done += len(people)
        tools.progress.advance(done)

    people = tools.ledger.spool.open_people(run, waiting=WITNESSES)
    async with asyncio.TaskGroup() as tasks:
        for chunk in _chunks(people):
            async with waiting:  # no more windows in memory than in flight
                pass
            tasks.create_task(window(chunk))
            await asyncio.sleep(0)
    tools.finder.forget_all()


async def _look_up_window(
    run: Run, people: Sequence[_Person], tools: LoadTools, *, frequencies: Frequencies | None
) -> None:
    keys = tools.ledger.spool.keys_of(run, [number for number, _, _ in people], waiting=WITNESSES)
    own = _own_patients(people, keys, tools)
    evidence = {number: evidence_of(patient) for number, _, patient in people}
    blocks = {number: known_block_numbers(evidence[number]) for number in evidence}
    located = tools.ledger.keys.located(
        {block for numbers in blocks.values() for block in numbers}, largest_block=LARGEST_BLOCK
    )
    probes = []
    for number, found in evidence.items():
        known_ids = {patient_id for block in blocks[number] for patient_id in located.get(block, ())}
        probes.append(_probe(number, found, keys.get(number, []), known_ids | own.get(number, set())))
    candidates = await tools.finder.find(probes)
    known, masters = evidence_of_found(candidates.patients)
    screen = Screen(tools.matching, frequencies, least=LEAST)
    edges: list[tuple[int, int | str, float]] = []
    for number, ids in candidates.found.items():
        mine = {masters.get(patient_id, patient_id) for patient_id in own.get(number, ())}
        for patient_id in ids:
            master = masters.get(patient_id, patient_id)
            if master in mine:
                edges.append((number, patient_id, OWN))
            elif (weight := screen.weight(evidence[number], known[master])) is not None:
                edges.append((number, patient_id, weight))
    kept = {str(other) for _, other, _ in edges}
    with tools.ledger.transaction():
        tools.ledger.spool.keep_candidates(run, {i: p for i, p in candidates.patients.items() if i in kept})
        tools.ledger.spool.connect(run, edges)


def evidence_of_found(patients: Mapping[str, Resource]) -> tuple[dict[str, PersonEvidence], dict[str, str]]:
    """Return the evidence of found Patients, with that of whom they replaced; and who of them stands for the replaced."""
    masters = {
        patient_id: master
        for patient_id, patient in patients.items()
        if (master := next(replaced_by(patient), "")) in patients and patients[master].get("active") is not False
    }
    records = {patient_id: [evidence_of(patients[patient_id])] for patient_id in patients.keys() - masters.keys()}
    for patient_id, master in masters.items():
        records[master].append(evidence_of(patients[patient_id]))
    return {patient_id: combine(several) for patient_id, several in records.items()}, masters


def _own_patients(
    people: Sequence[_Person], keys: Mapping[int, Sequence[str]], tools: LoadTools
) -> dict[int, set[str]]:
    """Return person → Patients that earlier runs loaded the same keys to, or the same words of the same source.

    Words tell nothing while an operator is asked whose the rows are that say them. Once she took two people of the same
    words apart, their keys tell whose rows those are that were loaded before.
    """
    known = tools.ledger.keys.known({key for own in keys.values() for key in own})
    recognised = tools.ledger.keys.recognise({name for _, name, _ in people})
    in_question = tools.ledger.reviews.words_asked_about() if recognised else ()
    found: dict[int, set[str]] = {}
    for number, name, _ in people:
        own = keys.get(number, ())
        mine = {known[key].patient_id for key in own if key in known}
        alike = set(recognised.get(name, ())) if name not in in_question else set()
        if not alike <= mine and all(key in known for key in own):
            apart = tools.ledger.keys.kept_apart(mine | alike)
            alike = {other for other in alike if not any(frozenset((one, other)) in apart for one in mine)}
        found[number] = mine | alike
    return found


def _probe(number: int, evidence: PersonEvidence, keys: Iterable[str], ids: set[str]) -> Probe:
    probe = probe_of(number, evidence)
    own = tuple((systems.PERSON, person_identifier(key)) for key in keys)
    return Probe(
        number=number,
        patient_ids=tuple(sorted(ids)),
        identifiers=(*probe.identifiers, *dict.fromkeys(own)),
        birth_dates=probe.birth_dates,
        gender=probe.gender,
        phones=probe.phones,
        names=probe.names,
    )


def _chunks(people: Iterator[_Person]) -> Iterator[list[_Person]]:
    while chunk := list(islice(people, _WINDOW)):
        yield chunk
