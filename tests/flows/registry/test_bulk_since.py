"""Bulk Data Access v2, since last time: what was written, merged and deleted."""

from datetime import datetime, timedelta

import pytest
from tests.fakes.served_gateway import assert_is_problem
from tests.flows.registry.exporting import BOBOTSARI, LEVELS, dose, parameters

from fhir_gateway.domain.posting import BundleEntry


async def test_since_gives_what_was_written_strictly_after(exporter, districts):
    people, doses = districts
    first = await exporter.export()
    assert await exporter.exported(_since=first["transactionTime"]) == set()
    await exporter.change("Immunization", doses[1], status="entered-in-error")
    (new,) = await exporter.fill(dose(people[0], 9))
    second = await exporter.export(_since=first["transactionTime"])
    assert {one["id"] for one in await exporter.lines(second["output"])} == {doses[1], new}
    assert second["deleted"] == []


async def test_until_gives_what_was_written_before(exporter, districts):
    people, doses = districts
    first = await exporter.export()
    await exporter.fill(dose(people[0], 9))
    until = datetime.fromisoformat(first["transactionTime"]) + timedelta(microseconds=1)
    assert await exporter.exported(_until=until.isoformat()) == {*people, *doses}


async def test_merged_people_come_as_replaced_and_their_doses_as_the_survivors(exporter, districts):
    people, doses = districts
    first = await exporter.export()
    link = {"other": {"reference": f"Patient/{people[0]}"}, "type": "replaced-by"}
    await exporter.change("Immunization", doses[1], patient={"reference": f"Patient/{people[0]}"})
    await exporter.change("Patient", people[1], active=False, link=[link])
    for path in LEVELS:
        second = await exporter.export(path, _since=first["transactionTime"])
        found = {one["id"]: one for one in await exporter.lines(second["output"])}
        assert set(found) == {people[1], doses[1]}
        assert found[people[1]]["active"] is False
        assert found[doses[1]]["patient"]["reference"] == f"Patient/{people[0]}"
        assert second["deleted"] == []


async def test_a_replaced_person_who_is_named_brings_the_survivors_doses(exporter, districts):
    people, doses = districts
    link = {"other": {"reference": f"Patient/{people[0]}"}, "type": "replaced-by"}
    await exporter.change("Immunization", doses[1], patient={"reference": f"Patient/{people[0]}"})
    await exporter.change("Patient", people[1], active=False, link=[link])
    body = parameters(patient=f"Patient/{people[1]}")
    assert await exporter.exported("Patient/$export", body=body) == {people[0], people[1], doses[0], doses[1]}


async def test_deletions_are_transaction_bundles_and_never_also_in_output(exporter, districts):
    _, doses = districts
    first = await exporter.export()
    await exporter.delete("Immunization", doses[0])
    second = await exporter.export(_since=first["transactionTime"])
    (deleted,) = await exporter.lines(second["deleted"])
    assert deleted == {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": f"Immunization/{doses[0]}"}}],
    }
    assert second["output"] == []
    third = await exporter.export(_since=second["transactionTime"])
    assert third["deleted"] == []


async def test_what_is_there_again_is_no_deletion(exporter, districts):
    people, doses = districts
    first = await exporter.export()
    await exporter.delete("Immunization", doses[0])
    again = dose(people[0], 0) | {"id": doses[0]}
    await exporter.send(BundleEntry("1", "PUT", f"Immunization/{doses[0]}", again))
    second = await exporter.export(_since=first["transactionTime"])
    assert [one["id"] for one in await exporter.lines(second["output"])] == [doses[0]]
    assert second["deleted"] == []


def provenance(name, *targets):
    return BundleEntry(
        name,
        "PUT",
        f"Provenance/{name}",
        {
            "resourceType": "Provenance",
            "id": name,
            "target": [{"reference": one} for one in targets],
            "recorded": "2024-05-01T00:00:00Z",
            "agent": [{"who": {"display": "Sari"}}],
        },
    )


@pytest.mark.parametrize(
    ("which", "expected"),
    [("LatestProvenanceResources", {"pv-3", "pv-2"}), ("RelevantProvenanceResources", {"pv-1", "pv-2", "pv-3"})],
)
async def test_provenance_comes_along_when_asked_for(exporter, districts, which, expected):
    people, doses = districts
    both = [f"Patient/{people[0]}/_history/1", f"Immunization/{doses[1]}"]
    for name, targets in (("pv-1", both[:1]), ("pv-2", both), ("pv-3", both[:1]), ("pv-4", [f"Patient/{people[2]}"])):
        await exporter.send(provenance(name, *targets))
    manifest = await exporter.export(f"Group/district-{BOBOTSARI}/$export", includeAssociatedData=which)
    found = await exporter.lines([one for one in manifest["output"] if one["type"] == "Provenance"])
    assert {one["id"] for one in found} == expected
    token = await exporter.token("system/Patient.rs")
    assert_is_problem(await exporter.kick_off(token=token, _type="Patient", includeAssociatedData=which), 403)
