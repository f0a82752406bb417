"""Merging, its proof and its undoing on every server: they give back what they were given."""

import json

import pytest
from tests.flows.conftest import Place
from tests.real_server.merge_people import Settled, family, new_nik

pytestmark = pytest.mark.real_server

ENVIRONMENT = """[fhir_server]
base_url = "{base_url}"
wait_for_server = 120
timeout = 120
"""
TELLS_THE_PAST = {"Provenance/pv", "AuditEvent/ae"}


class RealPlace(Place):
    """A working folder with one environment, `real`, and an invented family on its server."""

    def settle(self, base_url, **settings):
        folder = self.home / "environments"
        folder.mkdir()
        keys = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
        (folder / "real.toml").write_text(ENVIRONMENT.format(base_url=base_url) + keys)
        self.nik = new_nik()
        self.people = Settled(base_url, family(self.nik, new_nik()))
        return self

    def merge(self, *words):
        """Return (exit code, what --json printed, stderr) of a merge command."""
        code, out, err = self.run("merge", *words, "--env", "real", "--json")
        return code, json.loads(out) if out else None, err

    def plan(self, *words):
        code, said, err = self.merge("plan", *(words or (self.nik,)), "--out", self.home / "plan.json")
        assert code == 0, err
        return said["groups"]

    def apply(self, *options):
        return self.merge("apply", self.home / "plan.json", *options)


@pytest.fixture
def there(every_server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    return RealPlace(tmp_path, capsys).settle(every_server)


def test_a_family_becomes_one_and_is_taken_apart_again(there):
    people = there.people
    before = people.content()
    (group,) = there.plan()
    code, said, err = there.apply()
    assert code == 0, err
    (merge,) = said["merges"]
    assert (merge["survivor"], merge["failed"]) == (group["survivor"], [])
    gone = [one for one in ("p1", "p2", "p3") if people[one] in merge["replaced"]]
    assert len(gone) == 2
    assert people.referring_to(*gone) == []
    merged = people.content()
    assert {name: merged[name] for name in TELLS_THE_PAST} == {name: before[name] for name in TELLS_THE_PAST}
    code, said, err = there.merge("undo", merge["merge"])
    assert (code, said["failed"], said["conflicts"]) == (0, [], []), err
    assert people.content() == before
