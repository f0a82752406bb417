import io
import os
import zipfile

import pytest

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.sources import open_source


def _zip(*names: str, content: str = "x") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), content)  # which bears no time of writing
    return buffer.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n \r\n", "nothing but blanks"),
        (b"%PDF-1.7 \x00", "a PDF"),
        (b'\x1e{"Nama": "A"}\n', "a JSON text sequence"),
        (OLE, r"old Excel workbook \(\.xls\): .*save it as XLSX"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "password protected"),
        (b"<html><table><tr><td>Nama</td></tr></table>", "an HTML or XML page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Workbook/>', "an HTML or XML page"),
        (bytes(range(256)) * 20, "a binary file"),
        (b"\x1f\x8b\x08", "gzip"),
        (_zip("readme.txt"), "no XLSX workbook"),
        (_zip("content.xml"), "OpenDocument"),
        (_zip("xl/workbook.bin"), r"\.xlsb"),
        (_zip("xl/workbook.xml"), "workbook is damaged"),
        (_zip("xl/workbook.xml")[:-30], "damaged or cut off"),
        (b"<div><table><tr><td>Nama</td></tr></table></div>", "an HTML or XML page"),
        (b"ID;PWXL;N;E\r\n", "an old workbook"),
        (b"\x09\x04\x06\x00\x00\x00\x10\x00", "an old workbook"),
        (b"MIME-Version: 1.0\r\nX-Document-Type: Workbook\r\n", "a web archive"),
        (b'[\n{"Nama": "Ani"}]', "a JSON array"),
        (b'[\n{"Nama": "Ani"}\n]', "a JSON array"),
        (b'[["Nama", "NIK"], ["Ani", "1"]]', "a JSON array"),
        (b'{\n "Nama": "Ani",\n "NIK": "1"\n}', "one object a line"),
        (b'{"total": 1, "data": [{"Nama": "Ani", "NIK": "1"}]}', r"""as `jq -c '\.\[\] \| arrays\[\]'` does"""),
        (b'{\n "data": [\n  {\n   "Nama": "Ani"}]}', r"""as `jq -c '\.\[\] \| arrays\[\]'` does"""),
        (
            b'{\n"select * from pasien": [\n\t{\n\t\t"Nama" : "Ani"\n\t}\n]}\n',
            r"""as `jq -c '\.\[\] \| arrays\[\]'` does""",
        ),
        (b'{"resourceType": "Patient", "name": [{"text": "Ani"}]}', "FHIR resources"),
        (b'{"child": {"Nama": "Ani"}}', "no key of its objects is a column's name; mapping sheet needs the columns"),
    ],
)
def test_what_cannot_be_read_is_told_with_advice(opened, content, message):
    with pytest.raises(SourceError, match=message):
        opened(content)


def test_kind_is_told_by_content_not_by_name(opened, told):
    assert told(opened("Nama;NIK\nAni;1\n", name="input.xlsx")) == ["Ani"]


def test_missing_file_and_folder_are_told(tmp_path, layout):
    with pytest.raises(SourceError, match="no such file"):
        open_source(tmp_path / "none.csv", [layout])
    with pytest.raises(SourceError, match="is a folder"):
        open_source(tmp_path, [layout])


def test_pipe_is_refused_because_it_can_be_read_only_once(tmp_path, layout):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="no regular file"):
        open_source(tmp_path / "pipe", [layout])
