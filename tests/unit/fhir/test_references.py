import pytest
from tests.fakes.fhir_samples import sample_immunization, sample_patient

from fhir_gateway.fhir.references import (
    id_referred_to,
    iterate_references,
    parse_literal,
    patient_paths,
    reference_targets,
)


def found_in(resource):
    return sorted((found.path, found.value.get("reference", "")) for found in iterate_references(resource))


def test_references_are_found_at_any_depth():
    immunization = sample_immunization()
    immunization["performer"].append({"actor": {"reference": "Practitioner/1"}})
    immunization["extension"] = [
        {"url": "urn:a", "extension": [{"url": "b", "valueReference": {"reference": "Basic/1"}}]}
    ]
    immunization["_status"] = {"extension": [{"url": "urn:a", "valueReference": {"reference": "Basic/2"}}]}
    assert found_in(immunization) == [
        ("_status.extension.valueReference", "Basic/2"),
        ("extension.extension.valueReference", "Basic/1"),
        ("location", ""),
        ("patient", "Patient/1"),
        ("performer.actor", ""),
        ("performer.actor", "Practitioner/1"),
    ]


def test_references_in_contained_resources_and_identifiers_are_found():
    patient = sample_patient()
    patient["link"] = []
    patient["contained"] = [sample_immunization("Patient/9") | {"id": "d"}]
    patient["identifier"][0]["assigner"] = {"reference": "Organization/1", "identifier": {"assigner": {"display": "x"}}}
    assert ("contained.patient", "Patient/9") in found_in(patient)
    assert ("identifier.assigner", "Organization/1") in found_in(patient)
    assert ("identifier.assigner.identifier.assigner", "") in found_in(patient)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Patient/1", "1"),
        ("Patient/1/_history/2", "1"),
        ("https://fhir.test/r4/Patient/1/_history/2", "1"),
        ("/r4/Patient/1", "1"),
        ("Group/1", ""),
        ("#1", ""),
        ("urn:uuid:5d8f1d5e-7f0f-4c57-9d1b-6a8d3a0c2b11", ""),
        (None, ""),
    ],
)
def test_whom_a_reference_leads_to(text, found):
    assert id_referred_to({"reference": text}, "Patient") == found


def test_a_found_reference_is_the_resources_own():
    immunization = sample_immunization()
    for found in iterate_references(immunization):
        if found.path == "patient":
            found.value["reference"] = "Patient/2"
    assert immunization["patient"] == {"reference": "Patient/2"}


def test_every_way_to_a_patient_is_known():
    paths = patient_paths()
    assert len(paths) > 90
    assert set(paths["Immunization"]) == {"patient", "note.authorReference"}
    assert "subject" in paths["Observation"]
    assert paths["Patient"] == ("link.other",)
    assert {"input.valueReference", "for"} <= set(paths["Task"])
    assert "item.answer.valueReference" in paths["QuestionnaireResponse"]


def test_targets_of_an_element_are_known():
    assert reference_targets("Immunization", "patient") == ("Patient",)
    assert reference_targets("Provenance", "target") == ("Resource",)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Patient/1", ("", "Patient", "1", "")),
        ("Patient/1/_history/2", ("", "Patient", "1", "2")),
        ("https://a.example/fhir/Patient/a-b.c", ("https://a.example/fhir/", "Patient", "a-b.c", "")),
    ],
)
def test_a_literal_reference_is_taken_apart(text, parts):
    literal = parse_literal(text)
    assert literal
    assert (literal.base, literal.resource_type, literal.id, literal.version) == parts


@pytest.mark.parametrize(
    "text", ["", "#a", "urn:uuid:1", "Patient", "Patient/", "Patient?a=b", "Patient/a b", "/Patient/1"]
)
def test_what_is_no_literal_reference_is_told(text):
    assert parse_literal(text) is None
