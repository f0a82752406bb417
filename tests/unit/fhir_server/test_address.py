import pytest

from fhir_gateway.fhir_server.address import local_target, next_link

BASE = "http://127.0.0.1:8080/fhir"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        (f"{BASE}?_getpages=x&_getpagesoffset=20", "?_getpages=x&_getpagesoffset=20"),
        (f"{BASE}/?_getpages=x", "?_getpages=x"),
        (f"{BASE}/Patient/?page=2", "Patient?page=2"),
        (f"{BASE}/Patient?name=a%20b&page=2", "Patient?name=a%20b&page=2"),
        ("http://localhost:8080/fhir/Patient?page=2", "Patient?page=2"),
        ("https://public.test/fhir/Patient?page=2", "Patient?page=2"),
        ("https://public.test/api/r4/Patient?page=2", "Patient?page=2"),
        ("Patient?page=2", "Patient?page=2"),
        ("/fhir/Patient?page=2", "Patient?page=2"),
        ("/admin/delete?page=2", None),
        (f"{BASE}/../admin?page=2", None),
        (f"{BASE}/%2e%2e/admin?page=2", None),
        (f"{BASE}/Patient/.%2E/%2e./admin?page=2", None),
        ("http://127.0.0.1:8080/admin", None),
    ],
)
def test_links_keep_path_and_query_but_never_leave_the_server(link, target):
    assert local_target(BASE, link) == target


@pytest.mark.parametrize(
    ("own", "link", "target"),
    [
        ("http://inner:9000/app", "http://inner:9000/app?_getpages=x", "?_getpages=x"),
        ("http://inner:9000/app", "http://inner:9000/app/Patient?page=2", "Patient?page=2"),
        ("http://inner:9000/app", "http://inner:9000/app/Patient/_history?page=2", "Patient/_history?page=2"),
        ("http://inner:9000", "http://inner:9000/pages/abc", "pages/abc"),
        ("http://127.0.0.1:8080/app", "http://127.0.0.1:8080/app/Patient?page=2", "Patient?page=2"),
        ("http://inner:9000/app", "http://inner:9000/app/../admin", None),
        ("http://inner:9000/app", "http://inner:9000/application?page=2", "application?page=2"),
        (BASE, f"{BASE}?_getpages=x", "?_getpages=x"),
        (BASE, "?page=2", "?page=2"),
    ],
)
def test_a_path_that_a_proxy_maps_to_ours_is_told_by_the_resources_own_addresses(own, link, target):
    bundle = {"link": [{"relation": "next", "url": link}], "entry": [{"fullUrl": f"{own}/Patient/7"}]}
    assert local_target(BASE, next_link(bundle)) == target


@pytest.mark.parametrize("entries", [None, [], [{}], [{"fullUrl": 7}], [{"fullUrl": "urn:uuid:1"}], "x"])
def test_without_addresses_of_resources_a_link_stays_as_it_is(entries):
    assert next_link({"link": [{"relation": "next", "url": f"{BASE}?x=1"}], "entry": entries}) == f"{BASE}?x=1"


@pytest.mark.parametrize("bundle", [None, [], {}, {"link": 7}, {"link": [7, {"relation": "next", "url": 7}]}])
def test_what_has_no_next_link_has_none(bundle):
    assert next_link(bundle) == ""
