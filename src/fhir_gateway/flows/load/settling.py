"""What posting came to: every record gets its one outcome, and the ledger learns what is on the server now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from fhir_gateway.bundling.digests import digest, remembered, supplied
from fhir_gateway.domain.errors import ServerError
from fhir_gateway.domain.identity import Grade, PersonAction
from fhir_gateway.domain.outcomes import Outcome, worst
from fhir_gateway.domain.registry import Correction, RecallReason
from fhir_gateway.domain.runs import KnownKey, ReviewKind, Run, Settlement, SpooledRecord, WrittenResource
from fhir_gateway.flows.load.blocks import block_numbers
from fhir_gateway.flows.load.dose_plans import OTHER_PERSON
from fhir_gateway.flows.load.failing import Failure, failure_of, what_to_do
from fhir_gateway.flows.load.listed import keep_lots, row_to_keep
from fhir_gateway.flows.load.reading import leading_code, missing_text
from fhir_gateway.flows.load.sent import DoseResult, PersonPost, Refusal
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.identity.evidence import evidence_of

_PATIENT = "patient"


def settle_reviews(run: Run, people: Sequence[PersonPost], tools: LoadTools) -> None:
    """Park the records of people whom an operator has to decide."""
    for person in people:
        decision = person.decision
        if person.records:
            tools.ledger.spool.settle(
                run,
                [
                    Settlement(
                        record.number,
                        Outcome.REVIEW,
                        decision.reason,
                        decision.text,
                        decision.suggestion,
                        grade=decision.grade,
                    )
                    for record in person.records
                ],
            )
            tools.ledger.reviews.ask(
                run,
                person.records,
                kind=ReviewKind.PERSON,
                code=decision.reason,
                text=decision.text,
                suggestion=decision.suggestion,
                opened=tools.clock.now(),
                decision=decision,
            )
    tools.ledger.spool.close(run, [person.number for person in people])


def settle_failed(run: Run, people: Sequence[PersonPost], error: ServerError, tools: LoadTools) -> None:
    """Note that the server could not be worked with for these people; what can be sent again is kept."""
    failure = failure_of(error)
    for person in people:
        person.refusal = person.refusal or Refusal(failure, str(error))
    settle_people(run, people, {}, tools)


def settle_people(
    run: Run, people: Sequence[PersonPost], doses: Mapping[int, Sequence[DoseResult]], tools: LoadTools
) -> None:
    """Settle the records of people who have been posted, whatever became of each of them."""
    advice = partial(what_to_do, run=run, tools=tools)
    settlements: list[Settlement] = []
    learned: list[KnownKey] = []
    along: dict[tuple[str, str], str] = {}
    for person in people:
        results: dict[int, list[DoseResult]] = {}
        once = _once(person)
        order = {(r.number, dose.name): place for r in once.values() for place, dose in enumerate(r.doses)}
        for result in sorted(doses.get(person.number, ()), key=lambda found: order[found.number, found.name]):
            results.setdefault(result.number, []).append(result)
        by_key = {
            key: _settlement(person, record, results.get(record.number, []), advice=advice)
            for key, record in once.items()
        }
        written = _written(person, results)
        settlements.extend(
            replace(by_key[record.key], number=record.number, written=written.get(record.number, ()))
            for record in person.records
        )
        if person.refusal is None:
            learned.extend(_learned(run, person, by_key, results, tools))
        along.update((place, one.immunization_id) for each in results.values() for one in each for place in one.along)
        _ask_about_doses(run, person, results, tools)
        _recall(person, results, tools)
    own = {known.key for known in learned}
    tools.ledger.keys.move_doses({place: dose for place, dose in along.items() if place[0] not in own})
    _remember(run, people, learned, tools)
    tools.ledger.spool.settle(run, settlements)
    tools.ledger.spool.close(run, [person.number for person in people])


def _written(person: PersonPost, results: Mapping[int, Sequence[DoseResult]]) -> dict[int, tuple[WrittenResource, ...]]:
    """Return record's number → what its load wrote on the server; the Patient stands with the person's first record."""
    told = dict.fromkeys(_patient_written(person), person.records[0].number)
    for number, each in results.items():
        for written in (one for result in each for one in result.written):
            told.setdefault(written, number)
    found: dict[int, tuple[WrittenResource, ...]] = {}
    for written, number in told.items():
        found[number] = (*found.get(number, ()), written)
    return found


def _patient_written(person: PersonPost) -> list[WrittenResource]:
    """Return what was done with the Patient; its receipt tells what the run created before it was cut off."""
    earlier = person.decision.patient_id if person.decision.action is PersonAction.CREATE else ""
    created = [WrittenResource(f"Patient/{earlier}", created=True)] if earlier else []
    return [*created, *person.written]


def _once(person: PersonPost) -> Mapping[str, SpooledRecord]:
    """Return key → record: identical rows are one record."""
    return {record.key: record for record in person.records}


def _settlement(
    person: PersonPost, record: SpooledRecord, results: Sequence[DoseResult], *, advice: Callable[[Failure], str]
) -> Settlement:
    if person.refusal:
        failure, text = person.refusal.failure, person.refusal.text
        return Settlement(
            record.number,
            Outcome.FAILED,
            failure,
            text,
            advice(failure),
            patient_id=person.patient_id if _patient_written(person) else "",
            grade=person.decision.grade,
        )
    outcomes = [result.outcome for result in results] + [Outcome.REJECTED] * len(record.missing)
    outcome = worst(*outcomes, Outcome.LOADED)
    texts = [f"{r.name}: {r.text}" if r.name else r.text for r in results if r.text]
    texts += [missing_text(dose) for dose in record.missing]
    suggestions = [advice(Failure(r.code)) if r.outcome is Outcome.FAILED else r.suggestion for r in results if r.code]
    suggestions += [dose.problem.suggestion for dose in record.missing if dose.problem.suggestion]
    codes = [r.code for r in results if r.outcome is outcome and r.code]
    codes += [leading_code([dose.problem for dose in record.missing])] if record.missing else []
    return Settlement(
        number=record.number,
        outcome=outcome,
        code=codes[0] if outcome is not Outcome.LOADED else "",
        reason="; ".join(dict.fromkeys(texts)),
        suggestion="; ".join(dict.fromkeys(filter(None, suggestions))),
        patient_id=person.patient_id,
        immunization_ids=tuple(
            dict.fromkeys(r.immunization_id for r in results if r.outcome is Outcome.LOADED and r.immunization_id)
        ),
        grade=person.decision.grade or Grade.CERTAINLY_NOT,
    )


def _learned(
    run: Run,
    person: PersonPost,
    settlements: Mapping[str, Settlement],
    results: Mapping[int, Sequence[DoseResult]],
    tools: LoadTools,
) -> list[KnownKey]:
    learned = []
    for key, record in _once(person).items():
        before = person.known.get(key)
        complete = settlements[key].outcome is Outcome.LOADED
        doses = {r.name: r.immunization_id for r in results.get(record.number, ()) if r.outcome is Outcome.LOADED}
        stood = {one.name: one.supplied_before for one in results.get(record.number, ()) if one.supplied_before}
        told = {**stood, **(before.supplied if before else {})}
        parts: dict[str, Mapping[str, tuple[str, ...]]] = {
            dose.name: remembered(told[dose.name], dose.stated) if dose.name in told else supplied(dose.resource)
            for dose in record.doses
            if dose.name in doses
        }
        parts[_PATIENT] = remembered(told.get(_PATIENT, {}), record.patient)
        earlier = {*before.earlier, before.content} - {record.content, ""} if before else set()
        learned.append(
            KnownKey(
                key=key,
                patient_id=_whose(person, before, results.get(record.number, ())),
                content=record.content if complete else "",
                doses={**(before.doses if before else {}), **doses},
                supplied={**told, **parts},
                exported=run.files[record.file].modified if run.files else run.started,
                earlier=tuple(sorted(earlier)),
                listed=row_to_keep(run, record, tools),
            )
        )
    return learned


def _whose(person: PersonPost, before: KnownKey | None, results: Sequence[DoseResult]) -> str:
    """Return whose a row is: as before while it is asked about, as all its doses stand with another person."""
    asked = bool(results) and all(result.code == OTHER_PERSON for result in results)
    return before.patient_id if before and asked else person.patient_id


def _remember(run: Run, people: Sequence[PersonPost], learned: Sequence[KnownKey], tools: LoadTools) -> None:
    """Tell the ledger what is on the server now, and whom it will recognise."""
    ledger = tools.ledger
    loaded = [known.key for known in learned if known.content]
    ledger.keys.learn(run, learned)
    keep_lots(learned, tools)
    ledger.reviews.settled_elsewhere(loaded)
    ledger.spool.release(run, loaded)
    distinct = {
        (digest(record.patient), person.patient_id): record.patient
        for person in people
        if person.refusal is None
        for record in person.records
    }
    ledger.keys.acquaint(distinct)
    ledger.keys.locate(
        (block, patient_id)
        for (_, patient_id), patient in distinct.items()
        for block in block_numbers(evidence_of(patient))
    )


def _recall(person: PersonPost, results: Mapping[int, Sequence[DoseResult]], tools: LoadTools) -> None:
    """Note which registries have a dose as given that its own record says by now was not, or was another one."""
    not_given = {
        (record.number, dose.name)
        for record in _once(person).values()
        for dose in record.doses
        if dose.resource.get("status") != "completed"
    }
    corrections = [
        Correction(f"Immunization/{result.immunization_id}", result.version)
        for each in results.values()
        for result in each
        if result.version and (result.number, result.name) in not_given
    ]
    corrections += [result.withdrawn for each in results.values() for result in each if result.withdrawn]
    if corrections:
        tools.ledger.pulls.recall(corrections, reason=RecallReason.CORRECTED, at=tools.clock.now())


def _ask_about_doses(
    run: Run,
    person: PersonPost,
    results: Mapping[int, Sequence[DoseResult]],
    tools: LoadTools,
) -> None:
    for record in _once(person).values():
        doubtful = [result for result in results.get(record.number, ()) if result.outcome is Outcome.REVIEW]
        if doubtful:
            tools.ledger.reviews.ask(
                run,
                [record],
                kind=ReviewKind.DOSE,
                code=doubtful[0].code,
                text=doubtful[0].text,
                suggestion=doubtful[0].suggestion,
                opened=tools.clock.now(),
                decision=person.decision,
                patient_id=person.patient_id,
            )
