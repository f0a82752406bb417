"""What a FHIR server may do within R4, or is seen to do, that other servers do not: each a disturbance of a DisturbedServer.

`MANNERS` has them by name, each as (before, after); `behave()` makes one pair of several.
"""

import gzip
import random
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import orjson
from tests.fakes.disturbed_server import BASE, is_bundle
from tests.fakes.scripted_server import answer, html, outcome

PROFILE = "https://fhir.example.org/StructureDefinition/National"
SECURITY = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">shown</div>'}
_ITS_CLOCK = datetime(2031, 5, 6, tzinfo=UTC)
EXTENSION = {"url": "https://fhir.example.org/StructureDefinition/received", "valueBoolean": True}


def behave(*names):
    """Return (before, after) of a server with all these manners."""
    befores = [MANNERS[name][0] for name in names if MANNERS[name][0]]
    afters = [MANNERS[name][1] for name in names if MANNERS[name][1]]

    def before(request):
        return next((said for one in befores if (said := one(request)) is not None), None)

    def after(request, response):
        for one in afters:
            response = one(request, response) or response
        return response

    return before, after


def resources(body):
    """Yield every resource of a body, those inside of bundles and of their bundles too."""
    if isinstance(body, dict):
        if body.get("resourceType") == "Bundle":
            for entry in body.get("entry", []):
                yield from resources(entry.get("resource"))
        elif isinstance(body.get("meta"), dict):
            yield body


def searchsets(body):
    """Yield every searchset of a body, those that are entries of a batch too."""
    if isinstance(body, dict) and body.get("resourceType") == "Bundle":
        if body.get("type") == "searchset":
            yield body
        for entry in body.get("entry", []):
            yield from searchsets(entry.get("resource"))


def rewritten(response, body):
    headers = {k: v for k, v in response.headers.items() if k.lower() not in {"content-length", "content-encoding"}}
    return httpx.Response(response.status_code, headers=headers, content=orjson.dumps(body))


def parsed(response):
    return orjson.loads(response.content) if response.content[:1] == b"{" else None


def editing(pick, edit):
    """Return a disturbance of answers that edits what `pick` finds in a body."""

    def disturb(_, response):
        body = parsed(response)
        for one in pick(body):
            edit(one)
        return rewritten(response, body) if body is not None else None

    return disturb


def on_statement(edit):
    """Return a disturbance that edits the CapabilityStatement."""

    def disturb(request, response):
        if not request.url.path.endswith("/metadata"):
            return None
        statement = parsed(response)
        edit(statement)
        return rewritten(response, statement)

    return disturb


def in_entries(edit):
    """Return a disturbance that edits the responses of a bundle's entries."""

    def disturb(request, response):
        body = parsed(response)
        if not is_bundle(request) or response.status_code != 200 or body is None:
            return None
        for entry in body["entry"]:
            edit(entry)
        return rewritten(response, body)

    return disturb


def enrich(resource):
    """Add what servers add of their own to people and doses: a profile, a label, a narrative, an extension."""
    if resource["resourceType"] not in {"Patient", "Immunization"}:
        return
    meta = resource.setdefault("meta", {})
    meta["profile"] = sorted({*meta.get("profile", []), PROFILE})
    meta["security"] = [SECURITY]
    resource["text"] = NARRATIVE
    if EXTENSION not in resource.get("extension", []):
        resource["extension"] = [*resource.get("extension", []), EXTENSION]


def normalise(resource):
    """Write a person's name in capitals, as some registries do."""
    for name in resource.get("name", ()) if resource["resourceType"] == "Patient" else ():
        for element in ("text", "family"):
            if element in name:
                name[element] = name[element].upper()
        if "given" in name:
            name["given"] = [one.upper() for one in name["given"]]


def word_version(resource):
    meta = resource.get("meta", {})
    if "versionId" in meta:
        meta["versionId"] = f"v-{meta['versionId']}.a"


def word_versions(request, response):
    """Let versions be words, wherever they are told."""
    body = parsed(response)
    for resource in resources(body):
        word_version(resource)
    if is_bundle(request) and isinstance(body, dict):
        for entry in body.get("entry", []):
            said = entry.get("response", {})
            if "etag" in said:
                said["etag"] = re.sub(r'"(\d+)"', r'"v-\1.a"', said["etag"])
            if "location" in said:
                said["location"] = re.sub(r"/_history/(\d+)$", r"/_history/v-\1.a", said["location"])
    response = rewritten(response, body) if body is not None else response
    for name, pattern in (("etag", r'"(\d+)"'), ("location", r"(?<=/_history/)(\d+)$")):
        if name in response.headers:
            with_word = '"v-{}.a"' if name == "etag" else "v-{}.a"
            response.headers[name] = re.sub(pattern, lambda m, w=with_word: w.format(m[1]), response.headers[name])
    return response


def number_versions(request):
    """Take the words for what they stand for."""
    if "if-match" in request.headers:
        request.headers["if-match"] = re.sub(r"v-(\d+)\.a", r"\1", request.headers["if-match"])
    if is_bundle(request):
        request._content = re.sub(rb'(\\"|/)v-(\d+)\.a', rb"\1\2", request.content)


def one_a_page(request):
    """Let whatever is asked give one match a page."""
    request._content = re.sub(rb"_count=\d+", b"_count=1", request.content)
    request.url = request.url.copy_with(raw_path=re.sub(rb"_count=\d+", b"_count=1", request.url.raw_path))


def relative_links(_, response):
    body = parsed(response)
    for bundle in searchsets(body):
        for link in bundle.get("link", []):
            link["url"] = link["url"].removeprefix(f"{BASE}/")
    return rewritten(response, body) if body is not None else None


def shuffle(bundle):
    random.Random(7).shuffle(bundle.setdefault("entry", []))


def remark(bundle):
    said = outcome(severity="information", code="informational", text="this server is for testing")
    bundle["entry"] = [*bundle.get("entry", []), {"resource": said, "search": {"mode": "outcome"}}]


def nanoseconds(resource):
    meta = resource.get("meta", {})
    if "lastUpdated" in meta:
        meta["lastUpdated"] = re.sub(
            r"T(\d\d:\d\d:\d\d)(?:\.(\d+))?",
            lambda found: f"T{found[1]}.{(found[2] or '').ljust(6, '0')}789",
            meta["lastUpdated"],
        )


def without(*names):
    def edit(part):
        for name in names:
            part.pop(name, None)

    return edit


def bundle_entries_bare(bundle):
    for entry in bundle.get("entry", []):
        entry.pop("fullUrl", None)
        entry.pop("search", None)


def in_between(every, said):
    """Return a disturbance that answers each n-th request otherwise."""
    count = iter(range(1, 1 << 30))
    return lambda request: said(request) if next(count) % every == 0 else None


def too_many(request):
    now, until = (format_datetime(_ITS_CLOCK + timedelta(seconds=seconds), usegmt=True) for seconds in (0, 2))
    return answer(429, outcome(code="throttled", text="slow down"), Retry_After=until, Date=now)


def no_bundles(status):
    return lambda request: answer(status, outcome(text="no such interaction")) if is_bundle(request) else None


def at_most(entries):
    def before(request):
        return answer(413) if is_bundle(request) and len(orjson.loads(request.content)["entry"]) > entries else None

    return before


def short_addresses(request):
    """Search by GET alone, and refuse long addresses with a web page."""
    if request.url.path.endswith("/_search"):
        return answer(404)
    if is_bundle(request) and orjson.loads(request.content)["entry"][0]["request"]["method"] == "GET":
        return answer(400, outcome(text="only writes in a batch"))
    return html(414) if len(request.url.raw_path) > 2000 else None


def refuses_conditions(request):
    """Refuse creates with a condition, which are not declared either."""
    refusal = outcome(code="not-supported", text="conditional create")
    if "if-none-exist" in request.headers:
        return answer(400, refusal)
    if not is_bundle(request):
        return None
    entries = orjson.loads(request.content)["entry"]
    return answer(400, refusal) if any("ifNoneExist" in one["request"] for one in entries) else None


def prefers_nothing(request):
    request.headers.pop("prefer", None)


def compressed(_, response):
    if "content-encoding" in response.headers or not response.content:
        return None
    headers = {k: v for k, v in response.headers.items() if k.lower() != "content-length"}
    return httpx.Response(
        response.status_code, headers={**headers, "Content-Encoding": "gzip"}, content=gzip.compress(response.content)
    )


def ignores_conditions(request):
    """Write whatever the condition was."""
    for name in ("if-none-exist", "if-match"):
        request.headers.pop(name, None)


def first_of_lists(parameter):
    """Take the first of several values of a parameter (a pattern) and pass over the others, as if nobody had asked."""
    rest = re.compile(rb"\b(%b=[^&%%]*(?:%%(?!2C)[^&%%]*)*)%%2C[^&]*" % parameter)

    def before(request):
        if request.url.path.endswith("/_search"):
            request._content = rest.sub(rb"\1", request.content)
        request.url = request.url.copy_with(raw_path=rest.sub(rb"\1", request.url.raw_path))

    return before


def all_on_one_page(request):
    """Heed neither sizes of pages nor orders nor times."""
    request._content = re.sub(rb"&?_(count|sort|lastUpdated)=[^&]*", b"", request.content)
    path = re.sub(rb"&?_(count|sort|lastUpdated)=[^&]*", b"", request.url.raw_path)
    request.url = request.url.copy_with(raw_path=path)


def says_where_alone(request, response):
    """Answer what was written with an address below the host, and nothing else."""
    if request.method == "DELETE" or response.status_code not in {200, 201} or "location" not in response.headers:
        return None
    where = httpx.URL(response.headers["location"]).path.removeprefix("/")
    return httpx.Response(response.status_code, headers={"Location": where, "ETag": response.headers["etag"]})


def without_etags(request, response):
    response = in_entries(lambda entry: entry.get("response", {}).pop("etag", None))(request, response) or response
    response.headers.pop("etag", None)
    return response


def content_location(_, response):
    """Name what was created in Content-Location."""
    if "location" in response.headers:
        response.headers["Content-Location"] = response.headers.pop("location")
    return response


def undeclared_searches(statement):
    for one in statement["rest"][0]["resource"]:
        one.pop("searchParam", None)


def undeclared_creates(statement):
    statement["rest"][0].pop("interaction", None)
    for one in statement["rest"][0]["resource"]:
        one.pop("conditionalCreate", None)


def gone_is_missing(_, response):
    if response.status_code == 410:
        response.status_code = 404
    return response


MANNERS = {
    "links are relative": (None, relative_links),
    "one a page": (one_a_page, None),
    "no totals": (None, editing(searchsets, without("total"))),
    "totals are too large": (
        None,
        editing(searchsets, lambda bundle: bundle.update(total=bundle.get("total", 0) * 3 // 2)),
    ),
    "resources are enriched": (None, editing(resources, enrich)),
    "names are normalised": (None, editing(resources, normalise)),
    "matches are shuffled": (None, editing(searchsets, shuffle)),
    "entries are bare": (None, editing(searchsets, bundle_entries_bare)),
    "answers are remarked upon": (None, editing(searchsets, remark)),
    "versions are words": (number_versions, word_versions),
    "times have nanoseconds": (None, editing(resources, nanoseconds)),
    "the deleted are missing": (None, gone_is_missing),
    "slow down": (in_between(5, too_many), None),
    "maintenance": (in_between(9, lambda _: html(503)), None),
    "nine entries": (at_most(9), None),
    "short addresses": (short_addresses, None),
    "bundles are unprocessable": (no_bundles(422), None),
    "bundles are bad": (no_bundles(400), None),
    "bundles are missing": (no_bundles(404), None),
    "conditions are refused": (refuses_conditions, on_statement(undeclared_creates)),
    "everything is returned": (prefers_nothing, None),
    "answers are compressed": (None, compressed),
    "no etags": (None, without_etags),
    "content location": (None, content_location),
    "conditions are ignored": (ignores_conditions, on_statement(undeclared_creates)),
    "lists are cut": (first_of_lists(rb"\w+"), None),
    "lists of ids are cut": (first_of_lists(rb"_id"), None),
    "all on one page": (all_on_one_page, None),
    "receipts are terse": (None, says_where_alone),
    "no searches are declared": (None, on_statement(undeclared_searches)),
    "nothing is declared": (None, on_statement(lambda statement: statement.pop("rest"))),
}
