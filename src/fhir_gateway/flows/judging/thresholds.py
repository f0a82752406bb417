"""What other thresholds would change: the same rows decided again and again, nothing sent, nothing kept.

The rows are read and compared once, with the most lenient of the policies, so that none of them misses a pair.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from fhir_gateway.domain.identity import PersonAction, PersonDecision
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.runs import Run, RunKind, RunState
from fhir_gateway.flows.load.comparing import compare_people, look_up
from fhir_gateway.flows.load.deciding import each_decision
from fhir_gateway.flows.load.reading import read_into_spool
from fhir_gateway.flows.load.tools import LoadRequest, LoadTools
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.parameters import MatchingPolicy

_LARGEST_PAIRED = 60
"""Members of one person up to which each pair is looked at; of more, each with the first."""
_IN_REVIEW = 0


@dataclass(frozen=True, slots=True)
class Flip:
    """Two wordings, told by the first row (file's number, row) of each, that these thresholds join or part."""

    left: tuple[int, int]
    right: tuple[int, int]
    joined: bool


@dataclass(slots=True)
class ThresholdOutcome:
    """What a policy makes of the rows.

    `links` are wordings joined to another or to a Patient of the server, `new` people created, `questions` reviews as
    `review list` counts them (who fits two of whom another question asks hangs on that) and `in_review` the wordings that
    wait for them. `flips` are pairs that another policy, the first of the study, decides
    otherwise: the first of them; `flipped` counts all. `groups` holds for each wording's number the smallest number of
    its person, 0 in review.
    """

    policy: MatchingPolicy
    links: int = 0
    new: int = 0
    questions: int = 0
    in_review: int = 0
    flipped: int = 0
    flips: list[Flip] = field(default_factory=list)
    groups: "array[int]" = field(default_factory=lambda: array("l"))


@dataclass(frozen=True, slots=True, order=True)
class StudiedRow:
    """A row and its wording's number; one that was settled before anybody was compared has 0 and its outcome."""

    file: int
    row: int
    wording: int
    settled: Outcome | None = None


@dataclass(frozen=True, slots=True)
class ThresholdStudy:
    """The outcomes, the first of the policies first, and the rows they are about."""

    outcomes: Sequence[ThresholdOutcome]
    rows: Sequence[StudiedRow]


async def study_thresholds(
    request: LoadRequest,
    policies: Sequence[MatchingPolicy],
    tools: LoadTools,
    *,
    with_server: bool,
    most_flips: int | None,
) -> ThresholdStudy:
    """Decide the request's rows under each policy; `tools.ledger` is a ledger of its own, to be thrown away.

    `with_server` also looks for candidates on the server; else the rows are held against one another only. Of the flips
    the first `most_flips` are kept, all of them with None.
    """
    lenient = replace(
        tools,
        matching=replace(
            policies[0],
            certain=min(policy.certain for policy in policies),
            probable=min(policy.probable for policy in policies),
            possible=min(policy.possible for policy in policies),
        ),
    )
    with tools.ledger.transaction():
        run = tools.ledger.runs.start(
            kind=RunKind.DRY_RUN, fingerprint="thresholds", files=(), clinic="", user="", started=tools.clock.now()
        )
    await read_into_spool(run, request, lenient)
    with tools.ledger.transaction():
        tools.ledger.runs.reach(run, RunState.DECIDING)
    frequencies = await compare_people(run, lenient)
    if with_server:
        await look_up(run, lenient, frequencies=frequencies)
    rows = sorted(_rows(run, len(request.inputs), tools), key=lambda row: (row.file, row.row))
    outcomes = [_decided(run, policy, tools, frequencies) for policy in policies]
    for outcome in outcomes[1:]:
        _compare(outcome, outcomes[0], rows, most_flips)
    return ThresholdStudy(outcomes, rows)


def _rows(run: Run, files: int, tools: LoadTools) -> Iterator[StudiedRow]:
    for record in tools.ledger.spool.unsettled(run):
        yield StudiedRow(record.file, record.row, record.person)
    for file in range(files):
        for row, _, settled in tools.ledger.spool.settlements(run, file=file):
            yield StudiedRow(file, row, 0, settled.outcome)


def _decided(run: Run, policy: MatchingPolicy, tools: LoadTools, frequencies: Frequencies | None) -> ThresholdOutcome:
    tools.progress.phase(f"deciding: certain {policy.certain:g}, margin {policy.margin:g}")
    outcome = ThresholdOutcome(policy)
    patients: dict[str, int] = {}
    hanging: list[list[int]] = []
    done = 0
    for decisions in each_decision(run, replace(tools, matching=policy), frequencies=frequencies):
        for decision in decisions:
            _count(outcome, decision, patients)
            if decision.torn and decision.action is PersonAction.REVIEW:
                hanging.append([one for one in decision.candidates if isinstance(one, int)])
            done += len(decision.members)
        tools.progress.advance(done)
    outcome.questions -= sum(any(outcome.groups[one] == _IN_REVIEW for one in people) for people in hanging)
    return outcome


def _count(outcome: ThresholdOutcome, decision: PersonDecision, patients: dict[str, int]) -> None:
    members = decision.members
    last = max(members)
    if len(outcome.groups) <= last:
        outcome.groups.extend([_IN_REVIEW] * (last + 1 - len(outcome.groups)))
    if decision.action is PersonAction.REVIEW:
        outcome.questions += 1
        outcome.in_review += len(members)
        return
    if decision.action is PersonAction.CREATE:
        outcome.new += 1
        outcome.links += len(members) - 1
        group = min(members)
    else:
        outcome.links += len(members)
        group = patients.setdefault(decision.patient_id, min(members))
    for member in members:
        outcome.groups[member] = group


def _compare(outcome: ThresholdOutcome, first: ThresholdOutcome, rows: Sequence[StudiedRow], most: int | None) -> None:
    places: dict[int, tuple[int, int]] = {}
    for row in rows:
        places.setdefault(row.wording, (row.file, row.row))
    now, before = set(_joined(outcome)), set(_joined(first))
    for pair in sorted(now ^ before):
        outcome.flipped += 1
        if most is None or len(outcome.flips) < most:
            outcome.flips.append(Flip(places[pair[0]], places[pair[1]], pair in now))


def _joined(outcome: ThresholdOutcome) -> Iterator[tuple[int, int]]:
    members: dict[int, list[int]] = {}
    for person, group in enumerate(outcome.groups):
        if group != _IN_REVIEW:
            members.setdefault(group, []).append(person)
    for group_members in members.values():
        if len(group_members) > _LARGEST_PAIRED:
            yield from ((group_members[0], other) for other in group_members[1:])
        else:
            yield from combinations(group_members, 2)
