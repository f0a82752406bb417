import pytest

from fhir_gateway.domain.errors import SourceError


def test_values_become_text_and_numbers_keep_their_digits(opened, first):
    record = first(
        opened('{"nama":"Ani","NIK":3303120101900123,"a":0.50,"b":true,"c":null,"d":{"x":[1.10,"é"]},"e":1e3}\n')
    )
    assert record.cells == {
        "Nama": "Ani",
        "NIK": "3303120101900123",
        "a": "0.50",
        "b": "true",
        "c": "",
        "d": '{"x":[1.10,"é"]}',
        "e": "1e3",
    }
    assert record.numeric == {"NIK", "a", "e"}


def test_header_holds_the_keys_of_all_objects(opened):
    source = opened('{"Nama":"Ani","NIK":"1"}\n\n{"NIK":"2","Desa":"x"}\n')
    assert source.header == ("Nama", "NIK", "Desa")
    assert [tuple(row.cells.values()) for row in source.records()] == [("Ani", "1", ""), ("", "2", "x")]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", "row-json"),
        ('["Nama"]', "row-json"),
        ('{"Nama":NaN}', "row-json"),
        ('{"Nama":"a","":"x"}', "row-json"),
        ('{"Nama":"a","Nama":"b"}', "row-json"),
        ('{"Nama":"a","nama ":"b"}', "row-json"),
        ("[" * 100_000, "row-json"),
        ('{"Nama":"\\ud800"}', "row-encoding"),
        ('{"Nama":"a\\u0000"}', "row-encoding"),
        ('{"Nama":"' + "x" * 140_000 + '"}', "row-too-long"),
    ],
)
def test_bad_line_is_an_unreadable_row(opened, told, line, code):
    rows = told(opened('{"Nama":"Ani","NIK":"1"}\n' + line + '\n{"Nama":"Budi","NIK":"2"}\n'))
    assert rows == ["Ani", code, "Budi"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_kind_of_line_end_is_read(opened, told, end):
    assert told(opened(end.join(['{"Nama":"Ani","NIK":"1"}', '{"Nama":"Budi","NIK":"2"}', ""]))) == ["Ani", "Budi"]


@pytest.mark.parametrize("line", ["rubbish", '"Nama":"Ani"}', "# comment"])
def test_a_broken_first_line_is_a_row_as_well(opened, told, line):
    assert told(opened(line + '\n{"Nama":"Budi","NIK":"2"}')) == ["row-json", "Budi"]


def test_undecodable_bytes_break_only_their_line(opened, told):
    good = '{"Nama":"Ré","NIK":"1"}\n'.encode()
    assert told(opened(good * 2 + b'{"Nama":"\xff"}\n' + good)) == ["Ré", "Ré", "row-encoding", "Ré"]


def test_missing_columns_are_told(opened):
    with pytest.raises(SourceError, match="'NIK'"):
        opened('{"Nama":"Ani"}\n')
