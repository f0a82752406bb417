"""Pages are looked at alike, here or in other processes; these end with the work."""

import multiprocessing
import os

import pytest
from tests.fakes.duplicated_people import NIK, OTHER_NIK, patient

from fhir_gateway.bootstrap.finding_workers import Workers
from fhir_gateway.domain.errors import LedgerError
from fhir_gateway.merging.finding_pages import look_at
from fhir_gateway.merging.finding_people import pack_unread, unpack


def told(page):
    blocks = {part: list(values) for part, values in page.blocks.items()}
    niks = {part: list(values) for part, values in page.niks.items()}
    count = page.count.result()
    people = list(map(unpack, page.records))  # one person's bytes differ with who else refers to its texts
    return people, blocks, niks, count.information("rizki"), count.people_with_phone("81200000001")


async def test_another_process_says_the_same_of_a_page_and_one_that_is_ended_is_told():
    pages = [pack_unread([patient(number, nik) for number in range(5)]) for nik in (NIK, OTHER_NIK)]
    async with Workers(processes=1) as here, Workers(processes=2, alone=1) as there:
        assert (here.together, there.together) == (1, 1)
        for first, page in enumerate(pages):
            assert told(await there.run(look_at, page, first)) == told(await here.run(look_at, page, first))
        assert there.together > 1
        assert multiprocessing.active_children()
        with pytest.raises(LedgerError, match="ended from outside"):
            await there.run(os._exit, 1)
    assert not multiprocessing.active_children()
