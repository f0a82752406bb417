"""Before rows are taken apart from a Patient: which records that are, and what goes with them. Nothing is sent here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fhir_gateway.bundling.parting import said_by
from fhir_gateway.domain import systems
from fhir_gateway.domain.errors import LedgerError, UsageError
from fhir_gateway.domain.identity import Grade, PersonAction, PersonDecision
from fhir_gateway.domain.records import Dose, Resource, person_identifier
from fhir_gateway.domain.runs import InputFile, KnownKey, Run, RunKind, RunState, SpooledRecord
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.ports import Ledger

PATIENT = "patient"


@dataclass(frozen=True, slots=True)
class UnlinkRequest:
    """Which rows of a run (numbered by file from 0) are not the Patient's they were linked to, and whose they are.

    `to` is the right Patient, "" for somebody new. `only`: no other row goes along. `undoing` is the review whose answer
    is taken back so, 0 for none.
    """

    run: int
    rows: tuple[tuple[int, int], ...]
    to: str
    user: str
    note: str
    only: bool = False
    undoing: int = 0


@dataclass(frozen=True, slots=True)
class Moving:
    """The records to move, all of one Patient: those that were named and those that say the same of the person.

    `along` counts the others among them.
    """

    wrong: str
    along: int
    known: Mapping[str, KnownKey]
    others: Mapping[str, KnownKey]
    wording: Mapping[str, str]


def place_of_file(run_number: int, named: int | None, tools: LoadTools) -> int:
    """Return which file of a run is meant (from 0); raises UsageError where nobody named one (from 1) of several."""
    run = tools.ledger.runs.get(run_number)
    return run.place_of_file(named) if run else 0


def moving(request: UnlinkRequest, tools: LoadTools) -> Moving:
    """Find the records; raises UsageError for rows that were not loaded, or not for one Patient.

    What says the same of a person to the letter goes along, as nothing could tell it from what was named: unless only
    these are wanted, or the right Patient has rows of the same words already.
    """
    ledger = tools.ledger
    named = named_keys(request, tools)
    known = ledger.keys.known(named)
    missing = [f"{row}" for key, row in named.items() if key not in known or not known[key].patient_id]
    if missing:
        raise UsageError(
            f"of run {request.run} row {', '.join(missing)} has not been loaded: there is nothing to unlink"
        )
    wrong = {entry.patient_id for entry in known.values()}
    if len(wrong) > 1:
        raise UsageError("these rows are of several Patients now: unlink them one Patient after the other")
    patient_id = wrong.pop()
    everything = ledger.keys.of_patient(patient_id)
    newest = {key: said[-1] for key, said in ledger.keys.wordings(everything).items() if said}
    worded = {newest[key] for key in named if key in newest}
    if request.only or not worded.isdisjoint(_words_of(request.to, tools)):
        worded = set()
    moved = {key for key in everything if key in named or newest.get(key) in worded}
    return Moving(
        wrong=patient_id,
        along=len(moved - named.keys()),
        known={key: entry for key, entry in everything.items() if key in moved},
        others={key: entry for key, entry in everything.items() if key not in moved},
        wording={key: newest.get(key, key[:16]) for key in moved},
    )


def check_target(request: UnlinkRequest, found: Moving, patient: Resource) -> None:
    """Raise UsageError where the rows would come from and go to the same person."""
    if request.to == found.wrong:
        raise UsageError(f"the rows are Patient {found.wrong}'s already")
    created = any(i.get("system") == systems.PERSON for i in patient.get("identifier", []))
    if not request.to and created and not found.others:
        alone = ", or move the named ones alone with --only: the others say the same of the person" * bool(found.along)
        raise UsageError(
            f"these are all rows of Patient {found.wrong}, who was created for them: name whose they are with --to{alone}"
        )


def _words_of(patient_id: str, tools: LoadTools) -> set[str]:
    """Return what the records of a Patient say of the person by now, as digests."""
    keys = tools.ledger.keys.of_patient(patient_id) if patient_id else {}
    return {said[-1] for said in tools.ledger.keys.wordings(keys).values() if said}


def journal(  # noqa: PLR0913, PLR0917 - a journal holds all that will be needed
    request: UnlinkRequest,
    found: Moving,
    patient: Resource,
    doses: Mapping[str, Resource],
    fingerprint: str,
    tools: LoadTools,
) -> Run:
    """Store the run with all that it is going to move, before anything is sent; `doses` are those on the server."""
    ledger = tools.ledger
    sources = sources_of(found.known, ledger)
    files = list(dict.fromkeys(source.file for source in sources.values()))
    with ledger.transaction():
        run = ledger.runs.start(
            kind=RunKind.UNLINK,
            fingerprint=fingerprint,
            files=files,
            clinic="",
            user=request.user,
            started=tools.clock.now(),
        )
        people = {
            found.wording[key]: as_said(patient, entry, sources[key]) for key, entry in sorted(found.known.items())
        }
        numbers = ledger.spool.people(run, people)
        records = [
            SpooledRecord(
                number=number,
                file=files.index(sources[key].file),
                row=sources[key].row,
                key=key,
                clinic=sources[key].clinic,
                content=entry.content,
                person=numbers[found.wording[key]],
                patient=people[found.wording[key]],
                doses=tuple(Dose(name, doses[i]) for name, i in sorted(entry.doses.items()) if i in doses),
                missing=(),
            )
            for number, (key, entry) in enumerate(sorted(found.known.items()), start=1)
        ]
        ledger.spool.add(run, [(record, None) for record in records])
        ledger.spool.keep_candidates(run, {found.wrong: patient})
        identifier = person_identifier(f"{min(found.known)}\x1funlinked\x1f{run.id}")
        ledger.spool.decide(run, [(_decision(request, found, numbers.values()), identifier)])
        ledger.runs.reach(run, RunState.POSTING)
    return ledger.runs.get(run.id) or run


@dataclass(frozen=True, slots=True)
class SourceRow:
    """Where a record was read last."""

    run: int
    file: InputFile
    row: int
    clinic: str


def named_keys(request: UnlinkRequest, tools: LoadTools) -> dict[str, int]:
    """Return key → row of the records that were named; raises UsageError for a run or a row that is not there."""
    run = tools.ledger.runs.get(request.run)
    if run is None:
        raise UsageError(f"there is no run {request.run}; `fhir-gateway runs list` shows all")
    named: dict[str, int] = {}
    for file, row in request.rows:
        record = tools.ledger.spool.record_at(run, file=file, row=row)
        if record is None:
            raise UsageError(f"run {request.run} has no row {row} in file {file + 1}")
        named[record[1]] = row
    return named


def sources_of(known: Mapping[str, KnownKey], ledger: Ledger) -> dict[str, SourceRow]:
    """Return where each record was read last; raises LedgerError where that is not known any more."""
    runs: dict[int, Run | None] = {}
    found = {}
    for key, (number, file, row, clinic) in ledger.keys.places(known).items():
        if number not in runs:
            runs[number] = ledger.runs.get(number)
        run = runs[number]
        if run is None or file >= len(run.files):
            raise LedgerError(f"the ledger no longer knows the file of run {number}: nothing was moved")
        found[key] = SourceRow(number, run.files[file], row, clinic)
    return found


def as_said(patient: Resource, known: KnownKey, source: SourceRow) -> Resource:
    """Return what a row said of the person, as far as her Patient still shows it."""
    said = said_by(patient, known.supplied.get(PATIENT, {})).patient
    return {**said, "meta": {"source": f"{systems.SOURCE}:{source.clinic}:{source.file.mapping}"}}


def _decision(request: UnlinkRequest, found: Moving, members: Iterable[int]) -> PersonDecision:
    return PersonDecision(
        members=tuple(sorted(set(members))),
        action=PersonAction.LINK if request.to else PersonAction.CREATE,
        grade=Grade.CERTAIN if request.to else Grade.CERTAINLY_NOT,
        reason="operator-unlinked",
        text=f"taken apart from Patient {found.wrong} by {request.user}",
        patient_id=request.to,
        candidates=(found.wrong,),
    )
