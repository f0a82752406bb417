"""`_history` as a registry asks for it: what was written since a time, deletions too."""

from datetime import timedelta

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle
from tests.fakes.fhir_samples import sample_immunization, sample_patient
from tests.fakes.pulling_client import Puller
from tests.fakes.served_gateway import assert_is_problem

from fhir_gateway.domain.access import Role
from fhir_gateway.domain.registry import Correction, RecallReason
from fhir_gateway.fhir_server.client import Request


@pytest.fixture
async def registry(served):
    """A client at an environment with three doses of a Patient; the second was changed, the third deleted since."""
    puller = Puller(served)
    (puller.patient,) = await puller.fill(sample_patient(1))
    puller.doses = await puller.fill(*(sample_immunization(f"Patient/{puller.patient}", n) for n in range(3)))
    await puller.change("Immunization", puller.doses[1], lotNumber="CHANGED")
    await delete(puller, f"Immunization/{puller.doses[2]}")
    return puller


async def delete(puller, name):
    environment = await puller.served.app.state.serving.environment("north")
    await environment.client.send(Request("DELETE", name))


async def told(registry, path, token=None):
    """Return the entries of a history, all pages of it, the bundles checked."""
    entries, token = [], token or await registry.token()
    while path:
        answer = await registry.get(path, token)
        assert answer.status_code == 200, answer.text
        Bundle.model_validate(answer.json())
        entries += answer.json().get("entry", [])
        path = next((one["url"] for one in answer.json()["link"] if one["relation"] == "next"), "")
    return entries


def lines(entries):
    return [(one["request"]["method"], one["fullUrl"].rpartition("/")[2]) for one in entries]


async def test_what_became_of_a_type_is_told_from_the_newest_back(registry):
    entries = await told(registry, "Immunization/_history")
    first, second, third = registry.doses
    assert lines(entries) == [
        ("DELETE", third),
        ("PUT", second),
        ("POST", third),
        ("POST", second),
        ("POST", first),
    ]
    assert "resource" not in entries[0]
    assert entries[1]["resource"]["lotNumber"] == "CHANGED"
    assert entries[1]["response"]["etag"] == 'W/"2"'
    assert entries[1]["resource"]["patient"]["display"] == "Contoh Rekaan"


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_pages_neither_skip_nor_repeat_while_data_arrives(registry, count):
    whole = await told(registry, "Immunization/_history")
    token = await registry.token()
    first = (await registry.get(f"Immunization/_history?_count={count}", token)).json()
    await registry.change("Immunization", registry.doses[0], lotNumber="LATER")
    following = next((one["url"] for one in first["link"] if one["relation"] == "next"), "")
    rest = await told(registry, following, token) if following else []
    assert first["entry"] + rest == whole


async def test_since_is_inclusive_and_leaves_out_what_was_before(registry):
    whole = await told(registry, "Immunization/_history")
    moment = whole[1]["resource"]["meta"]["lastUpdated"].replace("+", "%2B")
    assert await told(registry, f"Immunization/_history?_since={moment}") == whole[:2]


async def test_what_became_of_one_resource(registry):
    second = registry.doses[1]
    assert lines(await told(registry, f"Immunization/{second}/_history")) == [("PUT", second), ("POST", second)]
    third = registry.doses[2]
    assert lines(await told(registry, f"Immunization/{third}/_history")) == [("DELETE", third), ("POST", third)]
    assert lines(await told(registry, f"Patient/{registry.patient}/_history")) == [("POST", registry.patient)]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Immunization/nobody/_history", 404),
        ("Organization/_history", 404),
        ("Practitioner/_history", 404),
        ("Immunization/_history?_since=2024-01-01", 400),
        ("Immunization/_history?_since=x", 400),
        ("Immunization/_history?_since=0001-01-01T00:00:00%2B07:00", 400),
        ("Immunization/_history?_count=-1", 400),
        ("Immunization/_history?_at=2024", 400),
        ("Immunization/_history?_count=1&_count=2", 400),
        ("Immunization/_history?_cursor=x", 400),
        ("Immunization/_history?" + "&".join(f"a{n}=1" for n in range(20)), 400),
    ],
)
async def test_what_cannot_be_told_is_refused(registry, path, status):
    assert_is_problem(await registry.get(path), status)


async def test_a_page_of_something_else_is_refused(registry):
    token = await registry.token()

    async def following(path):
        links = (await registry.get(path, token)).json()["link"]
        return next(one["url"] for one in links if one["relation"] == "next").partition("_cursor=")[2]

    search, history = await following("Immunization?_count=1"), await following("Immunization/_history?_count=1")
    assert_is_problem(await registry.get(f"Immunization/_history?_cursor={search}", token), 400)
    assert_is_problem(await registry.get(f"Patient/_history?_cursor={history}", token), 400)
    assert_is_problem(await registry.get(f"Immunization?_cursor={history}", token), 400)


async def test_scopes_hold_for_histories_too(served, registry):
    reads_doses = await registry.token("system/Immunization.r")
    assert_is_problem(await registry.get("Immunization/_history", reads_doses), 403)
    assert (await registry.get(f"Immunization/{registry.doses[0]}/_history", reads_doses)).status_code == 200
    assert_is_problem(await registry.get(f"Patient/{registry.patient}/_history", reads_doses), 403)


async def test_a_history_is_a_pull_and_an_audit_event(served, registry):
    await told(registry, "Immunization/_history")
    with registry.ledger() as ledger:
        (pull,) = ledger.pulls.all()
    assert (pull.request.kind, pull.count, pull.request.query) == ("history", 4, b"Immunization/_history?_count=100")
    answer = await served.get("/north/audit-events", served.key(Role.AUDITOR)[1])
    (entry,) = answer.json()["entry"]
    AuditEvent.model_validate(entry["resource"])
    assert entry["resource"]["subtype"][0]["code"] == "history"


async def test_old_versions_bring_nobody_up_to_date_and_new_ones_do(registry):
    second = f"Immunization/{registry.doses[1]}"
    token = await registry.token()
    await registry.get(second, token)
    with registry.ledger() as ledger, ledger.transaction():
        at = registry.now() + timedelta(seconds=1)
        ledger.pulls.recall([Correction(second, "3")], reason=RecallReason.UNLINKED, at=at)
    await told(registry, "Immunization/_history?_count=1", token)  # all versions, the old ones last
    with registry.ledger() as ledger:
        assert [one.resource for one in ledger.pulls.outstanding()] == [second]
    await registry.change("Immunization", registry.doses[1], lotNumber="RIGHT")
    await told(registry, "Immunization/_history?_count=1", token)
    with registry.ledger() as ledger:
        assert ledger.pulls.outstanding() == []


async def test_a_recalled_dose_that_is_deleted_is_settled_by_the_news(registry):
    (dose,) = await registry.fill(sample_immunization(f"Patient/{registry.patient}", 9))
    token = await registry.token()
    await registry.get(f"Immunization/{dose}", token)
    await delete(registry, f"Immunization/{dose}")
    with registry.ledger() as ledger, ledger.transaction():
        ledger.pulls.recall([Correction(f"Immunization/{dose}", "")], reason=RecallReason.MERGED, at=registry.now())
    await told(registry, "Immunization/_history", token)
    with registry.ledger() as ledger:
        assert ledger.pulls.outstanding() == []


async def test_the_statement_declares_it(registry):
    statement = (await registry.served.get("/north/fhir/metadata")).json()
    declared = {one["type"]: {each["code"] for each in one["interaction"]} for one in statement["rest"][0]["resource"]}
    history = {"history-type", "history-instance"}
    assert {name for name, codes in declared.items() if codes >= history} == {"Immunization", "Patient"}
    assert not declared["Organization"] & history
