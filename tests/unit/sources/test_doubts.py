"""Files that their mapping would read half wrong are refused when their last row is read, before anything is sent."""

import pytest

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.records import Layout

COLUMNS = frozenset({"Nama", "Lahir", "JK"})


def _file(column, cells):
    rows = [f"Orang {number},{cell}" for number, cell in enumerate(cells)]
    return "\n".join([f"Nama,{column}", *rows]) + "\n"


@pytest.mark.parametrize(
    ("letters", "doubtful"),
    [("PWW", True), ("pw", True), ("PPP", False), ("WWW", False), ("LPW", False), ("LW", False), ("P-", False)],
)
def test_p_and_w_without_l_may_be_pria_and_wanita(opened, letters, doubtful):
    source = opened(_file("JK", letters), Layout("own", frozenset({"Nama"}), COLUMNS, sexes=frozenset({"JK"})))

    if not doubtful:
        assert len(list(source.records())) == len(letters)
        return
    with pytest.raises(SourceError, match="column 'JK' says P and W and never L"):
        list(source.records())


@pytest.mark.parametrize(
    ("dates", "doubtful"),
    [
        (["1/12/2024", "2/13/2024", "3/14/2024", "5/25/2024 0:00"], True),
        (["1/12/2024", "2/13/2024", "3/14/2024", "5/25/2024", "25/5/2024"], False),
        (["1/12/2024", "2/13/2024", "3/14/2024"], False),
        (["2024-02-13", "2024-03-14", "13 Mei 2024", "45071", "", "-"], False),
        (
            ["1/2/24", "2/1/24", "3/2/24", "4/5/24", "6/7/24", "7/8/24", "8/9/24", "1/13/24", "1/14/24", "1/15/24"],
            False,
        ),
    ],
)
def test_dates_that_fit_the_other_order_alone_tell_of_it(opened, dates, doubtful):
    swapped = [f"{second}/{first}/{rest}" for first, second, rest in (date.split("/") for date in dates if "/" in date)]
    day_first = Layout("own", frozenset({"Nama"}), COLUMNS, day_first=frozenset({"Lahir"}))
    month_first = Layout("own", frozenset({"Nama"}), COLUMNS, month_first=frozenset({"Lahir"}))
    for cells, layout, part in ((dates, day_first, "month"), (swapped or dates, month_first, "day")):
        source = opened(_file("Lahir", cells), layout)
        if not doubtful:
            assert len(list(source.records())) == len(cells)
            continue
        with pytest.raises(SourceError, match=f"column 'Lahir' writes the {part} first"):
            list(source.records())


def test_a_report_of_a_doubtful_file_can_be_written(opened):
    source = opened(_file("JK", "PW"), Layout("own", frozenset({"Nama"}), COLUMNS, sexes=frozenset({"JK"})))

    next(source.records())  # a limit of one row
    assert len(list(source.records())) == 2
