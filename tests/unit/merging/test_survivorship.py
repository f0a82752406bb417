import copy

import pytest
from tests.fakes.fhir_samples import sample_patient
from tests.fakes.invented_people import RIZKI, RIZKIS_NIK, TWINS_NIK, patient

from fhir_gateway.domain import systems
from fhir_gateway.fhir.validation import validate
from fhir_gateway.merging.survivorship import mark_replaced, merge_patients

OTHER_NIK = "5201016511920003"


def person(patient_id="s", **elements):
    return {"resourceType": "Patient", "id": patient_id, **elements}


def identifier(system, value, **other):
    return {"system": system, "value": value, **other}


def merged(survivor, *replaced):
    result = merge_patients(survivor, replaced)
    assert validate(result.resource) == ()
    return result


def merged_field(name, survivor_value, replaced_value):
    survivor = person() if survivor_value is None else person(**{name: survivor_value})
    return merged(survivor, person("r", **{name: replaced_value})).resource.get(name)


def codes(result):
    return [conflict.code for conflict in result.conflicts]


def test_the_survivor_becomes_golden_and_says_whom_it_replaces():
    result = merged(person(), person("b"), person("a"))
    assert result.resource["meta"]["tag"] == [{"system": systems.REPLACED_BY_TAG, "code": "s"}]
    assert result.resource["link"] == [
        {"other": {"reference": "Patient/a"}, "type": "replaces"},
        {"other": {"reference": "Patient/b"}, "type": "replaces"},
    ]


def test_a_golden_record_keeps_its_tag_and_what_it_replaced_before():
    first = merged(person(), person("a")).resource
    again = merged(first, person("b")).resource
    assert again["meta"] == first["meta"]
    assert [link["other"]["reference"] for link in again["link"]] == ["Patient/a", "Patient/b"]


def test_a_replaced_patient_is_inactive_linked_and_tagged_and_keeps_all_else():
    before = sample_patient() | {"id": "r"}
    after = mark_replaced(before, "s")
    assert validate(after) == ()
    assert after["active"] is False
    assert after["link"][-1] == {"other": {"reference": "Patient/s"}, "type": "replaced-by"}
    assert after["meta"]["tag"] == [{"system": systems.REPLACED_BY_TAG, "code": "s"}]
    assert {name: after[name] for name in before if name not in {"active", "link", "meta"}} == {
        name: before[name] for name in before if name not in {"active", "link", "meta"}
    }
    assert mark_replaced(after, "s") == after


def test_a_golden_record_that_is_replaced_names_its_new_master():
    golden = person("r", meta={"tag": [{"system": systems.REPLACED_BY_TAG, "code": "r"}, {"code": "mine"}]})
    assert mark_replaced(golden, "s")["meta"]["tag"] == [
        {"code": "mine"},
        {"system": systems.REPLACED_BY_TAG, "code": "s"},
    ]


def test_identifiers_of_all_are_kept_each_once():
    own, other = identifier("urn:a", "1"), identifier("urn:b", "2")
    assert merged_field("identifier", [own], [dict(own), other]) == [own, other]


@pytest.mark.parametrize("system", [systems.NIK, systems.medical_record("klinik"), systems.IHS_NUMBER, systems.KK])
def test_another_number_of_the_same_kind_comes_as_an_old_one(system):
    own, other = identifier(system, RIZKIS_NIK), identifier(system, OTHER_NIK, use="official")
    assert merged_field("identifier", [own], [other]) == [own, other | {"use": "old"}]


def test_the_only_valid_nik_comes_as_it_is():
    own = identifier(systems.NIK, "0000000000000000")
    valid = identifier(systems.NIK, RIZKIS_NIK, use="official")
    assert merged_field("identifier", [own], [valid]) == [own, valid]


def test_a_current_number_beside_an_old_one_comes_as_it_is():
    own, other = identifier(systems.NIK, RIZKIS_NIK, use="old"), identifier(systems.NIK, TWINS_NIK)
    assert merged_field("identifier", [own], [other]) == [own, other]


def test_both_numbers_of_one_replaced_patient_come_as_they_are():
    both = [identifier(systems.NIK, RIZKIS_NIK), identifier(systems.NIK, TWINS_NIK, use="old")]
    assert merged_field("identifier", None, both) == both


@pytest.mark.parametrize(
    "other",
    [
        identifier(systems.PERSON, "opaque"),
        identifier(systems.NIK_AS_WRITTEN, "330312"),
        identifier(systems.NIK, "################"),
    ],
)
def test_numbers_that_belong_to_the_replaced_record_stay_there(other):
    own = identifier(systems.NIK, RIZKIS_NIK)
    result = merged(person(identifier=[own]), person("r", identifier=[other]))
    assert result.resource["identifier"] == [own]
    assert result.choices[0].dropped == ("r",)


def test_earlier_names_come_as_old_ones():
    result = merged_field(
        "name",
        [{"use": "official", "text": "Rizki"}],
        [{"use": "official", "text": "Moh. Rizki"}, {"use": "nickname", "text": "Kiki"}],
    )
    assert result == [
        {"use": "official", "text": "Rizki"},
        {"use": "old", "text": "Moh. Rizki"},
        {"use": "nickname", "text": "Kiki"},
    ]


def test_the_same_name_written_otherwise_comes_once():
    assert merged_field("name", [{"given": ["Rizki"], "family": "Pratama"}], [{"text": "RIZKI  PRATAMA"}]) == [
        {"given": ["Rizki"], "family": "Pratama"}
    ]


def test_a_childs_own_name_replaces_the_temporary_one():
    temporary = {"use": "temp", "text": "By. Ny. Siti"}
    assert merged_field("name", [temporary], [{"text": "Rizki"}]) == [{"text": "Rizki"}, temporary | {"use": "old"}]


def test_a_temporary_name_never_replaces_an_own_one():
    assert merged_field("name", [{"text": "Rizki"}], [{"text": "By. Ny. Siti"}])[0] == {"text": "Rizki"}


def test_phones_are_kept_each_once_however_they_are_written():
    own = {"system": "phone", "value": "+6281234567890"}
    new = {"system": "phone", "value": "081398765432"}
    assert merged_field("telecom", [own], [{"system": "phone", "value": "0812-3456-7890"}, new]) == [own, new]


def test_where_somebody_lives_now_the_survivor_knows():
    own, other = {"line": ["Jalan Satu 1"]}, {"line": ["Jalan Dua 2"], "use": "home"}
    assert merged_field("address", [own], [{"line": ["JALAN SATU, 1"]}, other]) == [own, other | {"use": "old"}]


def test_an_address_comes_as_it_is_where_the_survivor_has_none():
    both = [{"line": ["Jalan Dua 2"]}, {"line": ["Jalan Tiga 3"], "use": "work"}]
    assert merged_field("address", None, both) == both


def test_contacts_are_kept_by_relationship_and_name():
    mother = {"relationship": [{"coding": [{"code": "MTH"}]}], "name": {"text": "Siti Aminah"}}
    father = {"relationship": [{"coding": [{"code": "FTH"}]}], "name": {"text": "Budi"}}
    same = {"relationship": [{"coding": [{"code": "MTH"}], "text": "ibu"}], "name": {"text": "SITI AMINAH"}}
    assert merged_field("contact", [mother], [same, father]) == [mother, father]


def test_one_language_is_preferred():
    indonesian = {"language": {"coding": [{"code": "id"}]}, "preferred": True}
    javanese = {"language": {"coding": [{"code": "jv"}]}, "preferred": True}
    assert merged_field("communication", [indonesian], [javanese]) == [indonesian, {"language": javanese["language"]}]


def test_general_practitioners_and_photos_of_all_are_kept():
    one, other = {"reference": "Practitioner/1"}, {"reference": "Practitioner/2"}
    assert merged_field("generalPractitioner", [one], [one, other]) == [one, other]
    assert merged_field("photo", [{"url": "http://x/1"}], [{"url": "http://x/2"}]) == [
        {"url": "http://x/1"},
        {"url": "http://x/2"},
    ]


def test_extensions_are_taken_by_url_and_the_survivors_stay():
    own = {"url": "urn:a", "valueString": "1"}
    new = [{"url": "urn:b", "valueString": "3"}, {"url": "urn:b", "valueString": "4"}]
    assert merged_field("extension", [own], [{"url": "urn:a", "valueString": "2"}, *new]) == [own, *new]


def test_marital_status_and_organization_are_filled_in_only():
    assert merged_field("maritalStatus", None, {"text": "kawin"}) == {"text": "kawin"}
    assert merged_field("managingOrganization", {"display": "A"}, {"display": "B"}) == {"display": "A"}


def test_what_refers_to_a_contained_resource_does_not_come_along():
    assert merged_field("generalPractitioner", None, [{"reference": "#dr"}]) is None
    assert merged_field("managingOrganization", None, {"reference": "#org"}) is None


def test_security_labels_of_all_are_kept():
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    assert merged(person(), person("r", meta={"security": [label]})).resource["meta"]["security"] == [label]


def test_ties_to_others_come_along_but_earlier_replacements_and_ties_among_the_merged_do_not():
    related = {"other": {"reference": "RelatedPerson/1"}, "type": "seealso"}
    links = [
        related,
        {"other": {"reference": "Patient/s"}, "type": "seealso"},
        {"other": {"reference": "Patient/before"}, "type": "replaces"},
    ]
    assert merged_field("link", None, links) == [
        related,
        {"other": {"reference": "Patient/r"}, "type": "replaces"},
    ]


def test_a_more_exact_birth_date_survives():
    assert merged_field("birthDate", "2020", "2020-03-15") == "2020-03-15"


def test_the_birth_date_that_the_nik_confirms_survives():
    result = merged(patient("A", nik=RIZKIS_NIK, born="2020-03-16") | {"id": "s"}, person("r", birthDate="2020-03-15"))
    assert result.resource["birthDate"] == "2020-03-15"
    assert codes(result) == []
    assert result.choices[0].taken_from == ("r",)
    assert result.choices[0].dropped == ("s",)


def test_birth_dates_that_nothing_decides_between_are_a_conflict_and_the_survivors_stays():
    result = merged(person(birthDate="2020-03-16"), person("r", birthDate="2020-03-15"))
    assert result.resource["birthDate"] == "2020-03-16"
    assert codes(result) == ["birth-date-disagrees"]


def test_what_most_say_decides_between_birth_dates():
    result = merged(
        person(birthDate="2020-03-16"), person("a", birthDate="2020-03-15"), person("b", birthDate="2020-03-15")
    )
    assert result.resource["birthDate"] == "2020-03-15"
    assert codes(result) == ["birth-date-disagrees"]


def test_the_extension_of_a_birth_date_goes_with_it():
    time = {
        "extension": [
            {
                "url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
                "valueDateTime": "2020-03-15T08:00:00+07:00",
            }
        ]
    }
    survivor = person(birthDate="2020", _birthDate={"id": "x"} | time)
    result = merged(survivor, person("r", birthDate="2020-03-15"))
    assert "_birthDate" not in result.resource
    assert (
        merged(person(birthDate="2020"), person("r", birthDate="2020-03-15", _birthDate=time)).resource["_birthDate"]
        == time
    )


def test_gender_is_filled_in_and_disagreement_is_a_conflict():
    assert merged_field("gender", "unknown", "female") == "female"
    result = merged(person(gender="male"), person("r", gender="female"))
    assert result.resource["gender"] == "male"
    assert codes(result) == ["gender-disagrees"]


def test_a_day_of_death_outranks_the_fact_and_the_fact_its_absence():
    result = merged(person(deceasedBoolean=True), person("r", deceasedDateTime="2024-05-01"))
    assert result.resource.get("deceasedDateTime") == "2024-05-01"
    assert "deceasedBoolean" not in result.resource
    assert codes(result) == []
    assert merged(person(), person("r", deceasedBoolean=True)).resource["deceasedBoolean"] is True


def test_a_denied_death_is_listed_but_does_not_block():
    result = merged(person(deceasedBoolean=False), person("r", deceasedDateTime="2024-05-01"))
    assert result.resource["deceasedDateTime"] == "2024-05-01"
    assert [(conflict.code, conflict.blocks) for conflict in result.conflicts] == [("death-denied", False)]


def test_two_days_of_death_are_a_conflict():
    result = merged(person(deceasedDateTime="2024-05-01"), person("r", deceasedDateTime="2023-01-02"))
    assert codes(result) == ["death-disagrees"]
    assert codes(merged(person(deceasedDateTime="2024"), person("r", deceasedDateTime="2024-05-01"))) == []


def test_the_order_of_birth_outranks_the_fact():
    result = merged(person(multipleBirthBoolean=True), person("r", multipleBirthInteger=2))
    assert result.resource["multipleBirthInteger"] == 2
    assert "multipleBirthBoolean" not in result.resource
    assert codes(result) == []


@pytest.mark.parametrize("other", [{"multipleBirthInteger": 2}, {"multipleBirthBoolean": False}])
def test_orders_of_birth_that_disagree_are_a_conflict(other):
    assert codes(merged(person(multipleBirthInteger=1), person("r", **other))) == ["birth-order-disagrees"]


def test_modifiers_of_a_replaced_patient_are_a_conflict():
    modifier = [{"url": "urn:x", "valueBoolean": True}]
    assert codes(merged(person(), person("r", modifierExtension=modifier))) == ["modified-meaning"]


def test_merging_does_not_depend_on_the_order_of_the_replaced():
    one, other = sample_patient(2) | {"id": "a"}, patient(**RIZKI, nik=RIZKIS_NIK) | {"id": "b"}
    survivor = person(name=[{"text": "Contoh"}])
    assert merge_patients(survivor, [one, other]) == merge_patients(survivor, [other, one])


def test_the_arguments_are_not_changed():
    patients = [sample_patient(1) | {"id": "s"}, sample_patient(2) | {"id": "a", "birthDate": "1990"}]
    before = copy.deepcopy(patients)
    merge_patients(patients[0], patients[1:])
    mark_replaced(patients[1], "s")
    assert patients == before


@pytest.mark.parametrize("odd", ["text", 5, [None, "x", 3], {"a": 1}, True])
@pytest.mark.parametrize(
    "name",
    [
        "identifier",
        "name",
        "telecom",
        "address",
        "contact",
        "communication",
        "extension",
        "link",
        "meta",
        "birthDate",
        "gender",
        "deceasedDateTime",
        "multipleBirthInteger",
        "photo",
        "managingOrganization",
    ],
)
def test_malformed_patients_are_merged_without_an_error(name, odd):
    merge_patients(person(**{name: odd}), [sample_patient() | {"id": "r"}])
    merge_patients(sample_patient() | {"id": "s"}, [person("r", **{name: odd})])
    mark_replaced(person("r", **{name: odd}), "s")


def test_what_the_survivor_has_already_gets_what_it_lacks():
    mother = {"relationship": [{"coding": [{"code": "MTH"}]}], "name": {"text": "Siti Aminah"}}
    phone = {"telecom": [{"system": "phone", "value": "+628120000001"}], "period": {"end": "2020"}}
    assert merged_field("contact", [mother], [mother | phone]) == [mother | {"telecom": phone["telecom"]}]
    village = {"url": "https://fhir.kemkes.go.id/r4/StructureDefinition/administrativeCode"}
    village["extension"] = [{"url": "village", "valueCode": "3303012001"}]
    home = {"use": "home", "line": ["Kalimanah RT 1"], "city": "Purbalingga"}
    coded = home | {"use": "old", "extension": [village]}
    assert merged_field("address", [home], [coded]) == [home | {"extension": [village]}]
    assert merged_field("address", [coded], [home]) == [coded]


def test_the_time_of_birth_comes_along():
    time = {"extension": [{"url": "urn:example:birth-time", "valueDateTime": "2020-03-12T10:00:00+07:00"}]}
    result = merged(person(birthDate="2020-03-12"), person("r", birthDate="2020-03-12", _birthDate=time))
    assert (result.resource["birthDate"], result.resource["_birthDate"]) == ("2020-03-12", time)
    assert merged(result.resource, person("q", birthDate="2020-03-12", _birthDate={"id": "x"})).choices == ()
