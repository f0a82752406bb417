"""Numbers that a sheet holds as such, and its report that comes back."""

import pytest
from openpyxl import Workbook
from tests.flows.test_load import counts


@pytest.mark.parametrize("kind", ["csv", "xlsx", "ndjson"])
@pytest.mark.parametrize("number", [3303015203200003, 3303015203200010])
def test_a_nik_that_was_a_number_is_no_whole_one_in_the_report_that_comes_back(place, number, kind):
    book = Workbook()
    book.active.append(["Nama Lengkap", "NIK", "L/P", "Tgl Lahir", "Tgl Vaksin", "Vaksin"])
    book.active.append(["Ratna Fiktif", number, "P", "12/03/2020", "15/06/2020", "BCG"])
    book.save(place.home / "numbers.xlsx")
    report = place.home / f"report.{kind}"
    assert place.run("load", place.home / "numbers.xlsx", "--report", report)[0] == 0
    assert counts(place.load(report)) == {"unchanged": 1}
    (patient,) = place.content()[0].values()
    assert not [i for i in patient["identifier"] if i["system"].endswith("/nik")]
