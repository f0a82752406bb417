import pytest

from fhir_gateway.fhir_server.address import local_target

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
