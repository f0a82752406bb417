"""What became of the doses: each once, doubled, parked, lost, or in another person's record."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fhir_gateway.synth.cohort import antigen_of
from fhir_gateway.synth.reports import ReportedRow
from fhir_gateway.synth.truth import TrueRow


class JudgedRow(Protocol):
    """A row's truth beside its report; `patient` is empty where the row is not linked."""

    @property
    def truth(self) -> TrueRow:
        """What is true of the row."""

    @property
    def report(self) -> ReportedRow:
        """What was reported of the row."""

    @property
    def patient(self) -> str:
        """The Patient that the row was linked to."""


@dataclass(frozen=True, slots=True)
class DoseScore:
    """True doses by what became of them; `given` is their sum: once + doubled + parked + rejected + lost.

    `doubled` stand as two Immunizations or more, of these `doubled_apart` under several Patients; `parked` only in rows that wait in review, `rejected` only in rows
    that were refused or failed, `lost` where a loaded row names no Immunization for them or the report lacks their rows.
    Beside that, `fused` are Immunizations that stand for several doses, `misplaced` doses in a Patient who is mostly somebody else.
    """

    given: int
    once: int
    doubled: int
    parked: int
    rejected: int
    lost: int
    fused: int
    misplaced: int
    doubled_apart: int


def score_doses(rows: Sequence[JudgedRow], owners: Mapping[str, str]) -> DoseScore:
    """Return what became of every dose that a row speaks of; `owners` names the person of each Patient."""
    placed = _placed(rows)
    of_immunization: dict[str, set[str]] = defaultdict(set)
    for dose, immunizations in placed.items():
        for immunization in immunizations:
            of_immunization[immunization].add(dose)
    patients = {immunization: row.patient for row in rows for immunization in row.report.immunizations}
    seen: dict[str, set[str]] = defaultdict(set)
    misplaced: set[str] = set()
    for row in rows:
        for dose in row.truth.doses:
            seen[dose].add(row.report.status)
            if row.patient and owners[row.patient] != row.truth.person:
                misplaced.add(dose)
    fates = [_fate(placed.get(dose, set()), statuses) for dose, statuses in seen.items()]
    return DoseScore(
        given=len(seen),
        once=fates.count("once"),
        doubled=fates.count("doubled"),
        parked=fates.count("parked"),
        rejected=fates.count("rejected"),
        lost=fates.count("lost"),
        fused=sum(1 for doses in of_immunization.values() if len(doses) > 1),
        misplaced=len(misplaced),
        doubled_apart=sum(len({patients[immunization] for immunization in found}) > 1 for found in placed.values()),
    )


def _fate(immunizations: set[str], statuses: set[str]) -> str:
    if immunizations:
        return "once" if len(immunizations) == 1 else "doubled"
    if statuses & {"loaded", "unchanged"} or statuses == {"unreported"}:
        return "lost"
    return "parked" if "review" in statuses else "rejected"


def _placed(rows: Iterable[JudgedRow]) -> dict[str, set[str]]:
    """Return the Immunizations of each dose. A report names them in the order of the doses, and in the reason which it lacks.

    Where a row names fewer or more than that, those that another row explains are taken first, the others in order.
    """
    placed: dict[str, set[str]] = defaultdict(set)
    unclear: list[JudgedRow] = []
    for row in rows:
        doses = row.truth.doses
        if len(row.report.immunizations) != len(doses):
            doses = _without_missing(row)
        if len(row.report.immunizations) == len(doses):
            for dose, immunization in zip(doses, row.report.immunizations, strict=True):
                placed[dose].add(immunization)
        elif row.report.immunizations and row.truth.doses:
            unclear.append(row)
    for row in unclear:
        for dose, immunization in _guessed(row, placed):
            placed[dose].add(immunization)
    return placed


def _without_missing(row: JudgedRow) -> tuple[str, ...]:
    """Return a wide row's doses without those that its reason names ("HB0: the dose lies before the birth; …")."""
    missing = {told.partition(":")[0] for told in row.report.reason.split("; ")}
    return tuple(dose for dose in row.truth.doses if antigen_of(dose) not in missing)


def _guessed(row: JudgedRow, placed: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    open_ = list(row.report.immunizations)
    unexplained = []
    for dose in row.truth.doses:
        known = [immunization for immunization in open_ if immunization in placed.get(dose, ())]
        if known:
            open_.remove(known[0])
        else:
            unexplained.append(dose)
    yield from zip(unexplained, open_, strict=False)
    if unexplained and len(open_) > len(unexplained):
        yield from ((unexplained[-1], immunization) for immunization in open_[len(unexplained) :])
