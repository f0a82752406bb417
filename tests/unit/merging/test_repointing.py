import copy

import pytest
from tests.fakes.fhir_samples import sample_immunization, sample_patient

from fhir_gateway.fhir.references import patient_paths
from fhir_gateway.merging.repointing import (
    UNTOUCHED,
    patients_referred_to,
    references_to,
    repoint,
    versioned_references,
)

BASE = "https://server.example/fhir"


def observation(**elements):
    return {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}, **elements}


def to(reference, **other):
    return {"reference": reference, **other}


def nested(path, value):
    """Return elements in which `value` stands at a path; repeating ones as lists or not makes no difference here."""
    for step in reversed(path.split(".")):
        value = {step: [value]}
    return value


def every_path():
    return [
        (resource_type, path)
        for resource_type, paths in patient_paths().items()
        for path in paths
        if resource_type not in UNTOUCHED and (resource_type, path) != ("Patient", "link.other")
    ]


def test_references_are_moved_at_every_path_that_may_lead_to_a_patient():
    left = []
    for resource_type, path in every_path():
        resource = {"resourceType": resource_type, **nested(path, to("Patient/a"))}
        moved = repoint(resource, {"a"}, "s")
        if moved != {"resourceType": resource_type, **nested(path, to("Patient/s"))}:
            left.append((resource_type, path))
    assert not left
    assert len(every_path()) > 300


@pytest.mark.parametrize(
    "elements",
    [
        {"extension": [{"url": "urn:x", "extension": [{"url": "y", "valueReference": to("Patient/a")}]}]},
        {"_status": {"extension": [{"url": "urn:x", "valueReference": to("Patient/a")}]}},
        {"contained": [{"resourceType": "Encounter", "id": "e", "subject": to("Patient/a")}]},
        {"note": [{"text": "x", "authorReference": to("Patient/a")}]},
        {"performer": [to("Practitioner/1"), to("Patient/a"), to("Patient/other")]},
    ],
    ids=["extension", "extension of a primitive", "contained", "choice type", "list"],
)
def test_references_are_moved_at_any_depth(elements):
    moved = repoint(observation(**elements), {"a"}, "s")
    assert references_to(moved, {"a"}) == ()
    assert references_to(moved, {"s"})
    assert str(moved) == str(observation(**elements)).replace("Patient/a'", "Patient/s'")


def test_several_replaced_patients_are_moved_at_once():
    resource = observation(subject=to("Patient/a"), performer=[to("Patient/b")])
    assert patients_referred_to(repoint(resource, {"a", "b"}, "s")) == {"s"}


def test_absolute_references_to_the_own_base_are_moved_and_stay_absolute():
    moved = repoint(observation(subject=to(f"{BASE}/Patient/a")), {"a"}, "s", base=f"{BASE}/")
    assert moved["subject"] == to(f"{BASE}/Patient/s")


def test_the_case_of_the_own_host_does_not_matter():
    moved = repoint(
        observation(subject=to("HTTPS://Server.example/fhir/Patient/a".replace("HTTPS", "https"))),
        {"a"},
        "s",
        base=BASE,
    )
    assert moved["subject"]["reference"].endswith("/Patient/s")


@pytest.mark.parametrize(
    "reference",
    [
        to("https://elsewhere.example/fhir/Patient/a"),
        to("#a"),
        to("urn:uuid:7f0c2a52-8f4c-4a25-9dc4-1b8e7be6c8ce"),
        to("Patient?identifier=a"),
        to("Patient/ab"),
        to("Practitioner/a"),
        {"identifier": {"value": "a"}, "type": "Patient"},
        {"display": "Patient/a"},
        {"reference": 5},
        {"reference": ["Patient/a"]},
    ],
    ids=str,
)
def test_other_references_are_left_alone(reference):
    resource = observation(subject=reference)
    assert repoint(resource, {"a"}, "s", base=BASE) is resource


def test_an_absolute_reference_is_left_alone_where_no_base_is_known():
    resource = observation(subject=to(f"{BASE}/Patient/a"))
    assert repoint(resource, {"a"}, "s") is resource


def test_a_versioned_reference_is_moved_without_its_version_and_is_named():
    resource = observation(subject=to("Patient/a/_history/2"), focus=[to("Patient/a")])
    assert versioned_references(resource, {"a"}) == ("subject",)
    assert repoint(resource, {"a"}, "s")["subject"] == to("Patient/s")


def test_what_a_display_and_an_identifier_say_stays():
    reference = to("Patient/a", display="Nama Rekaan", identifier={"value": "1"})
    assert repoint(observation(subject=reference), {"a"}, "s")["subject"] == reference | {"reference": "Patient/s"}


@pytest.mark.parametrize("resource_type", ["Provenance", "AuditEvent", "Bundle"])
def test_what_tells_of_the_past_is_never_rewritten(resource_type):
    resource = {
        "resourceType": resource_type,
        "target": [to("Patient/a")],
        "entity": [{"what": to("Patient/a")}],
        "entry": [{"resource": observation(subject=to("Patient/a"))}],
    }
    assert repoint(resource, {"a"}, "s") is resource


def test_a_contained_provenance_is_not_rewritten_either():
    held = {"resourceType": "Provenance", "id": "p", "target": [to("Patient/a")]}
    moved = repoint(observation(subject=to("Patient/a"), contained=[held]), {"a"}, "s")
    assert moved["contained"] == [held]
    assert moved["subject"] == to("Patient/s")


def test_links_between_patients_stay_but_their_extensions_are_moved():
    patient = sample_patient() | {
        "link": [{"other": to("Patient/a"), "type": "replaces"}],
        "extension": [{"url": "urn:mother", "valueReference": to("Patient/a")}],
    }
    moved = repoint(patient, {"a"}, "s")
    assert moved["link"] == patient["link"]
    assert moved["extension"][0]["valueReference"] == to("Patient/s")


def test_the_argument_is_not_changed():
    resource = sample_immunization("Patient/a")
    before = copy.deepcopy(resource)
    repoint(resource, {"a"}, "s")
    assert resource == before


@pytest.mark.parametrize(
    "resource",
    [
        {},
        {"resourceType": 5},
        {"resourceType": "Basic", "contained": "x"},
        {"resourceType": "Basic", "contained": [None, 3]},
    ],
)
def test_malformed_resources_are_left_alone(resource):
    assert repoint(resource, {"a"}, "s") is resource
