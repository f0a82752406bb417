"""Conversion alone: rows become NDJSON, without a server and without a ledger."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import orjson

from fhir_gateway.domain.outcomes import Outcome, RowOutcome
from fhir_gateway.domain.recent import Recent
from fhir_gateway.domain.records import Converted, Rejected, UnmappedValue, maker
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

Claim = tuple[str, int]
"""An id and what stands for the content that it is given for."""

Write = Callable[[Sequence[bytes]], None]
"""Writes resources as JSON."""

Take = Callable[[Iterable[Claim]], tuple[set[str], set[Claim]]]
"""Returns those ids that are given for the first time, and those claims whose id was given for another content; must stay
small for millions of them."""

_ANY_CONTENT = 0
"""What stands for the content of an id that is made of it."""

_CONFLICT = (
    "key-conflict",
    "the same record stands in this file more than once, with different contents: only the first was written",
    "correct or remove the wrong row and convert again",
)


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

    def count_left(self, outcome: Outcome, code: str, reason: str) -> None:
        """Count a row of which something is left to do under a code."""
        self.count(outcome, 1)
        self.reasons[code] = self.reasons.get(code, 0) + 1
        self.texts.setdefault(code, reason)


def convert(
    entry: LoadInput, write: Write, *, take: Take, books: ConversionBooks, limit: int = 0
) -> Iterator[RowOutcome]:
    """Convert row by row: `write` gets every resource, the caller every row's outcome, `books` the counts.

    Ids are deterministic: a Patient's from everything that the row says of the person, so equal people are written
    once; an Immunization's from the row's key: another content under it is no second one, but for review. Who is who
    across different spellings is not decided here.
    """
    out = _Out(write, take, books)
    records = islice(entry.source.records(), limit or None)
    size = _AT_ONCE // 4
    while rows := list(islice(records, size)):
        results = converted(rows, entry.convert)
        yield from out.settle(results)
        doses = sum(len(result.doses) for result in results if isinstance(result, Converted))
        size = max(1, min(_AT_ONCE, _DOSES_AT_ONCE * len(rows) // max(1, doses)))


class _Out:
    """Writes each resource once, and remembers the ids of the Patients that were written lately."""

    def __init__(self, write: Write, take: Take, books: ConversionBooks) -> None:
        self._write = write
        self._take = take
        self._books = books
        self._patients: Recent[str, bool] = Recent(_REMEMBERED)

    def settle(self, results: Sequence[Converted | Rejected]) -> list[RowOutcome]:
        """Write what is new of records, a Patient before the doses; returns their outcomes, which are counted."""
        kept = [result for result in results if isinstance(result, Converted)]
        patients = [result.content_id or fingerprint_and_id(result.patient)[1] for result in kept]
        # A dose's first identifier is the gateway's own, made of the row's key.
        ids = [tuple([dose[1]["identifier"][0]["value"] for dose in result.doses]) for result in kept]
        texts = _texts(kept, patients, ids)
        claims = list(zip(chain.from_iterable(ids), map(hash, texts), strict=True))
        new, conflicts = self._take(claims)
        of_rows = _of_rows(ids, claims, conflicts)
        # Nothing is written of a row all whose doses are in conflict.
        left_out = {place for place, own in of_rows.items() if len(own) == len(ids[place])}
        new |= self._new_patients({each for place, each in enumerate(patients) if place not in left_out})
        waiting, text_of_next = enumerate(zip(patients, ids, strict=True)), iter(texts)
        written: list[bytes] = []
        outcomes: list[RowOutcome] = []
        loaded = 0
        for result in results:
            if isinstance(result, Rejected):
                outcomes.append(self._rejected(result))
                continue
            place, (patient_id, dose_ids) = next(waiting)
            if patient_id in new:
                new.remove(patient_id)
                written.append(orjson.dumps({"resourceType": "Patient", "id": patient_id, **result.patient}))
            for dose_id, text in zip(dose_ids, text_of_next):  # noqa: B905 - the texts go on with the next row's
                if dose_id in new:
                    new.remove(dose_id)
                    written.append(text)
            if result.missing or place in of_rows:
                outcomes.append(self._with_missing(result, patient_id, dose_ids, of_rows.get(place, ())))
            else:
                outcomes.append(_row_outcome((result.ref.row, _LOADED, "", "", patient_id, dose_ids, "", result.key)))
                loaded += 1
        self._write(written)
        self._books.count(_LOADED, loaded)
        for value in chain.from_iterable([result.unmapped for result in results if result.unmapped]):
            self._books.unmapped[value] = self._books.unmapped.get(value, 0) + 1
        return outcomes

    def _new_patients(self, patients: Collection[str]) -> set[str]:
        """Return the ids of Patients that were not written yet; those of lately are remembered."""
        asked = list(patients)
        others = [each for each, known in zip(asked, self._patients.get_all(asked), strict=True) if known is None]
        self._patients.keep_all(dict.fromkeys(others, True))
        return self._take([(each, _ANY_CONTENT) for each in others])[0]

    def _rejected(self, result: Rejected) -> RowOutcome:
        told = rejection(result.ref.row, result.problems)
        self._books.count_left(told.outcome, told.code, told.reason)
        return RowOutcome(told.number, told.outcome, told.reason, told.suggestion, key=result.key)

    def _with_missing(
        self, result: Converted, patient_id: str, dose_ids: Sequence[str], conflicts: Collection[str]
    ) -> RowOutcome:
        """Return the outcome of a row of which not all doses were written."""
        missing = result.missing
        reasons = [missing_text(dose) for dose in missing]
        suggestions = [dose.problem.suggestion for dose in missing if dose.problem.suggestion]
        if conflicts:
            outcome, (code, reason, suggestion) = Outcome.REVIEW, _CONFLICT
            reasons, suggestions = [reason, *reasons], [suggestion, *suggestions]
        else:
            outcome, code = Outcome.REJECTED, leading_code([dose.problem for dose in missing])
        text = "; ".join(dict.fromkeys(reasons))
        self._books.count_left(outcome, code, text)
        return RowOutcome(
            result.ref.row,
            outcome,
            text,
            "; ".join(dict.fromkeys(suggestions)),
            "" if conflicts else patient_id,
            tuple([each for each in dose_ids if each not in conflicts]),
            key=result.key,
        )


def _texts(results: Sequence[Converted], patients: Sequence[str], ids: Sequence[tuple[str, ...]]) -> list[bytes]:
    """Return records' doses as they would be written, with their ids and their Patients'."""
    return [
        orjson.dumps({"resourceType": "Immunization", "id": dose_id, **dose[1], "patient": patient})
        for result, patient_id, dose_ids in zip(results, patients, ids, strict=True)
        for patient in ({"reference": f"Patient/{patient_id}"},)
        for dose_id, dose in zip(dose_ids, result.doses)  # noqa: B905 - the keyword takes longer than the rest
    ]


def _of_rows(
    ids: Sequence[tuple[str, ...]], claims: Sequence[Claim], conflicts: Collection[Claim]
) -> dict[int, set[str]]:
    """Return the ids of rows' doses whose claims are in conflict, by the rows' places."""
    if not conflicts:
        return {}
    places = chain.from_iterable([[place] * len(dose_ids) for place, dose_ids in enumerate(ids)])
    found: dict[int, set[str]] = {}
    for place, claim in zip(places, claims, strict=True):
        if claim in conflicts:
            found.setdefault(place, set()).add(claim[0])
    return found
