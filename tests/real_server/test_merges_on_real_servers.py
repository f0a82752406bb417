"""Merging, its proof and its undoing on other people's servers: they give back what they were given."""

import asyncio
import json
from functools import cache

import pytest
from tests.flows.conftest import Place
from tests.flows.killed_command import command
from tests.real_server.merge_people import family, new_nik
from tests.real_server.settled_people import Settled

from fhir_gateway.domain.posting import Locking
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.locking import PROBE, find_locking
from fhir_gateway.fhir_server.policy import FhirServerPolicy
from fhir_gateway.fhir_server.reader import ServerReader

pytestmark = pytest.mark.real_server

ENVIRONMENT = """[fhir_server]
base_url = "{base_url}"
wait_for_server = 300
timeout = 300
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
def there(real_server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    return RealPlace(tmp_path, capsys).settle(real_server)


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
    in_error = {people.names[name] for name, one in merged.items() if one.get("status") == "entered-in-error"}
    evaluated = merged["ImmunizationEvaluation/ie"]["immunizationEvent"]["reference"]
    assert (len(in_error), evaluated in in_error) == (1, False)
    assert {name: merged[name] for name in TELLS_THE_PAST} == {name: before[name] for name in TELLS_THE_PAST}
    code, said, err = there.merge("undo", merge["merge"])
    assert (code, said["failed"], said["conflicts"]) == (0, [], []), err
    assert people.content() == before


def test_each_step_leaves_a_provenance_of_its_own(there):
    there.plan()
    _, said, _ = there.apply()
    (merge,) = said["merges"]
    assert activities(there, merge["survivor"]) == ["merge"]
    assert there.merge("undo", merge["merge"])[0] == 0
    assert activities(there, merge["survivor"]) == ["merge", "unmerge"]


def activities(there, survivor):
    found = there.people.search("Provenance", _sort="-_lastUpdated", _count=50)  # Medplum finds no versioned target
    return sorted(
        one["activity"]["coding"][0]["code"]
        for one in found
        if "activity" in one
        and f"Patient/{survivor}" in {t["reference"].partition("/_history")[0] for t in one["target"]}
    )


def test_what_somebody_edits_meanwhile_survives_merging_and_undoing(there, monkeypatch):
    people = there.people
    before = people.content()
    there.plan()
    note = [{"text": "seen again"}]
    with monkeypatch.context() as patched:
        edit_before_it_is_written(patched, people, "Observation/o3-p3", note=note)
        _, said, _ = there.apply()
    (merge,) = said["merges"]
    assert merge["failed"] == []
    gone = [one for one in ("p1", "p2", "p3") if people[one] in merge["replaced"]]
    assert people.referring_to(*gone) == []
    assert people.content()["Observation/o3-p3"]["note"] == note
    people.edit("Procedure/pr", note=note)
    code, said, err = there.merge("undo", merge["merge"])
    assert (code, said["failed"], said["conflicts"]) == (0, [], []), err
    edited = {"Observation/o3-p3", "Procedure/pr"}
    assert people.content() == {name: one | ({"note": note} if name in edited else {}) for name, one in before.items()}


def edit_before_it_is_written(patched, people, name, **elements):
    """Let somebody edit a resource at the moment in which the gateway writes it upon the version that it has read."""
    send, edits = FhirClient.send, [name]
    there = people.names[name]

    async def sent(self, request):
        written = request.method == "PUT" or b'"PUT"' in (request.content or b"")
        if edits and written and there in f"{request.target} {(request.content or b'').decode()}":
            people.edit(edits.pop(), **elements)
        return await send(self, request)

    patched.setattr(FhirClient, "send", sent)


def test_if_match_is_found_to_hold_inside_of_batches_and_the_probe_is_deleted(real_server):
    async def probed():
        async with FhirClient(FhirServerPolicy(real_server, timeout=300)) as client:
            reader = ServerReader(client)
            found = await find_locking(client, reader, owner="this-test")
            return found, [one async for one in reader.search("Basic", {"identifier": [f"{PROBE}|this-test"]})]

    assert asyncio.run(probed()) == (Locking.BATCH, [])


PARTS = 3
"""At how many moments, spread evenly, merging and undoing are killed."""


@pytest.fixture(scope="module")
def moments(tmp_path_factory):
    """Return a function that tells how many moments merging and undoing a family have on a server."""

    @cache
    def count(base_url):
        home = tmp_path_factory.mktemp("undisturbed")
        place = RealPlace(home, None).settle(base_url)
        plan = home / "plan.json"
        assert command(home, 0, "merge", "plan", place.nik, "--out", plan, "--env", "real")[0] == 0
        code, out, applying = command(home, 0, "merge", "apply", plan, "--env", "real", "--json")
        assert code == 0, out
        code, out, undoing = command(home, 0, "merge", "undo", 1, "--env", "real", "--json")
        assert code == 0, out
        return applying, undoing

    return count


@pytest.mark.parametrize("part", range(PARTS))
def test_merging_and_undoing_killed_once_each_end_as_undisturbed_ones(there, moments, part):
    people = there.people
    before = people.content()
    there.plan()
    killed_at = [1 + (2 * part + 1) * count // (2 * PARTS) for count in moments(people.base_url)]
    options = ("--env", "real", "--json")
    assert command(there.home, killed_at[0], "merge", "apply", there.home / "plan.json", *options)[0] == -9
    code, said, err = there.apply()
    assert code == 0, err
    (merge,) = said["merges"]
    gone = [one for one in ("p1", "p2", "p3") if people[one] in merge["replaced"]]
    assert (merge["failed"], people.referring_to(*gone)) == ([], [])
    assert activities(there, merge["survivor"]) == ["merge"]
    assert command(there.home, killed_at[1], "merge", "undo", 1, *options)[0] == -9
    code, said, err = there.merge("undo", 1)
    assert (code, said["state"], said["failed"]) == (0, "undone", []), err
    assert people.content() == before
    assert activities(there, merge["survivor"]) == ["merge", "unmerge"]
