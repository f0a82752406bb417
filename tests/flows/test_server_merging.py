"""A server's own `$merge` under the gateway's journal, whenever it merges and whatever comes meanwhile."""

import httpx
import pytest
from tests.fakes.disturbed_server import BASE
from tests.fakes.duplicated_people import family, observation, put_all
from tests.fakes.merging_place import read_all, referring_to
from tests.fakes.merging_server import ServersOwnMerge
from tests.flows.test_merge_apply import applied, planned

SETTINGS = "[merging]\nuse_server_merge = true\n"
PEOPLE = [one for one in family() if one["resourceType"] not in {"Provenance", "AuditEvent"}]
LATE = observation(7, "p2", note=[{"text": "came at the last moment"}])


@pytest.fixture
def merging(place, region):
    """Return a function that puts a server before the people which merges by itself; it returns (its merge, server)."""

    def put(**options):
        own = ServersOwnMerge(BASE, **options)
        server = region(after=own, settings=SETTINGS)
        own.server = server.server
        put_all(server.server, PEOPLE, base=BASE)
        return own, server

    return put


def undone(place):
    return place.run("merge", "undo", "1", "--env", "region", "--json")


@pytest.mark.parametrize("later", ["", "task", "status"])
def test_what_the_server_merges_at_once_or_later_is_undone_whole(place, merging, later):
    own, server = merging(later=later)
    before = read_all(server.server)
    code, (merge,), err = applied(place, planned(place, environment="region")[0], environment="region")
    assert (code, merge["failed"], own.asked) == (0, [], 2), err
    assert referring_to(read_all(server.server), merge["replaced"]) == []
    assert undone(place)[0] == 0
    assert read_all(server.server) == before


def test_what_comes_while_the_server_merges_is_journalled_and_undone_too(place, merging):
    own, server = merging(comes=[LATE])
    before = read_all(server.server)
    plan, _ = planned(place, environment="region")
    early = observation(8, "p2")
    put_all(server.server, [early], base=BASE)
    code, (merge,), err = applied(place, plan, environment="region")
    assert (code, merge["failed"], own.asked) == (0, [], 2), err
    content = read_all(server.server)
    assert content["Observation/o7-p2"]["subject"]["reference"] == f"Patient/{merge['survivor']}"
    assert undone(place)[0] == 0
    content = read_all(server.server)
    moved = {name: content.pop(name)["subject"]["reference"] for name in ("Observation/o7-p2", "Observation/o8-p2")}
    assert set(moved.values()) == {"Patient/p2"}
    assert content == before


def test_what_comes_to_the_survivor_itself_meanwhile_stays_there(place, merging):
    _, server = merging(comes=[observation(7, "p1")])
    applied(place, planned(place, environment="region")[0], environment="region")
    assert undone(place)[0] == 0
    assert read_all(server.server)["Observation/o7-p1"]["subject"]["reference"] == "Patient/p1"


def test_a_merge_that_the_server_gives_up_later_is_made_by_the_gateway(place, merging, caplog):
    own, server = merging(later="task", ends_as="failed")
    code, (merge,), _ = applied(place, planned(place, environment="region")[0], environment="region")
    assert (code, merge["failed"], own.asked) == (0, [], 1)
    assert "its task ended as failed" in caplog.text
    assert referring_to(read_all(server.server), merge["replaced"]) == []


def test_a_server_that_merges_later_and_does_not_say_when_is_told_and_not_overtaken(place, merging):
    _, server = merging(later="nothing")
    before = read_all(server.server)
    code, _, err = applied(place, planned(place, environment="region")[0], environment="region")
    assert code == 1
    assert "use_server_merge = false" in err
    after = read_all(server.server)
    assert {name: one for name, one in after.items() if not name.startswith("Basic/")} == before


def test_a_server_without_versions_is_told_of(place, merging, caplog):
    _, server = merging(comes=[LATE])

    def nothing_earlier(request):
        return httpx.Response(404) if "/_history" in request.url.path else None

    server.before = nothing_earlier
    assert applied(place, planned(place, environment="region")[0], environment="region")[0] == 0
    assert "--move" in caplog.text
