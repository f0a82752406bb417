"""Whom a chain of replaced-by links leads to."""

import asyncio

import pytest

from fhir_gateway.fhir.masters import master_of


def patient(patient_id, *, by=None, active=True):
    link = [] if by is None else [{"type": "replaced-by", "other": by}]
    return {"resourceType": "Patient", "id": patient_id, "active": active, "link": link}


def led_to(first, *others):
    stored = {one["id"]: one for one in (first, *others)}

    async def read(patient_id):
        return stored.get(patient_id)

    return asyncio.run(master_of(first, read))


@pytest.mark.parametrize(
    "reference", ["Patient/b", "Patient/b/_history/3", "https://fhir.example/r4/Patient/b"], ids=str
)
def test_a_replaced_patient_leads_to_who_stands_for_it(reference):
    survivor = patient("b")
    assert led_to(patient("a", by={"reference": reference}, active=False), survivor) == survivor


def test_a_chain_is_followed_to_its_end():
    chain = [patient(f"p{n}", by={"reference": f"Patient/p{n + 1}"}, active=False) for n in range(5)]
    assert led_to(*chain, patient("p5"))["id"] == "p5"


@pytest.mark.parametrize(
    ("successor", "others"),
    [
        ({"reference": "Patient/b"}, [patient("b", by={"reference": "Patient/a"}, active=False)]),
        ({"reference": "Patient/gone"}, []),
        ({"identifier": {"value": "7"}}, []),
        ({"reference": "Organization/b"}, [patient("b")]),
        ({"reference": "Patient/b"}, [patient("b", active=False)]),
        (None, [patient("a")]),
    ],
    ids=["circle", "nobody", "unnamed", "no Patient", "inactive successor", "nothing said"],
)
def test_a_chain_that_ends_nowhere_leaves_the_patient_as_it_is(successor, others):
    first = {**patient("a", active=False), "link": [{"type": "replaced-by", "other": successor}]}
    assert led_to(first, *others) == first


def test_a_chain_without_an_end_is_given_up():
    async def read(patient_id):
        return patient(f"{patient_id}x", by={"reference": f"Patient/{patient_id}xx"}, active=False)

    first = patient("a", by={"reference": "Patient/ax"}, active=False)
    assert asyncio.run(master_of(first, read)) == first


def test_an_inactive_patient_without_successor_stands_for_nobody():
    assert led_to(patient("a", active=False)) is None
