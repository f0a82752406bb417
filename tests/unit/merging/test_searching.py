from fhir_gateway.fhir.references import patient_paths
from fhir_gateway.merging.compile_searches import SEARCHES_FILE, compile_searches, dump
from fhir_gateway.merging.searching import PatientSearch, search_paths, unsearchable_paths


def test_the_generated_file_is_what_the_registry_and_the_models_say():
    assert SEARCHES_FILE.read_text(encoding="utf-8") == dump(compile_searches())


def test_every_reference_to_a_patient_is_either_searched_or_listed():
    searches = compile_searches()
    searched = {
        f"{search.resource_type}.{path}"
        for search in search_paths()
        for path in searches[search.resource_type][search.parameter]
    }
    every = {
        f"{resource_type}.{path}"
        for resource_type, paths in patient_paths().items()
        for path in paths
        if resource_type not in {"Provenance", "AuditEvent", "Bundle", "Parameters"}
    } - {"Patient.link.other"}
    assert searched | set(unsearchable_paths()) == every
    assert not searched & set(unsearchable_paths())


def test_one_search_is_enough_where_two_parameters_find_the_same():
    assert [search.parameter for search in search_paths() if search.resource_type == "Encounter"] == ["subject"]
    only = search_paths({"Encounter": ["patient"]})
    assert [search.parameter for search in only] == ["patient"]


def test_every_element_that_refers_to_a_patient_has_its_search():
    parameters = {search.parameter for search in search_paths() if search.resource_type == "Observation"}
    assert parameters == {"subject", "performer", "focus"}


def test_what_tells_of_the_past_is_not_searched():
    assert not {"Provenance", "AuditEvent", "Patient", "Bundle"} & {search.resource_type for search in search_paths()}


def test_what_no_search_finds_is_listed():
    assert {
        "Task.input.valueReference",
        "QuestionnaireResponse.item.answer.valueReference",
        "Condition.recorder",
    } <= set(unsearchable_paths())


def test_a_server_is_asked_only_what_it_declares():
    declared = {"Observation": ["subject", "code"], "Encounter": []}
    assert search_paths(declared) == (PatientSearch("Observation", "subject"),)
    unsearchable = unsearchable_paths(declared)
    assert {"Encounter.subject", "Observation.performer"} <= set(unsearchable)
    assert {path.partition(".")[0] for path in unsearchable} == {"Encounter", "Observation"}


def test_the_types_of_a_clinics_record_are_all_searched():
    types = [
        "AllergyIntolerance",
        "Appointment",
        "CarePlan",
        "ClinicalImpression",
        "Composition",
        "Condition",
        "Coverage",
        "DeviceRequest",
        "DiagnosticReport",
        "DocumentReference",
        "Encounter",
        "EpisodeOfCare",
        "FamilyMemberHistory",
        "Flag",
        "Goal",
        "ImagingStudy",
        "Immunization",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationRequest",
        "MedicationStatement",
        "NutritionOrder",
        "Observation",
        "Procedure",
        "QuestionnaireResponse",
        "RelatedPerson",
        "ServiceRequest",
    ]
    assert set(types) <= {search.resource_type for search in search_paths()}
