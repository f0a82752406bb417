"""Pages of a history: nothing skipped, nothing twice, whatever is written while a client pages."""

from datetime import UTC, datetime, timedelta
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.domain.errors import PageExpiredError, PermanentServerError
from fhir_gateway.flows.registry.histories import history
from fhir_gateway.ports.exports import PastVersion
from fhir_gateway.registry.histories import HistorySearch, place_of

START = datetime(2024, 1, 1, tzinfo=UTC)


def version(resource_id, number, moment, *, gone=False):
    meta = {"versionId": str(number)}
    resource = None if gone else {"resourceType": "Immunization", "id": resource_id, "meta": meta}
    return PastVersion("Immunization", resource_id, START + timedelta(seconds=moment), resource, number == 1)


class RememberingServer:
    """Fulfils ports.exports.FhirHistory; among versions of one moment the order changes with each question."""

    def __init__(self, versions):
        self.versions = list(versions)
        self.asked = 0
        self.told = 0
        self.forgotten = set()

    async def is_kept(self, resource_type):
        return True

    async def since(self, resource_type, moment):
        self.asked += 1
        ties = sorted(self.versions, key=lambda one: crc32(f"{self.asked}{one.id}".encode()))
        for one in sorted(ties, key=lambda one: one.updated, reverse=True):
            if one.updated >= moment:
                yield one

    async def pages(self, resource_type, moment, *, size, link=""):
        """Links are moments: whole moments make a page, so that what comes later is told behind a link, too."""
        if link in self.forgotten:
            raise PageExpiredError("forgotten")
        page = []
        async for one in self.since(resource_type, moment):
            if link and one.updated > datetime.fromisoformat(link):
                continue
            self.told += 1
            if page and len(page) >= size:
                yield page[0].updated.isoformat(), page
                page = []
            page.append(one)
        if page:
            yield page[0].updated.isoformat(), page

    async def of(self, resource_type, resource_id):
        return [one async for one in self.since(resource_type, START) if one.id == resource_id]


async def pages(server, asked, between=lambda: None):
    got, after, link = [], None, ""
    while True:
        page = await history(asked, server, after=after, link=link)
        got += page.versions
        if not page.more:
            return got
        after, link = place_of(page.versions[-1]), page.link
        between()


moments = st.lists(st.integers(0, 5), max_size=20)


@given(moments=moments, count=st.integers(1, 7), since=st.integers(-1, 6), added=st.integers(0, 3))
@settings(deadline=None, derandomize=True)
async def test_every_version_comes_once_from_the_newest_back(moments, count, since, added):
    server = RememberingServer(version(f"r{n}", 1, moment, gone=n % 3 == 0) for n, moment in enumerate(moments))
    asked = HistorySearch("Immunization", since=START + timedelta(seconds=since), count=count)
    expected = [one for one in server.versions if one.updated >= asked.since]

    def write():
        number = len(server.versions)
        server.versions += [version(f"new{number}-{n}", 1, 9) for n in range(added)]

    got = await pages(server, asked, write)
    assert sorted(got, key=place_of) == sorted(expected, key=place_of)
    assert [one.updated for one in got] == sorted((one.updated for one in got), reverse=True)


async def test_one_resource_s_versions_only():
    server = RememberingServer([version("a", 1, 1), version("b", 1, 2), version("a", 2, 3), version("a", 3, 4)])
    found = await pages(server, HistorySearch("Immunization", "a", START + timedelta(seconds=2), 1))
    assert [place_of(one).version for one in found] == ["3", "2"]


async def test_what_may_still_be_on_its_way_is_left_for_the_next_time():
    server = RememberingServer([version("a", 1, 1), version("b", 1, 5)])
    page = await history(HistorySearch("Immunization"), server, after=None, until=START + timedelta(seconds=4))
    assert [one.id for one in page.versions] == ["a"]


async def test_a_server_that_tells_its_history_in_another_order_is_found_out():
    class Backwards(RememberingServer):
        async def since(self, resource_type, moment):
            for one in self.versions:
                yield one

    server = Backwards([version("a", 1, 1), version("b", 1, 5)])
    with pytest.raises(PermanentServerError, match="newest version back"):
        await history(HistorySearch("Immunization"), server, after=None)


async def test_a_page_is_read_from_where_the_one_before_ended():
    server = RememberingServer(version(f"r{n}", 1, n) for n in range(200))
    assert len(await pages(server, HistorySearch("Immunization", count=10))) == 200
    assert server.told < 3 * 200


async def test_where_the_server_has_forgotten_its_page_it_is_asked_from_the_newest_version_on():
    server = RememberingServer(version(f"r{n}", 1, n) for n in range(9))
    first = await history(HistorySearch("Immunization", count=4), server, after=None)
    server.forgotten.add(first.link)
    second = await history(
        HistorySearch("Immunization", count=4), server, after=place_of(first.versions[-1]), link=first.link
    )
    assert [one.id for one in second.versions] == ["r4", "r3", "r2", "r1"]
