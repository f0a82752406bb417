"""Districts and clinics as groups."""

from datetime import UTC, datetime

import pytest
from tests.fakes.fhir_samples import sample_immunization, sample_patient

from fhir_gateway.domain import systems
from fhir_gateway.domain.exports import Membership
from fhir_gateway.fhir.validation import validate
from fhir_gateway.registry.groups import clinic_group, district_of, group_resource, memberships_in

WRITTEN = {"versionId": "1", "lastUpdated": "2024-05-01T00:00:00Z"}


def address(code, use="home"):
    part = {"url": "district", "valueCode": code}
    return {"use": use, "extension": [{"url": systems.ADMINISTRATIVE_CODE, "extension": [part]}]}


def test_a_person_belongs_to_the_district_of_the_address():
    patient = sample_patient() | {"id": "p", "meta": WRITTEN, "address": [address("330309")]}
    expected = Membership("Patient/p", "district-330309", "p", datetime(2024, 5, 1, tzinfo=UTC))
    assert list(memberships_in(patient)) == [expected]


@pytest.mark.parametrize(
    ("addresses", "code"),
    [
        (None, ""),
        ([], ""),
        ([{"text": "330309"}], ""),
        ([address("33.03.09")], ""),
        ([address(330309)], ""),
        ([address("330309", "old")], ""),
        ([address("330307", "temp"), address("330309")], "330309"),
        ([address("330307", "temp")], "330307"),
    ],
)
def test_old_addresses_and_what_is_no_code_count_for_nothing(addresses, code):
    assert district_of({"address": addresses}) == code


def test_a_dose_makes_its_person_a_member_of_the_clinic_that_it_came_from():
    meta = WRITTEN | {"source": f"{systems.SOURCE}:pkm_1:puskesmas"}
    (found,) = memberships_in(sample_immunization("Patient/p") | {"id": "d", "meta": meta})
    assert (found.source, found.group, found.patient) == ("Immunization/d", clinic_group("pkm_1"), "p")


@pytest.mark.parametrize("source", [None, "urn:example:clinic", f"{systems.SOURCE}:pkm-1", 7])
def test_what_others_wrote_belongs_to_no_clinic(source):
    dose = sample_immunization("Patient/p") | {"id": "d", "meta": WRITTEN | {"source": source}}
    assert list(memberships_in(dose)) == []


def test_ids_of_groups_are_ids_for_every_clinic():
    assert clinic_group("pkm-1") == "clinic-pkm-1"
    groups = {clinic_group(one) for one in ("a_b", "a-b", "x" * 63, "klinik é")}
    assert len(groups) == 4
    for one in groups:
        assert validate(group_resource(one, 1, clinics={})) == ()


def test_a_group_tells_what_makes_a_member():
    group = group_resource(clinic_group("pkm_1"), 7, clinics={"pkm_1": "Puskesmas Rekaan"})
    assert (group["name"], group["quantity"], group["identifier"][0]["value"]) == (
        "Clinic Puskesmas Rekaan",
        7,
        "clinic|pkm_1",
    )
    assert group_resource("district-330309", 1, clinics={})["name"] == "District Bobotsari (330309)"
    assert group_resource("district-999999", 1, clinics={})["name"] == "District 999999"
