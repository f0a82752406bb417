from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_gateway.domain.records import Layout
from fhir_gateway.ports import Source
from fhir_gateway.sources import open_source

SHEET = Layout("sheet", frozenset({"Nama", "NIK"}), frozenset({"Nama", "NIK", "HP"}))


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Source]:
    def write_and_open(content: bytes | str, *, name: str = "input.csv") -> Source:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return open_source(path, [SHEET])

    return write_and_open


@pytest.fixture
def reopened() -> Callable[[Path], Source]:
    return lambda path: open_source(path, [SHEET])
