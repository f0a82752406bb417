"""Conversion alone: rows become NDJSON, without a server and without a ledger."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from fhir_gateway.domain.outcomes import Outcome, RowOutcome
from fhir_gateway.domain.recent import Recent
from fhir_gateway.domain.records import Converted, Rejected, Resource, UnmappedValue
from fhir_gateway.fhir.json_text import fingerprint_and_id
from fhir_gateway.flows.load.reading import leading_code, missing_text, rejection
from fhir_gateway.flows.load.tools import LoadInput
from fhir_gateway.flows.load.validating import converted

_REMEMBERED = 4096

_AT_ONCE = 100
"""Rows that go each leg of the road together: one leg's code and data then stay in the processor's caches."""

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
    records = islice(entry.source.records(), limit or None)
    while rows := list(islice(records, _AT_ONCE)):
        for result in converted(rows, entry.convert):
            outcome, code = out.settle(result)
            _count(books, result, outcome, code)
            yield outcome


def _count(books: ConversionBooks, result: Converted | Rejected, outcome: RowOutcome, code: str) -> None:
    books.read += 1
    books.outcomes[outcome.outcome] = books.outcomes.get(outcome.outcome, 0) + 1
    if code:
        books.reasons[code] = books.reasons.get(code, 0) + 1
        books.texts.setdefault(code, outcome.reason)
    for value in result.unmapped:
        books.unmapped[value] = books.unmapped.get(value, 0) + 1


class _Out:
    """Writes each resource once, and remembers the ids of the Patients that were written lately."""

    def __init__(self, write: Write, first_time: FirstTime) -> None:
        self._write = write
        self._first_time = first_time
        self._patients: Recent[str, bool] = Recent(_REMEMBERED)

    def settle(self, result: Converted | Rejected) -> tuple[RowOutcome, str]:
        """Write what is new of a record; returns its outcome and the code under which it is counted, if any."""
        if isinstance(result, Rejected):
            settled = rejection(result.ref.row, result.problems)
            rejected = RowOutcome(settled.number, settled.outcome, settled.reason, settled.suggestion, key=result.key)
            return rejected, settled.code
        patient_id = result.content_id or fingerprint_and_id(result.patient)[1]
        if self._patients.get(patient_id) is None:
            self._put_patient(patient_id, result.patient)
        reference = {"reference": f"Patient/{patient_id}"}
        ids: list[str] = []
        for dose in result.doses:
            resource = dose.resource
            dose_id = resource["identifier"][0]["value"]  # the gateway's own, made of the row's key
            ids.append(dose_id)
            if self._first_time(dose_id):
                self._write({"resourceType": "Immunization", "id": dose_id, **resource, "patient": reference})
        row, missing = result.ref.row, result.missing
        if not missing:
            return RowOutcome(row, Outcome.LOADED, "", "", patient_id, tuple(ids), key=result.key), ""
        reason = "; ".join(dict.fromkeys(missing_text(dose) for dose in missing))
        suggestion = "; ".join(dict.fromkeys(dose.problem.suggestion for dose in missing if dose.problem.suggestion))
        code = leading_code([dose.problem for dose in missing])
        return RowOutcome(row, Outcome.REJECTED, reason, suggestion, patient_id, tuple(ids), key=result.key), code

    def _put_patient(self, patient_id: str, patient: Resource) -> None:
        if self._first_time(patient_id):
            self._write({"resourceType": "Patient", "id": patient_id, **patient})
        self._patients.keep(patient_id, True)  # noqa: FBT003 - the value kept
