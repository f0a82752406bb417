"""Draws a stratified sample of what was decided automatically: pairs that were linked, and look-alikes that were not."""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import Run, RunKind, SpooledRecord
from fhir_gateway.flows.load.comparing import compare_people
from fhir_gateway.flows.load.reading import read_into_spool
from fhir_gateway.flows.load.tools import LoadRequest, LoadTools
from fhir_gateway.ports import Ledger


@dataclass(frozen=True, slots=True)
class AuditPair:
    """Two wordings to be judged. `represents` is how many pairs of its stratum it stands for, `weight` is in bits."""

    number: int
    left: Resource
    right: Resource
    stratum: str
    clinic: str
    linked: bool
    weight: float
    represents: float


@dataclass(frozen=True, slots=True)
class _Found:
    left: int
    right: int
    weight: float


@dataclass(slots=True)
class _Cell:
    """Pairs of one stratum and clinic: how many there are, and a fair choice of them."""

    count: int = 0
    chosen: list[_Found] = field(default_factory=list)

    def offer(self, pair: _Found, most: int, chance: random.Random) -> None:
        """Take the pair into the choice with the chance of all the others (reservoir sampling)."""
        self.count += 1
        if len(self.chosen) < most:
            self.chosen.append(pair)
        elif (place := chance.randrange(self.count)) < most:
            self.chosen[place] = pair


@dataclass(frozen=True, slots=True)
class _Person:
    patient_id: str
    clinic: str
    digest: str


_Stratum = tuple[bool, str]


async def draw_audit(
    request: LoadRequest, *, size: int, seed: int, decided: Ledger, tools: LoadTools
) -> list[AuditPair]:
    """Draw about `size` pairs of the request's rows, half of them linked, from what the ledger `decided` holds.

    `tools.ledger` is a ledger of its own, to be thrown away. Only pairs that were close enough to be weighed are drawn:
    who was never compared is not seen here. What an operator decided is left out.
    """
    with tools.ledger.transaction():
        run = tools.ledger.runs.start(
            kind=RunKind.DRY_RUN, fingerprint="audit", files=(), clinic="", user="", started=tools.clock.now()
        )
    await read_into_spool(run, request, tools)
    await compare_people(run, tools)
    people = _people(run, decided, tools)
    chance = random.Random(seed)  # noqa: S311 - a sample that can be drawn again, no secret
    cells: dict[_Stratum, dict[str, _Cell]] = defaultdict(lambda: defaultdict(_Cell))
    for pair in _pairs(run, people, tools):
        patients = tools.ledger.spool.patients_of(run, (pair.left, pair.right))
        linked = people[pair.left].patient_id == people[pair.right].patient_id
        stratum = linked, stratum_of(patients[pair.left], patients[pair.right])
        cells[stratum][people[pair.left].clinic].offer(pair, size, chance)
    return list(_drawn(run, cells, size, chance, tools))


def stratum_of(left: Resource, right: Resource) -> str:
    """Return what makes a pair hard, the hardest first: possible twins, newborns, mononyms, no NIK, else ordinary."""
    both = (left, right)
    if _family(left) & _family(right) and left.get("birthDate") == right.get("birthDate") and _named_apart(both):
        return "possible-twins"
    if any(name.get("use") == "temp" for one in both for name in one.get("name", [])):
        return "newborn"
    if any(len(_name(one).split()) == 1 for one in both):
        return "mononym"
    niks = [any(i.get("system") == systems.NIK for i in one.get("identifier", [])) for one in both]
    return "ordinary" if all(niks) else "no-nik"


def _named_apart(both: Sequence[Resource]) -> bool:
    return len({_name(one) for one in both}) > 1


def _name(patient: Resource) -> str:
    return str((patient.get("name") or [{}])[0].get("text", "")).casefold()


def _family(patient: Resource) -> set[str]:
    """Return what tells a family: the mother's name and NIK, the phones."""
    told = {str(contact.get("name", {}).get("text", "")).casefold() for contact in patient.get("contact", [])}
    told |= {str(t.get("value", "")) for t in patient.get("telecom", [])}
    told |= {str(i.get("value")) for i in patient.get("identifier", []) if i.get("system") == systems.NIK_IBU}
    return told - {""}


def _people(run: Run, decided: Ledger, tools: LoadTools) -> dict[int, _Person]:
    """Return the wordings whose Patient is known and was found without an operator."""
    people: dict[int, _Person] = {}
    doubtful: set[int] = set()
    chunk: list[SpooledRecord] = []

    def add() -> None:
        known = decided.keys.known([record.key for record in chunk])
        digests = tools.ledger.spool.digests_of(run, {record.person for record in chunk})
        judged = {verdict.digest for verdict in decided.reviews.verdicts(digests.values())}
        for record in chunk:
            entry = known.get(record.key)
            if entry is None or digests[record.person] in judged:
                doubtful.add(record.person)
                continue
            person = _Person(entry.patient_id, record.clinic, digests[record.person])
            if people.setdefault(record.person, person).patient_id != entry.patient_id:
                doubtful.add(record.person)
        chunk.clear()

    for record in tools.ledger.spool.unsettled(run):
        chunk.append(record)
        if len(chunk) == 500:
            add()
    add()
    return {number: person for number, person in people.items() if number not in doubtful}


def _pairs(run: Run, people: Mapping[int, _Person], tools: LoadTools) -> Iterator[_Found]:
    for left, right, weight in tools.ledger.spool.edges(run):
        if isinstance(right, int) and left in people and right in people:
            yield _Found(left, right, weight)


def _drawn(
    run: Run,
    cells: Mapping[_Stratum, Mapping[str, _Cell]],
    size: int,
    chance: random.Random,
    tools: LoadTools,
) -> Iterator[AuditPair]:
    number = 0
    for kind in (True, False):
        strata = [stratum for stratum in sorted(cells) if stratum[0] is kind]
        counts = {s: sum(len(cell.chosen) for cell in cells[s].values()) for s in strata}
        for stratum, share in shares(counts, size // 2).items():
            whole = sum(cell.count for cell in cells[stratum].values())
            chosen = _spread(cells[stratum], share, chance)
            for clinic, pair in chosen:
                number += 1
                patients = tools.ledger.spool.patients_of(run, (pair.left, pair.right))
                yield AuditPair(
                    number=number,
                    left=patients[pair.left],
                    right=patients[pair.right],
                    stratum=stratum[1],
                    clinic=clinic,
                    linked=stratum[0],
                    weight=pair.weight,
                    represents=whole / len(chosen),
                )


def shares(available: Mapping[_Stratum, int], size: int) -> dict[_Stratum, int]:
    """Return how many to draw of each: the same of all, and what the small ones cannot give from the others."""
    given = dict.fromkeys(available, 0)
    left = min(size, sum(available.values()))
    while left > 0:
        for stratum in given:
            if left > 0 and given[stratum] < available[stratum]:
                given[stratum] += 1
                left -= 1
    return given


def _spread(cells: Mapping[str, _Cell], share: int, chance: random.Random) -> list[tuple[str, _Found]]:
    """Choose from the clinics of a stratum in proportion to their pairs: each n-th of them, one clinic after another."""
    in_order: list[tuple[str, _Found, float]] = []
    for clinic, cell in sorted(cells.items()):
        chance.shuffle(cell.chosen)
        in_order += [(clinic, pair, cell.count / len(cell.chosen)) for pair in cell.chosen]
    if share >= len(in_order):
        return [(clinic, pair) for clinic, pair, _ in in_order]
    total = sum(worth for _, _, worth in in_order)
    step = total / share
    mark, passed = chance.random() * step, 0.0
    chosen = []
    for clinic, pair, worth in in_order:
        passed += worth
        if passed > mark:
            chosen.append((clinic, pair))
            while mark < passed:  # a pair that stands for more than a step is drawn once
                mark += step
    return chosen
