"""Finding duplicates on other people's servers: all that carry a NIK twice, and nearly all who stand there without."""

import importlib
import json
from itertools import combinations

import pytest
from tests.flows.conftest import Place
from tests.real_server.settled_people import Settled

from fhir_gateway.domain import systems

pytestmark = pytest.mark.real_server

PATIENTS = 400
ENVIRONMENT = """[fhir_server]
base_url = "{base_url}"
wait_for_server = 300
timeout = 300
"""
SEEDS = {"embedded": 31, "hapi": 32, "hapi_validating": 33, "medplum": 34}


class FindingPlace(Place):
    """A working folder with one environment, `real`, on whose server some hundred invented people stand, some twice."""

    def settle(self, base_url, registered, seed):
        folder = self.home / "environments"
        folder.mkdir()
        (folder / "real.toml").write_text(ENVIRONMENT.format(base_url=base_url))
        patients = list(registered.patients(PATIENTS, seed=seed))
        server = Settled(base_url, patients)
        self.names = {server[one["id"]]: one["id"] for one in patients}
        self.niks = {one["id"]: nik_of(one) for one in patients}
        self.twice = {pair for pair in combinations(sorted(self.niks), 2) if registered.is_one_person(*pair)}
        return self

    @property
    def shared(self):
        """The pairs that carry the same NIK."""
        return {pair for pair in combinations(sorted(self.niks), 2) if same(*(self.niks[one] for one in pair))}

    def find(self, *options):
        """Return pair → how it was listed, of the people who were settled; other tests' people stand beside them."""
        code, out, err = self.run("merge", "find", "--env", "real", "--json", *options)
        assert code == 0, err
        assert "may be missing" not in err
        listed = {}
        for group in json.loads(out):
            mine = sorted(self.names[one] for one in group["patients"] if one in self.names)
            listed |= dict.fromkeys(combinations(mine, 2), group)
        return listed


def nik_of(patient):
    return next((one["value"] for one in patient["identifier"] if one["system"] == systems.NIK), "")


def same(one, other):
    return bool(one) and one == other


@pytest.fixture
def there(every_server, request, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend("benchmarks")
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    seed = SEEDS[request.node.callspec.params["every_server"]]
    return FindingPlace(tmp_path, capsys).settle(every_server, importlib.import_module("registered"), seed)


def test_everybody_is_read_and_who_stands_there_twice_is_found(there):
    listed = there.find()
    assert there.shared <= listed.keys()
    assert len(there.twice & listed.keys()) >= 0.8 * len(there.twice) > len(there.shared)
    assert {pair for pair, group in listed.items() if group["grade"] == "certain"} <= there.twice
    only = there.find("--shared-only")
    assert only.keys() == there.shared
    niks = there.home / "niks.txt"
    niks.write_text("".join(f"{nik}\n" for nik in there.niks.values() if nik))
    assert there.find("--niks", niks).keys() == there.shared
