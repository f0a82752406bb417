import base64
from urllib.parse import quote, urlencode

import pytest
from tests.fakes.fhir_samples import LOCAL, NIK, sample_immunization, sample_patient

from fhir_gateway.embedded_server.parameters import parameters_of
from fhir_gateway.fhir.references import reference_targets
from fhir_gateway.fhir.validation import resource_types, validate


def next_query(bundle):
    urls = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
    return urls[0].partition("?")[2] if urls else ""


def test_an_unknown_parameter_is_400_and_names_the_known(call):
    answer = call("GET", "/Patient", query="birthDate=1990-01-01")
    assert answer.status == 400
    assert "birthdate" in answer.content["issue"][0]["diagnostics"]


def test_lenient_handling_ignores_it_with_a_warning(call):
    call.create(sample_patient())
    bundle = call("GET", "/Patient", query="foo=1&gender=female", prefer="handling=lenient").content
    assert [e["search"]["mode"] for e in bundle["entry"]] == ["match", "outcome"]
    assert bundle["entry"][1]["resource"]["issue"][0]["severity"] == "warning"
    assert bundle["link"][0]["url"] == "http://embedded/fhir/Patient?gender=female"


@pytest.mark.parametrize(
    "query",
    [
        "gender=", "gender:text=x", "birthdate=x", "birthdate=2024-13", "_sort=birthdate", "_count=x", "_count=1&_count=2",
        "_summary=true", "_cursor=!!", "_cursor=MQ", "_include=Patient:nothing", "_revinclude=Immunization:status",
        "identifier=|", "identifier=a|b|c", "_has:Immunization:patient:status=completed", "name:missing=maybe",
        "general-practitioner.name=x", "general-practitioner:Patient=1", "_total=much", "%FF=1",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(call, query):
    answer = call("GET", "/Patient", query=query)
    assert answer.status == 400
    assert answer.content["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "query",
    [
        "birthdate=" + ",".join(["2000"] * 500),
        "name=" + ",".join(["x"] * 500),
        "identifier=" + ",".join(f"urn:{number}|x" for number in range(500)),
        "&".join(["gender=male"] * 500),
        "_sort=_lastUpdated&_cursor=" + base64.urlsafe_b64encode(str(2**63).encode()).decode(),
    ],
)
def test_searches_without_measure_are_refused(call, query):
    assert call("GET", "/Patient", query=query).status == 400


def test_a_refusal_does_not_repeat_values(call):
    answer = call("GET", "/Patient", query="3201014101900001=Rahasia")
    assert answer.status == 400
    assert "3201014101900001" not in str(answer.content)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"identifier={quote(NIK)}|3201014101900001", True),
        ("identifier=3201014101900001", True),
        (f"identifier={LOCAL}|", True),
        ("identifier=|p1", False),
        (f"identifier={quote(NIK)}|p1", False),
        ("gender=http://hl7.org/fhir/administrative-gender|female", True),
        ("gender:not=male", True),
        ("gender:not=female", False),
        ("birthdate=1990", True),
        ("birthdate=1990-01", True),
        ("birthdate=gt1990-01-01", False),
        ("birthdate=ge1990-01-01", True),
        ("birthdate=lt1990-01-01", False),
        ("birthdate=le1990-01-01", True),
        ("birthdate=ne1990-01-01", False),
        ("birthdate=sa1989", True),
        ("birthdate=eb1990-02", True),
        ("birthdate=1989,1990", True),
        ("birthdate:missing=true", False),
        ("email:missing=true", True),
        ("name=REKAAN", True),
        ("name=kaan", False),
        ("name:contains=kaan", True),
        ("family:exact=rekaan", False),
        ("family:exact=Rekaan", True),
        ("address=jalan", True),
        ("address-city=kota%20rekaan", True),
        ("telecom=phone|%2B628110000001", True),
        ("email=%2B628110000001", False),
        ("_lastUpdated=gt2020", True),
        ("_lastUpdated=lt2020", False),
        ("link:missing=false", False),
        ("family=rekaan&gender=male", False),
    ],
)
def test_patient_searches(call, query, found):
    patient = call.create(sample_patient())
    assert call.find("Patient", query) == ([patient["id"]] if found else [])


def test_escaped_commas_and_bars_belong_to_the_value(call):
    patient = sample_patient()
    patient["identifier"] = [{"system": LOCAL, "value": "a,b|c"}]
    stored = call.create(patient)
    assert call.find("Patient", urlencode({"identifier": f"{LOCAL}|a\\,b\\|c"})) == [stored["id"]]


@pytest.mark.parametrize(
    "query",
    [
        "patient={id}", "patient=Patient/{id}", "patient=http://embedded/fhir/Patient/{id}", "patient:Patient={id}",
        f"patient.identifier={NIK}|3201014101900001", "patient.birthdate=1990-01-01", "date=ge2024-01-02&date=lt2024-01-03",
        "performer:identifier=urn:bidan|7", "vaccine-code=http://hl7.org/fhir/sid/cvx|08", "lot-number=lot",
    ],
)  # fmt: skip
def test_immunization_searches(call, query):
    patient = call.create(sample_patient())
    dose = sample_immunization(f"Patient/{patient['id']}")
    dose["performer"] = [{"actor": {"identifier": {"system": "urn:bidan", "value": "7"}}}]
    stored = call.create(dose)
    assert call.find("Immunization", query.format(id=patient["id"])) == [stored["id"]]
    call("PUT", f"/Immunization/{stored['id']}", stored | {
        "patient": {"reference": "https://other.example/Patient/1"}, "occurrenceDateTime": "2020-01-01",
        "performer": [{"actor": {"display": "x"}}], "vaccineCode": {"text": "x"}, "lotNumber": "x",
    })  # fmt: skip
    assert call.find("Immunization", query.format(id=patient["id"])) == []


def test_other_types_are_found_by_the_patient_they_are_about(call):
    patient = call.create(sample_patient())
    subject = {"reference": f"Patient/{patient['id']}"}
    observation = call.create(
        {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": subject}
    )
    group = call.create({"resourceType": "Group", "type": "person", "actual": True, "member": [{"entity": subject}]})
    assert call.find("Observation", f"patient={patient['id']}") == [observation["id"]]
    assert call.find("Observation", f"subject=Patient/{patient['id']}") == [observation["id"]]
    assert call.find("Group", f"member=Patient/{patient['id']}") == [group["id"]]


@pytest.mark.parametrize("version", ["", "/_history/1"])
def test_references_by_the_servers_own_address_are_found_by_either_form(call, version):
    patient = call.create(sample_patient())
    own = f"http://embedded/fhir/Patient/{patient['id']}"
    dose = call.create(sample_immunization(own + version))
    for asked in (f"Patient/{patient['id']}", own):
        assert call.find("Immunization", f"patient={quote(asked, safe='')}") == [dose["id"]]


def test_includes_come_once_and_are_marked(call):
    patient = call.create(sample_patient())
    for number in range(3):
        call.create(sample_immunization(f"Patient/{patient['id']}", number))
    entries = call("GET", "/Immunization", query="_include=Immunization:patient").content["entry"]
    assert [e["search"]["mode"] for e in entries] == ["match"] * 3 + ["include"]
    entries = call("GET", "/Patient", query="_revinclude=Immunization:patient").content["entry"]
    assert [e["search"]["mode"] for e in entries] == ["match"] + ["include"] * 3


def test_elements_are_a_marked_subset(call):
    call.create(sample_patient())
    (entry,) = call("GET", "/Patient", query="_elements=gender").content["entry"]
    assert set(entry["resource"]) == {"resourceType", "id", "meta", "gender"}
    assert entry["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"


def test_counts_come_without_entries(call):
    for number in range(3):
        call.create(sample_patient(number))
    for query in ("_summary=count", "_count=0"):
        bundle = call("GET", "/Patient", query=query).content
        assert (bundle["total"], "entry" in bundle, next_query(bundle)) == (3, False, "")
    assert "total" not in call("GET", "/Patient", query="_total=none").content


@pytest.mark.parametrize("sort", ["", "_sort=_lastUpdated&", "_sort=-_lastUpdated&", "_sort=-_id&"])
def test_pages_are_stable_while_others_write(call, sort):
    ids = {call.create(sample_patient(number))["id"] for number in range(7)}
    seen = []
    query = f"{sort}_count=2&gender=female"
    while query:
        bundle = call("GET", "/Patient", query=query).content
        seen += [e["resource"]["id"] for e in bundle["entry"]]
        call.create(sample_patient() | {"gender": "male"})
        query = next_query(bundle)
    assert len(seen) == len(set(seen))
    assert set(seen) == ids


def test_pages_of_a_posted_search_hold_no_value_in_their_url(call):
    for number in range(3):
        call.create(sample_patient(number))
    form = urlencode({"identifier": ",".join(f"{NIK}|32010141019{number:05d}" for number in range(3)), "_count": "2"})
    first = call("POST", "/Patient/_search", form.encode(), content_type="application/x-www-form-urlencoded").content
    following = next_query(first)
    assert "3201" not in following
    second = call("GET", "/Patient", query=following).content
    assert len(first["entry"]) + len(second["entry"]) == 3
    assert next_query(second) == ""
    assert call("GET", "/Patient", query="_page=unknown").status == 410


def test_a_posted_search_is_a_form(call):
    assert call("POST", "/Patient/_search", b"{}", content_type="application/json").status == 415


def test_last_updated_increases_with_every_write_of_a_standing_clock(tmp_path):
    from tests.unit.embedded_server.conftest import Caller  # noqa: PLC0415

    from fhir_gateway.embedded_server.server import EmbeddedServer  # noqa: PLC0415

    server = EmbeddedServer(tmp_path, now=lambda: 1_700_000_000_000_000)
    stamps = [Caller(server).create(sample_patient(number))["meta"]["lastUpdated"] for number in range(5)]
    server.close()
    assert stamps == sorted(set(stamps))


def test_the_capability_statement_is_valid_and_declares_what_works(call):
    statement = call("GET", "/metadata").content
    assert validate(statement) == ()
    (rest,) = statement["rest"]
    for resource in rest["resource"]:
        for parameter in resource.get("searchParam", ()):
            query = {"token": "x", "string": "x", "date": "2024", "reference": "Patient/x"}[parameter["type"]]
            assert call("GET", f"/{resource['type']}", query=f"{parameter['name']}={query}").status == 200


def test_every_reference_parameter_names_an_element_of_the_models():
    for resource_type in resource_types():
        for parameter in parameters_of(resource_type).values():
            for path, _ in parameter.paths:
                assert isinstance(reference_targets(resource_type, path), tuple)
