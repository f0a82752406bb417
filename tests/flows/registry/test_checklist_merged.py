"""How merged people look to a puller, line by line: after a merge of this gateway, over its own endpoint."""

import pytest
from tests.fakes.pulling_client import answered, newest, pulled, registered
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO

from fhir_gateway.fhir.references import id_referred_to


@pytest.fixture
def merged(place):
    """A place where two Patients were merged after a registry had pulled everything."""
    place.load(place.sheet(RATNA, RATNA_POLIO, BAYU))
    place.client = registered(place.home)
    place.before = {one["id"]: one for one in pulled(place.home, place.client, "Immunization")}
    plan = place.home / "plan.json"
    place.json("merge", "plan", *sorted(place.server("Patient")), "--out", plan)
    (merge,) = place.json("merge", "apply", plan, "--accept-conflicts")["merges"]
    place.survivor, (place.replaced,) = merge["survivor"], merge["replaced"]
    return place


def pull(place, path):
    return pulled(place.home, place.client, path)


def test_all_references_move_and_each_moved_dose_has_a_new_version_and_time(merged):
    doses = {one["id"]: one for one in pull(merged, "Immunization")}
    assert set(doses) == set(merged.before)
    assert {id_referred_to(one["patient"], "Patient") for one in doses.values()} == {merged.survivor}
    moved = [key for key, one in merged.before.items() if id_referred_to(one["patient"], "Patient") == merged.replaced]
    assert moved
    for key in moved:
        before, now = merged.before[key]["meta"], doses[key]["meta"]
        assert now["versionId"] != before["versionId"]
        assert now["lastUpdated"] > before["lastUpdated"]
    since = newest(merged.before.values()).replace("+", "%2B")
    assert {one["id"] for one in pull(merged, f"Immunization?_lastUpdated=gt{since}")} >= set(moved)


def test_the_replaced_is_inactive_linked_and_there_and_the_survivor_says_whom_it_replaces(merged):
    people = {one["id"]: one for one in pull(merged, "Patient")}
    replaced, survivor = people[merged.replaced], people[merged.survivor]
    assert replaced["active"] is False
    assert [(one["type"], one["other"]["reference"]) for one in replaced["link"]] == [
        ("replaced-by", f"Patient/{merged.survivor}")
    ]
    assert ("replaces", f"Patient/{merged.replaced}") in [
        (one["type"], one["other"]["reference"]) for one in survivor["link"]
    ]
    assert survivor.get("active") is not False


def test_a_search_by_the_replaced_id_answers_with_the_survivor_s_doses(merged):
    by_replaced = pull(merged, f"Immunization?patient={merged.replaced}")
    assert by_replaced == pull(merged, f"Immunization?patient={merged.survivor}")
    assert {one["id"] for one in by_replaced} == set(merged.before)


def test_a_warning_says_that_the_doses_are_the_survivor_s(merged):
    bundle = answered(merged.home, merged.client, f"Immunization?patient={merged.replaced}")
    (warning,) = [one["resource"] for one in bundle["entry"] if one["search"]["mode"] == "outcome"]
    (issue,) = warning["issue"]
    assert issue["severity"] == "warning"
    assert merged.replaced in issue["diagnostics"]
    assert merged.survivor in issue["diagnostics"]


def test_a_merge_is_not_a_delete(merged):
    for resource_type in ("Patient", "Immunization"):
        found = merged.server(resource_type)
        assert {one["id"] for one in pull(merged, resource_type)} == set(found)
        history = answered(merged.home, merged.client, f"{resource_type}/_history")
        assert {one["request"]["method"] for one in history["entry"]} == {"POST", "PUT"}
