"""What earlier runs loaded is looked at again: a dose or a Patient that has gone from the server is no success."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import ReviewKind, Run, Settlement, SpooledRecord
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.flows.load.standing import doses_now, patients_now
from fhir_gateway.flows.load.tools import LoadTools

_WINDOW = 200
_TEXT = "a dose of this row was loaded before and has been deleted or marked entered-in-error on the server"
_SUGGESTION = "create it again if it was given, else reject the row"
_PATIENT_TEXT = "the Patient of this row was loaded before and has been deleted on the server"
_PATIENT_SUGGESTION = (
    "bring the Patient back on the server and load again; or `review create`: whose the row is is decided anew, and the"
    " dose that still stands goes there; reject the row if that person is not to be there"
)


async def verify_unchanged(run: Run, tools: LoadTools) -> None:
    """Look up the doses and Patients of unchanged rows; rows whose doses or Patients are gone or wrong go to review."""
    unchanged = tools.ledger.runs.totals(run).outcomes.get(Outcome.UNCHANGED, 0)
    tools.progress.phase("verifying what is there", unchanged)
    done = 0
    window: list[tuple[SpooledRecord, Settlement]] = []
    for entry in tools.ledger.spool.unchanged(run):
        window.append(entry)
        if len(window) == _WINDOW:
            await _verify(run, window, tools)
            done += len(window)
            tools.progress.advance(done)
            window = []
    if window:
        await _verify(run, window, tools)


async def _verify(run: Run, window: Sequence[tuple[SpooledRecord, Settlement]], tools: LoadTools) -> None:
    ids = {resource_id for _, settlement in window for resource_id in settlement.immunization_ids}
    found = await doses_now(ids, tools)
    owners = {settlement.patient_id for _, settlement in window} | {_owner(dose) for dose in found.values()}
    now = await patients_now(filter(None, owners), tools)
    masters = {patient_id: str(patient["id"]) for patient_id, patient in now.items()}
    with tools.ledger.transaction():
        for record, settlement in window:
            _settle(run, record, settlement, tools, found=found, masters=masters)


def _owner(dose: Resource) -> str:
    return id_referred_to(dose.get("patient"), "Patient") or ""


def _settle(  # noqa: PLR0913 -- a row, and what the server says of it
    run: Run,
    record: SpooledRecord,
    settlement: Settlement,
    tools: LoadTools,
    *,
    found: Mapping[str, Resource],
    masters: Mapping[str, str],
) -> None:
    """Settle one row; `found` are the doses that stand by their ids, `masters` who stands for a Patient that is there."""
    standing = [found[i] for i in settlement.immunization_ids if i in found]
    alive = [dose for dose in standing if dose.get("status") != "entered-in-error"]
    owners = {_owner(dose) for dose in alive}
    owner = owners.pop() if len(owners) == 1 else settlement.patient_id
    if len(alive) == len(settlement.immunization_ids) and owner in masters:
        tools.ledger.spool.settle(run, [replace(settlement, patient_id=masters[owner])])
        return
    text, suggestion = _TEXT, _SUGGESTION
    if len(alive) == len(settlement.immunization_ids):
        code, text, suggestion = "patient-gone", _PATIENT_TEXT, _PATIENT_SUGGESTION
    else:
        code = "dose-gone" if len(standing) < len(settlement.immunization_ids) else "dose-entered-in-error"
    review = replace(settlement, outcome=Outcome.REVIEW, code=code, reason=text, suggestion=suggestion)
    tools.ledger.spool.settle(run, [replace(review, immunization_ids=tuple(str(dose["id"]) for dose in alive))])
    tools.ledger.reviews.ask(
        run,
        [record],
        kind=ReviewKind.GONE,
        code=code,
        text=text,
        suggestion=suggestion,
        opened=tools.clock.now(),
        patient_id=settlement.patient_id,
    )
