"""Conversion alone: rows become NDJSON, without a server and without a ledger."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from fhir_gateway.bundling.digests import DIGITS, digest
from fhir_gateway.domain.outcomes import Outcome, RowOutcome
from fhir_gateway.domain.recent import Recent
from fhir_gateway.domain.records import Converted, Rejected, Resource, UnmappedValue, UnreadableRow
from fhir_gateway.fhir.json_text import fingerprint
from fhir_gateway.flows.load.reading import leading_code, missing_text, rejection
from fhir_gateway.flows.load.tools import LoadInput
from fhir_gateway.flows.load.validating import validated

_REMEMBERED = 4096

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
    out = _Out(write, first_time)
    records = entry.source.records()
    for record in islice(records, limit or None):
        result = (
            Rejected(record.ref, (record.problem,))
            if isinstance(record, UnreadableRow)
            else validated(entry.convert(record))
        )
        if isinstance(result, Rejected):
            outcome, code = _rejected(record.ref.row, result)
        else:
            outcome, code = out.put(record.ref.row, result)
        books.read += 1
        books.outcomes[outcome.outcome] = books.outcomes.get(outcome.outcome, 0) + 1
        if code:
            books.reasons[code] = books.reasons.get(code, 0) + 1
            books.texts.setdefault(code, outcome.reason)
        for value in result.unmapped:
            books.unmapped[value] = books.unmapped.get(value, 0) + 1
        yield outcome


class _Out:
    """Writes each resource once, and remembers the ids of the Patients that were written lately."""

    def __init__(self, write: Write, first_time: FirstTime) -> None:
        self._write = write
        self._first_time = first_time
        self._patients: Recent[str, str] = Recent(_REMEMBERED)

    def put(self, row: int, result: Converted) -> tuple[RowOutcome, str]:
        """Write what is new of a record; returns its outcome and the code under which it is counted, if any."""
        patient_id = self._patients.get(result.fingerprint) or self._put_patient(result)
        reference = {"reference": f"Patient/{patient_id}"}
        ids = []
        for dose in result.doses:
            dose_id = dose.resource["identifier"][0]["value"]  # the gateway's own, made of the row's key
            ids.append(dose_id)
            if self._first_time(dose_id):
                start = {"resourceType": "Immunization", "id": dose_id}
                self._write({**start, **dose.resource, "patient": reference})
        missing = result.missing
        if not missing:
            return RowOutcome(row, Outcome.LOADED, "", "", patient_id, tuple(ids), key=result.key), ""
        reason = "; ".join(dict.fromkeys(missing_text(dose) for dose in missing))
        suggestion = "; ".join(dict.fromkeys(dose.problem.suggestion for dose in missing if dose.problem.suggestion))
        code = leading_code([dose.problem for dose in missing])
        return RowOutcome(row, Outcome.REJECTED, reason, suggestion, patient_id, tuple(ids), key=result.key), code

    def _put_patient(self, result: Converted) -> str:
        whole = result.fingerprint or fingerprint(result.patient)
        patient_id = whole[:DIGITS] + digest([result.patient, "id"])
        if self._first_time(patient_id):
            self._write({"resourceType": "Patient", "id": patient_id, **result.patient})
        if result.fingerprint:
            self._patients.keep(result.fingerprint, patient_id)
        return patient_id


def _rejected(row: int, result: Rejected) -> tuple[RowOutcome, str]:
    settled = rejection(row, result.problems)
    return RowOutcome(row, settled.outcome, settled.reason, settled.suggestion, key=result.key), settled.code
