"""Lists of dates, on servers that take one date a search (HAPI answers 400 to a list)."""

import json
from urllib.parse import parse_qs

import pytest
from tests.fakes.scripted_server import ScriptedServer, answer, html, outcome, searchset

from fhir_gateway.domain.errors import AccessRefusedError, UntrustedAnswerError

DAYS = tuple(f"2020-01-{day:02}" for day in range(1, 31)) + tuple(f"2020-03-{day:02}" for day in range(1, 31))


def born(day):
    return {"resourceType": "Patient", "id": f"born-{day}", "birthDate": day, "gender": "female"}


def one_date(query):
    """Return status and body of a search with these parameters."""
    days = parse_qs(query)["birthdate"][0].split(",")
    return (400, outcome(text="no lists")) if len(days) > 1 else (200, searchset(born(days[0])))


def takes_one_date(*, in_batch=None, entry=one_date):
    """Return a server whose birth dates are asked one by one; `in_batch` answers batches in its place."""

    def handler(request):
        if request.url.path.endswith("_search"):
            status, body = one_date(request.content.decode())
            return answer(status, body)
        if in_batch is not None:
            return in_batch(request)
        asked = [one["request"]["url"].partition("?")[2] for one in json.loads(request.content)["entry"]]
        entries = [{"response": {"status": str(status)}, "resource": body} for status, body in map(entry, asked)]
        return answer(body={"resourceType": "Bundle", "type": "batch-response", "entry": entries})

    return ScriptedServer(handler)


async def search(server, days=DAYS):
    async with server.reader() as reader:
        return [one["id"] async for one in reader.search("Patient", {"birthdate": days, "gender": ["female"]})]


async def test_sixty_dates_take_one_refused_search_and_three_batches():
    server = takes_one_date()
    assert await search(server) == [f"born-{day}" for day in DAYS]
    assert server.asked() == ["POST /r4/Patient/_search", *["POST /r4"] * 3]


async def test_a_server_that_takes_one_date_is_not_asked_for_a_list_again():
    server = takes_one_date()
    async with server.reader() as reader:
        for _ in range(2):
            found = [one["id"] async for one in reader.search("Patient", {"birthdate": DAYS[:3]})]
            assert len(found) == 3
    assert server.asked() == ["POST /r4/Patient/_search", "POST /r4", "POST /r4"]


@pytest.mark.parametrize(
    "refusal", [answer(501, outcome()), answer(400, outcome()), answer(403), answer(200, {}), html()]
)
async def test_where_batches_are_refused_dates_are_asked_one_by_one(refusal):
    server = takes_one_date(in_batch=lambda _: refusal)
    assert await search(server, DAYS[:5]) == [f"born-{day}" for day in DAYS[:5]]


async def test_an_entry_that_failed_is_asked_alone():
    def entry(query):
        return (500, outcome()) if DAYS[3] in query else one_date(query)

    server = takes_one_date(entry=entry)
    assert await search(server, DAYS[:5]) == [f"born-{day}" for day in DAYS[:5]]
    assert server.asked() == ["POST /r4/Patient/_search", "POST /r4", "POST /r4/Patient/_search"]


async def test_all_pages_of_a_batched_search_are_read():
    later = {"resourceType": "Patient", "id": "later", "birthDate": DAYS[0], "gender": "female"}

    def entry(query):
        status, page = one_date(query)
        more = [{"relation": "next", "url": "http://fhir.test/r4?page=2"}] if DAYS[0] in query else []
        return status, {**page, "link": more}

    server = takes_one_date(entry=entry)
    batched = server.handler
    server.handler = lambda request: answer(body=searchset(later)) if request.method == "GET" else batched(request)
    assert await search(server, DAYS[:2]) == [f"born-{DAYS[0]}", "later", f"born-{DAYS[1]}"]


async def test_a_batched_answer_to_another_question_is_not_trusted():
    server = takes_one_date(entry=lambda _: (200, searchset(born("1999-09-09"))))
    with pytest.raises(UntrustedAnswerError, match="birthdate"):
        await search(server)


async def test_refused_credentials_end_it():
    with pytest.raises(AccessRefusedError):
        await search(takes_one_date(in_batch=lambda _: answer(401, outcome())))
