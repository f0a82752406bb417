"""Decisions that come on a sheet: held against the queue as a whole, then applied one by one."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from fhir_gateway.domain.errors import ServerError, TransientServerError, UsageError
from fhir_gateway.domain.runs import ReviewItem, ReviewState
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.flows.review.answering import begun, create, link, reject, said_before
from fhir_gateway.flows.review.asking import asked_about
from fhir_gateway.ports import Ledger

_MOST_PROBLEMS = 50
_LARGEST = 2**31
"""No question has a larger number, and the ledger takes none."""


class Choice(StrEnum):
    """What may stand in the column `decision`."""

    LINK = "link"
    CREATE = "create"
    REJECT = "reject"


_STATES: Mapping[Choice, ReviewState] = {
    Choice.LINK: ReviewState.LINKED,
    Choice.CREATE: ReviewState.CREATED,
    Choice.REJECT: ReviewState.REJECTED,
}


@dataclass(frozen=True, slots=True)
class SheetLine:
    """One line of a sheet, as it was written; `number` is its data row."""

    number: int
    review: str
    version: str
    decision: str
    patient: str
    reason: str
    decided_by: str


@dataclass(frozen=True, slots=True)
class SheetDecision:
    """A valid line with a decision."""

    line: int
    review: int
    version: str
    choice: Choice
    patient: str
    reason: str
    decided_by: str


class LineResult(StrEnum):
    """What became of a decision."""

    APPLIED = "applied"
    ALREADY = "already"
    STALE = "stale"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_REACHED = "not-reached"


@dataclass(frozen=True, slots=True)
class AppliedLine:
    """What became of a line's decision, why, and by which run (0: none)."""

    decision: SheetDecision
    result: LineResult
    message: str = ""
    run: int = 0


def version_of(item: ReviewItem, ledger: Ledger) -> str:
    """Return what changes when a question does: its kind, its reason, its Patients, the rows that hang on it.

    It begins with a letter that no number has: a spreadsheet would round a hash that happens to look like one.
    """
    records = ledger.spool.parked_numbers(ledger.reviews.records(item.id))
    candidates = [c for c in item.decision.candidates if isinstance(c, str)] if item.decision else []
    parts = [str(item.id), item.kind, item.code, item.patient_id, *sorted(candidates)]
    parts += sorted(f"{record.key} {record.content}" for record in records)
    return "v" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def check_sheet(lines: Iterable[SheetLine], ledger: Ledger) -> list[SheetDecision]:
    """Return the lines that hold a decision; raises UsageError naming every fault of the sheet, then nothing is done."""
    problems: list[str] = []
    decisions: dict[int, SheetDecision] = {}
    for line in lines:
        if not line.decision.strip():
            continue
        found = _fault(line) or _decision(line, ledger)
        if isinstance(found, str):
            named = f" (review {line.review.strip()})" if line.review.strip().isdecimal() else ""
            problems.append(f"row {line.number}{named}: {found}")
        elif (before := decisions.get(found.review)) and _as_before(found, before):
            continue  # said in the lines of several candidates, as is easily done where they stand below each other
        elif before:
            problems.append(
                f"row {line.number}: review {found.review} is decided in row {before.line} otherwise:"
                " leave one of the two empty"
            )
        else:
            decisions[found.review] = found
    if problems:
        more = [f"… and {len(problems) - _MOST_PROBLEMS} more"] if len(problems) > _MOST_PROBLEMS else []
        raise UsageError(
            "\n".join(["nothing was applied (rows are counted below the header):", *problems[:_MOST_PROBLEMS], *more])
        )
    return list(decisions.values())


def _as_before(one: SheetDecision, before: SheetDecision) -> bool:
    """Say whether two lines of a question hold the very same decision; the Patient counts where she is linked."""
    other = replace(before, line=one.line)
    return one == (other if one.choice is Choice.LINK else replace(other, patient=one.patient))


def _fault(line: SheetLine) -> str:
    """Return what is wrong with a line by itself, "" where nothing is."""
    word = line.decision.strip().casefold()
    if word not in list(Choice):
        return f"the column decision takes {', '.join(Choice)} or nothing"
    if not line.review.strip().isdecimal():
        return "the column review must hold the review's number as it was exported"
    if not line.version.strip():
        return "the column version is empty: keep it as it was exported, it tells whether the question has changed"
    if word == Choice.LINK and not line.patient.strip():
        return "link needs a Patient's id in the column patient"
    if word == Choice.REJECT and not line.reason.strip():
        return "reject needs a reason: it is told whoever loads the rows again"
    return ""


def _decision(line: SheetLine, ledger: Ledger) -> SheetDecision | str:
    number = int(line.review)
    item = ledger.reviews.get(number) if number <= _LARGEST else None
    if item is None:
        return f"there is no review {number} in this environment"
    decision = SheetDecision(
        line=line.number,
        review=number,
        version=line.version.strip(),
        choice=Choice(line.decision.strip().casefold()),
        patient=line.patient.strip().removeprefix("Patient/"),
        reason=line.reason.strip(),
        decided_by=line.decided_by.strip(),
    )
    if decision.choice is Choice.LINK and not decision.reason and not _proposed(decision.patient, item, ledger):
        # A column that was sorted by itself puts one question's Patient beside another's.
        return (
            f"the column patient names another Patient than those whom review {number} was asked about: say in the"
            " column reason why it is that one, or put back what was exported"
        )
    return decision


def _proposed(patient_id: str, item: ReviewItem, ledger: Ledger) -> bool:
    """Say whether a Patient is one of those whom a question is about, or the question no longer waits."""
    if item.state is not ReviewState.OPEN or patient_id == item.patient_id:
        return True
    asked = item.decision.candidates if item.decision else ()
    return patient_id in asked or patient_id in asked_about(item, ledger)


async def apply_sheet(decisions: Sequence[SheetDecision], *, user: str, tools: LoadTools) -> AsyncIterator[AppliedLine]:
    """Apply decisions in their order, each as a run of its own, and yield what became of each.

    `user` stands for lines that name nobody. A line whose question has been settled or has changed since the export is
    refused; what was applied by an earlier import of the same sheet is passed over. When the server has gone, the rest
    is not tried.
    """
    tools.progress.phase("applying decisions", len(decisions))
    single = replace(tools, progress=_Untold())
    gone = False
    for count, decision in enumerate(decisions, start=1):
        if gone:
            yield AppliedLine(decision, LineResult.NOT_REACHED, "import the sheet again when the server answers")
            continue
        try:
            yield await _settled(decision, decision.decided_by or user, single)
        except TransientServerError as error:
            gone = True
            yield AppliedLine(decision, LineResult.FAILED, str(error))
        except UsageError as error:
            yield AppliedLine(decision, LineResult.REFUSED, str(error))
        except ServerError as error:
            yield AppliedLine(decision, LineResult.FAILED, str(error))
        tools.progress.advance(count)


async def _settled(decision: SheetDecision, user: str, tools: LoadTools) -> AppliedLine:
    async with tools.ledger.answer_lock(f"review {decision.review}, by {user}"):
        return _known(decision, tools.ledger) or await _apply(decision, user, tools)


class _Untold:
    """The progress of a single answer, of which nobody is told: that of the sheet tells enough."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Tell nothing."""

    def advance(self, done: int, share: float | None = None) -> None:
        """Tell nothing."""


def _known(decision: SheetDecision, ledger: Ledger) -> AppliedLine | None:
    """Return the result of a decision that is not to be applied, None where it is."""
    item = ledger.reviews.get(decision.review)
    if item is None or item.state is ReviewState.OPEN:
        cut_off = begun(decision.review, ledger)
        changed = item is None or (cut_off is None and version_of(item, ledger) != decision.version)
        words = f"review {decision.review} has changed since the sheet was exported: export it again and decide anew"
        return AppliedLine(decision, LineResult.STALE, words) if changed else None
    patient_id = decision.patient if decision.choice is Choice.LINK else ""
    if said_before(decision.review, _STATES[decision.choice], ledger, patient_id=patient_id):
        return AppliedLine(decision, LineResult.ALREADY, f"decided so by {item.user}")
    words = f"review {decision.review} has been settled meanwhile: {item.state}" + f" by {item.user}" * bool(item.user)
    back = f"; `review undo {decision.review}` takes that back" if item.state in _STATES.values() else ""
    return AppliedLine(decision, LineResult.STALE, words + back)


async def _apply(decision: SheetDecision, user: str, tools: LoadTools) -> AppliedLine:
    number, reason = decision.review, decision.reason
    if decision.choice is Choice.REJECT:
        rows = await reject(number, user=user, reason=reason, tools=tools)
        return AppliedLine(decision, LineResult.APPLIED, f"rows: {rows} rejected")
    if decision.choice is Choice.LINK:
        run = await link(number, decision.patient, user=user, note=reason, tools=tools)
    else:
        run = await create(number, user=user, note=reason, tools=tools)
    totals = tools.ledger.runs.totals(run)
    told = ", ".join(f"{count} {outcome}" for outcome, count in totals.outcomes.items())
    return AppliedLine(decision, LineResult.APPLIED, f"rows: {told}", run.id)
