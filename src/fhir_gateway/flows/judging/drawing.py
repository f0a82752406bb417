"""Draws a stratified sample of what was decided automatically: pairs that were linked, and look-alikes that were not."""

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from fhir_gateway.bundling.digests import digest
from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import Run, RunKind
from fhir_gateway.flows.judging.framing import DecidedPair, decided_pairs, decided_people
from fhir_gateway.flows.load.comparing import compare_people
from fhir_gateway.flows.load.reading import read_into_spool
from fhir_gateway.flows.load.tools import LoadRequest, LoadTools
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import evidence_of
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.ports import Ledger

_NUMBERS = 100_000
"""More than the pairs of an audit."""


@dataclass(frozen=True, slots=True)
class AuditPair:
    """Two to be judged: wordings, or a wording and a Patient as it was before. `represents` is how many pairs of its stratum it stands for, `weight` is in bits."""

    number: int
    left: Resource
    right: Resource
    stratum: str
    clinic: str
    linked: bool
    weight: float
    represents: float


@dataclass(slots=True)
class _Cell:
    """Pairs of one stratum and clinic: how many there are, and a fair choice of them."""

    count: int = 0
    chosen: list[DecidedPair] = field(default_factory=list)

    def offer(self, pair: DecidedPair, most: int, chance: random.Random) -> None:
        """Take the pair into the choice with the chance of all the others (reservoir sampling)."""
        self.count += 1
        if len(self.chosen) < most:
            self.chosen.append(pair)
        elif (place := chance.randrange(self.count)) < most:
            self.chosen[place] = pair


_Stratum = tuple[bool, str]


PatientBefore = Callable[[str, datetime], Awaitable[Resource | None]]
"""Gives a Patient as it stood before a moment, as far as the server remembers; None where it has gone."""


async def draw_audit(  # noqa: PLR0913 - what is asked of a sample, each of its own kind
    request: LoadRequest, *, size: int, seed: int, decided: Ledger, before: PatientBefore, tools: LoadTools
) -> list[AuditPair]:
    """Draw about `size` pairs of the request's rows, half of them linked where there are as many, from what the ledger `decided` holds.

    A row that was linked to a Patient of whom these files tell nothing else is held against that Patient as it stood
    `before`. `tools.ledger` is a ledger of its own, to be thrown away. Of those that were left apart only pairs that were
    close enough to be weighed are drawn. What an operator decided is left out.
    """
    with tools.ledger.transaction():
        run = tools.ledger.runs.start(
            kind=RunKind.DRY_RUN, fingerprint="audit", files=(), clinic="", user="", started=tools.clock.now()
        )
    await read_into_spool(run, request, tools)
    frequencies = await compare_people(run, tools)
    people = decided_people(run, decided, tools)
    chance = random.Random(seed)  # noqa: S311 - a sample that can be drawn again, no secret
    cells: dict[_Stratum, dict[str, _Cell]] = defaultdict(lambda: defaultdict(_Cell))
    for pair in decided_pairs(run, people, decided, tools):
        wordings = [node for node in (pair.left, pair.right) if isinstance(node, int)]
        said = list(tools.ledger.spool.patients_of(run, wordings).values())
        stratum = pair.linked, stratum_of(said[0], said[-1])
        cells[stratum][people[pair.left].clinic].offer(pair, size, chance)
    drawn: list[AuditPair] = []
    for choice in _choices(cells, size, chance):
        drawn += await _shown(run, choice, before, frequencies, tools)
    return numbered_by_chance(drawn, seed)


def numbered_by_chance(pairs: Sequence[AuditPair], seed: int) -> list[AuditPair]:
    """Return the pairs numbered by chance: they are drawn linked first, stratum by stratum, which a judge must not see.

    The numbers begin with four digits that the seed and what was drawn decide: a sheet of another audit has none of them.
    """
    mixed = random.Random(f"{seed}/numbers").sample(pairs, len(pairs))  # noqa: S311 - an order, no secret
    audit = int(digest([seed, *((pair.left, pair.right, pair.weight) for pair in mixed)])[:8], 16) % 9_000 + 1_000
    return [replace(pair, number=audit * _NUMBERS + place) for place, pair in enumerate(mixed, start=1)]


async def _shown(
    run: Run, choice: "_Choice", before: PatientBefore, frequencies: Frequencies, tools: LoadTools
) -> list[AuditPair]:
    """Return the pairs chosen of a stratum with what the judges see; without those whose Patient has gone; not numbered yet."""
    two: list[tuple[str, DecidedPair, Resource, Resource]] = []
    for clinic, pair in choice.pairs:
        left = tools.ledger.spool.patients_of(run, [pair.left])[pair.left]
        right: Resource | None
        if isinstance(pair.right, int):
            right = tools.ledger.spool.patients_of(run, [pair.right])[pair.right]
        else:
            right = await before(pair.right, pair.moment or run.started)
        if right is not None:
            two.append((clinic, pair, left, right))
    return [
        AuditPair(
            number=0,
            left=left,
            right=right,
            stratum=choice.stratum,
            clinic=clinic,
            linked=pair.linked,
            weight=_weight(left, right, frequencies, tools) if pair.weight is None else pair.weight,
            represents=choice.stands_for / len(two),
        )
        for clinic, pair, left, right in two
    ]


def _weight(left: Resource, right: Resource, frequencies: Frequencies, tools: LoadTools) -> float:
    return compare(evidence_of(left), evidence_of(right), policy=tools.matching, frequencies=frequencies).weight


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


@dataclass(frozen=True, slots=True)
class _Choice:
    """What was chosen of a stratum, (clinic, pair) by (clinic, pair), and how many pairs it stands for."""

    stratum: str
    pairs: Sequence[tuple[str, DecidedPair]]
    stands_for: int


def _choices(cells: Mapping[_Stratum, Mapping[str, _Cell]], size: int, chance: random.Random) -> Iterator[_Choice]:
    counts = {stratum: sum(len(cell.chosen) for cell in cells[stratum].values()) for stratum in sorted(cells)}
    for kind in (True, False):
        others = sum(count for stratum, count in counts.items() if stratum[0] is not kind)
        own = {stratum: count for stratum, count in counts.items() if stratum[0] is kind}
        # Where there are few of the others, their half goes to these.
        for stratum, share in shares(own, max(size // 2, size - others)).items():
            whole = sum(cell.count for cell in cells[stratum].values())
            yield _Choice(stratum[1], _spread(cells[stratum], share, chance), whole)


def shares(available: Mapping[_Stratum, int], size: int) -> dict[_Stratum, int]:
    """Return how many to draw of each: the same of all, one at least, and what the small ones cannot give from the others."""
    given = dict.fromkeys(available, 0)
    left = min(max(size, len(available)), sum(available.values()))
    while left > 0:
        for stratum in given:
            if left > 0 and given[stratum] < available[stratum]:
                given[stratum] += 1
                left -= 1
    return given


def _spread(cells: Mapping[str, _Cell], share: int, chance: random.Random) -> list[tuple[str, DecidedPair]]:
    """Choose from the clinics of a stratum in proportion to their pairs: each n-th of them, one clinic after another."""
    in_order: list[tuple[str, DecidedPair, float]] = []
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
