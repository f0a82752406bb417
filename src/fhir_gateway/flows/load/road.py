"""The load road from its first row to its books; every leg can be killed and is gone over again."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from fhir_gateway.bundling.digests import digest
from fhir_gateway.domain.errors import AccessRefusedError, InterruptedRunError, ServerError, UsageError
from fhir_gateway.domain.identity import Grade, PersonAction
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.runs import InputFile, Run, RunKind, RunState, Settlement, SpooledRecord
from fhir_gateway.flows.load.comparing import compare_people, look_up
from fhir_gateway.flows.load.deciding import decide_people
from fhir_gateway.flows.load.dose_plans import Answer
from fhir_gateway.flows.load.failing import fail_open_rows
from fhir_gateway.flows.load.posting import post
from fhir_gateway.flows.load.reading import leading_code, read_into_spool
from fhir_gateway.flows.load.sweeping import sweep_races
from fhir_gateway.flows.load.tools import LoadRequest, LoadTools
from fhir_gateway.flows.load.verifying import verify_unchanged

_CHUNK = 100
"""Records, or decisions, that are taken together."""


async def load(request: LoadRequest, tools: LoadTools) -> Run:
    """Load the inputs and return the finished run; an unfinished run of the same request is resumed.

    Raises LedgerError where another load runs, UsageError where an input is refused (no run stays behind), and
    InterruptedRunError where the server refuses the credentials. A server that stays away leaves rows `failed`, it
    raises nothing.
    """
    with tools.ledger.load_lock("a load that begins just now") as tell:
        run = _resumed_or_started(request, tools)
        tell(_named(run))
        if run.state is RunState.READING:
            await _read(run, request, tools)
            run = _reach(run, RunState.DECIDING, tools)
        return await travel(run, tools)


async def retry(number: int, *, user: str, tools: LoadTools) -> Run | None:
    """Send what a run left `failed` again, as a run of its own, and return that; None where there is nothing to send.

    A retry that was cut off is gone on with. Raises UsageError for no such run.
    """
    old = tools.ledger.runs.get(number)
    if old is None:
        raise UsageError(f"there is no run {number}; `fhir-gateway runs list` shows all")
    with tools.ledger.load_lock(f"a retry of run {number}") as tell:
        run = tools.ledger.runs.unfinished(_retry_of(number)) or _retry_begun(old, user=user, tools=tools)
        if run is None:
            return None
        tell(_named(run))
        return await travel(run, tools)


def _retry_begun(old: Run, *, user: str, tools: LoadTools) -> Run | None:
    failed = tools.ledger.spool.parked(old, Outcome.FAILED)
    records = list(islice(failed, _CHUNK))
    if not records:
        return None
    with tools.ledger.transaction():
        run = tools.ledger.runs.start(
            kind=RunKind.RETRY,
            fingerprint=_retry_of(old.id),
            files=old.files,
            clinic=old.clinic,
            user=user,
            started=tools.clock.now(),
        )
        number = 1
        while records:
            respool(run, records, tools, first=number)
            number += len(records)
            records = list(islice(failed, _CHUNK))
        tools.ledger.runs.reach(run, RunState.DECIDING)
    return tools.ledger.runs.get(run.id) or run


def _retry_of(number: int) -> str:
    return f"retry:{number}"


def respool(run: Run, records: Sequence[SpooledRecord], tools: LoadTools, *, first: int = 1) -> set[int]:
    """Copy parked records into a new run's spool, numbered from `first`; return the numbers of their people there."""
    names = [digest(record.patient) for record in records]
    patients = {name: record.patient for name, record in zip(names, records, strict=True)}
    people = tools.ledger.spool.people(run, patients)
    copies = [
        (replace(record, number=number, person=people[name]), None)
        for number, (name, record) in enumerate(zip(names, records, strict=True), start=first)
    ]
    tools.ledger.spool.add(run, copies)
    return set(people.values())


async def travel(
    run: Run, tools: LoadTools, *, answer: Answer | None = None, closing: Callable[[], None] | None = None
) -> Run:
    """Go the rest of the road with a run that has been read, and return it finished.

    `answer` is an operator's on what is doubtful of doses. `closing` is called in the transaction that closes the books: what it writes is written with them or not at all. Raises InterruptedRunError where the server refuses the credentials: the run is left as it is, to be resumed.
    """
    failures: list[ServerError] = []
    try:
        await _go(run, tools, answer)
    except* ServerError as errors:
        failures = list(_leaves(errors))
    if refused := next((error for error in failures if isinstance(error, AccessRefusedError)), None):
        raise InterruptedRunError(
            f"run {run.id} was stopped: {refused}. When that is corrected, run the same command again and it goes on"
        )
    if failures:
        fail_open_rows(run, failures[0], tools)
    return finish(run, tools, closing=closing)


async def _go(run: Run, tools: LoadTools, answer: Answer | None) -> None:
    if run.state is RunState.DECIDING:
        await verify_unchanged(run, tools)
        await _identify(run, tools)
        tools.tidy()
        if run.kind is RunKind.DRY_RUN:
            return _foretell(run, tools)
        run = tools.ledger.runs.get(run.id) or run
    await post(run, tools, total=_waiting(run, tools), answer=answer)
    tools.tidy()
    await sweep_races(run, tools)
    return None


async def _identify(run: Run, tools: LoadTools) -> None:
    """Decide who is who; what was counted for that is not kept beyond it."""
    frequencies = await compare_people(run, tools)
    tools.tidy()
    await look_up(run, tools, frequencies=frequencies)
    tools.tidy()
    await decide_people(run, tools, frequencies=frequencies)


def _leaves(group: BaseExceptionGroup[ServerError]) -> Iterator[ServerError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def finish(run: Run, tools: LoadTools, *, closing: Callable[[], None] | None = None) -> Run:
    """Close the books of a run, with what `closing` writes."""
    with tools.ledger.transaction():
        if closing:
            closing()
        tools.ledger.spool.sweep(run)
        tools.ledger.runs.finish(run, tools.clock.now())
    return tools.ledger.runs.get(run.id) or run


def _resumed_or_started(request: LoadRequest, tools: LoadTools) -> Run:
    files = tuple(
        InputFile(entry.source.path.name, entry.source.fingerprint(), entry.source.modified, entry.mapping)
        for entry in request.inputs
    )
    parts = [*(f"{file.sha256} {entry.mapping_digest}" for file, entry in zip(files, request.inputs, strict=True))]
    fingerprint = hashlib.sha256(
        "\n".join([*parts, request.clinic, str(request.limit), str(request.dry_run)]).encode()
    ).hexdigest()
    unfinished = tools.ledger.runs.unfinished(fingerprint)
    if unfinished and not request.dry_run:
        return unfinished
    with tools.ledger.transaction():
        if unfinished:  # a dry run that was cut off
            tools.ledger.runs.drop(unfinished)
        return tools.ledger.runs.start(
            kind=RunKind.DRY_RUN if request.dry_run else RunKind.LOAD,
            fingerprint=fingerprint,
            files=files,
            clinic=request.clinic,
            user=request.user,
            started=tools.clock.now(),
        )


async def _read(run: Run, request: LoadRequest, tools: LoadTools) -> None:
    """Read the inputs; a file that is refused, be it behind its last row, leaves no run behind: nothing was begun."""
    try:
        await read_into_spool(run, request, tools)
    except UsageError:
        with tools.ledger.transaction():
            tools.ledger.runs.drop(run)
        raise


def _named(run: Run) -> str:
    """Say of a run what helps somebody who has to wait for it."""
    files = ", ".join(file.name for file in run.files)
    return f"run {run.id} ({run.kind} of {files}) by {run.user}, begun {run.started:%Y-%m-%d %H:%M} UTC"


def _reach(run: Run, state: RunState, tools: LoadTools) -> Run:
    with tools.ledger.transaction():
        tools.ledger.runs.reach(run, state)
    return tools.ledger.runs.get(run.id) or run


def _waiting(run: Run, tools: LoadTools) -> int:
    totals = tools.ledger.runs.totals(run)
    return totals.read - sum(totals.outcomes.values())


def _missing_code(record: SpooledRecord) -> str:
    return leading_code([dose.problem for dose in record.missing]) if record.missing else ""


def _foretell(run: Run, tools: LoadTools) -> None:
    """Settle a dry run's records as they would be."""
    last = 0
    while decisions := tools.ledger.spool.open_decisions(run, after=last, limit=_CHUNK):
        last = decisions[-1].number
        with tools.ledger.transaction():
            for stored in decisions:
                decision = stored.decision
                review = decision.action is PersonAction.REVIEW
                settlements = [
                    Settlement(
                        record.number,
                        Outcome.REVIEW if review else Outcome.REJECTED if record.missing else Outcome.LOADED,
                        decision.reason if review else _missing_code(record),
                        decision.text if review else "; ".join(dose.problem.text for dose in record.missing),
                        decision.suggestion if review else "",
                        decision.patient_id,
                        grade=decision.grade or Grade.CERTAINLY_NOT,
                    )
                    for record in tools.ledger.spool.records_of(run, decision.members)
                ]
                tools.ledger.spool.settle(run, settlements)
