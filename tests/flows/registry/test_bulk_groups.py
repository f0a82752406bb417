"""Bulk Data Access v2, groups: districts and clinics, their members, and who joined since."""

import pytest
from tests.fakes.served_gateway import assert_is_problem
from tests.flows.registry.exporting import BOBOTSARI, KUTASARI, dose, parameters, person

from fhir_gateway.fhir.validation import validate


async def test_groups_are_the_districts_and_the_clinics(exporter, districts):
    bundle = (await exporter.get("Group")).json()
    assert validate(bundle) == ()
    found = {one["resource"]["id"]: one["resource"]["quantity"] for one in bundle["entry"]}
    assert found == {"clinic-pkm-1": 2, "clinic-rs-a": 1, f"district-{BOBOTSARI}": 2, f"district-{KUTASARI}": 1}
    read = (await exporter.get(f"Group/district-{BOBOTSARI}")).json()
    assert (read["name"], read["quantity"]) == (f"District Bobotsari ({BOBOTSARI})", 2)
    assert "member" not in read
    assert_is_problem(await exporter.get("Group/clinic-nobody"), 404)
    assert_is_problem(await exporter.kick_off("Group/clinic-nobody/$export"), 404)
    one = (await exporter.get("Group?_id=clinic-rs-a")).json()
    assert [entry["resource"]["id"] for entry in one["entry"]] == ["clinic-rs-a"]
    assert_is_problem(await exporter.get("Group", await exporter.token("system/Patient.rs")), 403)


async def test_a_search_of_groups_is_as_strict_as_any(exporter, districts):
    assert_is_problem(await exporter.get("Group?name=x"), 400)
    lenient = (await exporter.get("Group?name=x", headers={"Prefer": "handling = Lenient"})).json()
    assert validate(lenient) == ()
    assert lenient["total"] == len(lenient["entry"]) - 1
    assert "name is not known" in lenient["entry"][-1]["resource"]["issue"][0]["diagnostics"]
    token = await exporter.token()
    refused = await exporter.served.ask("POST", "/north/fhir/Group/_search", token, content=b"{}")
    assert_is_problem(refused, 415)


async def test_a_group_export_holds_its_members_and_nobody_else(exporter, districts):
    people, doses = districts
    assert await exporter.exported(f"Group/district-{BOBOTSARI}/$export") == {*people[:2], *doses[:2]}
    assert await exporter.exported("Group/clinic-rs-a/$export") == {people[2], doses[2]}


@pytest.mark.parametrize("named", [False, True])
async def test_whoever_joined_since_comes_with_all_that_is_older(exporter, districts, named):
    people, doses = districts
    group = f"Group/district-{BOBOTSARI}/$export"
    first = await exporter.export(group)
    await exporter.change("Patient", people[2], address=person(3)["address"])
    body = parameters(patient=f"Patient/{people[2]}") if named else None
    assert await exporter.exported(group, body=body, _since=first["transactionTime"]) == {people[2], doses[2]}


async def test_a_clinics_new_person_comes_with_the_doses_of_others(exporter, districts):
    people, doses = districts
    first = await exporter.export("Group/clinic-rs-a/$export")
    (new,) = await exporter.fill(dose(people[0], 9, "rs-a"))
    found = await exporter.exported("Group/clinic-rs-a/$export", _since=first["transactionTime"])
    assert found == {people[0], doses[0], new}


async def test_whoever_moved_away_is_no_member_any_more(exporter, districts):
    people, doses = districts
    group = f"Group/district-{BOBOTSARI}/$export"
    await exporter.export(group)
    await exporter.change("Patient", people[0], address=person(1, KUTASARI)["address"])
    assert await exporter.exported(group) == {people[1], doses[1]}


async def test_a_group_is_told_of_its_own_deletions_only(exporter, districts):
    _, doses = districts
    first = await exporter.export("Group/clinic-pkm-1/$export")
    await exporter.delete("Immunization", doses[0])
    await exporter.delete("Immunization", doses[2])
    second = await exporter.export("Group/clinic-pkm-1/$export", _since=first["transactionTime"])
    deleted = [one["entry"][0]["request"]["url"] for one in await exporter.lines(second["deleted"])]
    assert deleted == [f"Immunization/{doses[0]}"]


async def test_whoever_need_not_wait_until_all_groups_are_read_is_told_when_to_come_again(
    exporter, districts, monkeypatch
):
    groups = exporter.served.app.state.serving.opened["north"].exports.groups
    usual = groups._within
    monkeypatch.setattr(groups, "_within", 0.0)
    answer = await exporter.get("Group")
    assert_is_problem(answer, 503, "transient")
    assert answer.headers["retry-after"] == "30"
    monkeypatch.setattr(groups, "_within", usual)
    assert (await exporter.get("Group")).json()["total"] == 4
