"""Files in any order, one by one or together, and rows in any order give the same people once proposals are merged."""

from itertools import permutations

import openpyxl
import pytest
from tests.fakes.loaded_orders import differences, people_after, shuffled

from fhir_gateway.sources.mapping_folders import shipped_mappings
from fhir_gateway.synth.generate import FILES, generate
from fhir_gateway.synth.population import Region
from fhir_gateway.synth.rates import Rates

PERSONS = 30
SAMPLES = ("simrs-khanza/sample-rs-a.csv", "asik/sample.xlsx", "puskesmas/sample.csv")
SAMPLE_ROWS = 30
ALL_ORDERS = list(permutations(range(3)))
ORDERS = pytest.mark.parametrize(
    "orders", [[(2, 0, 1)], pytest.param(ALL_ORDERS, marks=pytest.mark.exhaustive)], ids=["one", "all"]
)
"""Orders of three files by their places."""


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Return a function that says who the people are after loads into a new, empty gateway."""
    homes = []

    def load(*loads, **options):
        home = tmp_path / f"home-{len(homes)}"
        home.mkdir()
        homes.append(home)
        monkeypatch.setenv("FHIR_GATEWAY_HOME", str(home))
        return people_after(home, loads, **options)

    return load


@pytest.fixture
def clinic(tmp_path):
    """Return the three exports of a small invented region."""
    folder = tmp_path / "exports"
    generate(folder, Region(601, PERSONS, "B", Rates()))
    return [folder / name for name in FILES.values()]


@ORDERS
def test_the_order_of_files_joins_nobody_else(loaded, clinic, orders):
    together = loaded(clinic)
    outcomes = [differences(together, loaded(*([clinic[place]] for place in order))) for order in orders]
    assert [sorted(outcome.joined_in_one_only) for outcome in outcomes] == [[]] * len(orders)
    assert all(len(outcome.waiting_in_one_only) < 0.2 * len(together) for outcome in outcomes)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(2, 8))])
def test_the_order_of_rows_changes_nothing(loaded, clinic, tmp_path, seed):
    before = loaded(clinic)
    hospital, cohort, sheet = clinic
    folder = tmp_path / "shuffled"
    folder.mkdir()
    old = {file.name: shuffled(file, folder / file.name, seed=seed) for file in (hospital, sheet)}
    after = loaded([folder / hospital.name, cohort, folder / sheet.name])
    renumbered = {(name, old[name][row - 1] if name in old else row): patient for (name, row), patient in after.items()}
    assert {row for row in before if not before[row]} == {row for row in renumbered if not renumbered[row]}
    assert differences(before, renumbered).joined_in_one_only == frozenset()


@ORDERS
def test_the_samples_in_any_order_are_the_same_people(loaded, tmp_path, orders):
    files = [_beginning(shipped_mappings() / sample, tmp_path) for sample in SAMPLES]
    together = loaded(files)
    for order in orders:
        found = differences(together, loaded(*([files[place]] for place in order)))
        assert found.joined_in_one_only == found.waiting_in_one_only == frozenset()


def _beginning(file, folder):
    """Return a copy of a sample's first rows."""
    copy = folder / file.name
    if file.suffix == ".csv":
        copy.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[: SAMPLE_ROWS + 1]))
        return copy
    book = openpyxl.load_workbook(file)
    book.worksheets[0].delete_rows(SAMPLE_ROWS, 100_000)
    book.save(copy)
    return copy
