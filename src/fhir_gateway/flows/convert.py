"""Conversion alone: rows become NDJSON, without a server and without a ledger."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from fhir_gateway.domain.outcomes import Outcome, RowOutcome
from fhir_gateway.domain.recent import Recent
from fhir_gateway.domain.records import Converted, Rejected, Resource, UnmappedValue, maker
from fhir_gateway.fhir.json_text import fingerprint_and_id
from fhir_gateway.flows.load.reading import leading_code, missing_text, rejection
from fhir_gateway.flows.load.tools import LoadInput
from fhir_gateway.flows.load.validating import converted

_REMEMBERED = 4096

_AT_ONCE = 250
"""Rows that go each leg of the road together, a hundred of wide ones: one leg's code and data then stay in the processor's caches."""

_DOSES_AT_ONCE = 1200

_LOADED = Outcome.LOADED
_row_outcome = maker(RowOutcome)

Write = Callable[[Sequence[Resource]], None]
NewIds = Callable[[Iterable[str]], set[str]]
"""Returns those ids that are given for the first time; must stay small for millions of them."""


@dataclass(slots=True)
class ConversionBooks:
    """What a conversion counts while it runs."""

    read: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    unmapped: dict[UnmappedValue, int] = field(default_factory=dict)

    def count(self, outcome: Outcome, rows: int) -> None:
        """Count rows that have an outcome."""
        if rows:
            self.read += rows
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + rows

    def count_rejected(self, code: str, reason: str) -> None:
        """Count a rejected row under a code."""
        self.count(Outcome.REJECTED, 1)
        self.reasons[code] = self.reasons.get(code, 0) + 1
        self.texts.setdefault(code, reason)


def convert(
    entry: LoadInput, write: Write, *, new_ids: NewIds, books: ConversionBooks, limit: int = 0
) -> Iterator[RowOutcome]:
    """Convert row by row: `write` gets every resource, the caller every row's outcome, `books` the counts.

    Ids are deterministic: a Patient's from everything that the row says of the person, so equal people are written
    once; an Immunization's from the row's key. Who is who across different spellings is not decided here.
    """
    out = _Out(write, new_ids, books)
    records = islice(entry.source.records(), limit or None)
    size = _AT_ONCE // 4
    while rows := list(islice(records, size)):
        results = converted(rows, entry.convert)
        yield from out.settle(results)
        doses = sum(len(result.doses) for result in results if isinstance(result, Converted))
        size = max(1, min(_AT_ONCE, _DOSES_AT_ONCE * len(rows) // max(1, doses)))


class _Out:
    """Writes each resource once, and remembers the ids of the Patients that were written lately."""

    def __init__(self, write: Write, new_ids: NewIds, books: ConversionBooks) -> None:
        self._write = write
        self._new_ids = new_ids
        self._books = books
        self._patients: Recent[str, bool] = Recent(_REMEMBERED)

    def settle(self, results: Sequence[Converted | Rejected]) -> list[RowOutcome]:
        """Write what is new of records, a Patient before the doses; returns their outcomes, which are counted."""
        kept = [result for result in results if isinstance(result, Converted)]
        patients = [result.content_id or fingerprint_and_id(result.patient)[1] for result in kept]
        # A dose's first identifier is the gateway's own, made of the row's key.
        doses = [tuple([dose[1]["identifier"][0]["value"] for dose in result.doses]) for result in kept]
        new = self._new_ids(chain(self._new_lately(set(patients)), chain.from_iterable(doses)))
        ids = zip(patients, doses, strict=True)
        written: list[Resource] = []
        outcomes: list[RowOutcome] = []
        for result in results:
            if isinstance(result, Rejected):
                outcomes.append(self._rejected(result))
                continue
            patient_id, dose_ids = next(ids)
            if patient_id in new:
                new.remove(patient_id)
                written.append({"resourceType": "Patient", "id": patient_id, **result.patient})
            reference = {"reference": f"Patient/{patient_id}"}
            for dose_id, (_, resource) in zip(dose_ids, result.doses):  # noqa: B905 - the keyword takes longer than the rest
                if dose_id in new:
                    new.remove(dose_id)
                    written.append({"resourceType": "Immunization", "id": dose_id, **resource, "patient": reference})
            if result.missing:
                outcomes.append(self._with_missing(result, patient_id, dose_ids))
            else:
                outcomes.append(_row_outcome((result.ref.row, _LOADED, "", "", patient_id, dose_ids, "", result.key)))
        self._write(written)
        self._books.count(_LOADED, sum([outcome.outcome is _LOADED for outcome in outcomes]))
        for value in chain.from_iterable([result.unmapped for result in results if result.unmapped]):
            self._books.unmapped[value] = self._books.unmapped.get(value, 0) + 1
        return outcomes

    def _new_lately(self, patients: Collection[str]) -> list[str]:
        """Return the ids of Patients that were not written lately, and remember them."""
        new = [each for each in patients if self._patients.get(each) is None]
        for each in new:
            self._patients.keep(each, True)  # noqa: FBT003 - the value kept
        return new

    def _rejected(self, result: Rejected) -> RowOutcome:
        told = rejection(result.ref.row, result.problems)
        self._books.count_rejected(told.code, told.reason)
        return RowOutcome(told.number, told.outcome, told.reason, told.suggestion, key=result.key)

    def _with_missing(self, result: Converted, patient_id: str, ids: tuple[str, ...]) -> RowOutcome:
        missing = result.missing
        reason = "; ".join(dict.fromkeys(missing_text(dose) for dose in missing))
        suggestion = "; ".join(dict.fromkeys(dose.problem.suggestion for dose in missing if dose.problem.suggestion))
        self._books.count_rejected(leading_code([dose.problem for dose in missing]), reason)
        row = result.ref.row
        return RowOutcome(row, Outcome.REJECTED, reason, suggestion, patient_id, ids, key=result.key)
