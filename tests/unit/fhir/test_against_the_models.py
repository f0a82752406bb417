"""What fhir.resources refuses, ours refuses: resources changed in thousands of ways, the same ways every time."""

import copy
import random

import pytest
from fhir.resources.R4B.immunization import Immunization
from fhir.resources.R4B.patient import Patient
from tests.fakes.fhir_samples import sample_immunization, sample_patient

from fhir_gateway.fhir.validation import is_valid

ODD_VALUES = [
    None, True, False, 0, -1, 1, 1.5, 2**31, -(2**31) - 1, "", " ", "x", " x", "x ", "x  y", "a\x00b", "true", "1",
    "1990", "1990-13", "1990-02-30", "1990-01-01", "19900101", "01/02/1990", "1990-1-1", "1990-01-01T10:00",
    "1990-01-01T10:00:00", "1990-01-01T10:00:00Z", "1990-01-01T25:00:00Z", "1990-01-01T10:00:00+15:00", "female",
    "completed", "Patient/1", "Patient/a b", "Organization/1", "http://[", "ftp://x", "a" * 300, [], {}, [None], [""], ["x"],
    [{}], {"id": "x"}, {"text": "x"}, {"reference": "Patient/1"}, {"unknown": 1}, [{"text": "x"}], [{"unknown": 1}],
    {"extension": []}, {"extension": [{"url": "urn:a"}]}, {"extension": [{"url": "urn:a", "valueString": "b"}]},
    {"coding": [{"code": "x"}]}, {"value": "x"}, {"value": 1}, [[]], [1], [True], {"start": "2024-01-02"},
]  # fmt: skip
PATIENT_NAMES = [
    *Patient.elements_sequence(),
    "_birthDate",
    "_gender",
    "_active",
    "resource_type",
    "fhir_comments",
    "x",
]
IMMUNIZATION_NAMES = [*Immunization.elements_sequence(), "_status", "_occurrenceDateTime", "_lotNumber", "x"]


def places(element, path=()):
    yield path
    items = element.items() if isinstance(element, dict) else enumerate(element) if isinstance(element, list) else ()
    for step, value in items:
        yield from places(value, (*path, step))


def mutate(resource, rng, names):
    """Change, remove, add or copy one thing of a resource."""
    resource = copy.deepcopy(resource)
    path = rng.choice([place for place in places(resource) if place])
    parent = resource
    for step in path[:-1]:
        parent = parent[step]
    kind = rng.random()
    if kind < 0.15:
        del parent[path[-1]]
    elif kind < 0.35 and isinstance(parent, dict):
        parent[rng.choice(names)] = copy.deepcopy(rng.choice(ODD_VALUES))
    elif kind < 0.45 and isinstance(parent, dict):
        parent[f"_{path[-1]}"] = copy.deepcopy(rng.choice(ODD_VALUES))
    elif kind < 0.55:
        parent[path[-1]] = [parent[path[-1]]]
    else:
        parent[path[-1]] = copy.deepcopy(rng.choice(ODD_VALUES))
    return resource


def refused_by_model(model, resource):
    try:
        model.model_validate(copy.deepcopy(resource))
    except Exception:  # noqa: BLE001 - the models raise all sorts of errors over odd input
        return True
    return False


@pytest.mark.parametrize("resources", [1_200, pytest.param(12_000, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize(
    ("model", "sample", "names"),
    [(Patient, sample_patient, PATIENT_NAMES), (Immunization, sample_immunization, IMMUNIZATION_NAMES)],
    ids=["Patient", "Immunization"],
)
def test_what_the_models_refuse_is_refused(model, sample, names, resources):
    rng = random.Random(2024)
    refused = 0
    for _ in range(resources):
        resource = sample()
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            resource = mutate(resource, rng, names)
        if refused_by_model(model, resource):
            refused += 1
            assert not is_valid(resource)
    assert refused > resources / 3


@pytest.mark.parametrize(
    "element",
    [{"gender": "L"}, {"birthDate": 0}, {"id": "a" * 70}, {"active": "true"}, {"language": "a\x00b"}],
    ids=["code", "number for a date", "long id", "text for a boolean", "NUL"],
)
def test_what_the_models_let_pass_is_refused(element):
    patient = sample_patient() | element
    assert not refused_by_model(Patient, patient)
    assert not is_valid(patient)
