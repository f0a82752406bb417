"""Rows on their way from a wrong Patient to the right one, as the ledger holds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import KnownKey, Run, SpooledRecord, StoredDecision, WrittenResource
from fhir_gateway.flows.load.tools import LoadTools


@dataclass(frozen=True, slots=True)
class Move:
    """A journaled run, read again."""

    run: Run
    decision: StoredDecision
    wrong: str
    records: Sequence[SpooledRecord]
    known: Mapping[str, KnownKey]
    others: Mapping[str, KnownKey]
    told: list[WrittenResource] = field(default_factory=list)
    """What was written on the server since this process began."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where each dose (key, name) stands in the end.

    `moved` are those that went over as a whole, as they are then, `copies` the ids of the copies of those that stay.
    """

    places: Mapping[tuple[str, str], str]
    moved: Sequence[Resource]
    copies: Sequence[str]


def journaled(run: Run, tools: LoadTools) -> Move:
    """Return what a run of this kind moves."""
    decision = tools.ledger.spool.open_decisions(run, after=0, limit=1)[0]
    records = tools.ledger.spool.records_of(run, decision.decision.members)
    wrong = str(decision.decision.candidates[0])
    keys = {record.key for record in records}
    everything = tools.ledger.keys.of_patient(wrong)
    return Move(
        run=run,
        decision=decision,
        wrong=wrong,
        records=records,
        known={key: known for key, known in everything.items() if key in keys},
        others={key: known for key, known in everything.items() if key not in keys},
    )


def as_begun(move: Move, tools: LoadTools) -> list[Resource]:
    """Return the wrong Patient and the doses as they stood when the run was journaled."""
    patients_then = tools.ledger.spool.candidates(move.run, [move.wrong])
    return [*patients_then.values(), *(dose.resource for record in move.records for dose in record.doses)]
