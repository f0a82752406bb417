"""Whatever a sheet looks like, its rows are those that an XML parser reads."""

import io
import zipfile

import openpyxl
import pytest
from openpyxl.styles import Font

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.sources import xlsx_workbook
from fhir_gateway.sources.csv_rows import BrokenRow
from fhir_gateway.sources.xlsx_row_texts import RowTexts, UnusualSheetError, plain_cells
from fhir_gateway.sources.xlsx_workbook import Workbook

SHEET = "xl/worksheets/sheet1.xml"
MAIN = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PLAIN = (b"", b"")
"""An edit that changes nothing."""

EDITS = {
    "as openpyxl writes it": PLAIN,
    "a comment between rows": (b'<row r="3"', b'<!-- <row r="9"><c r="A9"><v>9</v></c></row> --><row r="3"'),
    "a comment in a cell": (b"<v>7</v>", b"<v>7<!-- </row> --></v>"),
    "a processing instruction": (b'<row r="3"', b'<?x </row> ?><row r="3"'),
    "CDATA": (b"<v>7</v>", b"<v><![CDATA[7]]></v>"),
    "an entity": (b"<v>7</v>", b"<v>&#55;</v>"),
    "an empty row": (b'<row r="3"', b'<row r="2" spans="1:3" ht="15"/><row r="3"'),
    "an empty row whose attribute looks like its end": (b'<row r="3"', b'<row r="2" spans="/>"/><row r="3"'),
    "an end tag with a blank": (b'</row><row r="3"', b'</row ><row r="3"'),
    "line breaks between rows": (b'</row><row r="3"', b'</row>\r\n  <row r="3"'),
    "line breaks in a cell": (b"<v>7</v>", b"<v>\r\n7</v>"),
    "another order of attributes": (b'<c r="B3"', b'<c x="1" r="B3"'),
    "a foreign attribute": (b'<row r="3"', b'<row x14:dy="1" r="3"'),
    "no coordinate": (b'<c r="B3"', b"<c"),
    "a column twice": (b'<c r="B3"', b'<c r="A3"'),
    "a column far right": (b'<c r="B3"', b'<c r="XFE3"'),
    "a coordinate of row 0": (b'<c r="B3"', b'<c r="B0"'),
    "an odd row number": (b'<row r="3"', b'<row r="3.5"'),
    "a cell of another type": (b"<v>7</v>", b"<f>1+6</f><v>7</v>"),
    "a shared text that is not there": (b't="n"><v>7</v>', b't="s"><v>70000</v>'),
    "a number that is none": (b"<v>7</v>", b"<v>seven</v>"),
    "a nested row": (b"<v>7</v>", b"<v>7</v><row></row>"),
    "a prefix": (b"<worksheet xmlns=", b"<worksheet xmlns:s="),
    "another namespace": (MAIN, b"urn:other"),
    "another encoding": (b"<worksheet", b"<?xml version='1.0' encoding='iso-8859-1'?><worksheet"),
    "a declaration": (b"<worksheet", b'<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<worksheet'),
    "something behind the rows": (b"</sheetData>", b"</sheetData><x><row></row></x>"),
}


def _written(tmp_path, edit):
    book = openpyxl.Workbook()
    for row in (["Nama", "NIK", "Vaksin"], ["Ani", 3303120101900120, "É & <b>"], ["Budi", 7, None], [None, True, 2.5]):
        book.active.append(row)
    book.active["A2"].font = Font(bold=True)
    book.active["C3"].number_format = "yyyy-mm-dd"
    content = io.BytesIO()
    book.save(content)
    path = tmp_path / "book.xlsx"
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            xml = old.read(name)
            if name == SHEET:
                xml = xml.replace(b'xmlns="%b"' % MAIN, b'xmlns="%b" xmlns:x14="urn:x14"' % MAIN)
                assert edit == PLAIN or edit[0] in xml
            new.writestr(name, xml.replace(*edit, 1) if name == SHEET else xml)
    return path


def _rows(path):
    book = Workbook(path)
    try:
        return [row if isinstance(row, BrokenRow) else tuple(row) for row in book.rows(book.sheets[0])]
    except SourceError as error:
        return str(error)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_rows_are_those_that_an_xml_parser_reads(tmp_path, monkeypatch, edit):
    path = _written(tmp_path, edit)
    rows = _rows(path)

    def refuse(*_):
        raise UnusualSheetError(0)

    monkeypatch.setattr(RowTexts, "_begin", refuse)
    assert rows == _rows(path)


def test_a_usual_sheet_needs_no_element_for_its_plain_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(RowTexts, "element", lambda *_: pytest.fail("a row"))
    monkeypatch.setattr(xlsx_workbook, "_row_elements", lambda _: pytest.fail("the whole sheet"))
    book = Workbook(_written(tmp_path, EDITS["an empty row"]))
    assert [cell.text for cell in next(iter(book.rows(book.sheets[0])))] == ["Nama", "NIK", "Vaksin"]


@pytest.mark.parametrize("edit", [(b"</sheetData>", b"</sheet>"), (b'<row r="3"', b"<row r=3")])
def test_a_sheet_that_is_no_xml_is_damaged(tmp_path, edit):
    assert "damaged" in _rows(_written(tmp_path, edit))


def test_cells_of_every_plain_kind():
    text = '<row r="1"><c r="A1" s="3"/><c r="B1"><v>1</v></c><c r="C1" t="inlineStr"><is><t>x</t></is></c>'
    assert plain_cells(text) == [
        ("", "A", "3", None, None, None),
        ("", "B", None, None, "1", None),
        ("", "C", None, "inlineStr", None, "x"),
    ]
    assert plain_cells(text + "<c/>") is None
