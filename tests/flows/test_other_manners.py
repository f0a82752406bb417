"""Servers with many manners at once, all within R4 or seen: what a plain one ends with, they end with."""

import pytest
from tests.fakes.disturbed_server import BASE
from tests.fakes.duplicated_people import family, put_all
from tests.fakes.manners import MANNERS, behave, enrich, normalise
from tests.fakes.merging_place import read_all, referring_to
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO, VITAMIN
from tests.flows.loading_from_region import content, counts, load
from tests.flows.server_content import canonical
from tests.flows.test_interruption import SHARED_NIK
from tests.flows.test_merge_apply import applied, planned
from tests.flows.test_merge_undo import undo

ROWS = (RATNA, RATNA_POLIO, BAYU, VITAMIN, SHARED_NIK)
CORRECTED = tuple(row.replace("B100", "B101") for row in ROWS)

SERVERS = {
    "of few words": (
        "no totals", "entries are bare", "no etags", "content location", "no searches are declared", "one a page",
        "bundles are missing", "the deleted are missing",
    ),
    "strict": (
        "nine entries", "short addresses", "conditions are refused", "slow down", "totals are too large",
        "times have nanoseconds", "matches are shuffled",
        "lists of ids are cut",
    ),
    "of a nation": (
        "resources are enriched", "names are normalised", "versions are words", "answers are remarked upon",
        "links are relative", "everything is returned", "answers are compressed", "nothing is declared", "maintenance",
    ),
    "without bundles": (
        "bundles are unprocessable", "conditions are refused", "resources are enriched", "versions are words",
        "one a page", "links are relative", "slow down",
    ),
    "that refuses bundles": (
        "bundles are bad", "names are normalised", "no totals", "no etags", "answers are compressed",
        "no searches are declared", "matches are shuffled", "answers are remarked upon",
    ),
    "of a framework": (
        "bundles are missing", "conditions are ignored", "all on one page", "receipts are terse", "entries are bare",
        "everything is returned", "lists are cut",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def first():
    """Keep what the plain server ended with: all others are held against it."""
    return {}


def told_alike(resources):
    """Return resources as the most talkative of these servers shows them."""
    for one in resources.values():
        normalise(one)
        enrich(one)
    return resources


def test_every_manner_is_tried():
    assert {manner for manners in SERVERS.values() for manner in manners} == set(MANNERS)


@pytest.mark.parametrize("manners", ["plain", *SERVERS])
def test_the_same_people_doses_and_merges_stand_on_it(place, region, first, manners):
    before, after = behave(*SERVERS.get(manners, ()))
    server = region(before=before, after=after)
    summaries = [load(place, place.sheet(*rows))[1] for rows in (ROWS, ROWS, CORRECTED)]
    books = [(counts(summary), summary["reasons"]) for summary in summaries]
    people = canonical(*map(told_alike, content(place)))

    put_all(server.server, family(), base=BASE)
    there = told_alike(read_all(server.server))
    plan, _ = planned(place, environment="region")
    code, merges, err = applied(place, plan, environment="region")
    assert merges is not None, err
    (merge,) = merges
    assert (code, merge["failed"]) == (0, [])
    assert referring_to(read_all(server.server), merge["replaced"]) == []
    code, undone, err = undo(place, environment="region")
    assert undone is not None, err
    assert (code, undone["state"], undone["conflicts"], undone["failed"]) == (0, "undone", [], [])
    assert told_alike(read_all(server.server)) == there

    assert (books, people) == first.setdefault("end", (books, people))
