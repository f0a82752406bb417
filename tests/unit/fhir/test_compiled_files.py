import pytest

from fhir_gateway.fhir.compile_schema import (
    REFERENCES_FILE,
    SCHEMA_FILE,
    compile_references,
    compile_schema,
    dump,
    dump_schema,
    resource_types,
)
from fhir_gateway.fhir.validation import validate


def test_the_schema_file_is_what_the_models_compile_to():
    assert SCHEMA_FILE.read_bytes() == dump_schema(compile_schema()), "run python -m fhir_gateway.fhir.compile_schema"


def test_the_references_file_is_what_the_models_compile_to():
    assert REFERENCES_FILE.read_bytes() == dump(compile_references()), "run python -m fhir_gateway.fhir.compile_schema"


SOME_TYPES = ("Patient", "Immunization", "Organization", "OperationOutcome", "AuditEvent")


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.exhaustive)], ids=["some", "every"])
def test_a_resource_type_has_a_validator(every):
    types = resource_types()
    assert set(SOME_TYPES) <= set(types)
    for name in types if every else SOME_TYPES:
        assert not {"fhir-resource-type"} & {problem.code for problem in validate({"resourceType": name})}
