"""Why the gateway asks, and whom it merged wrongly: what its errors have in common."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from rows import Region

from fhir_gateway.domain.identity import PersonAction, PersonDecision
from fhir_gateway.synth.score import relation
from fhir_gateway.synth.truth import TrueRow

UNKNOWN = TrueRow("", 0, "")
"""The truth of a Patient whose rows are all parked."""

_SHOWN_TAGS = 6


def truth_of_patients(region: Region, truth: Iterable[TrueRow]) -> list[TrueRow]:
    """Return for every distinct Patient the truth of a row that says it."""
    found: dict[int, TrueRow] = {}
    for row in truth:
        found.setdefault(region.rows[row.source][row.row - 1], row)
    return [found.get(number, UNKNOWN) for number in range(len(region.patients))]


def why_asked(decisions: Sequence[PersonDecision], people: Sequence[TrueRow]) -> Iterable[str]:
    """Yield a line per reason: how many distinct Patients wait, how many of these are their best candidate."""
    waiting: Counter[str] = Counter()
    same: Counter[str] = Counter()
    tags: dict[str, Counter[str]] = defaultdict(Counter)
    for decision in decisions:
        if decision.action is not PersonAction.REVIEW:
            continue
        best = next((node for node in decision.candidates if isinstance(node, int)), None)
        for member in decision.members:
            row = people[member - 1]
            waiting[decision.reason] += 1
            same[decision.reason] += best is not None and people[best - 1].person == row.person
            tags[decision.reason].update(row.tags or ("no-error",))
    for reason, count in waiting.most_common():
        common = ", ".join(f"{tag} {number}" for tag, number in tags[reason].most_common(_SHOWN_TAGS))
        yield f"  asks   {reason}: {count:,}, of these the best candidate truly {same[reason]:,} ({common})"


def how_many_questions(decisions: Sequence[PersonDecision], persons: int) -> str:
    """Return how many questions operators are asked; who fits two of whom another question asks is settled by that."""
    waiting = [decision for decision in decisions if decision.action is PersonAction.REVIEW]
    people = {member for decision in waiting for member in decision.members}
    asked = sum(not (decision.torn and people.intersection(decision.candidates)) for decision in waiting)
    return (
        f"         {asked:,} questions for {persons:,} persons ({100 * asked / persons:.2f} %), "
        f"on each hang {len(people) / max(1, asked):.1f} distinct Patients"
    )


def whom_merged(decisions: Sequence[PersonDecision], people: Sequence[TrueRow]) -> Iterable[str]:
    """Yield a line for every two persons that a decision made one, with the tags of their rows."""
    for decision in decisions:
        if decision.action is PersonAction.REVIEW:
            continue
        rows: dict[str, TrueRow] = {}
        for member in decision.members:
            rows.setdefault(people[member - 1].person, people[member - 1])
        first, *others = [row for row in rows.values() if row is not UNKNOWN] or [UNKNOWN]
        for other in others:
            yield (
                f"  merged {relation(first, other)}: ({' '.join(first.tags) or 'no-error'}) with "
                f"({' '.join(other.tags) or 'no-error'})"
            )
