"""What was decided without an operator, pair by pair: the frame from which an audit's sample is drawn.

Who stands under which Patient is what the ledger of finished loads says, whatever a comparison would say today.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations, islice

from fhir_gateway.domain.identity import PersonAction, PersonDecision
from fhir_gateway.domain.runs import Run, RunKind, SpooledRecord
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.ports import Ledger

_CHUNK = 500
_LARGEST_PAIRED = 40
"""Wordings of one Patient up to which each two are a pair; of more, each and the first."""
_AUTOMATIC = frozenset({RunKind.LOAD, RunKind.RETRY})


@dataclass(frozen=True, slots=True)
class DecidedPerson:
    """A wording whose Patient was found without an operator; `key` is one of its rows'."""

    patient_id: str
    clinic: str
    key: str


@dataclass(frozen=True, slots=True)
class DecidedPair:
    """Two wordings, or a wording and a Patient who was on the server before: as it stood at `moment`.

    `weight` is in bits, None where the two were never compared by themselves: third ones joined them.
    """

    left: int
    right: int | str
    linked: bool
    weight: float | None = None
    moment: datetime | None = None


def decided_people(run: Run, decided: Ledger, tools: LoadTools) -> dict[int, DecidedPerson]:
    """Return the wordings of a run that was read for this, of whom `decided` knows the Patient without an operator."""
    people: dict[int, DecidedPerson] = {}
    doubtful: set[int] = set()
    records = tools.ledger.spool.unsettled(run)
    while chunk := list(islice(records, _CHUNK)):
        known = decided.keys.known([record.key for record in chunk])
        digests = tools.ledger.spool.digests_of(run, {record.person for record in chunk})
        judged = {verdict.digest for verdict in decided.verdicts.of(digests.values())}
        for record in chunk:
            entry = known.get(record.key)
            if (
                entry is None
                or digests[record.person] in judged
                or people.setdefault(record.person, _person(record, entry.patient_id)).patient_id != entry.patient_id
            ):
                doubtful.add(record.person)
    return {number: person for number, person in people.items() if number not in doubtful}


def _person(record: SpooledRecord, patient_id: str) -> DecidedPerson:
    return DecidedPerson(patient_id, record.clinic, record.key)


def decided_pairs(
    run: Run, people: Mapping[int, DecidedPerson], decided: Ledger, tools: LoadTools
) -> Iterator[DecidedPair]:
    """Yield every two that were linked, and those that came near one another and were not."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, person in people.items():
        groups[person.patient_id].append(number)
    for members in groups.values():
        yield from _linked(members)
    for left, right, weight in tools.ledger.spool.edges(run):
        one, other = people.get(left), people.get(right) if isinstance(right, int) else None
        if one and other and one.patient_id != other.patient_id:
            yield DecidedPair(left, right, linked=False, weight=weight)
    yield from _with_patients(people, groups, decided)


def _linked(members: Sequence[int]) -> Iterator[DecidedPair]:
    pairs = combinations(members, 2) if len(members) <= _LARGEST_PAIRED else ((members[0], one) for one in members[1:])
    return (DecidedPair(left, right, linked=True) for left, right in pairs)


def _with_patients(
    people: Mapping[int, DecidedPerson], groups: Mapping[str, Sequence[int]], decided: Ledger
) -> Iterator[DecidedPair]:
    """Yield wordings and Patients whom no other wording stands for: they were on the server, or came by other files."""
    made: set[str] = set()
    found: list[tuple[int, int, Run, PersonDecision]] = []
    for number, spooled, run, decision in _decisions(people, decided):
        if decision.action is PersonAction.CREATE:
            made.update((decision.patient_id, people[number].patient_id))
        found.append((number, spooled, run, decision))
    for number, spooled, run, decision in found:
        own = {decision.patient_id, people[number].patient_id}
        if decision.action is PersonAction.LINK and own.isdisjoint(made):
            yield DecidedPair(number, decision.patient_id, linked=True, moment=run.started)
        for patient_id, pair in {pair.right: pair for pair in reversed(decision.pairs) if pair.left == spooled}.items():
            if isinstance(patient_id, str) and patient_id not in own | groups.keys():
                yield DecidedPair(number, patient_id, linked=False, weight=pair.comparison.weight, moment=run.started)


def _decisions(people: Mapping[int, DecidedPerson], decided: Ledger) -> Iterator[tuple[int, int, Run, PersonDecision]]:
    """Yield (wording, its number in the load that decided on it, that load, the decision), as far as a load decided."""
    runs: dict[int, Run | None] = {}
    waiting = iter(people.items())
    while chunk := list(islice(waiting, _CHUNK)):
        loaders = decided.keys.loaders([person.key for _, person in chunk])
        for number, person in chunk:
            if person.key not in loaders:
                continue
            load, spooled = loaders[person.key]
            run = runs[load] if load in runs else runs.setdefault(load, decided.runs.get(load))
            if run is None or run.kind not in _AUTOMATIC:
                continue
            if stored := decided.spool.decision_of(run, spooled):
                yield number, spooled, run, stored.decision
