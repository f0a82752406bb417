from urllib.parse import parse_qs

import pytest
from tests.fakes.scripted_server import ScriptedServer, answer, html, outcome, searchset, statement

from fhir_gateway.domain.errors import PermanentServerError, UntrustedAnswerError

NIK = "https://fhir.kemkes.go.id/id/nik"


def patient(number, **changes):
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "identifier": [{"system": NIK, "value": str(number)}],
        "birthDate": "2020-01-02",
        **changes,
    }


def asks(request):
    """Return the search parameters of a request, wherever they stand."""
    text = request.content.decode() if request.method == "POST" else request.url.query.decode()
    return parse_qs(text, keep_blank_values=True)


async def search(server, parameters=None, **policy):
    wanted = parameters or {"identifier": [f"{NIK}|1"]}
    async with server.reader(**policy) as reader:
        return [one["id"] async for one in reader.search("Patient", wanted)]


async def test_what_tells_of_a_person_travels_in_the_body():
    server = ScriptedServer(lambda _: answer(body=searchset(patient(1))))
    assert await search(server) == ["p1"]
    assert server.asked() == ["POST /r4/Patient/_search"]
    request = server.requests[0]
    assert request.headers["Prefer"] == "handling=strict"
    assert request.headers["Cache-Control"] == "no-cache"
    assert asks(request)["identifier"] == [f"{NIK}|1"]


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_server_without_post_search_gets_personal_searches_inside_of_a_batch(status):
    def handler(request):
        if request.url.path.endswith("_search"):
            return answer(status, outcome())
        entry = {"resource": searchset(patient(1)), "response": {"status": "200"}}
        return answer(body={"resourceType": "Bundle", "type": "batch-response", "entry": [entry]})

    server = ScriptedServer(handler)
    assert await search(server) == ["p1"]
    assert server.asked() == ["POST /r4/Patient/_search", "POST /r4"]
    assert b"nik%7C1" in server.requests[1].content


async def test_a_server_without_post_search_gets_impersonal_searches_as_get():
    def handler(request):
        return answer(405, outcome()) if request.method == "POST" else answer(body=searchset(patient(1)))

    server = ScriptedServer(handler)
    assert await search(server, {"_id": ["p1"]}) == ["p1"]
    assert server.asked()[1].startswith("GET /r4/Patient?_id=p1")


async def test_many_values_go_in_few_searches():
    def handler(request):
        tokens = asks(request)["identifier"][0].split(",")
        return answer(body=searchset(*(patient(token.rpartition("|")[2]) for token in tokens), total=len(tokens)))

    server = ScriptedServer(handler)
    found = await search(server, {"identifier": [f"{NIK}|{number}" for number in range(450)]})
    assert len(found) == 450
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "identifiers",
    [
        [],
        [{"system": NIK, "value": "################"}],
        [{"system": NIK, "value": "33##############"}, {"system": "https://clinic.test/record", "value": "17"}],
    ],
)
async def test_masked_identifiers_are_searched_one_by_one(identifiers):
    masked = {"resourceType": "Patient", "id": "m", "identifier": identifiers}
    server = ScriptedServer(lambda _: answer(body=searchset(masked)))
    wanted = {"identifier": [f"{NIK}|1", f"{NIK}|2"]}
    assert await search(server, wanted, masked_identifiers=True) == ["m"]
    assert len(server.requests) == 2


def paged(links):
    """Return a server whose pages follow each other by these next links; page n has Patient n."""

    def handler(request):
        position = next((n for n, link in enumerate(links, 1) if link.split("?")[-1] == request.url.query.decode()), 0)
        more = [{"relation": "next", "url": links[position]}] if position < len(links) else []
        return answer(body=searchset(patient(position), link=more))

    return ScriptedServer(handler)


async def test_next_links_are_followed_to_the_end_on_our_own_host():
    server = paged(["http://fhir.test/r4?page=1", "https://public.test/r4/?page=2", "http://localhost/r4?page=3"])
    found = await search(server, {"active": ["true"]})
    assert found == ["p0", "p1", "p2", "p3"]
    assert {request.url.host for request in server.requests} == {"fhir.test"}
    assert server.asked()[1:] == ["GET /r4?page=1", "GET /r4?page=2", "GET /r4?page=3"]


async def test_next_links_that_repeat_what_was_asked_travel_in_the_body():
    def handler(request):
        if "_offset" in asks(request):
            return answer(body=searchset(patient(1, id="second")))
        link = [{"relation": "next", "url": f"http://fhir.test/r4/Patient?identifier={NIK}%7C1&_offset=1"}]
        return answer(body=searchset(patient(1), link=link))

    server = ScriptedServer(handler)
    assert await search(server) == ["p1", "second"]
    assert server.asked() == ["POST /r4/Patient/_search"] * 2


async def test_next_links_may_be_a_query_alone():
    def handler(request):
        page = int(asks(request).get("page", ["0"])[0])
        link = [{"relation": "next", "url": f"?page={page + 1}"}] if page < 2 else []
        return answer(body=searchset(patient(page), link=link))

    assert await search(ScriptedServer(handler), {"active": ["true"]}) == ["p0", "p1", "p2"]


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_next_links_that_are_refused_in_a_body_are_followed_as_they_stand(status):
    def handler(request):
        page = int(asks(request).get("page", ["0"])[0])
        if page and request.method == "POST":
            return answer(status, outcome(text="what is page?"))
        link = [{"relation": "next", "url": f"http://fhir.test/r4/Patient?page={page + 1}"}] if page < 2 else []
        return answer(body=searchset(patient(page), link=link))

    server = ScriptedServer(handler)
    assert await search(server, {"active": ["true"]}) == ["p0", "p1", "p2"]
    first, link = "POST /r4/Patient/_search", "GET /r4/Patient?page="
    assert server.asked() == [first, first, f"{link}1", f"{link}2"]


@pytest.mark.parametrize("link", ["http://fhir.test/r4?page=1", "http://fhir.test/elsewhere?page=1"])
async def test_next_links_in_circles_or_astray_are_not_trusted(link):
    server = ScriptedServer(lambda _: answer(body=searchset(patient(1), link=[{"relation": "next", "url": link}])))
    with pytest.raises(UntrustedAnswerError):
        await search(server)


async def test_pages_that_expired_start_the_search_once_more():
    expired = []

    def handler(request):
        if request.method == "POST":
            return answer(body=searchset(patient(1), link=[{"relation": "next", "url": "http://fhir.test/r4?p=2"}]))
        if not expired:
            expired.append(True)
            return answer(410, outcome())
        return answer(body=searchset(patient(2)))

    assert await search(ScriptedServer(handler), {"active": ["true"]}) == ["p1", "p2"]


async def test_pages_that_expire_again_and_again_are_told():
    def handler(request):
        if request.method == "GET":
            return answer(410, outcome())
        return answer(body=searchset(patient(1), link=[{"relation": "next", "url": "http://fhir.test/r4?p=2"}]))

    with pytest.raises(UntrustedAnswerError, match="twice"):
        await search(ScriptedServer(handler))


def everybody(people, *, size, total=None, offset=True, counts=True):
    """Return a server that gives no next links."""

    def handler(request):
        asked = asks(request)
        if "_summary" in asked:
            return answer(body=searchset(total=people) if counts else searchset())
        start = int(asked.get("_offset", ["0"])[0]) if offset else 0
        page = [patient(number) for number in range(start, min(start + size, people))]
        return answer(body=searchset(*page, **({} if total is None else {"total": total})))

    return ScriptedServer(handler)


async def test_a_server_without_next_links_is_paged_by_offset():
    assert len(await search(everybody(45, size=20), {"active": ["true"]})) == 45
    assert len(await search(everybody(45, size=17, total=45), {"active": ["true"]})) == 45


async def test_an_answer_that_may_be_cut_is_not_trusted():
    for server in (everybody(45, size=20, offset=False), everybody(45, size=20, counts=False)):
        with pytest.raises(UntrustedAnswerError):
            await search(server, {"active": ["true"]})


async def test_no_link_is_believed_of_a_server_that_gives_links_where_there_is_more():
    """Total three of two people: one of them matches two of the values."""

    def handler(request):
        if asks(request).get("_count") == ["1"]:
            link = {"relation": "next", "url": "http://fhir.test/r4/Patient?_page=2"}
            return answer(body=searchset(patient(9), link=[link]))
        return answer(body=searchset(patient(1), patient(2), total=3))

    assert await search(ScriptedServer(handler), {"identifier": [f"{NIK}|1", f"{NIK}|2"]}) == ["p1", "p2"]


async def test_no_link_is_not_believed_where_nobody_may_be_asked_for():
    def handler(request):
        if "_count" in asks(request) and asks(request)["_count"] == ["1"]:
            return answer(400, outcome(text="whom?"))
        return answer(body=searchset(patient(1), total=3))

    with pytest.raises(UntrustedAnswerError):
        await search(ScriptedServer(handler))


@pytest.mark.parametrize("status", [400, 422])
async def test_a_server_that_refuses_searches_in_batches_is_asked_by_get(status):
    def handler(request):
        if request.method == "POST":
            return answer(404 if request.url.path.endswith("_search") else status, outcome(text="writes only"))
        return answer(body=searchset(patient(1)))

    server = ScriptedServer(handler)
    async with server.reader() as reader:
        for _ in range(2):
            assert [one["id"] async for one in reader.search("Patient", {"identifier": [f"{NIK}|1"]})] == ["p1"]
    asked = [request.method for request in server.requests]
    assert asked == ["POST", "POST", "GET", "GET"]


async def test_a_question_that_is_refused_however_it_is_asked_closes_no_road():
    def handler(request):
        wrong = "birthdate" in asks(request) or b"birthdate" in request.content
        if wrong or request.url.path.endswith("_search"):
            return answer(400 if wrong else 404, outcome(text="no"))
        entry = {"resource": searchset(patient(1)), "response": {"status": "200"}}
        return answer(body={"resourceType": "Bundle", "type": "batch-response", "entry": [entry]})

    server = ScriptedServer(handler)
    async with server.reader() as reader:
        assert [one["id"] async for one in reader.search("Patient", {"identifier": [f"{NIK}|1"]})] == ["p1"]
        with pytest.raises(PermanentServerError):
            [one async for one in reader.search("Patient", {"birthdate": ["2020-01-02"]})]
        assert [one["id"] async for one in reader.search("Patient", {"identifier": [f"{NIK}|1"]})] == ["p1"]
    assert server.asked()[-1] == "POST /r4"


async def test_somebody_elses_number_is_no_masked_one():
    other = {"resourceType": "Patient", "id": "m", "identifier": [{"system": NIK, "value": "3"}]}
    server = ScriptedServer(lambda _: answer(body=searchset(other)))
    with pytest.raises(UntrustedAnswerError):
        await search(server, {"identifier": [f"{NIK}|1"]}, masked_identifiers=True)


async def test_numbers_that_are_covered_unexpectedly_are_told():
    covered = {"resourceType": "Patient", "id": "m", "identifier": [{"system": NIK, "value": "################"}]}
    server = ScriptedServer(lambda _: answer(body=searchset(covered)))
    with pytest.raises(UntrustedAnswerError, match="masked_identifiers = true"):
        await search(server, {"identifier": [f"{NIK}|1"]})


async def test_what_is_too_long_for_the_server_is_asked_in_parts():
    def handler(request):
        if request.method == "POST":
            return answer(405, outcome())
        if len(request.url.query) > 1000:
            return html(414)
        tokens = asks(request)["identifier"][0].split(",")
        return answer(body=searchset(*(patient(token.rpartition("|")[2]) for token in tokens), total=len(tokens)))

    server = ScriptedServer(handler)
    wanted = {"identifier": [f"{NIK}|{number}" for number in range(100)]}
    assert sorted(await search(server, wanted)) == sorted(f"p{number}" for number in range(100))


@pytest.mark.parametrize("refusal", [answer(400, outcome()), answer(403), html(413), answer(422, outcome())])
async def test_a_list_that_is_too_long_for_the_server_or_a_firewall_is_halved_and_stays_short(refusal):
    refused = []

    def handler(request):
        tokens = asks(request)["identifier"][0].split(",")
        if len(tokens) > 30:
            refused.append(len(tokens))
            return refusal
        return answer(body=searchset(*(patient(token.rpartition("|")[2]) for token in tokens)))

    server = ScriptedServer(handler)
    wanted = {"identifier": [f"{NIK}|{number}" for number in range(1000, 1100)]}
    async with server.reader() as reader:
        for _ in range(2):
            found = [one["id"] async for one in reader.search("Patient", wanted)]
            assert sorted(found) == [f"p{number}" for number in range(1000, 1100)]
    assert len(refused) == 3


def holding(people, taken):
    """Return a server that takes from a list the values that `taken` returns, and who was asked for."""

    def handler(request):
        listed = parse_qs(request.content.decode()).get("identifier")
        asked = [f"{NIK}|{number}" for number in people] if listed is None else taken(listed[0].split(","))
        return answer(body=searchset(*(patient(n) for n in people if f"{NIK}|{n}" in asked)))

    return ScriptedServer(handler, anybody=True)


@pytest.mark.parametrize(
    ("taken", "requests"),
    [
        (lambda values: values, 3),
        (lambda values: values[:1], 6),
        (lambda values: values[-1:], 6),
        (lambda values: values if len(values) == 1 else (), 6),
    ],
)
async def test_values_are_asked_one_by_one_where_a_list_is_not_taken_for_alternatives(taken, requests, caplog):
    server = holding(range(3), taken)
    async with server.reader() as reader:
        wanted = {"identifier": [f"{NIK}|{number}" for number in (1, 2, 3)]}
        assert [one["id"] async for one in reader.search("Patient", wanted)] == ["p1", "p2"]
        assert len(server.requests) == requests
        assert [one["id"] async for one in reader.search("Patient", wanted)] == ["p1", "p2"]
    assert ("each value is asked alone" in caplog.text) == (requests > 3)


async def test_lists_of_ids_and_of_references_are_proved_by_themselves():
    def handler(request):
        asked = asks(request)
        doses = [
            {"resourceType": "Immunization", "id": f"i{n}", "patient": {"reference": f"Patient/p{n}"}} for n in range(3)
        ]
        found = [patient(n) for n in range(3)] if "/Patient" in request.url.path else doses
        if "_id" in asked:
            found = [one for one in found if one["id"] == asked["_id"][0].split(",")[0]]
        if "patient" in asked:
            found = [one for one in found if one["patient"]["reference"] in asked["patient"][0].split(",")]
        return answer(body=searchset(*found))

    server = ScriptedServer(handler, anybody=True)
    async with server.reader() as reader:
        for wanted in ({"_id": ["i0", "i2"]}, {"patient": ["Patient/p0", "Patient/p2"]}):
            assert [one["id"] async for one in reader.search("Immunization", wanted)] == ["i0", "i2"]
    lists = [asked for request in server.requests if "patient" in (asked := asks(request))]
    assert [asked["patient"] for asked in lists][1:] == [["Patient/p0,Patient/p2"]]


async def test_nobody_tells_of_lists_until_somebody_is_there():
    people = []
    server = holding(people, lambda values: values[:1])
    async with server.reader() as reader:
        wanted = {"identifier": [f"{NIK}|1", f"{NIK}|2"]}
        assert [one["id"] async for one in reader.search("Patient", wanted)] == []
        people.append(2)
        assert [one["id"] async for one in reader.search("Patient", wanted)] == ["p2"]


async def test_nobody_is_asked_about_lists_seldom():
    server = holding([], lambda values: values)
    async with server.reader() as reader:
        for _ in range(40):
            assert [one async for one in reader.search("Patient", {"identifier": [f"{NIK}|1", f"{NIK}|2"]})] == []
    assert len(server.requests) == 40 + 6


async def test_an_entry_of_null_is_an_empty_page():
    server = ScriptedServer(lambda _: answer(body={"resourceType": "Bundle", "type": "searchset", "entry": None}))
    assert await search(server) == []


async def test_one_value_that_is_too_long_is_refused():
    server = ScriptedServer(lambda _: html(414))
    with pytest.raises(PermanentServerError, match="414"):
        await search(server)


async def test_a_server_that_finds_everybody_is_not_trusted():
    server = ScriptedServer(lambda _: answer(body=searchset(patient(1), patient(2))))
    with pytest.raises(UntrustedAnswerError, match="identifier"):
        await search(server)


@pytest.mark.parametrize("parameters", [{"birthdate": ["1999-01-01"]}, {"gender": ["male"]}, {"_id": ["x"]}])
async def test_a_match_without_what_was_asked_is_not_trusted(parameters):
    server = ScriptedServer(lambda _: answer(body=searchset(patient(1, gender="female"))))
    with pytest.raises(UntrustedAnswerError):
        await search(server, parameters)


async def test_a_warning_in_the_answer_is_not_trusted_but_information_is():
    entry = {"resource": outcome(severity="warning", code="not-supported"), "search": {"mode": "outcome"}}
    body = searchset(patient(1))
    body["entry"].append(entry)
    with pytest.raises(UntrustedAnswerError, match="not-supported"):
        await search(ScriptedServer(lambda _: answer(body=body)))
    entry["resource"] = outcome(severity="information", code="informational")
    assert await search(ScriptedServer(lambda _: answer(body=body))) == ["p1"]


async def test_a_self_link_that_lost_a_parameter_is_not_trusted():
    link = [{"relation": "self", "url": "http://fhir.test/r4/Patient?active=true"}]
    server = ScriptedServer(lambda _: answer(body=searchset(link=link)))
    with pytest.raises(UntrustedAnswerError, match="identifier"):
        await search(server, {"active": ["true"], "identifier": [f"{NIK}|1"]})
    silent = [{"relation": "self", "url": "http://fhir.test/r4/Patient/_search?_count=20"}]
    assert await search(ScriptedServer(lambda _: answer(body=searchset(link=silent)))) == []


async def test_a_refused_search_tells_the_servers_words():
    server = ScriptedServer(lambda _: answer(400, outcome(text="Unknown search parameter")))
    with pytest.raises(PermanentServerError, match=r"400.*Unknown search parameter") as caught:
        await search(server)
    assert caught.value.status == 400


async def test_missing_and_deleted_resources_are_none():
    for status in (404, 410):
        async with ScriptedServer(lambda _, s=status: answer(s, outcome())).reader() as reader:
            assert await reader.read("Patient", "p1") is None
            assert await reader.read("Patient", "../metadata") is None


async def test_another_resource_than_the_one_read_is_not_trusted():
    async with ScriptedServer(lambda _: answer(body=patient(2))).reader() as reader:
        with pytest.raises(UntrustedAnswerError):
            await reader.read("Patient", "p1")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (answer(body=statement(fhirVersion="4.3.0")), "FHIR 4.3.0"),
        (answer(body=statement(fhirVersion="3.0.2")), "FHIR 3.0.2"),
        (answer(body=statement(fhirVersion=None)), "no FHIR version"),
        (answer(body=statement(fhirVersion="4.01")), "FHIR 4.01"),
        (answer(body={"resourceType": "Conformance"}), "DSTU2"),
        (answer(body={"hello": "world"}), "no CapabilityStatement"),
        (answer(404, {"error": "not found"}), "No FHIR server"),
        (html(), "HTML"),
        (html(404), "HTML"),
    ],
)
async def test_a_server_that_is_no_r4_server_is_told_in_words(metadata, words):
    async with ScriptedServer(lambda _: metadata, metadata=False).reader() as reader:
        with pytest.raises(PermanentServerError, match=words):
            await reader.capabilities()


@pytest.mark.parametrize("version", ["4.0", "4.0.0", "4.0.1"])
async def test_r4_is_declared_in_several_ways(version):
    async with ScriptedServer(None, metadata=statement(fhirVersion=version)).reader() as reader:
        assert (await reader.capabilities()).fhir_version == version


async def test_capabilities_are_read_once():
    server = ScriptedServer(lambda _: answer(404))
    async with server.reader() as reader:
        await reader.capabilities()
        assert (await reader.capabilities()).software == "Scripted 1"
    assert len(server.requests) == 1


ONE = (patient(1),)


def searching(*, knows, people=ONE, ignores=False):
    """Return a server that searches by the parameters it knows, and ignores others or finds nothing by them."""

    def handler(request):
        wanted = {name: value[0] for name, value in asks(request).items() if not name.startswith("_")}
        if not set(wanted) <= set(knows):
            return answer(body=searchset(*(people if ignores else ())))
        matches = [one for one in people if all(f"|{one['identifier'][0]['value']}" in v for v in wanted.values())]
        return answer(body=searchset(*matches))

    return handler


@pytest.mark.parametrize(
    ("handler", "declared", "works"),
    [
        (searching(knows=["identifier"]), True, True),
        (searching(knows=["identifier"]), False, True),
        (searching(knows=[], ignores=True), True, False),
        (searching(knows=[], ignores=True), False, False),
        (searching(knows=[]), False, False),
        (searching(knows=[], people=()), False, True),
        (lambda _: answer(400, outcome()), True, False),
    ],
)
async def test_a_search_is_believed_only_where_it_was_proved(handler, declared, works):
    metadata = statement(parameters=("identifier",) if declared else ())
    async with ScriptedServer(handler, metadata=metadata, anybody=True).reader() as reader:
        assert (await reader.prove_search("Patient", "identifier")).works is works
