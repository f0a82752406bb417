"""Conversion alone: rows become NDJSON, without a server and without a ledger."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from fhir_gateway.bundling.digests import digest
from fhir_gateway.bundling.immunizations import for_patient
from fhir_gateway.domain.outcomes import Outcome, RowOutcome
from fhir_gateway.domain.records import Converted, Rejected, Resource, UnmappedValue, UnreadableRow, dose_identifier
from fhir_gateway.flows.load.reading import leading_code, missing_text, rejection
from fhir_gateway.flows.load.tools import LoadInput
from fhir_gateway.flows.load.validating import validated

Write = Callable[[Resource], None]
FirstTime = Callable[[str], bool]
"""Tells whether it is given a value for the first time; must stay small for millions of them."""


@dataclass(slots=True)
class ConversionBooks:
    """What a conversion counts while it runs."""

    read: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    unmapped: dict[UnmappedValue, int] = field(default_factory=dict)


def convert(
    entry: LoadInput, write: Write, *, first_time: FirstTime, books: ConversionBooks, limit: int = 0
) -> Iterator[RowOutcome]:
    """Convert row by row: `write` gets every resource, the caller every row's outcome, `books` the counts.

    Ids are deterministic: a Patient's from everything that the row says of the person, so equal people are written
    once; an Immunization's from the row's key. Who is who across different spellings is not decided here.
    """
    records = entry.source.records()
    for record in islice(records, limit or None):
        unreadable = isinstance(record, UnreadableRow)
        result = Rejected(record.ref, (record.problem,)) if unreadable else validated(entry.convert(record))  # type: ignore[arg-type, union-attr]
        outcome, code = _written(record.ref.row, result, write, first_time)
        books.read += 1
        books.outcomes[outcome.outcome] = books.outcomes.get(outcome.outcome, 0) + 1
        if code:
            books.reasons[code] = books.reasons.get(code, 0) + 1
            books.texts.setdefault(code, outcome.reason)
        for value in result.unmapped:
            books.unmapped[value] = books.unmapped.get(value, 0) + 1
        yield outcome


def _written(row: int, result: Converted | Rejected, write: Write, first_time: FirstTime) -> tuple[RowOutcome, str]:
    if isinstance(result, Rejected):
        settled = rejection(row, result.problems)
        return RowOutcome(row, settled.outcome, settled.reason, settled.suggestion, key=result.key), settled.code
    patient_id = digest(result.patient) + digest([result.patient, "id"])
    if first_time(patient_id):
        write({"resourceType": "Patient", "id": patient_id, **_rest(result.patient)})
    ids = []
    for dose in result.doses:
        dose_id = dose_identifier(result.key, dose.name)
        ids.append(dose_id)
        if first_time(dose_id):
            resource = for_patient(dose.resource, patient_id)
            write({"resourceType": "Immunization", "id": dose_id, **_rest(resource)})
    missing = result.missing
    reason = "; ".join(dict.fromkeys(missing_text(dose) for dose in missing))
    suggestion = "; ".join(dict.fromkeys(dose.problem.suggestion for dose in missing if dose.problem.suggestion))
    outcome = Outcome.REJECTED if missing else Outcome.LOADED
    code = leading_code([dose.problem for dose in missing]) if missing else ""
    return RowOutcome(row, outcome, reason, suggestion, patient_id, tuple(ids), key=result.key), code


def _rest(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "resourceType"}
