"""What auditors learn of the pulls of registries, and nobody else does."""

from datetime import timedelta

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle
from tests.fakes.fhir_samples import NIK, sample_immunization, sample_patient
from tests.fakes.pulling_client import Puller
from tests.fakes.served_gateway import assert_is_problem

from fhir_gateway.domain.access import Role
from fhir_gateway.domain.registry import PullKind, Request


@pytest.fixture
async def registry(served):
    """A client that has searched for the doses of two people and read one of them."""
    puller = Puller(served)
    people = await puller.fill(sample_patient(1), sample_patient(2))
    doses = await puller.fill(*(sample_immunization(f"Patient/{one}", n) for n, one in enumerate(people)))
    puller.people, puller.doses = people, doses
    token = await puller.token()
    await puller.get("Immunization?lot-number=LOT", token)
    await puller.get(f"Immunization/{doses[0]}", token)
    return puller


@pytest.fixture
def auditor(served):
    return served.key(Role.AUDITOR)[1]


def events(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/fhir+json"
    Bundle.model_validate(answer.json())
    found = [one["resource"] for one in answer.json().get("entry", ())]
    for one in found:
        AuditEvent.model_validate(one)
    return found


def told_of(event):
    return next((one["what"]["reference"] for one in event["entity"] if one["role"]["code"] == "1"), "")


def kinds(found):
    return [(one["subtype"][0]["code"], told_of(one)) for one in found]


async def search(registry, key, **wanted):
    return await registry.served.ask("POST", "/north/audit-events/search", key, json=wanted)


async def test_a_search_is_told_for_each_patient_and_a_reading_for_one(registry, auditor):
    found = events(await registry.served.get("/north/audit-events", auditor))
    people = sorted(registry.people)
    first = f"Patient/{registry.people[0]}"
    assert kinds(found) == [("read", first), *(("search", f"Patient/{one}") for one in people)]
    assert all(one["agent"][0]["who"]["identifier"]["value"] == registry.id for one in found)


async def test_pages_are_followed_by_their_links(registry, auditor):
    whole = events(await registry.served.get("/north/audit-events", auditor))
    path, seen = "/north/audit-events?limit=1", []
    while path:
        answer = await registry.served.get(path, auditor)
        seen += events(answer)
        path = next((one["url"] for one in answer.json().get("link", ()) if one["relation"] == "next"), "")
    assert seen == whole
    assert len(seen) == 3


async def test_who_was_told_of_a_person(registry, auditor):
    second = f"Patient/{registry.people[1]}"
    assert kinds(events(await search(registry, auditor, patient=registry.people[1]))) == [("search", second)]
    nik = sample_patient(2)["identifier"][0]["value"]
    assert kinds(events(await search(registry, auditor, nik=nik))) == [("search", second)]
    assert events(await search(registry, auditor, patient="nobody")) == []
    assert_is_problem(await search(registry, auditor, nik="3201014101900099"), 404)


async def test_the_pages_about_a_person_stay_about_her_and_no_link_names_her(registry, auditor):
    token = await registry.token()
    await registry.get("Immunization", token)
    first = await search(registry, auditor, patient=registry.people[0], limit=1)
    (link,) = first.json()["link"]
    assert registry.people[0] not in link["url"]
    assert kinds(events(await registry.served.get(link["url"], auditor)))[0] == (
        "read",
        f"Patient/{registry.people[0]}",
    )


async def test_by_client_and_time(registry, auditor):
    other = Puller(registry.served)
    await other.get("Immunization?status=not-done")
    assert kinds(events(await registry.served.get(f"/north/audit-events?client={other.id}", auditor))) == [
        ("search", "")
    ]
    later = (registry.now() + timedelta(hours=1)).isoformat()
    assert events(await search(registry, auditor, since=later)) == []
    assert len(events(await search(registry, auditor, until=later))) == 4


async def test_an_export_is_told_once_and_whomever_is_asked_for(registry, auditor):
    request = Request(registry.id, "t", PullKind.EXPORT, "Immunization", b"_type=Immunization", "", registry.now())
    with registry.ledger() as ledger, ledger.transaction():
        ledger.pulls.record(request, count=2000)
    found = events(await search(registry, auditor, patient=registry.people[1]))
    assert kinds(found)[0] == ("operation", "")
    assert found[0]["entity"][0]["detail"] == [{"type": "resources", "valueString": "2000"}]


async def test_one_event_is_found_by_its_id(registry, auditor):
    for one in events(await registry.served.get("/north/audit-events", auditor)):
        assert (await registry.served.get(f"/north/audit-events/{one['id']}", auditor)).json() == one
    for unknown in ("1-0", "999-0", "x", "9" * 40):
        assert_is_problem(await registry.served.get(f"/north/audit-events/{unknown}", auditor), 404)


@pytest.mark.parametrize("path", ["", "/1-0"])
async def test_they_are_for_auditors_only(registry, path):
    served = registry.served
    assert_is_problem(await served.get(f"/north/audit-events{path}"), 401)
    assert_is_problem(await served.get(f"/north/audit-events{path}", await registry.token()), 401)
    assert_is_problem(await served.get(f"/north/audit-events{path}", served.key(Role.OPERATOR)[1]), 403)
    assert_is_problem(await served.get(f"/north/audit-events{path}", served.key(Role.AUDITOR, "south")[1]), 401)


@pytest.mark.parametrize("cursor", ["x", "gAAAAABm" + "A" * 60])
async def test_a_cursor_of_somebody_else_s_making_is_refused(registry, auditor, cursor):
    assert_is_problem(await registry.served.get(f"/north/audit-events?cursor={cursor}", auditor), 400)


async def test_a_cursor_of_a_registry_s_search_is_none_of_an_auditor_s(registry, auditor):
    answer = (await registry.get("Immunization?_count=1")).json()
    link = next(one["url"] for one in answer["link"] if one["relation"] == "next")
    cursor = link.partition("_cursor=")[2]
    assert_is_problem(await registry.served.get(f"/north/audit-events?cursor={cursor}", auditor), 400)


async def test_a_nik_in_a_query_stands_in_no_plain_text(registry, auditor):
    nik = sample_patient(1)["identifier"][0]["value"]
    await registry.post("Immunization/_search", {"patient.identifier": f"{NIK}|{nik}"})
    answer = await registry.served.get("/north/audit-events", auditor)
    assert nik not in answer.text
