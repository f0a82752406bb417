"""Studies of the matching, wired: two people compared, thresholds tried, audits drawn. No ledger is changed."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from fhir_gateway.bootstrap.gateway import Gateway
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.identity import Comparison
from fhir_gateway.domain.records import Rejected, Resource, UnreadableRow
from fhir_gateway.flows.judging import (
    AuditPair,
    EstimationStudy,
    ThresholdOutcome,
    ThresholdStudy,
    draw_audit,
    estimate_parameters,
    study_thresholds,
)
from fhir_gateway.flows.load import LoadInput, LoadRequest, LoadTools
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import evidence_of
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports.exports import FhirHistory
from fhir_gateway.synth.reports import ReportedRow
from fhir_gateway.synth.score import Score, score
from fhir_gateway.synth.truth import read_truth


@dataclass(frozen=True, slots=True)
class ComparedTwo:
    """Two people and what their comparison says."""

    left: Resource
    right: Resource
    comparison: Comparison


def compare_two(gateway: Gateway, left: str, right: str, *, mapping: str, clinic: str) -> ComparedTwo:
    """Compare two of FILE:ROW, RUN:ROW or Patient ids; raises UsageError that says what is wrong with one."""
    one, other = (_person(gateway, text, mapping=mapping, clinic=clinic) for text in (left, right))
    comparison = compare(evidence_of(one), evidence_of(other), policy=gateway.environment.matching)
    return ComparedTwo(one, other, comparison)


def _person(gateway: Gateway, text: str, *, mapping: str, clinic: str) -> Resource:
    place, colon, row = text.rpartition(":")
    if colon and row.isdecimal():
        if place.isdecimal():
            return _of_run(gateway, int(place), int(row))
        return _of_file(gateway, Path(place), int(row), mapping=mapping, clinic=clinic)

    async def read(tools: LoadTools) -> Resource | None:
        return await tools.reader.read("Patient", text.removeprefix("Patient/"))

    patient = gateway.act(read)
    if patient is None:
        raise UsageError(f"{text}: there is no such Patient on the server; a row is told as FILE:ROW or RUN:ROW")
    return patient


def _of_run(gateway: Gateway, number: int, row: int) -> Resource:
    run = gateway.ledger.runs.get(number)
    record = gateway.ledger.spool.record_at(run, file=0, row=row) if run else None
    if run is None or record is None:
        raise UsageError(f"{number}:{row}: there is no such run or row; `fhir-gateway runs list` shows all runs")
    found = gateway.ledger.spool.patients_of(run, [record[0]])
    if record[0] not in found:
        settled = record[2]
        where = f", or its Patient {settled.patient_id}" if settled and settled.patient_id else ""
        raise UsageError(
            f"{number}:{row}: what this row said is no longer kept, it has been settled: name it as FILE:{row}{where}"
        )
    return found[record[0]]


def _of_file(gateway: Gateway, path: Path, row: int, *, mapping: str, clinic: str) -> Resource:
    (entry,) = gateway.inputs([path], mapping=mapping, clinic=clinic)
    for record in entry.source.records():
        if record.ref.row != row:
            continue
        result = Rejected(record.ref, (record.problem,)) if isinstance(record, UnreadableRow) else entry.convert(record)
        if isinstance(result, Rejected):
            raise UsageError(f"{path.name}:{row} cannot be converted: {result.problems[0].text}")
        return result.patient
    raise UsageError(f"{path.name} has no row {row}")


@contextmanager
def scratch_ledger() -> Iterator[Ledger]:
    """Open an empty ledger that goes when it is left."""
    with (
        tempfile.TemporaryDirectory(prefix="fhir-gateway-") as folder,
        Ledger(f"sqlite:///{folder}/ledger.db") as ledger,
    ):
        yield ledger


def try_thresholds(  # noqa: PLR0913 - what is asked of a study, each of its own kind
    gateway: Gateway,
    inputs: Sequence[LoadInput],
    policies: Sequence[MatchingPolicy],
    *,
    clinic: str,
    with_server: bool,
    most_flips: int,
    limit: int,
) -> ThresholdStudy:
    """Decide the inputs' rows under each policy; the environment's ledger and server stay as they are."""
    request = LoadRequest(inputs, clinic, limit=limit, dry_run=True)
    with scratch_ledger() as ledger:

        async def study(tools: LoadTools) -> ThresholdStudy:
            own = replace(tools, ledger=ledger)
            return await study_thresholds(request, policies, own, with_server=with_server, most_flips=most_flips)

        return gateway.act(study)


def draw_pairs(gateway: Gateway, inputs: Sequence[LoadInput], *, clinic: str, size: int, seed: int) -> list[AuditPair]:
    """Draw pairs of the inputs' rows that the environment's ledger shows to be linked, or to have come near it."""
    request = LoadRequest(inputs, clinic, dry_run=True)
    with scratch_ledger() as ledger:

        async def study(tools: LoadTools, history: FhirHistory) -> list[AuditPair]:
            remembered = await history.is_kept("Patient")

            async def before(patient_id: str, moment: datetime) -> Resource | None:
                versions = await history.of("Patient", patient_id) if remembered else ()
                earlier = [one.resource for one in versions if one.updated < moment and one.resource]
                return earlier[0] if earlier else await tools.reader.read("Patient", patient_id)

            own = replace(tools, ledger=ledger)
            return await draw_audit(request, size=size, seed=seed, decided=gateway.ledger, before=before, tools=own)

        return gateway.look_back(study)


def estimate(  # noqa: PLR0913 - what is asked of a study, each of its own kind
    gateway: Gateway, inputs: Sequence[LoadInput], *, clinic: str, truth: Path | None, seed: int, limit: int
) -> EstimationStudy:
    """Estimate m and u from the inputs' rows, by EM or, with the truth that `synth` wrote, by counting."""
    request = LoadRequest(inputs, clinic, limit=limit, dry_run=True)
    persons = _persons(inputs, truth) if truth else None
    how = "whose person is known" if truth else "by EM"
    source = f"rows of {len(inputs)} files {how}, random pairs of seed {seed}"
    with scratch_ledger() as ledger:

        async def study(tools: LoadTools) -> EstimationStudy:
            own = replace(tools, ledger=ledger)
            return await estimate_parameters(request, own, source=source, seed=seed, persons=persons)

        return gateway.act(study)


def _persons(inputs: Sequence[LoadInput], truth: Path) -> dict[tuple[int, int], str]:
    """Return (file's number, row) → person; raises UsageError where the truth is about other files."""
    files = {entry.mapping: number for number, entry in enumerate(inputs)}
    found = {(files[row.source], row.row): row.person for row in read_truth(truth) if row.source in files}
    if not found:
        raise UsageError(
            f"{truth}: the truth there is about none of these files; name those that `synth` wrote beside it"
        )
    return found


def score_thresholds(study: ThresholdStudy, inputs: Sequence[LoadInput], truth: Path) -> list[Score]:
    """Score each outcome against the truth that `synth` wrote; raises SourceError where that cannot be."""
    return [score(read_truth(truth), _reports(study, outcome, inputs)) for outcome in study.outcomes]


def _reports(
    study: ThresholdStudy, outcome: ThresholdOutcome, inputs: Sequence[LoadInput]
) -> dict[str, list[ReportedRow]]:
    reports: dict[str, list[ReportedRow]] = {entry.mapping: [] for entry in inputs}
    for row in study.rows:
        group = outcome.groups[row.wording] if row.wording else 0
        status = str(row.settled or ("loaded" if group else "review"))
        reports[inputs[row.file].mapping].append(ReportedRow(row.row, status, str(group) if group else ""))
    return reports
