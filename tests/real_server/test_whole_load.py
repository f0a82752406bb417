"""The samples, loaded by the command into every server: the same people, doses and links stand on each."""

import json
import random
from pathlib import Path

import httpx
import pytest
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO, VITAMIN, Place
from tests.flows.killed_command import command
from tests.flows.server_content import canonical
from tests.flows.test_interruption import MORE, SHARED_NIK

from fhir_gateway.sources.mapping_folders import shipped_mappings

SAMPLES = (
    ("simrs-khanza/sample-rs-a.csv", "rs-a"),
    ("simrs-khanza/sample-rs-b.csv", "rs-b"),
    ("asik/sample.xlsx", ""),
    ("puskesmas/sample.csv", ""),
)
ROWS_OF_A_SAMPLE = 80
"""All clinics, kinds of rows and people of two samples are among the first ones; more only take longer."""
COUNTS = ("read", "loaded", "unchanged", "review", "rejected", "failed")


def environment(home, base_url, **keys):
    """Write the environment `real` for a server."""
    folder = home / "environments"
    folder.mkdir()
    settings = "".join(
        f"{name} = {value}\n" for name, value in {"base_url": f'"{base_url}"', "timeout": 300, **keys}.items()
    )
    (folder / "real.toml").write_text(f"[fhir_server]\n{settings}")


def everything(base_url, resource_type):
    """Return every resource of a type, by id, whichever way the server pages."""
    found = {}
    url = f"{base_url}/{resource_type}?_count=1000"
    with httpx.Client(timeout=300, headers={"Cache-Control": "no-cache"}) as client:
        while url:
            bundle = client.get(url).raise_for_status().json()
            new = {
                e["resource"]["id"]: e["resource"] for e in bundle.get("entry", []) if e["resource"]["id"] not in found
            }
            found |= new
            url = next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), "")
            if not url and new and len(found) < bundle.get("total", 0):
                url = f"{base_url}/{resource_type}?_count=1000&_offset={len(found)}"
    return found


def content(base_url):
    """Return what our loads have left on a server that other tests use as well."""
    patients = {i: p for i, p in everything(base_url, "Patient").items() if ours(p)}
    doses = {i: d for i, d in everything(base_url, "Immunization").items() if ours(d)}
    return canonical(patients, doses)


def ours(resource):
    return resource.get("meta", {}).get("source", "").startswith("urn:fhir-gateway:source:")


def load_samples(home):
    books = []
    for sample, clinic in SAMPLES:
        arguments = ["--limit", str(ROWS_OF_A_SAMPLE), *(["--clinic", clinic] if clinic else [])]
        code, out, _ = command(home, 0, "load", shipped_mappings() / sample, "--env", "real", "--json", *arguments)
        assert code in {0, 3}, out
        summary = json.loads(out)
        books.append({name: summary[name] for name in COUNTS})
    return books


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Return the books and the content of the samples on an embedded server that nobody else uses."""
    home = tmp_path_factory.mktemp("expected")
    environment(home, "embedded")
    books = load_samples(home)
    place = Place(home, None)
    return books, canonical(
        place.server("Patient", environment="real"), place.server("Immunization", environment="real")
    )


def test_the_samples_stand_alike_on_every_server(real_server, tmp_path, expected):
    environment(tmp_path, real_server)
    books, people = expected
    before = content(real_server)
    assert load_samples(tmp_path) == books
    after = content(real_server)
    assert {name: person for name, person in after.items() if name not in before} == people


def test_loading_again_leaves_every_server_as_it_is(real_server, tmp_path):
    environment(tmp_path, real_server)
    path = Place(tmp_path, None).sheet(*ROWS)
    command(tmp_path, 0, "load", path, "--env", "real", "--json")
    before = everything(real_server, "Patient"), everything(real_server, "Immunization")
    _, out, _ = command(tmp_path, 0, "load", path, "--env", "real", "--json")
    assert json.loads(out)["loaded"] == 0
    assert (everything(real_server, "Patient"), everything(real_server, "Immunization")) == before


ROWS = (RATNA, RATNA_POLIO, BAYU, VITAMIN, SHARED_NIK, *MORE)


def test_loads_killed_at_random_end_as_an_undisturbed_one(killable_hapi, tmp_path):
    home = tmp_path / "undisturbed"
    home.mkdir()
    place = Place(home, None)
    command(home, 0, "load", place.sheet(*ROWS), "--json")
    undisturbed = canonical(*place.content())
    environment(tmp_path, killable_hapi.base_url)
    path = Place(tmp_path, None).sheet(*ROWS)
    before = content(killable_hapi.base_url)
    chance = random.Random(8)
    for _ in range(12):
        code, out, _ = command(tmp_path, chance.randint(5, 60), "load", path, "--env", "real", "--json")
        if code != -9:
            break
    else:
        code, out, _ = command(tmp_path, 0, "load", path, "--env", "real", "--json")
    assert (code, json.loads(out)["failed"]) == (3, 0)
    after = content(killable_hapi.base_url)
    assert {name: person for name, person in after.items() if name not in before} == undisturbed


def test_a_server_that_is_away_at_first_is_waited_for(killable_hapi, tmp_path):
    environment(tmp_path, killable_hapi.base_url, wait_for_server=1)
    path = Place(tmp_path, None).sheet(*ROWS)
    killable_hapi.kill()
    code, out, _ = command(tmp_path, 0, "load", path, "--env", "real", "--json")
    assert (code, json.loads(out)["loaded"]) == (3, 0)
    failed = json.loads(out)
    assert failed["failed"] == len(ROWS) - failed["rejected"]
    killable_hapi.start()
    code, out, _ = command(tmp_path, 0, "runs", "retry", failed["run"], "--env", "real", "--json")
    assert json.loads(out)["failed"] == 0
    assert len(everything(killable_hapi.base_url, "Patient")) > 0
    assert Path(tmp_path, ".fhir-gateway", "real", "ledger.db").exists()
