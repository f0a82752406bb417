import asyncio
from dataclasses import replace

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.scripted_server import ScriptedServer, answer, html, outcome, searchset, statement

from fhir_gateway.domain.errors import AccessRefusedError
from fhir_gateway.domain.posting import BundleEntry, EntryKind

SYSTEM = "urn:fhir-gateway:person"


def create(number):
    resource = {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": f"v{number}"}]}
    return BundleEntry(f"k{number}", "POST", "Patient", resource, if_none_exist=f"identifier={SYSTEM}|v{number}")


def update(number, version="1"):
    return BundleEntry(
        f"u{number}", "PUT", f"Patient/p{number}", {"resourceType": "Patient", "id": f"p{number}"}, "", version
    )


def response(status, *, number="1", issue=None, location=True):
    said = {"status": status, "etag": "1"}
    if location and status[:2] == "20":
        said["location"] = f"Patient/p{number}/_history/1"
    if issue:
        said["outcome"] = outcome(text=issue)
    return {"response": said}


def value_of(entry):
    return entry["resource"].get("identifier", [{"value": ""}])[0]["value"]


class FakeFhir:
    """Keeps Patients by their identifier; `rules` answer for an entry instead, once for each entry in the list."""

    def __init__(self, **rules):
        self.kept = {}
        self.rules = {name: list(said) for name, said in rules.items()}
        self.bundles = []

    def __call__(self, request):
        if request.url.path.endswith("_search"):
            return answer(body=searchset(*self._found(request)))
        bundle = orjson.loads(request.content)
        self.bundles.append(bundle)
        said = [self.entry(entry) for entry in bundle["entry"]]
        return answer(body={"resourceType": "Bundle", "type": "batch-response", "entry": said})

    def entry(self, entry):
        value = value_of(entry)
        if self.rules.get(value):
            return self.rules[value].pop(0)
        known = value in self.kept
        self.kept.setdefault(value, f"p{len(self.kept)}")
        said = response("200 OK" if known else "201 Created")
        said["response"]["location"] = f"Patient/{self.kept[value]}/_history/1"
        return said

    def _found(self, request):
        for value, resource_id in self.kept.items():
            if value.encode() in request.content:
                yield {
                    "resourceType": "Patient",
                    "id": resource_id,
                    "identifier": [{"system": SYSTEM, "value": value}],
                    "meta": {"versionId": "7"},
                }


async def send(server, entries, **policy):
    async with server.writer(**policy) as writer:
        return list(await writer.send(entries))


def kinds(outcomes):
    return [str(one.kind) for one in outcomes]


async def test_each_entry_has_its_own_outcome_in_order():
    fhir = FakeFhir(v2=[response("422 Unprocessable", issue="bad gender")])
    outcomes = await send(ScriptedServer(fhir), [create(1), create(2), create(3)])
    assert [one.key for one in outcomes] == ["k1", "k2", "k3"]
    assert kinds(outcomes) == ["created", "refused", "created"]
    assert (outcomes[0].resource_id, outcomes[0].version_id, outcomes[0].status) == ("p0", "1", 201)
    assert (outcomes[1].message, outcomes[1].status) == ("bad gender", 422)
    assert fhir.bundles[0]["entry"][0]["request"]["ifNoneExist"]


async def test_bundles_have_the_size_of_the_policy_and_fly_no_more_than_allowed():
    fhir, flying, most = FakeFhir(), 0, 0

    async def slowly(request):
        nonlocal flying, most
        flying, most = flying + 1, max(most, flying + 1)
        await asyncio.sleep(0)
        flying -= 1
        return fhir(request)

    async with ScriptedServer(slowly).writer(batch_size=10, max_in_flight=3) as writer:
        several = await asyncio.gather(*(writer.send([create(100 * n + m) for m in range(45)]) for n in range(3)))
    assert [kinds(outcomes) for outcomes in several] == [["created"] * 45] * 3
    assert max(len(bundle["entry"]) for bundle in fhir.bundles) == 10
    assert most == 3


async def test_identical_creates_never_fly_together():
    fhir, flying = FakeFhir(), []

    async def slowly(request):
        if request.url.path.endswith("_search"):
            return fhir(request)
        names = [value_of(entry) for entry in orjson.loads(request.content)["entry"]]
        assert not set(names) & set(flying)
        assert len(names) == len(set(names))
        flying.extend(names)
        await asyncio.sleep(0)
        for name in names:
            flying.remove(name)
        return fhir(request)

    async with ScriptedServer(slowly).writer(batch_size=2) as writer:
        several = await asyncio.gather(*(writer.send([create(1), create(1), create(2)]) for _ in range(8)))
    every = [one for outcomes in several for one in outcomes]
    assert sum(one.kind is EntryKind.CREATED for one in every) == 2
    assert sum(one.kind is EntryKind.EXISTED for one in every) == 22


@pytest.mark.parametrize("status", ["409 Conflict", "429", "500 Internal Server Error", "503"])
async def test_an_entry_that_is_put_off_goes_again_alone(status):
    fhir = FakeFhir(v2=[response(status), response(status)])
    outcomes = await send(ScriptedServer(fhir), [create(1), create(2), create(3)])
    assert kinds(outcomes) == ["created"] * 3
    assert [len(bundle["entry"]) for bundle in fhir.bundles] == [3, 1, 1]


@pytest.mark.parametrize("times", [9, 10_000])
async def test_a_bundle_is_not_halved_where_the_server_asks_for_fewer_requests(times):
    fhir, sizes = FakeFhir(), []

    def handler(request):
        if request.url.path.endswith("_search"):
            return fhir(request)
        sizes.append(len(orjson.loads(request.content)["entry"]))
        return answer(429) if len(sizes) <= times else fhir(request)

    outcomes = await send(ScriptedServer(handler), [create(number) for number in range(4)])
    assert kinds(outcomes) == ["created" if times == 9 else "unavailable"] * 4
    assert set(sizes) == {4}


async def test_an_entry_that_is_put_off_for_ever_is_unavailable():
    fhir = FakeFhir(v2=[response("500")] * 99)
    assert kinds(await send(ScriptedServer(fhir), [create(1), create(2)])) == ["created", "unavailable"]


@pytest.mark.parametrize("status", ["409 Conflict", "412 Precondition Failed", "404", "410"])
async def test_a_version_that_is_stale_means_changed_meanwhile(status):
    fhir = FakeFhir(**{"": [response(status)]})
    outcomes = await send(ScriptedServer(fhir), [update(1)])
    assert kinds(outcomes) == ["changed-meanwhile"]
    assert fhir.bundles[0]["entry"][0]["request"]["ifMatch"] == 'W/"1"'


@pytest.mark.parametrize("status", ["412", "428"])
async def test_an_update_without_a_version_that_the_server_demands_says_what_to_do(status):
    fhir = FakeFhir(**{"": [response(status, issue="If-Match, please")] * 9})
    (only,) = await send(ScriptedServer(fhir), [replace(update(1), if_match="")])
    assert only.kind is EntryKind.REFUSED
    assert "its resources show none: have it send meta.versionId" in only.message
    assert only.message.endswith("If-Match, please")


async def test_an_update_keeps_its_id_and_learns_its_version():
    fhir = FakeFhir(**{"": [response("200", number="9")]})
    (only,) = await send(ScriptedServer(fhir), [update(5)])
    assert (only.kind, only.resource_id, only.version_id) == (EntryKind.UPDATED, "p5", "1")


@given(poisoned=st.sets(st.integers(0, 19), max_size=4), status=st.sampled_from([400, 413, 422, 500]))
@settings(derandomize=True, max_examples=25, deadline=None)
def test_a_poisoned_entry_costs_only_itself(poisoned, status):
    fhir = FakeFhir()
    poison = {f"v{number}" for number in poisoned}

    def handler(request):
        if request.url.path.endswith("_search"):
            return fhir(request)
        sent = orjson.loads(request.content)
        if {value_of(entry) for entry in sent.get("entry", [{"resource": sent}])} & poison:
            return answer(status, outcome(text="cannot parse"))
        return fhir(request)

    outcomes = asyncio.run(send(ScriptedServer(handler), [create(number) for number in range(20)]))
    wrong = {int(one.key[1:]) for one in outcomes if one.kind is not EntryKind.CREATED}
    assert wrong == poisoned
    assert all(
        one.kind is (EntryKind.UNAVAILABLE if status == 500 else EntryKind.REFUSED)
        for one in outcomes
        if int(one.key[1:]) in poisoned
    )


@pytest.mark.parametrize(
    "rubbish",
    [
        answer(body={"resourceType": "Bundle", "type": "batch-response", "entry": []}),
        answer(body=outcome()),
        answer(body={"resourceType": "Bundle", "entry": [{}, {"response": {}}]}),
        html(),
        httpx.Response(200, content=b'{"resourceType": "Bun'),
        answer(),
    ],
)
async def test_an_answer_that_fits_nothing_is_no_success_and_is_repeated_safely(rubbish):
    fhir, left = FakeFhir(), [rubbish]

    def handler(request):
        said = fhir(request)  # the server did it, but the answer is lost
        return left.pop() if left else said

    outcomes = await send(ScriptedServer(handler), [create(1), create(2)])
    assert kinds(outcomes) == ["existed"] * 2
    assert len(fhir.kept) == 2


async def test_a_server_that_answers_every_bundle_with_rubbish_is_given_up_soon():
    server = ScriptedServer(lambda _: httpx.Response(200, content=b'{"resourceType": "Bun'))
    outcomes = await send(server, [create(number) for number in range(1000)])
    assert kinds(outcomes) == ["unavailable"] * 1000
    assert "of use for 30 s: The FHIR server answered 200 to a bundle with JSON that is cut" in outcomes[0].message
    assert server.time.seconds - 1000 < 40
    assert len(server.requests) < 250


async def test_a_server_that_is_gone_leaves_everything_unavailable():
    def gone(_):
        raise httpx.ConnectError("refused")

    server = ScriptedServer(gone)
    outcomes = await send(server, [create(number) for number in range(250)], wait_for_server=60)
    assert kinds(outcomes) == ["unavailable"] * 250
    assert "wait_for_server" in outcomes[0].message
    assert len(server.requests) < 40


async def test_a_lost_connection_makes_nothing_twice():
    fhir, losses = FakeFhir(), [httpx.ReadError("reset"), httpx.ReadTimeout("slow")]

    def handler(request):
        said = fhir(request)
        if losses:
            raise losses.pop()
        return said

    outcomes = await send(ScriptedServer(handler), [create(number) for number in range(5)])
    assert kinds(outcomes) == ["existed"] * 5
    assert len(fhir.kept) == 5


async def test_a_server_without_conditional_creates_is_searched_before_each_create():
    class Heedless(FakeFhir):
        def entry(self, entry):
            assert value_of(entry) not in self.kept, "a second one was made"
            return super().entry(entry)

    fhir, losses = Heedless(), [httpx.ReadTimeout("slow")]

    def handler(request):
        said = fhir(request)
        if losses and not request.url.path.endswith("_search"):
            raise losses.pop()
        return said

    server = ScriptedServer(handler, metadata=statement(conditional_create=False))
    outcomes = await send(server, [create(1), create(2)])
    assert kinds(outcomes) == ["existed"] * 2
    assert outcomes[0].version_id == "7"


async def test_an_id_that_the_server_does_not_tell_is_looked_up():
    class Silent(FakeFhir):
        def entry(self, entry):
            said = super().entry(entry)
            del said["response"]["location"]
            return said

    (only,) = await send(ScriptedServer(Silent()), [create(1)])
    assert only.resource_id == "p0"


async def test_a_refused_duplicate_is_adopted_by_our_own_identifier_only():
    issue = "Duplicate (RuleNumber: 20002)"
    fhir = FakeFhir(v1=[response("400", issue=issue)], v2=[response("400", issue=issue)])
    fhir.kept["v1"] = "mine"
    outcomes = await send(ScriptedServer(fhir), [create(1), create(2)])
    assert kinds(outcomes) == ["existed", "refused"]
    assert outcomes[0].resource_id == "mine"
    assert "20002" in outcomes[1].message


async def test_bundles_go_to_the_slash_where_the_base_url_takes_none():
    fhir = FakeFhir()
    server = ScriptedServer(lambda r: fhir(r) if r.url.path.endswith("/") else answer(404, outcome()))
    assert kinds(await send(server, [create(1), create(2)], batch_size=1)) == ["created"] * 2


async def test_a_server_without_bundles_gets_single_requests():
    seen = []

    def handler(request):
        if request.url.path in {"/r4", "/r4/"}:
            return answer(405, outcome())
        seen.append((request.method, request.url.path, dict(request.headers)))
        if request.method == "PUT":
            return answer(412, outcome())
        return answer(201, Location="http://fhir.test/r4/Patient/x1/_history/3", ETag='W/"3"')

    outcomes = await send(ScriptedServer(handler), [create(1), update(2)])
    assert kinds(outcomes) == ["created", "changed-meanwhile"]
    assert (outcomes[0].resource_id, outcomes[0].version_id) == ("x1", "3")
    assert seen[0][2]["if-none-exist"].startswith("identifier=urn")
    assert seen[1][2]["if-match"] == 'W/"1"'


@pytest.mark.parametrize("status", [400, 422])
async def test_a_server_that_refuses_bundles_as_if_entries_were_at_fault_gets_single_requests(status):
    alone = []

    def handler(request):
        sent = orjson.loads(request.content)
        if sent["resourceType"] == "Bundle":
            return answer(status, outcome(text="not processed"))
        alone.append(value_of({"resource": sent}))
        return answer(201, Content_Location=f"Patient/{alone[-1]}/_history/1")

    server = ScriptedServer(handler)
    outcomes = await send(server, [create(number) for number in range(20)], max_in_flight=1)
    assert [one.resource_id for one in outcomes] == [f"v{number}" for number in range(20)]
    assert len(alone) == 20
    assert len(server.asked()) < 30


async def test_an_unknown_end_of_an_entry_that_was_tried_alone_is_looked_up():
    fhir, losses = FakeFhir(), [httpx.ReadTimeout("slow")]

    def handler(request):
        if request.url.path.endswith("_search"):
            return fhir(request)
        sent = orjson.loads(request.content)
        if sent["resourceType"] == "Bundle":
            return answer(400, outcome(text="not processed"))
        fhir.entry({"resource": sent})
        if losses:
            raise losses.pop()
        return answer(201, Location=f"Patient/{fhir.kept['v1']}/_history/1")

    server = ScriptedServer(handler, metadata=statement(conditional_create=False))
    assert kinds(await send(server, [create(1)])) == ["existed"]
    assert server.asked().count("POST /r4/Patient") == 1


async def test_conditions_that_are_neither_declared_nor_taken_are_left_away():
    class Unconditional(FakeFhir):
        def entry(self, entry):
            if "ifNoneExist" in entry["request"]:
                return response("400", issue="If-None-Exist")
            assert value_of(entry) not in self.kept, "a second one was made"
            return super().entry(entry)

    fhir = Unconditional(v7=[response("400", issue="wrong")] * 2)
    fhir.kept["v3"] = "there"
    server = ScriptedServer(fhir, metadata=statement(conditional_create=False))
    outcomes = await send(server, [create(number) for number in range(10)], batch_size=5, max_in_flight=1)
    assert [one.key for one in outcomes if one.kind is not EntryKind.CREATED] == ["k3", "k7"]
    assert kinds([outcomes[3], outcomes[7]]) == ["existed", "refused"]
    assert len(fhir.bundles) == 3  # the second five go without from the start


async def test_a_condition_that_is_declared_is_never_left_away():
    fhir = FakeFhir(v1=[response("400", issue="wrong")])
    server = ScriptedServer(fhir)
    assert kinds(await send(server, [create(1)])) == ["refused"]
    assert all(entry["request"]["ifNoneExist"] for bundle in fhir.bundles for entry in bundle["entry"])


@pytest.mark.parametrize(("bundle_type", "sent"), [("transaction", "transaction"), ("auto", "batch")])
async def test_a_refused_transaction_is_halved_or_goes_as_a_batch(bundle_type, sent):
    fhir = FakeFhir(v3=[response("422", issue="bad")])

    def handler(request):
        if request.url.path.endswith("_search"):
            return fhir(request)
        bundle = orjson.loads(request.content)
        if request.url.path.endswith("/Patient"):
            return answer(422, outcome(text="bad"))
        if bundle["type"] == "transaction" and "v3" in map(value_of, bundle["entry"]):
            return answer(422, outcome(text="bad"))
        return fhir(request)

    metadata = statement()
    metadata["rest"][0]["interaction"] = [{"code": "transaction"}]
    server = ScriptedServer(handler, metadata=metadata)
    outcomes = await send(server, [create(number) for number in range(8)], bundle_type=bundle_type)
    assert [one.key for one in outcomes if one.kind is EntryKind.REFUSED] == ["k3"]
    assert {bundle["type"] for bundle in fhir.bundles} == {sent}


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_stop_everything(status):
    server = ScriptedServer(lambda _: answer(status, outcome()))
    with pytest.raises(AccessRefusedError, match="credentials"):
        await send(server, [create(number) for number in range(8)], batch_size=2)


async def test_a_forbidden_bundle_after_accepted_ones_costs_only_the_entry_that_is_forbidden():
    fhir = FakeFhir()

    def handler(request):
        if b'"f3"' in request.content:
            return answer(403, outcome(text="bad"))
        return fhir(request)

    entries = [create(number) for number in range(8)]
    entries[3] = replace(entries[3], resource={**entries[3].resource, "id": "f3"})
    outcomes = await send(ScriptedServer(handler), entries, batch_size=2, max_in_flight=1)
    assert [one.key for one in outcomes if one.kind is EntryKind.REFUSED] == ["k3"]


async def test_a_create_without_a_condition_is_a_mistake():
    with pytest.raises(ValueError, match="if_none_exist"):
        await send(ScriptedServer(FakeFhir()), [BundleEntry("k", "POST", "Patient", {})])


def answered_backwards(fhir, *, with_resources):
    """Return a handler that answers bundles of several in the wrong order, and searches by id as the server has them."""

    def handle(request):
        if request.url.path.endswith("_search") and b"_id=" in request.content:
            kept = {number: value for value, number in fhir.kept.items() if number.encode() in request.content}
            return answer(
                body=searchset(
                    *(
                        {"resourceType": "Patient", "id": number, "identifier": [{"system": SYSTEM, "value": value}]}
                        for number, value in kept.items()
                    )
                )
            )
        said = fhir(request)
        if b'"request"' not in request.content:
            return said
        bundle, sent = orjson.loads(said.content), orjson.loads(request.content)
        if with_resources:
            for one, entry in zip(bundle["entry"], sent["entry"], strict=True):
                number = one["response"]["location"].split("/")[1]
                one["resource"] = entry["resource"] | {"id": number}
        bundle["entry"].reverse()
        return answer(body=bundle)

    return handle


@pytest.mark.parametrize("with_resources", [True, False])
async def test_answers_in_another_order_are_not_believed(with_resources, caplog):
    fhir = FakeFhir()
    server = ScriptedServer(answered_backwards(fhir, with_resources=with_resources))
    outcomes = await send(server, [create(n) for n in range(4)])
    assert [one.resource_id for one in outcomes] == [fhir.kept[f"v{n}"] for n in range(4)]
    assert kinds(outcomes) == ["existed"] * 4
    assert len(fhir.bundles) == 1
    assert len([record for record in caplog.records if "another order" in record.message]) == 1


def with_singles(fhir, *, bundles):
    """Return a handler for a server whose bundles end with this status, and that takes single creates."""

    def handle(request):
        if request.url.path.endswith("_search"):
            return fhir(request)
        if request.url.path.rstrip("/").endswith("/Patient"):
            entry = {"resource": orjson.loads(request.content)}
            number = fhir.entry(entry)["response"]["location"].split("/")[1]
            return httpx.Response(201, headers={"Location": f"Patient/{number}/_history/1"})
        return answer(bundles, outcome(text="no bundles"))

    return handle


@pytest.mark.parametrize("status", [403, 500])
async def test_a_server_that_forbids_or_breaks_on_bundles_alone_gets_single_requests(status):
    fhir = FakeFhir()
    outcomes = await send(ScriptedServer(with_singles(fhir, bundles=status)), [create(n) for n in range(5)])
    assert kinds(outcomes) == ["created"] * 5
    assert [one.resource_id for one in outcomes] == [fhir.kept[f"v{n}"] for n in range(5)]


async def test_where_single_requests_are_forbidden_too_the_run_ends():
    with pytest.raises(AccessRefusedError):
        await send(ScriptedServer(lambda _: answer(403)), [create(n) for n in range(5)])


@pytest.mark.parametrize(
    ("count", "said_of"), [(3, lambda told: [told[0], *told]), (3, lambda told: told[1:]), (1, lambda _: [])]
)
async def test_other_answers_than_entries_leave_nobody_knowing_whose_each_is(count, said_of):
    fhir = FakeFhir()

    def handle(request):
        said = fhir(request)
        if b'"request"' not in request.content:
            return said
        bundle = orjson.loads(said.content)
        return answer(body=bundle | {"type": "batch-response", "entry": said_of(bundle["entry"])})

    server = ScriptedServer(handle)
    outcomes = await send(server, [create(n) for n in range(count)])
    assert kinds(outcomes) == ["existed"] * count
    assert [one.resource_id for one in outcomes] == [fhir.kept[f"v{n}"] for n in range(count)]
    assert sum(b'"request"' in request.content for request in server.requests) == 1


@pytest.mark.parametrize(("there", "kind"), [(True, "existed"), (False, "refused")])
async def test_a_412_for_what_is_there_already_is_looked_up(there, kind):
    fhir = FakeFhir(v1=[response("412", issue="exists already")])
    if there:
        fhir.kept["v1"] = "mine"
    assert kinds(await send(ScriptedServer(fhir), [create(1)])) == [kind]
