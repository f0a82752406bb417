"""Real clients of registries against `serve`: what they fetch is what the server has, and later exactly what changed."""

import json
import time
from contextlib import closing
from datetime import datetime

import httpx
import pytest
from tests.fakes.serving_process import ServingProcess, run_command
from tests.flows.conftest import HEADER
from tests.real_server.conftest import require
from tests.real_server.registry_clients import PULLS, TYPES, Registry
from tests.real_server.servers import HAPI_PLAIN, RunningServer

from fhir_gateway.embedded_server.server import EmbeddedServer

pytestmark = pytest.mark.real_server

PEOPLE = 12
INSIDE = "http://embedded.test/fhir"
VISIBLE_WITHIN = 120
"""Seconds after which what was written has to be seen by a puller (two seconds are the default)."""


NAMES = (
    "Anjani Puspa", "Bening Larasati", "Citra Maheswari", "Dewi Kinanti", "Elok Saraswati", "Fitri Wulandari",
    "Gita Permatasari", "Hesti Nurjanah", "Intan Cempaka", "Jelita Ambarwati", "Kartika Sekar", "Melati Widuri",
    "Nirmala Oktavia",
)  # fmt: skip
MOTHERS = (
    "Rukmini", "Suharti", "Tumini", "Umi Kalsum", "Wagiyem", "Yatinah", "Zubaidah", "Partinah", "Musrifah", "Lestari",
    "Kasiyah", "Jumiati", "Ngatini",
)  # fmt: skip
VILLAGES = (
    "Bukateja", "Kutasari", "Dagan", "Karangtalun", "Bojongsari", "Mrebet", "Kemangkon", "Padamara", "Kalimanah",
    "Rembang", "Kejobong", "Pengadegan", "Karanganyar",
)  # fmt: skip
"""Of invented people."""


def row(number, lot="L1", vaccine="BCG", given="2021-12-20"):
    """A child's dose; each number is another child, of another mother in another village."""
    month = number % 12 + 1
    nik = f"33030941{month:02d}21{9000 + number:04d}"
    who = f"{NAMES[number]};{nik};P;01/{month:02d}/2021;{MOTHERS[number]};{VILLAGES[number]}"
    return f"{number};{who};0812{77000000 + number};{given};{vaccine};1;{lot}"


class Region:
    """A gateway's environment with people in it, a `serve` process, and a registry for each kind of client."""

    def __init__(self, home, base_url):
        self.home = home
        self.base_url = base_url
        (home / "environments").mkdir()
        (home / "environments" / "region.toml").write_text(f'[fhir_server]\nbase_url = "{base_url}"\ntimeout = 300\n')
        self.load("first.csv", *map(row, range(PEOPLE)), *(row(n, "P1", "bOPV", "2022-01-20") for n in range(PEOPLE)))
        self.registries = {name: Registry(home / name.replace(" ", "-")) for name in PULLS}
        for name, registry in self.registries.items():
            words = ("registry", "client", "add", name, "--jwks", registry.public, "--scope", "system/*.rs")
            registry.id = run_command(home, *words, "--env", "region").strip()
        self.serving = ServingProcess(home)

    def begin(self):
        """Serve it, and let everybody pull for the first time."""
        self.base = f"{self.serving.start().url}/region/fhir"
        self.content = self.everything()
        self.first = {name: self.pull(name) for name in PULLS}

    def load(self, name, *rows):
        sheet = self.home / name
        sheet.write_text("\n".join((HEADER, *rows)) + "\n")
        run_command(self.home, "load", sheet, "--env", "region", "--json")

    def pull(self, name, since=""):
        return PULLS[name][1](self.registries[name], self.base, since)

    def ask(self, method, address):
        """Ask the FHIR server itself, past the gateway; return what it says as JSON. `address` is a path or a link."""
        if self.base_url != "embedded":
            url = address if "://" in address else f"{self.base_url}/{address}"
            fresh = {"Cache-Control": "no-cache"}
            answer = httpx.request(method, url, headers=fresh, timeout=300, trust_env=False).raise_for_status()
            return answer.json() if answer.content else {}
        with closing(EmbeddedServer(self.home / ".fhir-gateway" / "region")) as server:
            path, _, query = address.removeprefix(f"{INSIDE}/").partition("?")
            said = server.handle(method, f"/{path}", query=query, headers={}, body=b"", base=INSIDE)
            assert said.status < 300
            return json.loads(said.body) if said.body else {}

    def everything(self):
        """Return what the FHIR server has of the types that are pulled, by `Type/id`."""
        found = {}
        for resource_type in TYPES:
            address = f"{resource_type}?_count=500"
            while address:
                bundle = self.ask("GET", address)
                for entry in bundle.get("entry", []):
                    found[f"{resource_type}/{entry['resource']['id']}"] = entry["resource"]
                address = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), "")
        return found

    def wait_until_visible(self, newest):
        """Wait until a puller is told of what was written last: the gateway holds it back for as long as a server needs."""
        registry = next(iter(self.registries.values()))
        headers = {"Authorization": f"Bearer {registry.token(self.base)}"}
        until = time.monotonic() + VISIBLE_WITHIN
        while True:
            asked = {"_lastUpdated": f"ge{newest}", "_count": "1"}
            answers = [httpx.get(f"{self.base}/{one}", params=asked, headers=headers, trust_env=False) for one in TYPES]
            if any(one.raise_for_status().json().get("entry") for one in answers):
                return
            assert time.monotonic() < until, "what was written stays hidden from pullers"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def own_hapi(tmp_path_factory):
    """A HAPI FHIR of these tests' own: on the one that all share stand resources that no client's model takes."""
    require(HAPI_PLAIN)
    server = RunningServer(HAPI_PLAIN, log=tmp_path_factory.mktemp("own-hapi") / "server.log")
    server.start()
    yield server.base_url
    server.stop()


@pytest.fixture(scope="module", params=["embedded", "hapi"])
def region(request, tmp_path_factory):
    for software, _ in PULLS.values():
        require(software)
    base_url = "embedded" if request.param == "embedded" else request.getfixturevalue("own_hapi")
    region = Region(tmp_path_factory.mktemp(f"clients-{request.param}"), base_url)
    try:
        region.begin()
        yield region
    finally:
        code = region.serving.stop()
    assert code == 0


@pytest.fixture(scope="module")
def changed(region):
    """The region after a dose was deleted, a lot corrected, a child added and two merged; pulled again by everybody."""
    region.since = max(one["meta"]["lastUpdated"] for one in region.content.values())
    ours = {name: one for name, one in region.content.items() if lot(one) in {"L1", "P1"}}
    owners = {lot_of_child(one, region): one["patient"]["reference"].removeprefix("Patient/") for one in ours.values()}
    region.gone = next(name for name, one in ours.items() if lot_of_child(one, region) == (5, "P1"))
    region.ask("DELETE", region.gone)
    region.load("next.csv", row(3, "L9"), row(PEOPLE, "L1"))
    people = [owners[0, "L1"], owners[1, "L1"]]
    run_command(region.home, "merge", "plan", *people, "--out", region.home / "plan.json", "--env", "region")
    run_command(region.home, "merge", "apply", region.home / "plan.json", "--accept-conflicts", "--env", "region")
    region.merged = {f"Patient/{one}" for one in people}
    region.later = region.everything()
    region.outstanding = {name: recalls(region, name) for name in PULLS}
    region.wait_until_visible(max(one["meta"]["lastUpdated"] for one in region.later.values()))
    region.second = {name: region.pull(name, region.since) for name in PULLS}
    return region


def lot(resource):
    return resource.get("lotNumber", "")


def lot_of_child(dose, region):
    """Return (number, lot) of a dose that the first sheet brought."""
    patient = region.content[dose["patient"]["reference"]]
    phone = next(one["value"] for one in patient["telecom"])
    return int(phone[-6:]), dose["lotNumber"]


def recalls(region, name):
    words = ("registry", "recalls", "--client", region.registries[name].id, "--env", "region", "--json")
    return json.loads(run_command(region.home, *words))


def bare(resource):
    """Return a resource without what the gateway adds to references: who and what they lead to."""
    if isinstance(resource, list):
        return [bare(one) for one in resource]
    if not isinstance(resource, dict):
        return resource
    told = {"identifier", "display"} if "reference" in resource else set()
    return {name: bare(value) for name, value in resource.items() if name not in told}


def instant(resource):
    """Return a resource whose time of writing is an instant, in whichever zone it is written."""
    return resource | {
        "meta": resource["meta"] | {"lastUpdated": datetime.fromisoformat(resource["meta"]["lastUpdated"])}
    }


def same(pulled, expected):
    assert set(pulled) == set(expected)
    assert [name for name in expected if instant(bare(pulled[name])) != instant(bare(expected[name]))] == []


@pytest.mark.parametrize("name", PULLS)
def test_what_is_fetched_is_all_that_the_server_has(region, name):
    assert len(region.content) >= 3 * PEOPLE
    same(region.first[name].resources, region.content)


@pytest.mark.parametrize("name", PULLS)
def test_references_say_who_it_was_that_got_the_dose(region, name):
    (dose,) = [
        one
        for one in region.first[name].resources.values()
        if lot(one) == "L1" and lot_of_child(one, region) == (7, "L1")
    ]
    assert dose["patient"]["identifier"]["value"] == row(7).split(";")[2]
    assert dose["patient"]["display"] == row(7).split(";")[1]


@pytest.mark.parametrize("name", PULLS)
def test_the_next_pull_brings_exactly_what_changed(changed, name):
    expected = {name: one for name, one in changed.later.items() if one["meta"]["lastUpdated"] > changed.since}
    assert changed.merged < set(expected)
    same(changed.second[name].resources, expected)


@pytest.mark.parametrize("name", PULLS)
def test_the_next_pull_tells_what_was_deleted(changed, name):
    deleted = changed.second[name].deleted
    assert deleted in (None, {changed.gone})
    assert (deleted is None) == (name == "smart-fetch crawl")


@pytest.mark.parametrize("name", PULLS)
def test_what_a_merge_took_back_is_outstanding_until_then(changed, name):
    assert changed.merged < {one["resource"] for one in changed.outstanding[name]}
    assert {one["reason"] for one in changed.outstanding[name]} == {"merged"}
    assert recalls(changed, name) == []


def test_nothing_of_it_stands_in_the_log(changed):
    log = changed.serving.log.read_text()
    assert "/{environment}/fhir/" in log
    for number in range(PEOPLE):
        nik, name = row(number).split(";")[2], row(number).split(";")[1]
        assert nik not in log
        assert name not in log
    assert not [one for registry in changed.registries.values() for one in registry.secrets if one in log]
