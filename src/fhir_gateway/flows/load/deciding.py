"""The third leg: every component of people is decided and the decisions, with their intents, go to the ledger."""

import asyncio
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations, islice

from fhir_gateway.domain.identity import ComparedPair, Grade, Node, PersonAction, PersonDecision
from fhir_gateway.domain.records import person_identifier
from fhir_gateway.domain.runs import Run, RunKind, RunState
from fhir_gateway.flows.load.comparing import waiting_people
from fhir_gateway.flows.load.components import components
from fhir_gateway.flows.load.gathering import Component, gathered
from fhir_gateway.flows.load.listed import LoadedLots, listed_by
from fhir_gateway.flows.load.reading import WITNESSES
from fhir_gateway.flows.load.rivals_waiting import RivalsWaiting
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.decision import decide
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.frequencies import Frequencies, default_frequencies
from fhir_gateway.identity.vetoes import VetoCode
from fhir_gateway.identity.weighing import weigh_household
from fhir_gateway.identity.witnesses import heeding

SAME_WORDS = "same-words"
"""The reason of a question whose answer is one row's alone: the next one of the same words may be the other person's."""
_SAME_TO_THE_LETTER = frozenset({("nik", "agree"), ("name", "exact"), ("birth_date", "exact")})
"""What two have in common whom no doses part: twins who were given one NIK have two names."""
_WINDOW = 300
_LARGEST_FULLY_COMPARED = 40
"""Members of a component up to which everybody is compared with everybody, so that no veto is overlooked."""


async def decide_people(run: Run, tools: LoadTools, *, frequencies: Frequencies | None = None) -> None:
    """Decide who everybody is, and note with the decisions that they stand: from then on none is made again.

    Those of a run that was cut off before are made anew, and come out the same.
    """
    tools.progress.phase("deciding who is who", waiting_people(run, tools))
    done = 0
    with tools.ledger.transaction():
        for decisions in each_decision(run, tools, frequencies=frequencies):
            _keep(run, decisions, tools)
            done += sum(len(decision.members) for decision in decisions)
            tools.progress.advance(done)
            await asyncio.sleep(0)  # where Ctrl-C takes effect; nothing else runs now that could use the transaction
        if run.kind is not RunKind.DRY_RUN:
            tools.ledger.runs.reach(run, RunState.POSTING)
            tools.ledger.runs.decide_by(run, tools.matching.thresholds())


def each_decision(
    run: Run, tools: LoadTools, *, frequencies: Frequencies | None = None
) -> Iterator[list[PersonDecision]]:
    """Yield the decisions on a compared run's people, some components at a time; they are kept nowhere."""
    lots, rivals = LoadedLots(run, tools), RivalsWaiting(run, tools, frequencies)
    witnesses = tools.ledger.spool.only_waiting(run, WITNESSES)
    groups = components(tools.ledger.spool.open_numbers(run, waiting=WITNESSES), tools.ledger.spool.links(run))
    while window := list(islice(groups, _WINDOW)):
        yield [
            _held_by_rivals(decision, component, rivals)
            for component in gathered(run, window, tools, frequencies, witnesses)
            if not witnesses.issuperset(component.people)
            for decision in _decided(run, component, tools, frequencies, lots)
        ]


def _held_by_rivals(decision: PersonDecision, component: Component, rivals: RivalsWaiting) -> PersonDecision:
    """Return the decision, or a review as RivalsWaiting says; what was loaded so before, or an operator said, stands."""
    said = {(person, patient_id) for person, patient_id, same in component.verdicts if same}
    known = any(
        (member, decision.patient_id) in said or decision.patient_id in component.own.get(member, ())
        for member in decision.members
    )
    asked = decision.action is PersonAction.REVIEW and any(component.own.get(member) for member in decision.members)
    return decision if known or asked else rivals.held(decision, component.people, component.patients)


def _doses_may_tell(pair: ComparedPair, listed: Container[Node]) -> bool:
    """Whether doses may tell something of a pair: one that may be joined, unless number, name and birth date are the same.

    `listed` has the Patients of whom doses are known.
    """
    comparison = pair.comparison
    if comparison.grade is Grade.CERTAINLY_NOT:
        return False
    if any(veto.code == VetoCode.GENERATION for veto in comparison.vetoes):
        return True
    if any(isinstance(node, str) and node not in listed for node in (pair.left, pair.right)):
        return False
    said = {(one.field, one.agreement) for one in comparison.evidence}
    return bool(comparison.vetoes) or not said >= _SAME_TO_THE_LETTER


def _decided(
    run: Run,
    component: Component,
    tools: LoadTools,
    frequencies: Frequencies | None,
    lots: LoadedLots,
) -> list[PersonDecision]:
    nodes: dict[Node, PersonEvidence] = dict(component.people.items())
    nodes.update(component.patients.items())
    pairs = []
    for left, right in _to_compare(component):
        comparison = compare(nodes[left], nodes[right], policy=tools.matching, frequencies=frequencies)
        pairs.append(ComparedPair(left, right, comparison))
    confirmed, forbidden = _judged(component)
    own = {frozenset[Node]((number, patient)) for number, ids in component.own.items() for patient in ids}
    confirmed |= own - {
        both
        for pair in pairs
        if (both := frozenset((pair.left, pair.right))) in own and _is_another(pair, nodes, tools, frequencies)
    }
    confirmed = {pair for pair in confirmed - forbidden if pair.isdisjoint(component.inactive)}
    asked = any(_doses_may_tell(pair, component.listed) for pair in pairs)
    decide_component = partial(
        decide,
        patients=component.patients,
        policy=tools.matching,
        frequencies=frequencies,
        forbidden=frozenset(forbidden),
        confirmed=frozenset(confirmed),
        listed=listed_by(run, component.people, tools) | dict(component.listed.items()) if asked else {},
        received=lots.received,
    )
    decisions = decide_component(component.people, pairs=pairs, witnesses=component.witnesses)
    if component.witnesses:
        others = {number: said for number, said in component.people.items() if number not in component.witnesses}
        told = [pair for pair in pairs if component.witnesses.isdisjoint((pair.left, pair.right))]
        decisions = heeding(decisions, decide_component(others, pairs=told), component.witnesses)
    awake = [_not_instead(decision, component, forbidden, tools, frequencies) for decision in decisions]
    held = [_of_two(_held_to_its_own(one, component.own), component, tools, frequencies) for one in awake]
    return [_with_replaced(_to_the_living(decision, component.replaced), component.masters) for decision in held]


def _to_compare(component: Component) -> Iterator[tuple[Node, Node]]:
    if len(component.people) + len(component.patients) > _LARGEST_FULLY_COMPARED:
        yield from component.edges
        return
    yield from combinations(sorted(component.people), 2)
    yield from ((number, patient) for number in sorted(component.people) for patient in sorted(component.patients))
    yield from combinations(sorted(component.patients), 2)


def _is_another(
    pair: ComparedPair, nodes: Mapping[Node, PersonEvidence], tools: LoadTools, frequencies: Frequencies | None
) -> bool:
    """Whether a row may be of another person than the Patient whom its key stands for, and no correction.

    A sheet without numbers of its own tells rows apart by name, birth date and dose, which two people may share: they
    are namesakes where no number agrees and another family speaks against it. Of the family a new phone alone does not.
    """
    if pair.comparison.grade is Grade.CERTAINLY_NOT or pair.comparison.vetoes:
        return True
    if ("caution", "namesakes") not in {(one.field, one.agreement) for one in pair.comparison.evidence}:
        return False
    parameters = tools.matching.parameters
    household = weigh_household(nodes[pair.left], nodes[pair.right], parameters, frequencies or default_frequencies())
    return household.parents_differ or household.weight < round(parameters.weights["phone.different"], 2)


def _judged(component: Component) -> tuple[set[frozenset[Node]], set[frozenset[Node]]]:
    confirmed: set[frozenset[Node]] = set()
    forbidden = {frozenset[Node](pair) for pair in component.apart if pair <= component.patients.keys()}
    for person, patient_id, same in component.verdicts:
        (confirmed if same else forbidden).add(frozenset((person, patient_id)))
    return confirmed, forbidden


def _held_to_its_own(decision: PersonDecision, own: Mapping[int, frozenset[str]]) -> PersonDecision:
    """Return the decision, or a review where rows that were loaded before would now be somebody else."""
    before = frozenset[str]().union(*(own.get(member, frozenset()) for member in decision.members))
    if not before or decision.action is PersonAction.REVIEW or decision.patient_id in before:
        return decision
    whom_now = (decision.patient_id,) if decision.patient_id else ()
    return decision.asked(
        reason="correction-other-person",
        text="the row was loaded before for a person whom it no longer matches",
        suggestion="link it to the Patient it was loaded for if the correction is right; if it is somebody else of that"
        " name, create a new person; if it was of the wrong person before, move its dose with `review unlink` (--only,"
        " --to) and load again",
        candidates=(*sorted(before), *whom_now, *decision.candidates),
        grade=decision.grade,
    )


def _of_two(
    decision: PersonDecision, component: Component, tools: LoadTools, frequencies: Frequencies | None
) -> PersonDecision:
    """Return the decision, or a review where these rows may be either of two people with the same words.

    An operator took them apart, and only she can tell whose a further row is.
    """
    own = sorted(frozenset[str]().union(*(component.own.get(member, frozenset()) for member in decision.members)))
    if decision.action is not PersonAction.LINK or not any(
        frozenset(p) in component.apart for p in combinations(own, 2)
    ):
        return decision
    fitting = {patient_id: component.patients[patient_id] for patient_id in own if patient_id in component.patients}
    pairs = _compared(decision.members, fitting, component, tools, frequencies)
    others = (pair for pair in decision.pairs if pair.right not in own)
    return replace(decision, pairs=(*pairs, *others), proposals=()).asked(
        reason=SAME_WORDS,
        text="an operator took two people apart whose rows say the same to the letter, and it may be either",
        suggestion="link it to the right one of the two; corrected rows of both are loaded from a file for each",
        candidates=(*own, *decision.candidates),
    )


def _compared(
    members: Sequence[int],
    patients: Mapping[str, PersonEvidence],
    component: Component,
    tools: LoadTools,
    frequencies: Frequencies | None,
) -> list[ComparedPair]:
    """Compare people with Patients by their evidence, whatever is known of them beside it."""
    return [
        ComparedPair(
            number,
            patient_id,
            compare(component.people[number], evidence, policy=tools.matching, frequencies=frequencies),
        )
        for number in members
        for patient_id, evidence in sorted(patients.items())
    ]


def _not_instead(
    decision: PersonDecision,
    component: Component,
    forbidden: set[frozenset[Node]],
    tools: LoadTools,
    frequencies: Frequencies | None,
) -> PersonDecision:
    """Return the decision, or a review where a new person would be created beside an inactive Patient who fits."""
    if decision.action is not PersonAction.CREATE or not component.inactive:
        return decision
    fitting = [
        pair
        for pair in _compared(decision.members, component.inactive, component, tools, frequencies)
        if frozenset((pair.left, pair.right)) not in forbidden
        and (
            pair.comparison.grade in {Grade.CERTAIN, Grade.PROBABLE}
            or pair.right in component.own.get(int(pair.left), ())
        )
    ]
    if not fitting:
        return decision
    fitting.sort(key=lambda pair: -pair.comparison.weight)
    return replace(decision, pairs=(*fitting, *decision.pairs)).asked(
        reason="inactive-patient",
        text="the Patient who fits is inactive on the server and names nobody who replaced it",
        suggestion="find out why it is inactive: make it active again and link it, or create a new person",
        candidates=(pair.right for pair in fitting),
    )


def _to_the_living(decision: PersonDecision, replaced: frozenset[str]) -> PersonDecision:
    """Return the decision, or a review where it links to a Patient that was replaced by nobody who can be found."""
    if decision.action is not PersonAction.LINK or decision.patient_id not in replaced:
        return decision
    return decision.asked(
        reason="replaced-by-nobody",
        text="the Patient who fits says that it was replaced, but the chain of replacements leads to no active Patient",
        suggestion="repair its replaced-by link on the server and load again, or create a new person",
        candidates=(decision.patient_id, *decision.candidates),
        grade=decision.grade,
    )


def _with_replaced(decision: PersonDecision, masters: Mapping[str, str]) -> PersonDecision:
    """Return the decision with whom the Patient that it links to replaced, as far as the look-up found them."""
    replaced = sorted(one for one, master in masters.items() if master == decision.patient_id)
    return replace(decision, replaced=tuple(replaced)) if replaced else decision


def _keep(run: Run, decisions: Sequence[PersonDecision], tools: LoadTools) -> None:
    members = [member for decision in decisions for member in decision.members]
    first = {person: min(keys) for person, keys in tools.ledger.spool.keys_of(run, members).items()}
    tools.ledger.spool.decide(
        run,
        [(decision, person_identifier(min(first[member] for member in decision.members))) for decision in decisions],
    )
    tools.ledger.keys.propose(
        run,
        [pair for decision in decisions for pair in decision.proposals],
        reason="one person's records fit both Patients",
    )
