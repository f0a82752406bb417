"""Servers that can or tell less than the gateway would like: everybody stands there once all the same."""

import httpx
import orjson
import pytest
from tests.fakes.disturbed_server import is_bundle
from tests.fakes.scripted_server import answer
from tests.flows.conftest import BAYU, RATNA, RATNA_POLIO
from tests.flows.loading_from_region import content, counts, load
from tests.flows.server_content import canonical

DAYS = [f"{day:02}/{month:02}/2022" for month in (1, 2) for day in range(1, 29)]
MANY = [BAYU.replace("20/08/2019;BCG;1;B100", f"{day};Pentabio;;") for day in DAYS]
ROWS = (RATNA, RATNA_POLIO, BAYU, *MANY)


def without_bundles(request):
    return answer(405) if is_bundle(request) else None


def at_most_fifty_entries(request):
    return answer(413) if is_bundle(request) and len(orjson.loads(request.content)["entry"]) > 50 else None


def searching_by_get_only(request):
    return answer(405) if request.url.path.endswith("/_search") else None


def without_conditions(request):
    """Let no condition reach the server, whether it stands in a header or in a bundle."""
    request.headers.pop("If-None-Exist", None)
    request.headers.pop("If-Match", None)
    if is_bundle(request):
        bundle = orjson.loads(request.content)
        for entry in bundle["entry"]:
            entry["request"].pop("ifNoneExist", None)
            entry["request"].pop("ifMatch", None)
        request._content = orjson.dumps(bundle)


def said_otherwise(change):
    """Return a disturbance that changes every entry's response, and the statuses and headers of single answers."""

    def disturb(request, response):
        if not is_bundle(request) or response.status_code != 200:
            return None
        bundle = orjson.loads(response.content)
        for entry in bundle["entry"]:
            change(entry["response"])
        return answer(body=bundle)

    return disturb


def plain_200(response):
    if response["status"].startswith("201"):
        response["status"] = "200"


def absolute_with_history(response):
    if "location" in response:
        response["location"] = f"https://public.test/r4/{response['location'].removeprefix('/')}"


def bare_location(response):
    if "location" in response:
        response["location"] = response["location"].partition("/_history")[0]
    response.pop("etag", None)


def nothing_but_the_status(response):
    for name in ("location", "etag", "lastModified", "outcome"):
        response.pop(name, None)


def undeclared(request, response):
    """Take everything but the searches out of the statement."""
    if not request.url.path.endswith("/metadata"):
        return None
    statement = orjson.loads(response.content)
    for one in statement["rest"][0]["resource"]:
        one.pop("conditionalCreate", None)
    statement["rest"][0].pop("interaction", None)
    return answer(body=statement)


def two_matches_a_page(request):
    """Let searches ask for two matches a page, whatever they wanted."""
    if request.url.path.endswith("/_search"):
        request._content = request.content.replace(b"_count=500", b"_count=2")


def pages_elsewhere(_, response):
    """Let next links name a public address."""
    found = orjson.loads(response.content) if response.content[:1] == b"{" else {}
    if found.get("type") != "searchset":
        return None
    for link in found.get("link", []):
        link["url"] = link["url"].replace("https://region.test/fhir", "https://public.test/fhir")
    return answer(body=found)


def lower_case_headers(_, response):
    headers = {name.lower(): value for name, value in response.headers.items()}
    return httpx.Response(response.status_code, headers=headers, content=response.content)


def together(*disturbances):
    """Return a disturbance of answers that applies several, each to what the one before left."""

    def disturb(request, response):
        for one in disturbances:
            response = one(request, response) or response
        return response

    return disturb


@pytest.fixture(scope="module")
def first():
    """Keep what the first server of this module ended with: all others are held against it."""
    return {}


POOR = {
    "rich": {},
    "no bundles": {"before": without_bundles},
    "fifty entries": {"before": at_most_fifty_entries},
    "search by GET": {"before": searching_by_get_only},
    "no conditions": {"before": without_conditions, "after": undeclared},
    "200 for 201": {"after": said_otherwise(plain_200)},
    "absolute locations": {"after": said_otherwise(absolute_with_history)},
    "bare locations": {"after": said_otherwise(bare_location)},
    "no locations": {"after": said_otherwise(nothing_but_the_status)},
    "pages elsewhere": {"before": two_matches_a_page, "after": pages_elsewhere},
    "lower-case headers": {"after": lower_case_headers},
    "poor in all": {
        "before": at_most_fifty_entries,
        "after": together(undeclared, said_otherwise(nothing_but_the_status), pages_elsewhere, lower_case_headers),
    },
}


@pytest.mark.parametrize("poverty", POOR)
def test_a_poor_server_ends_with_the_same_people_and_doses(place, region, first, poverty):
    path = place.sheet(*ROWS)
    region(**POOR[poverty])
    code, summary, _ = load(place, path)
    assert (code, counts(summary)) == (0, {"loaded": len(ROWS)})
    patients, doses = content(place)
    people = first.setdefault("content", canonical(patients, doses))
    assert canonical(patients, doses) == people
    assert counts(load(place, path)[1]) == {"unchanged": len(ROWS)}
    assert content(place) == (patients, doses)
