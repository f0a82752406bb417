"""HAPI's own `Patient/$merge` under the gateway's journal: the outcome, the history and the undoing are the same."""

import json
import re

import pytest
from tests.real_server.merge_people import family, new_nik
from tests.real_server.settled_people import Settled
from tests.real_server.test_merges_on_real_servers import RealPlace, activities

from fhir_gateway.domain.errors import TransientServerError
from fhir_gateway.fhir_server.client import FhirClient

pytestmark = pytest.mark.real_server

TELL_WHAT_WAS = ("Provenance", "AuditEvent")
TOO_MUCH_FOR_HAPI = ("Group", "List")
"""HAPI 8.8 refuses to merge whoever stands in a list of several (HAPI-2704)."""


@pytest.fixture
def there(hapi, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    place = RealPlace(tmp_path, capsys).settle(hapi)
    with (tmp_path / "environments" / "real.toml").open("a") as file:
        file.write("[merging]\nuse_server_merge = true\n")
    return place


@pytest.fixture
def asked(monkeypatch):
    """Return the statuses of the server's answers to `$merge`."""
    send, statuses = FhirClient.send, []

    async def watched(self, request):
        answer = await send(self, request)
        if request.target == "Patient/$merge":
            statuses.append(answer.status)
        return answer

    monkeypatch.setattr(FhirClient, "send", watched)
    return statuses


def without(place, *types):
    """Put another family on the server, without resources of these types."""
    place.nik = new_nik()
    resources = [one for one in family(place.nik, new_nik()) if one["resourceType"] not in types]
    place.people = Settled(place.people.base_url, resources)


def merged_and_undone(place):
    """Merge and undo; return the content after merging."""
    before = place.people.content()
    place.plan()
    code, said, err = place.apply()
    assert code == 0, err
    (merge,) = said["merges"]
    gone = [one for one in ("p1", "p2", "p3") if place.people[one] in merge["replaced"]]
    assert (merge["failed"], place.people.referring_to(*gone)) == ([], [])
    after = place.people.content()
    code, said, err = place.merge("undo", merge["merge"])
    assert (code, said["failed"], said["conflicts"]) == (0, [], []), err
    assert place.people.content() == before
    return merge, after


def shape(merge, content, people):
    """Return a merge's outcome without ids, NIKs and the order in lists, which hang on the ids that the server gave."""
    text = json.dumps(content)
    for short, name in people.names.items():
        text = text.replace(f'"{name}"', f'"{short}"').replace(f'"{name.partition("/")[2]}"', f'"{short}"')
    return merge["changed"], without_order(json.loads(re.sub(r"[0-9]{16}", "NIK", text)))


def without_order(value):
    if isinstance(value, dict):
        return {name: without_order(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return sorted(map(without_order, value), key=lambda inner: json.dumps(inner, sort_keys=True))
    return value


def test_what_hapi_merged_is_completed_journalled_and_undone(there, asked):
    without(there, *TELL_WHAT_WAS, *TOO_MUCH_FOR_HAPI)
    merge, after = merged_and_undone(there)
    assert asked == [200, 200]
    assert activities(there, merge["survivor"]).count("unmerge") == 1
    by_server = shape(merge, after, there.people)
    settings = there.home / "environments" / "real.toml"
    settings.write_text(settings.read_text().replace("use_server_merge = true", "use_server_merge = false"))
    without(there, *TELL_WHAT_WAS, *TOO_MUCH_FOR_HAPI)
    assert shape(*merged_and_undone(there), there.people) == by_server
    assert asked == [200, 200]


def test_where_hapi_would_rewrite_what_tells_of_the_past_it_is_not_asked(there, asked):
    _, after = merged_and_undone(there)
    assert asked == []
    assert after["Provenance/pv"]["target"] == [{"reference": there.people.names["Patient/p2"]}]


def test_where_hapi_refuses_the_gateway_merges_itself(there, asked):
    without(there, *TELL_WHAT_WAS)
    merged_and_undone(there)
    assert asked == [200, 400]  # what was merged before it refused is completed as well


def test_a_merge_that_is_lost_after_hapi_did_its_part_goes_on_and_is_undone_whole(there, asked, monkeypatch):
    without(there, *TELL_WHAT_WAS, *TOO_MUCH_FOR_HAPI)
    before = there.people.content()
    there.plan()
    send = FhirClient.send

    async def lost(self, request):
        if asked:
            raise TransientServerError("the server is gone")
        return await send(self, request)

    with monkeypatch.context() as patched:
        patched.setattr(FhirClient, "send", lost)
        assert there.apply()[0] == 1
    assert asked == [200]
    code, said, err = there.apply()
    assert (code, said["merges"][0]["failed"]) == (0, []), err
    assert there.merge("undo", 1)[0] == 0
    assert there.people.content() == before
