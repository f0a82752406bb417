"""What a search does not find: it may be there all the same, and is read; or it is gone, and is asked about."""

import httpx
import orjson
import pytest
from tests.fakes.disturbed_server import BASE, holds
from tests.fakes.manners import rewritten, searchsets
from tests.fakes.scripted_server import answer, outcome
from tests.flows.conftest import RATNA, RATNA_POLIO
from tests.flows.loading_from_region import content, counts, load

from fhir_gateway.embedded_server import interactions

CORRECTED = tuple(row.replace("B100", "B101") for row in (RATNA, RATNA_POLIO))


class LaggingIndex:
    """A disturbance: searches for these types show what stood there when `catch_up` was called last."""

    def __init__(self, *types):
        self._types = types
        self._shown = {}
        self.server = None

    def catch_up(self):
        stored = self.server.server
        self._shown = {}
        for resource_type in self._types:
            said = stored.handle("GET", f"/{resource_type}", query="_count=500", headers={}, body=b"", base=BASE)
            entries = orjson.loads(said.body).get("entry", [])
            self._shown |= {f"{resource_type}/{entry['resource']['id']}": entry["resource"] for entry in entries}

    def after(self, _, response):
        body = orjson.loads(response.content) if response.content[:1] == b"{" else None
        for bundle in searchsets(body):
            if any(entry["resource"]["resourceType"] in self._types for entry in bundle.get("entry", [])):
                bundle["entry"] = [
                    {**entry, "resource": self._shown[name]}
                    for entry in bundle["entry"]
                    if (name := f"{entry['resource']['resourceType']}/{entry['resource']['id']}") in self._shown
                ]
                bundle.pop("total", None)
        return rewritten(response, body) if body is not None else None


@pytest.fixture
def lagging(region):
    """Return a function that puts the region's server behind an index that lags for these types."""

    def lagging(*types, before=None):
        index = LaggingIndex(*types)
        index.server = region(before=before, after=index.after)
        return index

    return lagging


@pytest.mark.parametrize("types", [("Patient", "Immunization"), ("Immunization",)])
def test_a_correction_reaches_what_no_search_finds_yet(place, lagging, types):
    lagging(*types)
    load(place, place.sheet(RATNA, RATNA_POLIO))
    code, summary, _ = load(place, place.sheet(*CORRECTED))
    assert (code, counts(summary)) == (0, {"loaded": 1, "unchanged": 1})
    _, doses = content(place)
    assert sorted(dose["lotNumber"] for dose in doses.values()) == ["B101", "P200"]


def test_another_clinic_s_doses_are_linked_to_those_that_no_search_finds_yet(place, lagging):
    lagging("Immunization")
    load(place, place.sheet(RATNA, RATNA_POLIO))
    code, _, _ = load(place, place.sheet(RATNA, RATNA_POLIO, name="other.csv"), "--clinic", "other")
    people, doses = content(place)
    assert (code, len(people), len(doses)) == (0, 1, 2)


def test_an_update_whose_answer_was_lost_meets_its_own_version(place, lagging):
    lost = iter([True])

    def lose(request):
        is_update = holds(request, "Immunization") and b'"PUT"' in request.content
        if is_update and next(lost, False):
            index.server.answer(request)
            raise httpx.ReadError("cut")

    index = lagging("Patient", "Immunization", before=lose)
    load(place, place.sheet(RATNA, RATNA_POLIO))
    index.catch_up()
    code, summary, _ = load(place, place.sheet(*CORRECTED))
    assert next(lost, False) is False
    assert (code, counts(summary)) == (0, {"loaded": 1, "unchanged": 1})


def test_what_cannot_be_searched_by_its_id_is_read(place, region):
    def refuse(request):
        asked = request.content if request.url.path.endswith("_search") else request.url.query
        return answer(400, outcome(text="_id is not supported")) if b"_id=" in asked else None

    server = region(before=refuse)
    load(place, place.sheet(RATNA, RATNA_POLIO))
    code, summary, _ = load(place, place.sheet(*CORRECTED))
    assert (code, counts(summary)) == (0, {"loaded": 1, "unchanged": 1})
    (polio,) = [own for own, dose in content(place)[1].items() if dose["lotNumber"] == "P200"]
    server.server.handle("DELETE", f"/Immunization/{polio}", query="", headers={}, body=b"", base=BASE)
    code, summary, _ = load(place, place.sheet(*CORRECTED))
    assert (code, summary["reasons"]) == (3, {"dose-gone": 1})


def test_a_dose_that_went_with_its_patient_is_created_again_where_an_operator_says_so(place, region):
    server = region()
    load(place, place.sheet(RATNA, RATNA_POLIO))
    for kind, resources in zip(("Immunization", "Patient"), reversed(content(place)), strict=True):
        for own in resources:
            server.server.handle("DELETE", f"/{kind}/{own}", query="", headers={}, body=b"", base=BASE)
    code, summary, _ = load(place, place.sheet(RATNA, RATNA_POLIO))
    assert (code, summary["reasons"]) == (3, {"dose-gone": 2})
    for review in place.json("review", "list", "--env", "region"):
        assert place.run("review", "create", review["id"], "--env", "region")[0] == 0
    people, doses = content(place)
    assert (len(people), len(doses)) == (1, 2)
    assert load(place, place.sheet(RATNA, RATNA_POLIO))[0] == 0


@pytest.fixture
def bereft(place, region, monkeypatch):
    """A server that lets a Patient be deleted to whom doses refer did so."""
    server = region()
    load(place, place.sheet(RATNA, RATNA_POLIO))
    (gone,), doses = content(place)
    monkeypatch.setattr(interactions, "check_unreferenced", lambda *_: None)
    server.server.handle("DELETE", f"/Patient/{gone}", query="", headers={}, body=b"", base=BASE)
    code, summary, _ = load(place, place.sheet(RATNA, RATNA_POLIO))
    assert (code, summary["reasons"], content(place)) == (3, {"patient-gone": 2}, ({}, doses))
    return gone


def test_a_patient_who_was_deleted_while_her_doses_stand_is_created_where_an_operator_says_so(place, bereft):
    for review in place.json("review", "list", "--env", "region"):
        assert place.run("review", "create", review["id"], "--env", "region")[0] == 0
    (new,), doses = content(place)
    assert new != bereft
    assert {dose["patient"]["reference"] for dose in doses.values()} == {f"Patient/{new}"}
    assert (len(doses), load(place, place.sheet(RATNA, RATNA_POLIO))[0]) == (2, 0)
    assert load(place, place.sheet(RATNA, RATNA_POLIO))[1]["unchanged"] == 2
    assert len(content(place)[1]) == 2


def test_a_row_of_a_patient_who_was_deleted_can_be_rejected(place, bereft):
    for review in place.json("review", "list", "--env", "region"):
        place.run("review", "reject", review["id"], "--reason", "moved away", "--env", "region")
    assert load(place, place.sheet(RATNA, RATNA_POLIO))[1]["rejected"] == 2
    assert bereft not in content(place)[0]
