"""Pulls and exports over servers with many manners: what a plain one gives, they give."""

import json
from urllib.parse import quote

import pytest
from tests.fakes.disturbed_server import BASE, DisturbedServer
from tests.fakes.duplicated_people import put_all
from tests.fakes.fhir_samples import NIK, sample_patient
from tests.fakes.manners import MANNERS, behave, enrich, normalise
from tests.fakes.served_gateway import assert_is_problem, served_from
from tests.flows.registry.exporting import KUTASARI, Exporter, dose, person
from tests.flows.test_other_manners import SERVERS

from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.serving import environments

REGION = """[fhir_server]
base_url = "https://region.test/fhir"
wait_for_server = 60
timeout = 60
[registry]
settling_seconds = 0
requests_per_minute = 10000
tokens_per_minute = 10000
"""
UNORDERED = "matches are shuffled"
"""A server that does not heed _sort=_lastUpdated cannot be pulled from in any order."""
UNCOUNTED = "totals are too large"
UNKEPT = {"nothing is declared"}
"""Servers whose history is not asked for, as they do not declare it."""


def people_and_doses():
    organization = {"resourceType": "Organization", "id": "org", "name": "Puskesmas Contoh"}
    people = [person(n, KUTASARI if n == 3 else "330309") | {"id": f"p{n}"} for n in range(1, 6)]
    replaced = people.pop() | {
        "active": False,
        "link": [{"other": {"reference": "Patient/p4"}, "type": "replaced-by"}],
    }
    doses = [dose(f"p{n}", 10 * n + k) | {"id": f"d{n}-{k}"} for n in (1, 2, 3, 4) for k in range(4)]
    return [organization, *people, replaced, *doses]


@pytest.fixture
def region(tmp_path, monkeypatch):
    """Return a function that puts a server with these manners behind the environment `region`."""
    opened = []

    def put(*manners):
        (tmp_path / "environments").mkdir()
        (tmp_path / "environments" / "region.toml").write_text(REGION)
        before, after = behave(*manners)
        server = DisturbedServer(tmp_path / "server", before=before, after=after)
        opened.append(server)
        put_all(server.server, people_and_doses())

        def client(policy, transport=None):
            assert transport is None
            return FhirClient(policy, transport=server, timing=server.time.timing())

        monkeypatch.setattr(environments, "FhirClient", client)
        return server

    yield put
    for server in opened:
        server.server.close()


def plainly(resources):
    """Return resources as the most talkative of these servers shows them, in an order of their own."""
    told = []
    for one in resources:
        bare = json.loads(json.dumps(one)) | {"meta": {}}
        normalise(bare)
        enrich(bare)
        told.append(json.dumps(bare, sort_keys=True).replace("CONTOH REKAAN", "Contoh Rekaan"))
    return sorted(told)


async def exported(registry, path="$export", **asked):
    manifest = await registry.export(path, **asked)
    assert manifest["error"] == []
    deleted = await registry.lines(manifest.get("deleted", ()))
    gone = sorted(entry["request"]["url"] for one in deleted for entry in one["entry"])
    return plainly(await registry.lines(manifest["output"])), gone, manifest["transactionTime"]


async def answer_of(asking):
    answer = await asking
    assert answer.status_code == 200, answer.text
    return answer.json()


async def searched(registry, manners):
    """Return what searches find."""
    nik = sample_patient(2)["identifier"][0]["value"]
    form = {"patient.identifier": f"{NIK}|{nik}", "_include": "Immunization:patient"}
    by_nik = await answer_of(registry.post("Immunization/_search", form))
    lots = ",".join(["LOT", *(f"L{number:040}" for number in range(100))])
    counted = 16 if UNCOUNTED in manners else (await answer_of(registry.get("Immunization?_summary=count")))["total"]
    return {
        "doses": plainly(await registry.pull("Immunization?_count=5")),
        "people": plainly(await registry.pull("Patient?_count=2")),
        "of people": plainly(await registry.pull("Immunization?patient=p1,p2,p5&_count=3")),
        "by nik": plainly(one["resource"] for one in by_nik["entry"]),
        "by many lots": plainly(await registry.pull(f"Immunization?lot-number={lots}&_count=7")),
        "counted": counted,
        "some elements": plainly(await registry.pull("Immunization?_elements=status&_count=7")),
        "one": plainly([await answer_of(registry.get("Immunization/d1-1"))]),
    }


async def pulled_since(registry, server, moment, manners):
    """Return what is told of a change and a deletion after `moment`."""
    put_all(server.server, [dose("p1", 99) | {"id": "d9-9"}])
    server.server.handle("DELETE", "/Immunization/d1-2", query="", headers={}, body=b"", base=BASE)
    written, gone, _ = await exported(registry, _since=moment, _type="Immunization")
    told = {
        "written since": written,
        "found since": plainly(await registry.pull(f"Immunization?_lastUpdated=gt{quote(moment)}")),
    }
    if UNKEPT & set(manners):
        assert gone == []
        return told | {"deleted since": ["Immunization/d1-2"]}
    history = await answer_of(registry.get(f"Immunization/_history?_since={quote(moment)}"))
    assert "d1-2" in {one["fullUrl"].rpartition("/")[2] for one in history["entry"] if "resource" not in one}
    return told | {"deleted since": gone}


_PLAIN = {}


async def everything(server, home, manners):
    async with served_from(home) as served:
        registry = Exporter(served, "region")
        seen = await searched(registry, manners)
        whole, _, moment = await exported(registry)
        seen |= {
            "exported": whole,
            "of a district": (await exported(registry, "Group/district-330309/$export"))[0],
            "of a clinic": (await exported(registry, "Group/clinic-pkm-1/$export", _type="Patient"))[0],
        }
        return seen | await pulled_since(registry, server, moment, manners)


def test_every_manner_is_tried():
    tried = {manner for manners in SERVERS.values() for manner in manners}
    assert tried == set(MANNERS)


@pytest.mark.parametrize("name", ["plain", *SERVERS])
async def test_what_is_pulled_is_the_same_whatever_the_server_s_manners(region, tmp_path, name):
    manners = [one for one in SERVERS.get(name, ()) if one != UNORDERED]
    seen = await everything(region(*manners), tmp_path, manners)
    for what, found in _PLAIN.setdefault("seen", seen).items():
        assert seen[what] == found, what


async def test_a_server_that_heeds_no_order_is_refused_in_words(region, tmp_path):
    region(UNORDERED)
    async with served_from(tmp_path) as served:
        registry = Exporter(served, "region")
        answer = await registry.get("Immunization")
        assert_is_problem(answer, 502, "processing")
        assert "does not order" in answer.text
        assert len(await registry.pull("Immunization?patient=p1")) == 4
        (problem,) = await registry.lines((await registry.export(_type="Immunization"))["error"])
        assert problem["issue"][0]["code"] == "processing"
        assert "does not order" in problem["issue"][0]["diagnostics"]
