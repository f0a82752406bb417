"""Which doses rows stand for once a merge is undone, whatever has become of the rows since."""

import pytest

from fhir_gateway.domain import systems
from fhir_gateway.domain.merges import ChangeKind, JournalledChange, KeySince
from fhir_gateway.flows.merge.undo_plan import Touched, UndoDecisions, undone
from fhir_gateway.merging.rows_since import RowsAfter, gone_with_doses, rows_after
from fhir_gateway.merging.undoing import Decision

FOLDED = {"d-b": "d-a"}
"""The replaced b's dose became entered-in-error, and the survivor a's stands for it."""


def row(key, patient_id, dose, before_patient="", before=None):
    return KeySince(key, patient_id, {"": dose}, before_patient, before and {"": before})


def after(*since, **options):
    """Return key → (Patient, dose) once the merge of b into a is undone."""
    rows = rows_after(since, survivor="a", folded=FOLDED, **options).rows
    return {one.key: (one.patient_id, one.doses[""]) for one in rows}


def test_rows_that_followed_a_merge_go_back():
    rows = after(row("k-a", "a", "d-a", "a", "d-a"), row("k-b", "a", "d-a", "b", "d-b"))
    assert rows == {"k-a": ("a", "d-a"), "k-b": ("b", "d-b")}


def test_a_row_that_went_elsewhere_stays_there():
    assert after(row("k-b", "c", "d-c", "b", "d-b")) == {"k-b": ("c", "d-c")}


def test_a_row_that_came_since_stays_with_the_survivor():
    assert after(row("k-n", "a", "d-a")) == {"k-n": ("a", "d-a")}


def test_a_dose_that_a_row_was_corrected_to_since_is_kept():
    assert after(row("k-b", "a", "d-z", "b", "d-b")) == {"k-b": ("b", "d-z")}


def test_a_dose_that_another_merge_folded_on_is_found_behind_it():
    since = row("k-b", "a", "d-e", "b", "d-b")
    assert after(since, standing=[{"d-a": "d-e"}]) == {"k-b": ("b", "d-b")}
    assert after(row("k-a", "a", "d-e", "a", "d-a"), standing=[{"d-a": "d-e"}]) == {"k-a": ("a", "d-e")}


def test_a_row_goes_back_with_a_dose_that_an_operator_has_put_back():
    since = row("k-b", "c", "d-m", "b", "d-m")
    assert after(since, reclaimed={"d-m"}) == {"k-b": ("b", "d-m")}


def test_rows_go_with_the_doses_that_are_moved():
    rows = rows_after([row("k-n", "a", "d-n"), row("k-o", "a", "d-o")], survivor="a", folded={})
    moved = gone_with_doses(rows, survivor="a", moved={"d-n": "b"})
    assert {one.key: one.patient_id for one in moved.rows} == {"k-n": "b", "k-o": "a"}


def dose(own, patient, status="completed", system=systems.DOSE):
    return {
        "resourceType": "Immunization",
        "id": own,
        "status": status,
        "identifier": [{"system": system, "value": f"of {own}"}],
        "patient": {"reference": f"Patient/{patient}"},
    }


def folded(system=systems.DOSE):
    """Return what the merge did to b's dose, and how it stands since."""
    merged = {**dose("d-b", "a", "entered-in-error", system), "identifier": []}
    change = JournalledChange(
        1, "Immunization/d-b", ChangeKind.DOSE_IN_ERROR, dose("d-b", "b", system=system), merged, "1"
    )
    return Touched("Immunization/d-b", (change,)), merged


def rows(*since):
    return rows_after(since, survivor="a", folded=FOLDED)


def test_a_dose_whose_row_is_anothers_by_now_is_not_revived():
    one, current = folded()
    result = undone(one, current, UndoDecisions(), rows=rows(row("k-b", "c", "d-c", "b", "d-b")))
    assert result.withdrawn
    assert (result.resource["status"], result.resource["patient"]) == ("entered-in-error", {"reference": "Patient/b"})
    assert "identifier" not in result.resource


@pytest.mark.parametrize(
    ("since", "system"),
    [
        pytest.param([row("k-b", "a", "d-a", "b", "d-b")], systems.DOSE, id="its row goes back"),
        pytest.param([], systems.DOSE, id="no row ever told of it"),
        pytest.param([row("k-b", "c", "d-c", "b", "d-b")], "https://elsewhere.test", id="another system made it"),
    ],
)
def test_a_dose_is_revived(since, system):
    one, current = folded(system)
    result = undone(one, current, UndoDecisions(), rows=rows(*since))
    assert (result.resource["status"], result.withdrawn) == ("completed", False)


def moved():
    """Return what the merge did to a dose of b's that stands once, and how it stands since."""
    change = JournalledChange(1, "Immunization/d-m", ChangeKind.REFERENCE, dose("d-m", "b"), dose("d-m", "a"), "1")
    return Touched("Immunization/d-m", (change,))


def test_a_dose_stays_with_the_survivor_for_whose_row_alone_it_stands_by_now():
    since = rows(row("k-b", "c", "d-c", "b", "d-m"), row("k-n", "a", "d-m"))
    result = undone(moved(), dose("d-m", "a"), UndoDecisions(), rows=since)
    assert result.resource["patient"] == {"reference": "Patient/a"}
    assert [(one.path, one.before, one.now) for one in result.kept] == [
        ("/patient/reference", "Patient/b", "Patient/a")
    ]


def test_what_an_operator_has_go_back_goes_back_whosever_its_row_is():
    since = rows(row("k-b", "c", "d-m", "b", "d-m"))
    result = undone(moved(), dose("d-m", "c"), UndoDecisions(otherwise=Decision.RESTORE), rows=since)
    assert (result.resource["patient"], result.reclaimed) == ({"reference": "Patient/b"}, True)


def test_without_rows_an_undoing_is_as_the_merge_alone_has_it():
    one, current = folded()
    assert undone(one, current, UndoDecisions(), rows=RowsAfter()).resource["status"] == "completed"
