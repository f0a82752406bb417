"""A resource's bytes, told whom its reference leads to, are the same as when it is read, enriched and written."""

import pytest
from tests.fakes.fhir_samples import sample_immunization, sample_patient

from fhir_gateway.fhir import json_text
from fhir_gateway.registry.enriching import enrich
from fhir_gateway.registry.splicing import sole_patient, told_line

PERSON = {"identifier": {"system": "urn:x", "value": "1"}, "display": 'Contoh "R\\'}


def body(**changes):
    return json_text.dump(sample_immunization("Patient/p") | {"id": "d"} | changes)


@pytest.mark.parametrize("person", [PERSON, {}])
@pytest.mark.parametrize(
    "changes", [{}, {"note": [{"text": '"reference":"Patient/x"'}]}, {"doseQuantity": {"value": 5}}]
)
def test_the_line_is_that_of_the_enriched_resource(changes, person):
    written = body(**changes)
    assert sole_patient(written) == "p"
    told = enrich(json_text.parse(written), people={"p": person}, organizations={})
    assert told_line(written, json_text.dump(person)) == json_text.dump(told)


@pytest.mark.parametrize(
    "changes",
    [
        {"patient": {"reference": "Patient/p", "display": "X"}},
        {"patient": {"reference": "https://other/Patient/p"}},
        {"patient": {"identifier": {"value": "1"}}, "location": {"reference": "Location/1"}},
        {"location": {"reference": "Location/1"}},
        {"performer": [{"actor": {"reference": "Organization/1"}}]},
        {"contained": [{"resourceType": "Observation", "patient": {"reference": "Patient/p"}}], "patient": {}},
    ],
)
def test_whatever_is_not_that_simple_has_to_be_read(changes):
    assert sole_patient(body(**changes)) is None


def test_a_resource_without_references_stays_as_it_is():
    written = json_text.dump(sample_patient())
    assert sole_patient(written) == ""
    assert told_line(written, b"{}") == written
