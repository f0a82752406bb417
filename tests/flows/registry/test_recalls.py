"""What was taken back after a registry had pulled it: who has it, since when, and when the right version has come."""

import json

from tests.fakes.pulling_client import newest, pulled, registered
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO

from fhir_gateway.embedded_server.server import EmbeddedServer

TWIN = RATNA_POLIO.replace("081210001001", "081210009999")
"""The same words but for another phone: linked to Ratna without asking."""


class Registry:
    """A registry that pulls Immunizations and Patients, the first time all and then what has changed since."""

    def __init__(self, place, name="Registry"):
        self.place = place
        self.id = registered(place.home, name=name)
        self.since = {}
        self.content = {}

    def pull(self):
        """Pull what is new; return the names of what came."""
        came = []
        for resource_type in ("Immunization", "Patient"):
            since = self.since.get(resource_type, "")
            asked = f"?_lastUpdated=gt{since}".replace("+", "%2B") if since else ""
            found = pulled(self.place.home, self.id, resource_type + asked)
            if found:
                self.since[resource_type] = newest(found)
            came += [f"{resource_type}/{one['id']}" for one in found]
            self.content |= {f"{resource_type}/{one['id']}": one for one in found}
        return sorted(came)

    def recalls(self, *options):
        return self.place.json("registry", "recalls", "--client", self.id, *options)


def named(recalls):
    return sorted((one["resource"], one["reason"]) for one in recalls)


def dose_of(place, lot):
    (found,) = [one for one in place.server("Immunization").values() if one["lotNumber"] == lot]
    return f"Immunization/{found['id']}"


def edit(place, name, **elements):
    """Change a resource on the embedded server as somebody does who knows nothing of the gateway."""
    resource_type, _, resource_id = name.partition("/")
    body = json.dumps(place.server(resource_type)[resource_id] | elements).encode()
    server = EmbeddedServer(place.home / ".fhir-gateway" / "embedded")
    try:
        headers = {"Content-Type": "application/fhir+json"}
        assert server.handle("PUT", f"/{name}", headers=headers, body=body).status == 200
    finally:
        server.close()


def assert_settled_by_next_pull(registry, wrong):
    """Assert that the next pull brings the newer versions, and that nothing is outstanding then."""
    assert set(wrong) <= set(registry.pull())
    assert registry.recalls() == []
    settled = registry.recalls("--all")
    assert {one["resource"] for one in settled} >= set(wrong)
    assert all(one["settled"] and one["outstanding_seconds"] is None for one in settled)
    assert registry.pull() == []


def test_a_link_taken_apart_is_outstanding_until_the_right_version_is_pulled(place):
    place.load(place.sheet(RATNA, TWIN, BAYU))
    registry, late = Registry(place), Registry(place, "Late")
    registry.pull()
    before = registry.content[dose_of(place, "P200")]
    done = place.json("review", "unlink", 1, 2)
    wrong = [dose_of(place, "P200"), f"Patient/{done['from']}"]
    found = registry.recalls()
    assert named(found) == [(one, "unlinked") for one in wrong]
    assert {one["version"] for one in found if one["resource"] == wrong[0]} == {before["meta"]["versionId"]}
    assert all(one["pulled"] < one["taken_back"] and one["outstanding_seconds"] >= 0 for one in found)
    assert all(one["name"] == "Registry" for one in found)
    assert late.recalls() == []
    assert_settled_by_next_pull(registry, wrong)
    assert registry.content[wrong[0]]["patient"]["reference"] == f"Patient/{done['to']}"


def test_what_came_after_the_taking_apart_is_right(place):
    place.load(place.sheet(RATNA, TWIN))
    place.json("review", "unlink", 1, 2)
    registry = Registry(place)
    registry.pull()
    assert registry.recalls("--all") == []


def test_an_answer_taken_back_is_outstanding(place):
    place.load(place.sheet(RATNA, TWIN))
    done = place.json("review", "unlink", 1, 2)
    registry = Registry(place)
    registry.pull()
    place.json("review", "undo", 1, "--to", done["from"])
    wrong = dose_of(place, "P200")
    assert (wrong, "unlinked") in named(registry.recalls())
    assert_settled_by_next_pull(registry, [wrong])


def test_a_merge_and_its_undoing_are_each_outstanding_until_they_are_pulled(place):
    place.load(place.sheet(RATNA, BAYU))
    people = sorted(place.server("Patient"))
    registry = Registry(place)
    registry.pull()
    plan = place.home / "plan.json"
    place.json("merge", "plan", *people, "--out", plan)
    code, _, err = place.run("merge", "apply", plan, "--accept-conflicts")
    assert code == 0, err
    everything = [f"Patient/{one}" for one in people]
    merged = named(registry.recalls())
    assert {one for one, _ in merged} > set(everything)
    assert {reason for _, reason in merged} == {"merged"}
    assert_settled_by_next_pull(registry, [one for one, _ in merged])

    (merge,) = place.json("merge", "history")
    code, _, err = place.run("merge", "undo", merge["merge"])
    assert code == 0, err
    assert named(registry.recalls()) == [(one, "merge-undone") for one, _ in merged]
    assert_settled_by_next_pull(registry, [one for one, _ in merged])


def test_who_pulled_before_a_merge_and_not_until_it_was_undone_has_been_wrong_since_the_merge(place):
    place.load(place.sheet(RATNA, BAYU))
    people = sorted(place.server("Patient"))
    registry = Registry(place)
    registry.pull()
    plan = place.home / "plan.json"
    place.json("merge", "plan", *people, "--out", plan)
    place.run("merge", "apply", plan, "--accept-conflicts")
    outstanding = registry.recalls()
    (merge,) = place.json("merge", "history")
    place.run("merge", "undo", merge["merge"])
    assert [(one["resource"], one["taken_back"]) for one in registry.recalls()] == [
        (one["resource"], one["taken_back"]) for one in outstanding
    ]
    assert_settled_by_next_pull(registry, [one["resource"] for one in outstanding])


def test_a_dose_that_its_own_record_takes_back_is_outstanding(place):
    given, refused = RATNA, RATNA.replace(";1;B100", ";1;menolak")
    place.load(place.sheet(given, BAYU))
    registry = Registry(place)
    registry.pull()
    wrong = next(
        f"Immunization/{one['id']}"
        for one in place.server("Immunization").values()
        if one["occurrenceDateTime"] == "2020-04-15"
    )
    place.load(place.sheet(refused, BAYU, name="next.csv"))
    assert registry.recalls()
    assert named(registry.recalls()) == [(wrong, "corrected")]
    assert_settled_by_next_pull(registry, [wrong])
    assert registry.content[wrong]["status"] == "not-done"


def test_a_correction_of_a_dose_that_was_given_is_no_recall(place):
    place.load(place.sheet(RATNA))
    registry = Registry(place)
    registry.pull()
    place.load(place.sheet(RATNA.replace("B100", "B101"), name="next.csv"))
    assert registry.recalls("--all") == []
    assert len(registry.pull()) == 1


def test_a_dose_that_somebody_takes_back_on_the_server_is_outstanding(place):
    place.load(place.sheet(RATNA))
    registry, late = Registry(place), Registry(place, "Late")
    registry.pull()
    assert registry.recalls() == []
    by_hand = dose_of(place, "B100")
    edit(place, by_hand, status="entered-in-error")
    late.pull()
    assert named(registry.recalls()) == [(by_hand, "withdrawn")]
    assert late.recalls() == []
    edit(place, by_hand, note=[{"text": "a slip"}])
    assert named(late.recalls("--all")) == []
    assert_settled_by_next_pull(registry, [by_hand])
    assert registry.content[by_hand]["status"] == "entered-in-error"


def test_a_dose_that_was_edited_but_given_is_no_recall(place):
    place.load(place.sheet(RATNA))
    registry = Registry(place)
    registry.pull()
    edit(place, dose_of(place, "B100"), lotNumber="B101")
    assert registry.recalls() == []


def test_what_is_known_is_listed_where_the_server_does_not_answer(place):
    place.load(place.sheet(RATNA, TWIN, BAYU))
    registry = Registry(place)
    registry.pull()
    place.json("review", "unlink", 1, 2)
    (place.home / ".fhir-gateway" / "embedded" / "fhir.db").write_bytes(b"no database")
    code, out, err = place.run("registry", "recalls", "--json")
    assert (code, len(json.loads(out))) == (0, 2)
    assert "was not asked" in err
