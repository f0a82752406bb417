import copy
import subprocess
import sys
from decimal import Decimal

import pytest
from tests.fakes.fhir_samples import sample_immunization, sample_patient

from fhir_gateway.fhir.validation import MOST_PROBLEMS, are_valid, is_valid, validate

GONE = object()


def changed(resource, path, value):
    resource = copy.deepcopy(resource)
    element = resource
    for step in path[:-1]:
        element = element[step]
    if value is GONE:
        del element[path[-1]]
    else:
        element[path[-1]] = value
    return resource


@pytest.mark.parametrize("resource", [sample_patient(), sample_immunization()])
def test_a_full_sample_is_valid(resource):
    assert validate(resource) == ()


PATIENT = [
    ("unknown code", ["gender"], "L", "fhir-code", "Patient.gender"),
    ("number for a date", ["birthDate"], 0, "fhir-date", "Patient.birthDate"),
    ("impossible day", ["birthDate"], "2024-02-30", "fhir-date", "Patient.birthDate"),
    ("no leap year", ["birthDate"], "1900-02-29", "fhir-date", "Patient.birthDate"),
    ("day of no month", ["birthDate"], "2024-04-31", "fhir-date", "Patient.birthDate"),
    ("year 0", ["birthDate"], "0000-01-01", "fhir-date", "Patient.birthDate"),
    ("date with time", ["birthDate"], "1990-01-01T00:00:00Z", "fhir-date", "Patient.birthDate"),
    ("date with newline", ["birthDate"], "1990-01-01\n", "fhir-date", "Patient.birthDate"),
    ("long id", ["id"], "a" * 70, "fhir-id", "Patient.id"),
    ("id with underscore", ["id"], "a_b", "fhir-id", "Patient.id"),
    ("text for a boolean", ["active"], "true", "fhir-boolean", "Patient.active"),
    ("number for a boolean", ["active"], 1, "fhir-boolean", "Patient.active"),
    ("text for a number", ["multipleBirthInteger"], "2", "fhir-integer", "Patient.multipleBirthInteger"),
    ("fraction", ["multipleBirthInteger"], 1.5, "fhir-integer", "Patient.multipleBirthInteger"),
    ("33 bits", ["multipleBirthInteger"], 2**31, "fhir-integer", "Patient.multipleBirthInteger"),
    ("NUL", ["name", 0, "family"], "a\x00b", "fhir-string", "Patient.name[0].family"),
    ("C1 control", ["name", 0, "family"], "a\x92b", "fhir-string", "Patient.name[0].family"),
    ("empty text", ["name", 0, "family"], "", "fhir-string", "Patient.name[0].family"),
    ("blank text", ["name", 0, "family"], "  ", "fhir-string", "Patient.name[0].family"),
    ("null text", ["name", 0, "family"], None, "fhir-string", "Patient.name[0].family"),
    ("null in a list", ["name", 0, "given"], [None], "fhir-null", "Patient.name[0]"),
    ("empty list", ["name"], [], "fhir-empty", "Patient.name"),
    ("empty element", ["name", 0], {}, "fhir-empty", "Patient.name[0]"),
    ("nothing but an id", ["name", 0], {"id": "x"}, "fhir-empty", "Patient.name[0]"),
    ("one for many", ["name"], {"text": "Contoh"}, "fhir-type", "Patient.name"),
    ("many for one", ["gender"], ["female"], "fhir-type", "Patient.gender"),
    ("unknown element", ["naem"], [{"text": "Contoh"}], "fhir-unknown-element", "Patient"),
    ("blank in a URI", ["identifier", 0, "system"], "urn:a b", "fhir-uri", "Patient.identifier[0].system"),
    ("blank around a code", ["communication", 0, "language", "coding", 0, "code"], " id", "fhir-code", "code"),
    ("two choices", ["multipleBirthBoolean"], True, "fhir-choice", "Patient"),
    ("wrong target", ["managingOrganization"], {"reference": "Patient/1"}, "fhir-reference", "reference"),
    ("no target", ["managingOrganization"], {"reference": "Organization/"}, "fhir-reference", "reference"),
    ("conditional target", ["managingOrganization"], {"reference": "Organization?a=b"}, "fhir-reference", "reference"),
    ("required element", ["link", 0, "type"], GONE, "fhir-missing-element", "Patient.link[0]"),
    ("extension without value", ["extension"], [{"url": "urn:a"}], "fhir-missing-element", "Patient.extension[0]"),
    ("extension without url", ["extension"], [{"valueString": "a"}], "fhir-missing-element", "Patient.extension[0]"),
    ("value and extensions", ["address", 0, "extension", 0, "valueString"], "x", "fhir-choice", "extension[0]"),
    ("half a character", ["name", 0, "family"], "\ud800", "fhir-not-json", "Patient"),
    ("no JSON", ["name", 0, "family"], {1}, "fhir-not-json", "Patient"),
    ("nothing in _birthDate", ["_birthDate"], {}, "fhir-empty", "Patient._birthDate"),
    ("no resource", ["resourceType"], "Pasien", "fhir-resource-type", "resource"),
    ("nameless contained", ["contained"], [{"resourceType": "Basic", "code": {"text": "a"}}], "fhir-contained", "[0]"),
    ("unknown contained", ["contained"], [{"resourceType": "X", "id": "a"}], "fhir-resource-type", "contained[0]"),
]
IMMUNIZATION = [
    ("unknown status", ["status"], "done", "fhir-code", "Immunization.status"),
    ("no status", ["status"], GONE, "fhir-missing-element", "Immunization"),
    ("no patient", ["patient"], GONE, "fhir-missing-element", "Immunization"),
    ("no vaccine", ["vaccineCode"], GONE, "fhir-missing-element", "Immunization"),
    ("no occurrence", ["occurrenceDateTime"], GONE, "fhir-missing-element", "Immunization"),
    ("two occurrences", ["occurrenceString"], "lama", "fhir-choice", "Immunization"),
    ("time without zone", ["occurrenceDateTime"], "2024-01-02T08:30:00", "fhir-datetime", "occurrenceDateTime"),
    ("time without seconds", ["occurrenceDateTime"], "2024-01-02T08:30Z", "fhir-datetime", "occurrenceDateTime"),
    ("hour 24", ["occurrenceDateTime"], "2024-01-02T24:00:00Z", "fhir-datetime", "occurrenceDateTime"),
    ("impossible day", ["occurrenceDateTime"], "2023-02-29", "fhir-datetime", "occurrenceDateTime"),
    ("another's patient", ["patient", "reference"], "Practitioner/1", "fhir-reference", "Immunization.patient"),
    ("reference of a wrong type", ["patient", "type"], "Group", "fhir-code", "Immunization.patient"),
    ("dose 0", ["protocolApplied", 0, "doseNumberPositiveInt"], 0, "fhir-positiveint", "doseNumberPositiveInt"),
    ("text as amount", ["doseQuantity", "value"], "0.5", "fhir-decimal", "doseQuantity.value"),
    ("unknown comparator", ["doseQuantity", "comparator"], "=", "fhir-code", "doseQuantity.comparator"),
]


@pytest.mark.parametrize(("path", "value", "code", "place"), [c[1:] for c in PATIENT], ids=[c[0] for c in PATIENT])
def test_a_wrong_patient_is_refused_with_its_place(path, value, code, place):
    problems = validate(changed(sample_patient(), path, value))
    assert problems[0].code == code
    assert place in problems[0].text


@pytest.mark.parametrize(
    ("path", "value", "code", "place"), [c[1:] for c in IMMUNIZATION], ids=[c[0] for c in IMMUNIZATION]
)
def test_a_wrong_immunization_is_refused_with_its_place(path, value, code, place):
    problems = validate(changed(sample_immunization(), path, value))
    assert {problem.code for problem in problems} == {code}
    assert place in problems[0].text


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["birthDate"], "2000-02-29"),
        (["birthDate"], "1990"),
        (["birthDate"], "1990-06"),
        (["_birthDate"], {"extension": [{"url": "urn:a", "valueDateTime": "1990-01-01T01:00:00+07:00"}]}),
        (["name", 0, "family"], "Rëkaan\tdua\nbaris"),
        (["managingOrganization"], {"reference": "https://example.org/fhir/Organization/1/_history/2"}),
        (["managingOrganization"], {"reference": "urn:uuid:6f0c1d1e-0000-4000-8000-000000000000"}),
        (["managingOrganization"], {"reference": "#org"}),
        (["contained"], [{"resourceType": "Organization", "id": "org", "name": "Klinik Rekaan"}]),
    ],
)
def test_what_r4_allows_is_valid(path, value):
    assert validate(changed(sample_patient(), path, value)) == ()


def test_null_stands_for_an_item_that_an_extension_explains():
    patient = changed(sample_patient(), ["name", 0, "given"], [None])
    patient["name"][0]["_given"] = [{"extension": [{"url": "urn:a", "valueCode": "unknown"}]}]
    assert validate(patient) == ()


def test_decimals_may_be_exact():
    assert is_valid(changed(sample_immunization(), ["doseQuantity", "value"], Decimal("0.50")))


def test_a_message_holds_no_value():
    wrong = changed(sample_patient(), ["name", 0, "family"], "Rahasia\x00")
    wrong["rahasia nama"] = "Rahasia"
    wrong["identifier"][0]["value"] = 3201014101900001
    text = repr(validate(wrong))
    assert "ahasia" not in text
    assert "3201014101900001" not in text


def test_a_near_name_is_suggested():
    (problem,) = validate(changed(sample_patient(), ["naem"], "x"))
    assert "did you mean name?" in problem.suggestion


def test_the_list_of_problems_is_bounded():
    assert len(validate(changed(sample_patient(), ["name"], [{"use": "x"}] * 100))) == MOST_PROBLEMS


@pytest.mark.parametrize("thing", [None, 1, "Patient", [], {}, {"resourceType": ["Patient"]}])
def test_what_is_no_resource_is_refused(thing):
    assert validate(thing)


def test_resources_in_a_bundle_are_validated():
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Immunization"}}]}
    assert all(problem.text.startswith("Bundle.entry[0].resource") for problem in validate(bundle))
    assert validate(bundle)


def test_validating_does_not_import_the_models():
    script = (
        "import sys; from fhir_gateway.fhir.validation import is_valid; is_valid({'resourceType': 'Patient'});"
        "sys.exit(any(name.startswith(('fhir.', 'fhir_core', 'pydantic')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def _places(element, path=()):
    """Yield the paths of all that stands in an element."""
    below = element.items() if isinstance(element, dict) else enumerate(element) if isinstance(element, list) else ()
    for name, value in below:
        yield (*path, name)
        yield from _places(value, (*path, name))


def _changed(resource, path, value):
    changed = copy.deepcopy(resource)
    holder = changed
    for name in path[:-1]:
        holder = holder[name]
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return changed


_ODD = (None, "", " ", "x", "0" * 70, 0, 0.5, True, [], {}, [{}], {"x": 1}, {"url": "urn:x"}, "\ud800", float("nan"))


@pytest.mark.parametrize("resource", [sample_patient(), sample_immunization()], ids=lambda one: one["resourceType"])
def test_resources_together_are_judged_as_each_alone(resource):
    resource_type = resource["resourceType"]
    valid = 0
    for path in _places(resource):
        for value in _ODD:
            changed = _changed(resource, path, value)
            alone = is_valid(changed)
            assert are_valid(resource_type, [resource, changed, resource]) == alone, (path, value)
            valid += alone
    assert valid > 10


@pytest.mark.parametrize(
    "added",
    [
        {"occurrenceString": "once"},
        {"_status": {"id": "x"}},
        {"contained": [{"resourceType": "Patient"}]},
        {"unknown": 1},
        {"resourceType": "Patient"},
        {1: 2},
    ],
)
def test_names_that_stand_together_are_judged_as_alone(added):
    resource = {**sample_immunization(), **added}
    alone = is_valid(resource)
    assert are_valid("Immunization", [resource]) == alone
    assert not alone or "_status" in added
    without = {name: value for name, value in resource.items() if name not in {"status", "occurrenceDateTime"}}
    assert are_valid("Immunization", [without]) == is_valid(without)


def test_resources_with_other_names_are_judged_by_their_own_values():
    dose = sample_immunization()
    shorter = {name: value for name, value in dose.items() if name != "lotNumber"}
    assert are_valid("Immunization", [dose, shorter, dose])
    assert not are_valid("Immunization", [dose, {**shorter, "vaccineCode": {"coding": []}}, dose])
    assert not are_valid("Immunization", [dose, {**shorter, "status": "perhaps"}, dose])
    assert not are_valid("Immunization", [{**dose, "lotNumber": {"text": "A1"}}, shorter])


def test_what_may_hold_resources_is_judged_alone():
    contained = {**sample_immunization(), "contained": [{"resourceType": "Patient", "id": "p"}]}
    assert is_valid(contained)
    assert not are_valid("Immunization", [contained])
    assert are_valid("Immunization", [])
