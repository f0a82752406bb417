"""What earlier runs loaded is looked at again: a dose or a Patient that has gone from the server is no success.

A dose that another program's merge left with the Patient whom it replaced goes on to who replaced it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fhir_gateway.bundling.immunizations import for_patient
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.posting import BundleEntry, EntryKind
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import ReviewKind, Run, RunKind, Settlement, SpooledRecord, WrittenResource
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.flows.load.standing import doses_now, patients_now
from fhir_gateway.flows.load.tools import LoadTools

_WINDOW = 200
_FOLLOWED = "its dose was left with a Patient whom another program has replaced, and was moved to who replaced it"
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
    moved = await _moved_on(run, found, masters, tools)
    with tools.ledger.transaction():
        for record, settlement in window:
            follows = [one for i in settlement.immunization_ids if (one := moved.pop(i, None))]
            told = replace(settlement, written=tuple(follows)) if follows else settlement
            if follows and not settlement.code:
                told = replace(told, code="dose-followed", reason=_FOLLOWED)
            _settle(run, record, told, tools, found=found, masters=masters)


async def _moved_on(
    run: Run, found: Mapping[str, Resource], masters: Mapping[str, str], tools: LoadTools
) -> dict[str, WrittenResource]:
    """Move the doses that stand with a replaced Patient to who stands for it; return dose → what was written.

    Not where the gateway merged them itself: that merge moves them, and its undoing gives them back. What changes meanwhile
    is left for the next load.
    """
    owners = {i: _owner(dose) for i, dose in found.items() if dose.get("status") != "entered-in-error"}
    left = {i: owner for i, owner in owners.items() if masters.get(owner, owner) != owner}
    if run.kind is RunKind.DRY_RUN or not left:
        return {}
    own = tools.ledger.keys.survivors(set(left.values()))
    entries = [
        BundleEntry(
            i,
            "PUT",
            f"Immunization/{i}",
            for_patient(found[i], masters[owner]),
            if_match=str(found[i].get("meta", {}).get("versionId", "")),
        )
        for i, owner in sorted(left.items())
        if owner not in own
    ]
    return {
        outcome.key: WrittenResource(f"Immunization/{outcome.key}", created=False, version=outcome.version_id)
        for outcome in (await tools.writer.send(entries) if entries else ())
        if outcome.kind is EntryKind.UPDATED
    }


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
