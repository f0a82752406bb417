"""What registries were told is on the disk before the answer leaves, whoever else is told something meanwhile."""

import asyncio
from datetime import UTC, datetime

import pytest

from fhir_gateway.domain.errors import LedgerError
from fhir_gateway.domain.registry import Answered, PulledVersion, PullKind, Request
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.serving.registry.pull_book import PullBook

NOW = datetime(2024, 5, 1, tzinfo=UTC)


def answered(number, version="1", client="c-1"):
    request = Request(client, f"t-{number}", PullKind.SEARCH, "Immunization", b"", "127.0.0.1", NOW)
    return Answered(request, 1, (PulledVersion("Immunization/1", version),), frozenset({f"p-{number}"}))


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/ledger.db"


async def test_what_is_written_at_the_same_time_is_all_there_in_its_order(url):
    book = PullBook(lambda: Ledger(url))
    await asyncio.gather(*(book.write(answered(number, str(number))) for number in range(250)))
    await book.close()
    with Ledger(url) as ledger:
        pulls = ledger.pulls.all()
        assert [pull.request.token for pull in reversed(pulls)] == [f"t-{number}" for number in range(250)]
        assert all(list(ledger.pulls.patients_of(pull.id)) == [f"p-{pull.request.token[2:]}"] for pull in pulls)


async def test_it_is_there_once_writing_returns(url):
    book = PullBook(lambda: Ledger(url))
    await book.write(answered(1))
    with Ledger(url) as ledger:
        assert len(ledger.pulls.all()) == 1
    await book.close()


async def test_who_goes_away_meanwhile_was_told_all_the_same(url):
    book = PullBook(lambda: Ledger(url))
    task = asyncio.create_task(book.write(answered(1)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await book.close()
    with Ledger(url) as ledger:
        assert len(ledger.pulls.all()) == 1


class Choosy(Ledger):
    """A ledger that refuses one client's pulls."""

    def __init__(self, url):
        super().__init__(url)
        self.asked = []
        record_all = self.pulls.record_all

        def recorded(answers):
            self.asked.append(len(answers))
            if any(one.request.client == "bad" for one in answers):
                raise LedgerError("the disk is full")
            return record_all(answers)

        self.pulls.record_all = recorded


async def test_one_that_cannot_be_written_takes_no_other_with_it(url):
    book = PullBook(lambda: Choosy(url))
    clients = ["a", "bad", "b"]
    outcomes = await asyncio.gather(
        *(book.write(answered(number, client=one)) for number, one in enumerate(clients)), return_exceptions=True
    )
    await book.close()
    assert [type(one) for one in outcomes] == [type(None), LedgerError, type(None)]
    with Ledger(url) as ledger:
        assert sorted(pull.request.client for pull in ledger.pulls.all()) == ["a", "b"]


async def test_a_ledger_out_of_reach_is_told_and_tried_again(url):
    ledgers = iter([LedgerError("out of reach"), None])

    def opened():
        if error := next(ledgers):
            raise error
        return Ledger(url)

    book = PullBook(opened)
    with pytest.raises(LedgerError):
        await book.write(answered(1))
    await book.write(answered(2))
    await book.close()
