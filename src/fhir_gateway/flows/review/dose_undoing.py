"""An operator's answer about a dose is taken back: what it made is marked as wrong, and the next load asks again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from fhir_gateway.bundling.immunizations import for_patient
from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.domain.posting import BundleEntry
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import KnownKey, ReviewAnswer, ReviewItem, ReviewState, Run, WrittenResource
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.flows.load.standing import doses_now
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.flows.review.dose_moving import made_by_gateway
from fhir_gateway.flows.review.recalling import recall_changed
from fhir_gateway.flows.review.sending import send_all

_WRONG = "entered-in-error"
_TRIES = 6


async def take_back_dose(  # noqa: PLR0913 - the answer, and who takes it back
    item: ReviewItem, answer: ReviewAnswer, *, to: str, user: str, note: str, tools: LoadTools
) -> int:
    """Take back what was said of the doses that hang on a question; return how many doses were changed for it.

    A dose that `create` made is marked entered-in-error, unless other rows stand for it by now; one that `link` named
    stays as it is. The rows no longer stand for either, so that the next load of their file asks again. With `to`, the
    doses that `link` moved go to that Patient, and the rows stand for them there. Said again after an interruption it
    goes on. Raises LedgerError where a load runs, ServerError where the server refuses or has gone.
    """
    with tools.ledger.load_lock(f"taking back the answer to review {item.id}"):
        known = tools.ledger.keys.known({key for key, _ in _settled(answer.run, tools)})
        asked = _asked_about(item, answer, known, tools)
        told: list[WrittenResource] = []
        if to:
            before, after = await _change(sorted(asked), partial(_moved, to=to), told, tools)
        else:
            made = _only_theirs(asked, known, tools) if answer.state is ReviewState.CREATED else []
            before, after = await _change(made, _wrong, told, tools)
        with tools.ledger.transaction():
            run = tools.ledger.runs.get(answer.run)
            if run is not None:
                forgotten = [_without(key, asked) for key in known.values()]
                back = [replace(key, patient_id=to, content="") for key in known.values()]
                tools.ledger.keys.learn(run, back if to else forgotten)
            recall_changed(before.values(), after.values(), tools)
            tools.ledger.verdicts.take_back(item.id)
            now = tools.clock.now()
            said = ReviewAnswer(ReviewState.UNDONE, user, note, item.patient_id, 0, now, written=tuple(told))
            tools.ledger.reviews.answer(item.id, said)
    return len(after)


def _settled(run_number: int, tools: LoadTools) -> list[tuple[str, tuple[str, ...]]]:
    """Return (key, ids of the doses it stands for) of a run's records."""
    run: Run | None = tools.ledger.runs.get(run_number)
    if run is None:
        return []
    return [
        (key, settlement.immunization_ids)
        for file in range(len(run.files))
        for _, key, settlement in tools.ledger.spool.settlements(run, file=file)
    ]


def _asked_about(
    item: ReviewItem, answer: ReviewAnswer, known: Mapping[str, KnownKey], tools: LoadTools
) -> frozenset[str]:
    """Return the doses that the rows stand for since the answer: those that the load before it had settled are others."""
    earlier = {one for key, ids in _settled(item.run, tools) if key in known for one in ids}
    return frozenset(one for _, ids in _settled(answer.run, tools) for one in ids if one not in earlier)


def _only_theirs(asked: Iterable[str], known: Mapping[str, KnownKey], tools: LoadTools) -> list[str]:
    patients = {key.patient_id for key in known.values()}
    others = {
        dose
        for patient_id in patients
        for key, entry in tools.ledger.keys.of_patient(patient_id).items()
        if key not in known
        for dose in entry.doses.values()
    }
    return sorted(set(asked) - others)


async def _change(
    ids: Sequence[str], change: Callable[[Resource], Resource | None], told: list[WrittenResource], tools: LoadTools
) -> tuple[dict[str, Resource], dict[str, Resource]]:
    """Change the gateway's own of these doses where `change` returns another; return them as they were and as they are.

    `told` is given what was written.
    """
    standing = await doses_now(ids, tools)
    before = {one: dose for one, dose in standing.items() if made_by_gateway(dose)}
    for _ in range(_TRIES):
        entries = [_entry(new) for one in before if one in standing and (new := change(standing[one])) is not None]
        if not entries:
            return before, {one: standing[one] for one in before if one in standing}
        await send_all(entries, tools.writer, told)
        standing = await doses_now(ids, tools, alone=True)
    raise PermanentServerError("the doses keep changing on the server: run the same command again")


def _wrong(dose: Resource) -> Resource | None:
    return None if dose.get("status") == _WRONG else {**dose, "status": _WRONG}


def _moved(dose: Resource, to: str) -> Resource | None:
    return None if id_referred_to(dose.get("patient"), "Patient") == to else for_patient(dose, to)


def _entry(dose: Resource) -> BundleEntry:
    url = f"Immunization/{dose['id']}"
    return BundleEntry(url, "PUT", url, dose, if_match=str(dose.get("meta", {}).get("versionId", "")))


def _without(known: KnownKey, asked: frozenset[str]) -> KnownKey:
    gone = {name for name, dose in known.doses.items() if dose in asked}
    return replace(
        known,
        content="",
        doses={name: dose for name, dose in known.doses.items() if name not in gone},
        supplied={name: fields for name, fields in known.supplied.items() if name not in gone},
    )
