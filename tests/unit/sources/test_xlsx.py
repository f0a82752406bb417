import io
import zipfile
from datetime import date, datetime, time

import pytest
from openpyxl import Workbook
from openpyxl.utils.datetime import MAC_EPOCH

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.records import Layout
from fhir_gateway.sources.xlsx_archive import SheetStream


def _bytes(book: Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _book(*rows, title="Data") -> Workbook:
    book = Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    return book


def _edited(content: bytes, part: str, edit) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, edit(old.read(name)) if name == part else old.read(name))
    return buffer.getvalue()


SHEET1 = "xl/worksheets/sheet1.xml"
HEAD = ("Nama", "NIK", "Vaksin")


def test_header_is_found_below_title_rows_and_blank_rows_are_none(opened, told):
    book = _book(["Laporan"], [], HEAD, ["Ani", "1", "A"], [], [None, " ", None], ["Budi", "2", "B"])
    book.active.merge_cells("A1:C1")
    assert told(opened(_bytes(book))) == ["Ani", "Budi"]


def test_cells_become_text_as_their_spreadsheet_means_them(opened, first):
    head = (*HEAD, "i", "f", "g", "b", "date", "moment", "time", "error", "apostrophe")
    values = ["Ani", 3303120101900120, None, 1, 2.50, 8.12e20, True]
    values += [date(2024, 1, 12), datetime.fromisoformat("2024-01-12T08:30:00"), time(8, 5), "#N/A", "'=x"]
    record = first(opened(_bytes(_book(head, values))))
    assert list(record.cells.values()) == [
        *["Ani", "3303120101900120", "", "1", "2.5", "812000000000000000000", "true"],
        *["2024-01-12", "2024-01-12T08:30:00", "08:05:00", "#N/A", "=x"],
    ]
    assert record.numeric == {"NIK", "i", "f", "g"}


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("Ani_x000D_\nSari", "Ani \nSari"),
        ("Ani_x0020_Sari", "Ani Sari"),
        ("_x005F_x000D_", "_x000D_"),
        ("A_xD83D_", "A "),
        ("A_x00_", "A_x00_"),
    ],
)
def test_escaped_characters_are_what_they_stand_for(opened, first, stored, text):
    assert first(opened(_bytes(_book(HEAD, [stored, "1", "A"])))).cells["Nama"] == text


def test_serial_beyond_all_dates_stays_a_number(opened, first):
    book = _book(HEAD, ["Ani", "1", 99999999999])
    book.active["C2"].number_format = "yyyy-mm-dd"
    assert first(opened(_bytes(book))).cells["Vaksin"] == "99999999999"


def test_dates_of_1904_workbooks(opened, first):
    book = _book(HEAD, ["Ani", "1", date(2024, 1, 12)])
    book.epoch = MAC_EPOCH
    assert first(opened(_bytes(book))).cells["Vaksin"] == "2024-01-12"


def test_days_numbers_of_1904_workbooks_are_those_of_others_where_the_mapping_reads_dates(opened, first):
    layout = Layout("sheet", frozenset({"Nama"}), frozenset({"Nama", "Tgl", "Jam"}), dates=frozenset({"Tgl", "Jam"}))
    book = _book(("Nama", "Tgl", "Jam", "Batch"), ["Ani", 43841, 0.5, 43841])
    book.epoch = MAC_EPOCH
    record = first(opened(_bytes(book), layout))
    assert (record.cells["Tgl"], record.cells["Jam"], record.cells["Batch"]) == ("45303", "0.5", "43841")
    assert "Tgl" in record.numeric


def test_strict_workbooks_are_read_like_ordinary_ones(opened):
    book = _book(["Laporan"], HEAD, ["Ani", "1", date(2024, 1, 12)], ["Budi", 2, "B"])
    rows = [_strict(_bytes(book)), _strict(_bytes(book), edit=_with_iso_dates), _bytes(book)]
    strict, with_iso_dates, ordinary = [list(opened(content).records()) for content in rows]
    assert strict == with_iso_dates == ordinary
    assert ordinary[0].cells["Vaksin"] == "2024-01-12"


def _strict(content: bytes, edit=lambda xml: xml) -> bytes:
    """Give a workbook the namespaces of ISO 29500's strict form."""
    for part in ("xl/workbook.xml", SHEET1, "xl/styles.xml", "xl/_rels/workbook.xml.rels", "_rels/.rels"):
        content = _edited(content, part, lambda xml: _with_strict_names(edit(xml)))
    return content


def _with_strict_names(xml: bytes) -> bytes:
    base = b"http://schemas.openxmlformats.org/"
    xml = xml.replace(base + b"spreadsheetml/2006/main", b"http://purl.oclc.org/ooxml/spreadsheetml/main")
    return xml.replace(base + b"officeDocument/2006/", b"http://purl.oclc.org/ooxml/officeDocument/")


def _with_iso_dates(xml: bytes) -> bytes:
    return xml.replace(b't="n"><v>45303</v>', b't="d"><v>2024-01-12T00:00:00</v>')


def test_a_formula_without_its_value_is_a_lost_cell_and_one_with_it_is_not(opened):
    book = _book(HEAD, ["Ani", "=1+1", "A"], ["Budi", "2", "B"], ["Citra", "=3", "=A1"])
    content = _edited(
        _bytes(book),
        SHEET1,
        lambda xml: (
            xml.replace(b"<f>3</f><v></v>", b"<f>3</f><v>3</v>")
            .replace(b"<f>3</f><v />", b"<f>3</f><v>3</v>")
            .replace(b'<c r="C4"><f>A1</f><v></v>', b'<c r="C4" t="str"><f>A1</f><v></v>')
            .replace(b'<c r="C4"><f>A1</f><v />', b'<c r="C4" t="str"><f>A1</f><v />')
        ),
    )
    ani, budi, citra = opened(content).records()
    assert (ani.cells["NIK"], ani.lost) == ("", {"NIK"})
    assert not budi.lost
    assert not citra.lost
    assert budi.cells["NIK"] == "2"
    assert (citra.cells["NIK"], citra.cells["Vaksin"]) == ("3", "")


def test_wrong_dimension_record_is_not_believed(opened, told):
    content = _edited(_bytes(_book(HEAD, ["Ani", "1", "A"])), SHEET1, lambda xml: xml.replace(b"A1:C2", b"A1:A1"))
    assert told(opened(content)) == ["Ani"]


def test_row_with_impossible_cells_breaks_alone(opened, told):
    book = _book(HEAD, ["Ani", "1", "A"], ["Budi", 77, "B"], ["Citra", "3", "C"])
    content = _edited(_bytes(book), SHEET1, lambda xml: xml.replace(b"<v>77</v>", b"<v>seven</v>"))
    assert told(opened(content)) == ["Ani", "row-cells", "Citra"]


def test_sheet_is_found_by_its_header_and_hidden_ones_are_passed_over(opened, told):
    book = _book(["Petunjuk"], title="Baca dulu")
    for name, state in (("Lama", "hidden"), ("Baru", "visible")):
        sheet = book.create_sheet(name)
        sheet.append(HEAD)
        sheet.append([name, "1", "A"])
        sheet.sheet_state = state
    content = _bytes(book)
    assert told(opened(content)) == ["Baru"]
    assert told(opened(content, sheet="lama")) == ["Lama"]
    book["Baru"].sheet_state = "hidden"
    with pytest.raises(SourceError, match="not looked at: 'Lama', 'Baru'"):
        opened(_bytes(book))
    with pytest.raises(SourceError, match="no sheet 'Besok', only Baca dulu, Lama, Baru"):
        opened(content, sheet="Besok")


def test_two_sheets_that_fit_are_not_chosen_between_unless_one_is_empty(opened, told):
    book = _book(HEAD, ["Ani", "1", "A"], title="Desa A")
    other = book.create_sheet("Desa B")
    other.append(HEAD)
    assert told(opened(_bytes(book))) == ["Ani"]
    other.append(["Budi", "2", "B"])
    with pytest.raises(SourceError, match="the sheets 'Desa A', 'Desa B' all hold rows that could be read"):
        opened(_bytes(book))


def test_a_second_sheet_with_doses_is_not_passed_over_because_it_has_fewer_columns(opened, told):
    layout = Layout(
        "cohort",
        frozenset({"Nama"}),
        frozenset({"Nama", "BCG", "MR 1", "MR 2"}),
        doses=frozenset({"BCG", "MR 1", "MR 2"}),
    )
    book = _book(["Nama", "BCG", "MR 1"], ["Ani", "2023-01-01", "2024-01-01"], title="Bayi")
    persons = book.create_sheet("Sasaran")
    persons.append(["Nama"])
    persons.append(["Ani"])
    assert told(opened(_bytes(book), layout)) == ["Ani"]
    older = book.create_sheet("Baduta")
    older.append(["Nama", "MR 2"])
    older.append(["Ani", "2025-01-01"])
    with pytest.raises(SourceError, match="the sheets 'Bayi', 'Baduta' all hold rows that could be read"):
        opened(_bytes(book), layout)


def test_cells_right_of_the_header_are_no_part_of_the_table(opened, first):
    assert list(first(opened(_bytes(_book(HEAD, ["Ani", "1", "A", None, "catatan"])))).cells) == list(HEAD)


def test_entities_are_refused(opened):
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    content = _edited(
        _bytes(_book(HEAD, ["Ani", "1", "A"])), SHEET1, lambda xml: bomb + xml[xml.index(b"<worksheet") :]
    )
    with pytest.raises(SourceError, match="declares entities"):
        opened(content)


@pytest.mark.parametrize("part", [SHEET1, "xl/styles.xml"])
def test_part_that_would_unpack_to_too_much_is_refused_before_it_is(opened, part):
    content = _edited(_bytes(_book(HEAD)), part, lambda xml: xml + b" " * (70 << 20))
    with pytest.raises(SourceError, match="would unpack to 70 MiB"):
        opened(content)


def test_row_that_is_longer_than_any_is_breaks_alone(opened, told):
    content = _bytes(_book(HEAD, ["Ani", "1", "A"], ["Budi", "2", "?"], ["Citra", "3", "C"]))
    source = opened(_edited(content, SHEET1, lambda part: part.replace(b"<t>?</t>", b"<t>" + b"x" * 140_000 + b"</t>")))
    assert told(source) == ["Ani", "row-too-long", "Citra"]
    assert list(source.records())[1].text.startswith("Budi 2 xxx")


def test_row_that_never_ends_is_refused(tmp_path):
    stream = SheetStream(tmp_path / "x.xlsx", io.BytesIO(b"x" * (40 << 20)))
    with pytest.raises(SourceError, match="a row of more than 32 MiB"):
        list(iter(stream.read, b""))


def test_damaged_sheet_is_one_clear_error(opened):
    content = _edited(_bytes(_book(HEAD, ["Ani", "1", "A"])), SHEET1, lambda xml: xml[: len(xml) // 2])
    with pytest.raises(SourceError, match="workbook is damaged"):
        list(opened(content).records())


def test_workbook_without_a_filled_or_readable_sheet_says_so(opened):
    with pytest.raises(SourceError, match="its sheets are empty"):
        opened(_bytes(_book()))
    without = _bytes(_book(HEAD, ["Ani", "1", "A"]))
    with zipfile.ZipFile(io.BytesIO(without)) as old:
        names = [name for name in old.namelist() if name != SHEET1]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as new:
            for name in names:
                new.writestr(name, old.read(name))
    with pytest.raises(SourceError, match="has no sheet that can be read"):
        opened(buffer.getvalue())


def test_progress_reaches_its_end(opened):
    source = opened(_bytes(_book(HEAD, *[["Ani", "1", "A"]] * 50)))
    assert len(list(source.records())) == 50
    assert source.progress() == 1.0
