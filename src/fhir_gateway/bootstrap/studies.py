"""Studies of the matching, wired: thresholds tried, audits drawn, parameters estimated. No ledger is changed."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from fhir_gateway.bootstrap.gateway import Gateway
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.records import Resource
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
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports.exports import FhirHistory
from fhir_gateway.synth.reports import ReportedRow
from fhir_gateway.synth.same_region import check_same_export
from fhir_gateway.synth.score import Score, score
from fhir_gateway.synth.truth import read_truth


@contextmanager
def scratch_ledger() -> Iterator[Ledger]:
    """Open an empty ledger that goes when it is left."""
    with (
        tempfile.TemporaryDirectory(prefix="fhir-gateway-") as folder,
        Ledger(f"sqlite:///{folder}/ledger.db") as ledger,
    ):
        yield ledger


def check_truth(gateway: Gateway, inputs: Sequence[LoadInput], truth: Path) -> None:
    """Say of which inputs it cannot be told whether the truth is about them; raises SourceError where it is not, or is none."""
    next(read_truth(truth), None)
    for entry in inputs:
        if not check_same_export(truth, entry.mapping, entry.source.path):
            gateway.display.say(f"{entry.source.path.name}: it cannot be told whether the truth in {truth} is about it")


def try_thresholds(  # noqa: PLR0913 - what is asked of a study, each of its own kind
    gateway: Gateway,
    inputs: Sequence[LoadInput],
    policies: Sequence[MatchingPolicy],
    *,
    clinic: str,
    with_server: bool,
    most_flips: int | None,
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
    source = f"rows of {len(inputs)} file{'s' * (len(inputs) != 1)} {how}, random pairs of seed {seed}"
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
    """Score each outcome against the truth that `synth` wrote, of the rows that were read; raises SourceError where that cannot be."""
    read = {(inputs[row.file].mapping, row.row) for row in study.rows}
    true = [row for row in read_truth(truth) if (row.source, row.row) in read]
    return [score(true, _reports(study, outcome, inputs)) for outcome in study.outcomes]


def _reports(
    study: ThresholdStudy, outcome: ThresholdOutcome, inputs: Sequence[LoadInput]
) -> dict[str, list[ReportedRow]]:
    reports: dict[str, list[ReportedRow]] = {entry.mapping: [] for entry in inputs}
    for row in study.rows:
        group = outcome.groups[row.wording] if row.wording else 0
        status = str(row.settled or ("loaded" if group else "review"))
        reports[inputs[row.file].mapping].append(ReportedRow(row.row, status, str(group) if group else ""))
    return reports
