import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.ordered_server import START, OrderedServer

from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.flows.registry.ordered import Order, stretch
from fhir_gateway.registry.cursors import position_of


def order(**changes):
    return Order("Immunization", (), lambda _: True, **changes)


async def pages(server, asked, *, count, between=lambda _: None):
    """All ids page after page; `between` may write while the client pages."""
    got, after = [], None
    while True:
        part = await stretch(server, asked, after=after, count=count)
        got.append([one["id"] for one in part.resources])
        if not part.more:
            return got
        after = position_of(part.resources[-1])
        between(len(got))


def flat(parts):
    return [one for part in parts for one in part]


moments = st.lists(st.integers(0, 6), max_size=25)


@given(moments=moments, count=st.integers(1, 7), cap=st.integers(2, 9), newest_first=st.booleans())
@settings(deadline=None, derandomize=True)
async def test_every_resource_comes_once_whatever_the_server_cuts(moments, count, cap, newest_first):
    server = OrderedServer(moments, cap=cap)
    got = flat(await pages(server, order(newest_first=newest_first), count=count))
    expected = sorted(server.resources, key=lambda name: position_of(server.resources[name]), reverse=newest_first)
    assert got == expected


@given(moments=moments, count=st.integers(1, 7))
@settings(deadline=None, derandomize=True)
async def test_a_server_without_next_links_is_read_to_its_end(moments, count):
    server = OrderedServer(moments, links=False)
    assert sorted(flat(await pages(server, order(), count=count))) == sorted(server.resources)


@given(moments=st.lists(st.integers(0, 6), min_size=2, max_size=25), count=st.integers(1, 7), cap=st.integers(2, 9))
@settings(deadline=None, derandomize=True)
async def test_a_count_beyond_what_there_is_holds_up_no_server_that_links_its_pages(moments, count, cap):
    server = OrderedServer(moments, cap=cap, total=1000)
    assert sorted(flat(await pages(server, order(), count=count))) == sorted(server.resources)


async def test_a_count_beyond_what_is_given_without_links_is_a_cut_answer():
    with pytest.raises(PermanentServerError, match="no next links"):
        await stretch(OrderedServer(range(9), cap=4, links=False, total=9), order(), after=None, count=20)


async def test_pages_are_as_long_as_asked_for():
    parts = await pages(OrderedServer(range(10)), order(), count=4)
    assert [len(part) for part in parts] == [4, 4, 2]


@given(moments=moments, count=st.integers(1, 5), added=st.integers(0, 4), touched=st.integers(0, 24))
@settings(deadline=None, derandomize=True)
async def test_what_arrives_meanwhile_neither_hides_nor_repeats_anything(moments, count, added, touched):
    server = OrderedServer(moments, cap=4)
    before = set(server.resources)

    def write(page):
        if page == 1:
            for number in range(added):
                server.write(f"new{number}", 7)
            if f"r{touched}" in server.resources:
                server.write(f"r{touched}", 8)

    got = flat(await pages(server, order(), count=count, between=write))
    assert set(got) >= before
    again = {name for name in got if got.count(name) > 1}
    assert again <= {f"r{touched}"}


async def test_what_may_still_be_on_its_way_is_left_for_the_next_pull():
    server = OrderedServer([0, 1, 2, 3])
    assert flat(await pages(server, order(until=START.replace(second=1)), count=10)) == ["r0", "r1"]


async def test_only_what_is_wanted_counts():
    wanted = Order("Immunization", (), lambda one: one["id"] in {"r1", "r5"})
    assert await pages(OrderedServer(range(6)), wanted, count=1) == [["r1"], ["r5"]]


async def test_a_server_that_does_not_order_is_found_out():
    with pytest.raises(PermanentServerError, match="does not order"):
        await stretch(OrderedServer(range(5), ordered=False), order(), after=None, count=3)


async def test_a_server_that_does_not_say_when_is_found_out():
    server = OrderedServer([0])
    server.resources["r0"]["meta"]["lastUpdated"] = ""
    with pytest.raises(PermanentServerError, match="lastUpdated"):
        await stretch(server, order(), after=None, count=3)
