"""Search pull, line by line, as a client of the endpoint sees it."""

import gzip
from urllib.parse import quote

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from tests.fakes.fhir_samples import NIK, sample_immunization, sample_patient
from tests.fakes.pulling_client import newest
from tests.fakes.served_gateway import assert_is_problem

CVX = "http://hl7.org/fhir/sid/cvx"


@pytest.fixture
async def filled(registry):
    """A client at an environment with two people, an organization and three doses."""
    registry.people = await registry.fill(sample_patient(1), sample_patient(2))
    organization = {"resourceType": "Organization", "identifier": [{"system": "urn:x", "value": "o"}], "name": "Rekaan"}
    (registry.organization,) = await registry.fill(organization)
    (registry.place,) = await registry.fill({"resourceType": "Location", "identifier": organization["identifier"]})
    performer = [{"actor": {"reference": f"Organization/{registry.organization}"}}]
    registry.doses = await registry.fill(
        sample_immunization(f"Patient/{registry.people[0]}", 1) | {"performer": performer, "lotNumber": "A1"},
        sample_immunization(f"Patient/{registry.people[1]}", 2)
        | {
            "occurrenceDateTime": "2024-05-05",
            "status": "not-done",
            "location": {"reference": f"Location/{registry.place}"},
        },
        sample_immunization(f"Patient/{registry.people[0]}", 3)
        | {"vaccineCode": {"coding": [{"system": CVX, "code": "20"}]}},
    )
    return registry


async def found(registry, query):
    return [registry.doses.index(one["id"]) for one in await registry.pull(f"Immunization?{query}")]


async def test_every_declared_parameter_searches(filled):
    people, doses = filled.people, filled.doses
    stamps = [one["meta"]["lastUpdated"].replace("+", "%2B") for one in await filled.pull("Immunization")]
    nik = sample_patient(2)["identifier"][0]["value"]
    for query, expected in [
        (f"_lastUpdated=gt{stamps[1]}", [2]),
        (f"_lastUpdated=ge{stamps[1]}", [1, 2]),
        (f"_lastUpdated=lt{stamps[1]}", [0]),
        (f"_lastUpdated=le{stamps[1]}", [0, 1]),
        (f"patient={people[0]}", [0, 2]),
        (f"patient=Patient/{people[1]}", [1]),
        (f"patient.identifier={quote(f'{NIK}|{nik}')}", [1]),
        ("date=ge2024-03-01", [1]),
        (f"vaccine-code={quote(f'{CVX}|20')}", [2]),
        ("status=not-done", [1]),
        ("lot-number=A1", [0]),
        (f"location=Location/{filled.place}", [1]),
        (f"_id={doses[2]},{doses[0]}", [0, 2]),
        ("_count=1", [0, 1, 2]),
        ("_sort=_lastUpdated", [0, 1, 2]),
        ("_sort=-_lastUpdated", [2, 1, 0]),
    ]:
        assert await found(filled, query) == expected, query


async def test_patients_come_along_counts_and_elements(filled):
    included = (await filled.get("Immunization?_include=Immunization:patient")).json()
    modes = [(one["resource"]["resourceType"], one["search"]["mode"]) for one in included["entry"]]
    assert modes.count(("Patient", "include")) == 2
    assert modes.count(("Immunization", "match")) == 3
    Bundle.model_validate(included)
    counted = (await filled.get("Immunization?_summary=count")).json()
    assert (counted["total"], "entry" in counted) == (3, False)
    few = (await filled.get("Immunization?_elements=lotNumber")).json()["entry"][0]["resource"]
    assert "performer" not in few
    assert {"lotNumber", "status", "patient"} <= set(few)


async def test_an_unknown_parameter_is_400_unless_the_client_is_lenient(filled):
    assert_is_problem(await filled.get("Immunization?colour=red"), 400)
    lenient = await filled.get("Immunization?colour=red", headers={"Prefer": "handling=lenient"})
    assert lenient.status_code == 200
    assert [one["search"]["mode"] for one in lenient.json()["entry"]].count("outcome") == 1


async def test_a_nik_stands_in_no_link(filled):
    nik = sample_patient(1)["identifier"][0]["value"]
    form = {"patient.identifier": f"{NIK}|{nik}", "_count": "1"}
    for answer in (
        await filled.post("Immunization/_search", form),
        await filled.get(f"Immunization?patient.identifier={quote(f'{NIK}|{nik}')}&_count=1"),
        await filled.post("Patient/_search", {"identifier": f"{NIK}|{nik}"}),
    ):
        assert answer.status_code == 200
        assert answer.json()["link"][0]["relation"] == "self"
        assert not [one for one in answer.json()["link"] if nik in one["url"]]


async def test_paging_neither_skips_nor_repeats_while_rows_arrive(filled):
    token = await filled.token()
    first = (await filled.get("Immunization?_count=2", token)).json()
    (fourth,) = await filled.fill(sample_immunization(f"Patient/{filled.people[1]}", 4))
    second = (await filled.get(next(one["url"] for one in first["link"] if one["relation"] == "next"), token)).json()
    got = [one["resource"]["id"] for page in (first, second) for one in page["entry"]]
    assert got == [*filled.doses, fourth]


async def test_metadata_declares_exactly_what_works(filled):
    statement = (await filled.served.get("/north/fhir/metadata")).json()
    CapabilityStatement.model_validate(statement)
    token = await filled.token()
    for resource in statement["rest"][0]["resource"]:
        declared = {one["name"] for one in resource["searchParam"]}
        for name in declared:
            value = {"_lastUpdated": "gt2020-01-01", "date": "gt2020-01-01"}.get(name, "1")
            answer = await filled.get(f"{resource['type']}?{name}={value}", token)
            assert answer.status_code == 200, (resource["type"], name)
        for name in {"name", "series", "reaction", "address", "birthdate"} - declared:
            assert_is_problem(await filled.get(f"{resource['type']}?{name}=1", token), 400)
        histories = "history-type" in {one["code"] for one in resource["interaction"]}
        answer = await filled.get(f"{resource['type']}/_history", token)
        assert answer.status_code == (200 if histories else 404)


async def test_etag_304_and_gzip(filled):
    token = await filled.token()
    path = f"Immunization/{filled.doses[0]}"
    first = await filled.get(path, token)
    assert first.headers["etag"].startswith('W/"')
    again = await filled.get(path, token, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await filled.change("Immunization", filled.doses[0], lotNumber="B2")
    changed = await filled.get(path, token, headers={"If-None-Match": first.headers["etag"]})
    assert changed.json()["lotNumber"] == "B2"
    packed = await filled.get("Immunization", token, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    plain = await filled.get("Immunization", token, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert len(gzip.compress(plain.content)) < len(plain.content)


async def test_history_with_since(filled):
    whole = await filled.pull("Immunization")
    since = quote(newest(whole))
    await filled.change("Immunization", filled.doses[0], lotNumber="B2")
    for path in ("Immunization/_history", f"Immunization/{filled.doses[0]}/_history"):
        entries = (await filled.get(f"{path}?_since={since}")).json()["entry"]
        assert entries[0]["resource"]["lotNumber"] == "B2"
        assert all(one["resource"]["meta"]["lastUpdated"] >= newest(whole) for one in entries)


async def test_references_carry_the_nik_the_name_and_the_organization(filled):
    (dose,) = await filled.pull("Immunization?lot-number=A1")
    nik = sample_patient(1)["identifier"][0]["value"]
    assert dose["patient"]["identifier"] == {"system": NIK, "value": nik}
    assert dose["patient"]["display"] == "Contoh Rekaan"
    assert dose["performer"][0]["actor"]["display"] == "Rekaan"


async def test_the_next_pull_brings_exactly_what_changed(filled):
    whole = await filled.pull("Immunization")
    asked = f"Immunization?_lastUpdated=gt{quote(newest(whole))}"
    assert await filled.pull(asked) == []
    await filled.change("Immunization", filled.doses[1], status="entered-in-error")
    (fourth,) = await filled.fill(sample_immunization(f"Patient/{filled.people[1]}", 4))
    assert [one["id"] for one in await filled.pull(asked)] == [filled.doses[1], fourth]
