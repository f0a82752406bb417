from importlib.metadata import EntryPoint

import pytest

from fhir_gateway.domain.errors import ConfigurationError
from fhir_gateway.mapping.functions import MappingFunction
from fhir_gateway.sources import mapping_folders

SHOUT = MappingFunction("shout", "the text in capitals", lambda _setup: lambda texts, _facts: texts[0].upper() or None)
CLASH = MappingFunction("date", "a built-in name", SHOUT.build)


@pytest.fixture(autouse=True)
def forgotten():
    """A process learns once what is installed."""
    mapping_folders.installed_functions.cache_clear()
    yield
    mapping_folders.installed_functions.cache_clear()


def _install(monkeypatch, name):
    entry = EntryPoint(name, f"{__name__}:{name}", mapping_folders.ENTRY_POINT_GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda _entry: {"SHOUT": SHOUT, "CLASH": CLASH, "NONE": object()}[name])
    monkeypatch.setattr(mapping_folders, "entry_points", lambda *, group: [entry] if group == entry.group else [])


def test_a_package_adds_a_function(monkeypatch, tmp_path):
    _install(monkeypatch, "SHOUT")
    folder = tmp_path / "mappings" / "loud"
    folder.mkdir(parents=True)
    shipped = (mapping_folders.shipped_mappings() / "puskesmas" / "mapping.yaml").read_text(encoding="utf-8")
    text = shipped.replace("through: lot_number", "through: shout").replace("mapping: puskesmas", "mapping: loud")
    (folder / "mapping.yaml").write_text(text, encoding="utf-8")
    assert mapping_folders.load_found(mapping_folders.find_mapping("loud", tmp_path), tmp_path).name == "loud"


@pytest.mark.parametrize("name", ["CLASH", "NONE"])
def test_what_cannot_be_added_is_told(monkeypatch, name):
    _install(monkeypatch, name)
    with pytest.raises(ConfigurationError, match=name):
        mapping_folders.installed_functions()
