from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_gateway.domain.records import Layout, SourceRecord, UnreadableRow
from fhir_gateway.ports import Source
from fhir_gateway.sources import open_source

SHEET = Layout("sheet", frozenset({"Nama", "NIK"}), frozenset({"Nama", "NIK", "Vaksin"}))
HOSPITAL = Layout("hospital", frozenset({"nm_pasien", "no_ktp"}), frozenset({"nm_pasien", "no_ktp", "jk"}))


@pytest.fixture
def layout() -> Layout:
    return SHEET


@pytest.fixture
def other_layout() -> Layout:
    return HOSPITAL


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Source]:
    def write_and_open(content: bytes | str, *layouts: Layout, name: str = "input.csv", **options: str) -> Source:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return open_source(path, layouts or (SHEET,), **options)

    return write_and_open


@pytest.fixture
def told() -> Callable[[Source], list[object]]:
    """Rows in short: the names that were read, or the code of what is wrong."""

    def tell(source: Source) -> list[object]:
        rows = list(source.records())
        assert [row.ref.row for row in rows] == list(range(1, len(rows) + 1))
        return [row.problem.code if isinstance(row, UnreadableRow) else row.cells["Nama"] for row in rows]

    return tell


@pytest.fixture
def first() -> Callable[[Source], SourceRecord]:
    def read(source: Source) -> SourceRecord:
        row = next(iter(source.records()))
        assert isinstance(row, SourceRecord)
        return row

    return read
