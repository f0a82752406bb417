"""What is written of records that stand in a file more than once."""

from contextlib import closing
from types import SimpleNamespace

import orjson

from fhir_gateway.bootstrap.conversion import _Seen
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import Converted, Dose, SourceRecord, SourceRef
from fhir_gateway.flows.convert import ConversionBooks, convert


def _dose(name, lot):
    resource = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"text": name},
        "occurrenceString": "x",
        "lotNumber": lot,
        "identifier": [{"value": name[0] * 32}],
    }
    return Dose(name, resource)


def _converted(*rows):
    """Return the outcomes of rows, each a birth date and its doses, and what was written as (type, birth date or lot)."""
    results = [
        Converted(SourceRef("f", row), "k", "c", {"resourceType": "Patient", "birthDate": born}, doses)
        for row, (born, *doses) in enumerate(rows)
    ]
    entry = SimpleNamespace(
        source=SimpleNamespace(records=lambda: (SourceRecord(result.ref, {}) for result in results)),
        convert=SimpleNamespace(convert_all=lambda records: [results[record.ref.row] for record in records]),
    )
    written, books = [], ConversionBooks()
    with closing(_Seen()) as seen:
        outcomes = list(convert(entry, written.extend, take=seen.take, books=books))
    assert books.read == sum(books.outcomes.values()) == len(rows)
    resources = map(orjson.loads, written)
    return outcomes, [(one["resourceType"], one.get("birthDate") or one["lotNumber"]) for one in resources]


def test_a_dose_with_other_contents_is_not_written_but_its_rows_other_doses_are():
    first = ("2024-01-01", _dose("a", "A1"), _dose("b", "B1"))
    second = ("2024-01-01", _dose("a", "A1"), _dose("b", "B2"), _dose("c", "C1"))

    outcomes, written = _converted(first, second)

    assert written == [
        ("Patient", "2024-01-01"),
        ("Immunization", "A1"),
        ("Immunization", "B1"),
        ("Immunization", "C1"),
    ]
    assert [outcome.outcome for outcome in outcomes] == [Outcome.LOADED, Outcome.REVIEW]
    assert outcomes[1].immunization_ids == ("a" * 32, "c" * 32)


def test_nothing_is_written_of_a_row_all_whose_doses_have_other_contents():
    outcomes, written = _converted(
        ("2024-01-01", _dose("a", "A1")), ("2024-01-02", _dose("a", "A2")), ("2024-01-03", _dose("d", "D1"))
    )
    assert written == [
        ("Patient", "2024-01-01"),
        ("Immunization", "A1"),
        ("Patient", "2024-01-03"),
        ("Immunization", "D1"),
    ]
    assert [outcome.outcome for outcome in outcomes] == [Outcome.LOADED, Outcome.REVIEW, Outcome.LOADED]


def test_a_row_without_doses_has_its_patient_written():
    assert _converted(("2024-01-01",))[1] == [("Patient", "2024-01-01")]
