import pytest
from tests.fakes.fhir_samples import NIK

from fhir_gateway.registry.cursors import position_of


def ids(result):
    return [one["id"] for one in result.matches]


async def some(region):
    """Two people with two doses each, in the order of their making."""
    people = [await region.patient(1), await region.patient(2)]
    doses = [
        await region.dose(people[0], 1, lotNumber="AB-1"),
        await region.dose(people[1], 2, occurrenceDateTime="2024-03-01", status="not-done"),
        await region.dose(
            people[0], 3, vaccineCode={"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "19"}]}
        ),
        await region.dose(people[1], 4, occurrenceDateTime="2024-02-01", lotNumber="ab-2"),
    ]
    return people, doses


async def test_doses_come_in_the_order_of_their_writing_page_by_page(region):
    _, doses = await some(region)
    first = await region.search(_count="3")
    assert ids(first) == doses[:3]
    second = await region.search(_count="3", after=first.following.position)
    assert (ids(second), second.following) == (doses[3:], None)


async def test_newest_first(region):
    _, doses = await some(region)
    first = await region.search(_count="3", _sort="-_lastUpdated")
    second = await region.search(_count="3", _sort="-_lastUpdated", after=first.following.position)
    assert ids(first) + ids(second) == doses[::-1]


async def test_references_say_who_and_what_they_lead_to(region, nik):
    organization = await region.create(
        {"resourceType": "Organization", "identifier": [{"system": "urn:x", "value": "o"}], "name": "Puskesmas Rekaan"}
    )
    actor = {"reference": f"Organization/{organization}"}
    await region.dose(await region.patient(1), 1, performer=[{"actor": actor}])
    (dose,) = (await region.search()).matches
    assert dose["patient"]["identifier"] == {"system": NIK, "value": nik(1)}
    assert dose["patient"]["display"] == "Contoh Rekaan"
    assert dose["performer"] == [{"actor": {"display": "Puskesmas Rekaan", **actor}}]


async def test_what_a_reference_says_itself_stays(region):
    patient = await region.patient(1)
    reference = {"reference": f"Patient/{patient}", "display": "Nama lain"}
    await region.dose(patient, 1, patient=reference)
    (dose,) = (await region.search()).matches
    assert dose["patient"]["display"] == "Nama lain"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"date": "2024-03-01"}, [1]),
        ({"date": ["ge2024-02-01", "lt2024-03-01"]}, [3]),
        ({"date": "2024-03"}, [1]),
        ({"status": "not-done"}, [1]),
        ({"status": "completed,not-done"}, [0, 1, 2, 3]),
        ({"vaccine-code": "19"}, [2]),
        ({"vaccine-code": "http://hl7.org/fhir/sid/cvx|08,http://hl7.org/fhir/sid/cvx|19"}, [0, 1, 2, 3]),
        ({"vaccine-code": "http://example.org|08"}, []),
        ({"lot-number": "ab"}, [0, 3]),
        ({"location": "Location/1"}, []),
        ({"_lastUpdated": "gt2999-01-01T00:00:00Z"}, []),
        ({"_lastUpdated": ["ge2020-01-01", "le2999-01-01"]}, [0, 1, 2, 3]),
    ],
)
async def test_filters(region, parameters, expected):
    _, doses = await some(region)
    assert ids(await region.search(**parameters)) == [doses[one] for one in expected]


async def test_by_patient_and_by_their_nik(region, nik):
    people, doses = await some(region)
    assert ids(await region.search(patient=people[0])) == [doses[0], doses[2]]
    assert ids(await region.search(patient=f"Patient/{people[0]},Patient/{people[1]}", _count="1")) == doses[:1]
    assert ids(await region.search(patient__identifier=f"{NIK}|{nik(2)}")) == [doses[1], doses[3]]
    assert ids(await region.search(patient__identifier=f"{NIK}|3201014101900099")) == []
    assert ids(await region.search(patient__identifier=f"{NIK}|{nik(2)}", patient=people[0])) == []


async def test_the_pages_of_one_person_go_on_where_they_ended(region):
    people, doses = await some(region)
    first = await region.search(patient=people[0], _count="1")
    second = await region.search(patient=people[0], _count="1", after=first.following.position)
    assert (ids(first), ids(second), second.following) == ([doses[0]], [doses[2]], None)


async def test_a_replaced_patient_s_id_finds_the_survivor_s_doses_and_says_so(region):
    people, doses = await some(region)
    third = await region.patient(3)
    await region.replace(third, people[0])
    found = await region.search(patient=third)
    assert ids(found) == [doses[0], doses[2]]
    assert found.replaced == ((third, people[0]),)


async def test_links_that_lead_in_circles_lead_nowhere(region):
    people, doses = await some(region)
    await region.replace(people[0], people[1])
    await region.replace(people[1], people[0])
    found = await region.search(patient=people[0])
    assert (ids(found), found.replaced) == ([doses[0], doses[2]], ())


async def test_counting_and_totals(region):
    people, _ = await some(region)
    counted = await region.search(_summary="count")
    assert (counted.matches, counted.total) == ((), 4)
    assert (await region.search(_summary="count", date="ge2024-02-01")).total == 2
    assert (await region.search(_summary="count", patient=people[0])).total == 2
    first = await region.search(_total="accurate", _count="1")
    assert (len(first.matches), first.total) == (1, 4)


async def test_patients_come_along_where_they_are_asked_for(region):
    people, _ = await some(region)
    found = await region.search(_include="Immunization:patient", patient=people[0])
    assert [one["id"] for one in found.included] == [people[0]]
    assert (await region.search(patient=people[0])).included == ()


async def test_elements_keep_what_makes_a_dose_valid(region):
    await region.dose(await region.patient(1), 1)
    (dose,) = (await region.search(_elements="lotNumber")).matches
    assert set(dose) == {
        "resourceType",
        "id",
        "meta",
        "status",
        "vaccineCode",
        "patient",
        "occurrenceDateTime",
        "lotNumber",
    }
    assert dose["meta"]["tag"][-1]["code"] == "SUBSETTED"


async def test_patients_by_identifier_and_id(region, nik):
    people, _ = await some(region)
    assert ids(await region.search("Patient", identifier=f"{NIK}|{nik(2)}")) == [people[1]]
    assert ids(await region.search("Patient", _id=f"{people[0]},nobody")) == [people[0]]
    assert ids(await region.search("Patient")) == people


async def test_a_dose_that_is_corrected_while_a_client_pages_comes_as_the_newer_version(region):
    _, doses = await some(region)
    first = await region.search(_count="2")
    corrected = await region.tools.reader.read("Immunization", doses[0])
    await region.put(corrected | {"lotNumber": "CORRECTED"})
    second = await region.search(_count="9", after=position_of(first.originals[-1]))
    assert ids(second) == [doses[2], doses[3], doses[0]]
    assert second.matches[-1]["lotNumber"] == "CORRECTED"
