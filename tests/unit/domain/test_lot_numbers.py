import pytest

from fhir_gateway.domain.lot_numbers import plain_lot


@pytest.mark.parametrize(
    "written",
    [
        *("B1234", "b-1234", "LOT B1234", "Lot: B1234", "No. B1234", "no batch B 1234"),
        *("B1234 exp 12/22", "B1234 (ED 12/2022)", "B1234/12-2025", "B1234 03/26", "B1234.0"),
    ],
)
def test_what_stands_around_a_lot_is_not_part_of_it(written):
    assert plain_lot(written) == "B1234"


@pytest.mark.parametrize(
    "written",
    [
        *("", "-", "0", "x", "XX", "tdk ada", "tidak diketahui", "kosong", "nihil", "lupa", "belum", "tidak tercatat"),
        *("ED 12/25", "BATCH-20200512083000", "1.23E+05", "???"),
    ],
)
def test_what_names_no_lot_is_none(written):
    assert plain_lot(written) == ""


@pytest.mark.parametrize(
    ("written", "plain"),
    [("01234", "1234"), ("ED1234", "ED1234"), ("NO1234A", "NO1234A"), ("A123/B124", "A123B124"), ("EXPO77", "EXPO77")],
)
def test_a_lot_keeps_what_is_its_own(written, plain):
    assert plain_lot(written) == plain
