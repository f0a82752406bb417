import codecs
import csv
import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.records import Layout, UnreadableRow
from fhir_gateway.sources import open_source
from fhir_gateway.sources.csv_rows import BrokenRow, CsvRows
from fhir_gateway.sources.text_lines import LONGEST_ROW

HEAD = "Nama;NIK;Vaksin\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~"])
def test_delimiter_is_detected(opened, first, delimiter):
    source = opened("Nama;NIK;Vaksin\nAni;1;HB0, satu\n".replace(";", delimiter).replace(", ", " "))
    assert source.delimiter == delimiter
    assert first(source).cells == {"Nama": "Ani", "NIK": "1", "Vaksin": "HB0 satu"}


def test_text_that_an_export_wrote_as_a_formula_is_the_text(opened, first):
    for written in ('Ani;="0123";"=""B """"2"""""""\n', '"Ani";"=""0123""";"=""B """"2"""""""\n'):
        assert first(opened(HEAD + written)).cells == {"Nama": "Ani", "NIK": "0123", "Vaksin": 'B "2"'}


def test_apostrophe_of_a_report_goes_below_a_cell_with_a_line_break_too(opened, first):
    assert first(opened(HEAD + '"Ani\nB";\'+62;BCG\n')).cells["NIK"] == "+62"


def test_given_delimiter_is_used(opened, told):
    assert told(opened("Nama#NIK\nAni#1\n", delimiter="#")) == ["Ani"]


@pytest.mark.parametrize(
    ("content", "marked"),
    [
        ((HEAD + "Renée;1;BCG\n").encode(), False),
        ((HEAD + "Renée;1;BCG\n").encode("utf-8-sig"), True),
        ((HEAD + "Renée;1;BCG\n").encode("cp1252"), True),
        ((HEAD + "Renée;1;BCG\n").encode("utf-16"), True),
        ((HEAD + "Renée;1;BCG\n").encode("utf-16-le"), True),
        ((HEAD + "Renée;1;BCG\n").encode("utf-16-be"), True),
        ((HEAD + "Renée;1;BCG\n").encode("utf-32"), True),
    ],
    ids=["utf-8", "utf-8-bom", "cp1252", "utf-16-bom", "utf-16-le", "utf-16-be", "utf-32"],
)
def test_encoding_is_detected_and_decides_on_the_reports_mark(opened, told, content, marked):
    source = opened(content)
    assert told(source) == ["Renée"]
    assert source.byte_order_mark is marked


def test_encoding_is_told_by_the_first_text_beyond_ascii_however_late(opened, told):
    filler = "Ani;1;BCG\n" * 60_000
    assert told(opened((HEAD + filler + "Renée;2;BCG\n").encode("cp1252")))[-1] == "Renée"


def test_given_encoding_is_used_and_an_unknown_one_refused(opened, told):
    assert told(opened((HEAD + "Ren\u00e9;1;BCG\n").encode("mac-roman"), encoding="mac-roman")) == ["Ren\u00e9"]
    content = (HEAD + "Ren\u20ac;1;BCG\n").encode("iso8859-15")
    assert told(opened(content, encoding="ISO-8859-15")) == ["Ren\u20ac"]
    with pytest.raises(SourceError, match="unknown encoding 'utf-9'"):
        opened(content, encoding="utf-9")


def test_undecodable_byte_breaks_only_its_row(opened, told):
    content = HEAD.encode() + "Renée;1;A\nZoë;2;B\n".encode() + b"Bu\xffdi;3;C\nCitra\xe2\x82;4;D\nDewi;5;E\n"
    source = opened(content)
    assert told(source) == ["Renée", "Zoë", "row-encoding", "row-encoding", "Dewi"]
    broken = list(source.records())[2]
    assert broken.text == "Bu\N{REPLACEMENT CHARACTER}di;3;C"


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("Budi;2", "row-too-few-cells"),
        ("Budi;2;B;zu viel", "row-too-many-cells"),
        ("Bu\0di;2;B", "row-nul"),
        ('"Budi;2;B', "row-quotes"),
        ('Budi;2;"B', "row-quotes"),
        ('Budi;"2" x;B', "row-quotes"),
        ("Bu\rdi;2;B", "row-line-end"),
        ("B" * (LONGEST_ROW + 1) + ";2;B", "row-too-long"),
    ],
)
def test_broken_row_names_itself_and_never_shifts_its_neighbours(opened, told, row, code):
    assert told(opened(HEAD + f"Ani;1;A\n{row}\nCitra;3;C\nDewi;4;D\n")) == ["Ani", code, "Citra", "Dewi"]


def test_unclosed_quote_at_the_end_of_the_file_swallows_nothing(opened, told):
    assert told(opened(HEAD + 'Ani;1;A\nBudi;2;"B\nCitra;3;C\n"Dewi;4;D')) == [
        "Ani",
        "row-quotes",
        "Citra",
        "row-quotes",
    ]


def test_two_rows_with_unclosed_quotes_stay_two_rows(opened, told):
    assert told(opened(HEAD + 'Budi;"2;B\nCitra;3";C\nDewi;4;D\n')) == ["row-quotes", "Citra", "Dewi"]


def test_quotes_inside_an_unquoted_cell_are_text(opened, told):
    assert told(opened(HEAD + 'Ma"ruf;1;A\nCitra;3;C\n')) == ['Ma"ruf', "Citra"]


def test_quoted_cells_may_hold_delimiters_quotes_and_line_breaks(opened, first):
    cells = first(opened(HEAD + '"Ani ""Nia""";"1;2";"A\r\nB\n\nC"\n')).cells
    assert list(cells.values()) == ['Ani "Nia"', "1;2", "A\r\nB\n\nC"]


def test_more_cells_are_tolerated_where_they_are_empty(opened, told):
    assert told(opened("Nama;NIK;;\nAni;1;;\nBudi;2\nCitra;3;;x\n")) == ["Ani", "Budi", "row-too-many-cells"]


def test_blank_lines_are_no_rows(opened, told):
    assert told(opened(HEAD + '\nAni;1;A\n;;\n   \n"";;\n\t\nBudi;2;B\n\x1a')) == ["Ani", "Budi"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_kind_of_line_end_is_read(opened, told, end):
    assert told(opened(f"Nama;NIK{end}Ani;1{end}{end}Budi;2{end}")) == ["Ani", "Budi"]


def test_whole_rows_that_end_in_a_lone_carriage_return_are_rows(opened, told):
    assert told(opened("Nama;NIK\r\nAni;1\rBudi;2\r\nCitra;3\r\n")) == ["Ani", "Budi", "Citra"]


def test_header_may_stand_below_title_rows_and_be_spelled_differently(opened, first):
    source = opened("sep=;\nLaporan Imunisasi\n\nBulan: Januari;;\n nama ;N I K;nik;\nAni;x;1;\n")
    assert source.header == (" nama ", "N I K", "nik")
    assert first(source).cells == {"Nama": "Ani", "N I K": "x", "NIK": "1"}


def test_header_cells_may_hold_line_breaks(opened, told):
    assert told(opened('Judul\n"Nama";"Nomor\nHP";NIK\nAni;08;1\n')) == ["Ani"]


def test_bytes_of_a_header_that_are_no_text_are_marked_as_such(opened, first):
    source = opened("Nama;De?sa;Tempat;NIK\nAni;a;Kédung;1\n".encode().replace(b"?", b"\xff"))
    assert source.header == ("Nama", "De\N{REPLACEMENT CHARACTER}sa", "Tempat", "NIK")
    assert list(first(source).cells.values()) == ["Ani", "a", "Kédung", "1"]


def test_another_name_of_a_required_column_stands_for_it(opened, first):
    layout = Layout(
        "sheet", frozenset({"Nama", "Lahir"}), frozenset({"Nama", "Lahir", "DOB"}), aliases=(("Lahir", ("DOB",)),)
    )
    assert first(opened("Nama;dob ;NIK\nAni;2020-01-02;1\n", layout)).cells["Nama"] == "Ani"
    assert first(opened("Nama;DOB;NIK\nAni;2020-01-02;1\n", layout)).cells["DOB"] == "2020-01-02"
    with pytest.raises(SourceError, match="Lahir"):
        opened("Nama;NIK\nAni;1\n", layout)


def test_unnamed_and_repeated_columns_keep_their_cells_apart(opened, first):
    cells = first(opened("Nama;;Desa;Desa;NIK\nAni;a;b;c;1\n")).cells
    assert cells == {"Nama": "Ani", "column 2": "a", "Desa": "b", "Desa (4)": "c", "NIK": "1"}


def test_column_that_the_mapping_reads_stands_once(opened):
    with pytest.raises(SourceError, match="more than once in the header: NIK"):
        opened("Nama;NIK;nik\nAni;1;2\n")


def test_apostrophe_of_a_report_is_taken_off(opened, first):
    cells = first(opened("Nama;NIK;Vaksin\n'=Ani;'+62;'Ali\n")).cells
    assert list(cells.values()) == ["=Ani", "+62", "'Ali"]


def test_gateway_columns_stay_in_the_cells(opened, first):
    assert first(opened("Nama;NIK;Gateway_Key\nAni;1;abc\n")).cells["gateway_key"] == "abc"


def test_layout_with_most_known_columns_is_chosen(opened, layout, other_layout):
    assert opened("Nama;NIK;nm_pasien;no_ktp;jk;x\n1;2;3;4;5;6\n", layout, other_layout).layout is other_layout


def test_layouts_that_fit_equally_well_are_not_chosen_between(opened, layout, other_layout):
    with pytest.raises(SourceError, match="hospital, sheet fit equally well: choose one with --mapping"):
        opened("Nama;NIK;nm_pasien;no_ktp\n1;2;3;4\n", layout, other_layout)


def test_missing_columns_are_named_with_their_nearest_and_the_mapping_that_would_fit(tmp_path, layout, other_layout):
    path = tmp_path / "export.csv"
    path.write_text("Nama,NIKK,nm_pasien,no_ktp\n")
    with pytest.raises(
        SourceError, match=r"'NIK' \(did you mean 'NIKK'\?\); mapping hospital would fit: --mapping hospital"
    ):
        open_source(path, [layout], others=[other_layout])


def test_file_without_a_header_says_what_is_needed_and_none_of_its_values(opened):
    with pytest.raises(
        SourceError, match="no header row in its first 50 rows; mapping sheet needs the columns NIK, Nama"
    ) as error:
        opened("Budi Santoso;3303120101900001;HB0\n")
    assert "Budi" not in str(error.value)


def test_file_that_no_mapping_knows_is_told_what_each_would_need(opened, layout, other_layout):
    with pytest.raises(
        SourceError, match="sheet needs the columns NIK, Nama; mapping hospital needs the columns nm_pas"
    ):
        opened("a;b;c\n1;2;3\n", layout, other_layout)


def test_file_that_changes_while_it_is_read_is_an_error(opened):
    source = opened(HEAD + "Ani;1;A\n")
    rows = source.records()
    next(rows)
    source.path.write_text(HEAD + "Ani;1;A\nBudi;2;B\n")
    with pytest.raises(SourceError, match="has changed since it was opened"):
        list(rows)


def test_fingerprint_and_progress(opened):
    source = opened(codecs.BOM_UTF8 + HEAD.encode() + b"Ani;1;A\n")
    assert len(source.fingerprint()) == 64
    assert source.progress() == 0.0
    assert list(source.records())
    assert source.progress() == 1.0
    assert source.modified.tzinfo is not None


def test_memory_stays_flat(opened):
    source = opened(HEAD + "Ani;1;A\n" * 60_000)
    tracemalloc.start()
    try:
        count = sum(1 for _ in source.records())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 60_000
    assert peak < 8 << 20


SAFE = st.text('abc;" ', max_size=8)


@settings(derandomize=True, max_examples=200, database=None)
@given(st.lists(st.tuples(SAFE.map("x".__add__), SAFE, SAFE), max_size=8))
def test_rows_written_by_a_csv_writer_are_read_as_they_were(rows):
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\n").writerows(rows)
    read = list(CsvRows(iter(text.getvalue().split("\n")), delimiter=";", width=3))
    assert read == [list(row) for row in rows]


@settings(derandomize=True, max_examples=200, database=None)
@given(st.text('ab;"\n\r\0 ', max_size=40))
def test_rubbish_between_rows_never_touches_the_rows_around_it(rubbish):
    lines = f"first;1;2\n{rubbish}\nmiddle;1;2\nlast;3;4".split("\n")
    rows = list(CsvRows(iter(lines), delimiter=";", width=3))
    assert rows[0] == ["first", "1", "2"]
    assert rows[-1] == ["last", "3", "4"]
    assert ["middle", "1", "2"] in rows


def test_broken_rows_are_values(opened):
    rows = list(CsvRows(iter(["a;b", "a"]), delimiter=";", width=2))
    assert isinstance(rows[1], BrokenRow)
    assert isinstance(next(iter(opened(HEAD + "x\n").records())), UnreadableRow)


def test_blanks_before_quotation_marks_are_no_part_of_the_cells(opened, told):
    source = opened('"Nama"; "NIK"; "Vaksin"\n"Ani"; "1"; "a ""b"", ""c"""\n"Budi"; "2; 3"; "x\ny"\nCitra; 3; z\n')
    assert source.header == ("Nama", "NIK", "Vaksin")
    assert told(source) == ["Ani", "Budi", "Citra"]
    assert [row.cells["Vaksin"].strip() for row in source.records()] == ['a "b", "c"', "x\ny", "z"]
