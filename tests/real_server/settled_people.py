"""Invented people as they look on a real server, under the names that it gave them."""

import json
import re

import httpx

from fhir_gateway.fhir.references import iterate_references

_FRESH = {"Cache-Control": "no-cache"}


class Settled:
    """Resources that were created on a server: their names there by the names under which they were written down."""

    def __init__(self, base_url, resources):
        self.base_url = base_url
        self.names = {}
        with self._client() as client:
            for resource in resources:
                self._create(client, resource)

    def _client(self):
        return httpx.Client(base_url=self.base_url, timeout=300, headers=_FRESH)

    def _create(self, client, resource):
        bare = {name: value for name, value in resource.items() if name != "id"}
        body = re.sub(
            r'"reference":\s*"(\w+/[\w-]+)"', lambda found: f'"reference": "{self.names[found[1]]}"', json.dumps(bare)
        )
        answer = client.post(
            f"/{resource['resourceType']}", content=body, headers={"Content-Type": "application/fhir+json"}
        )
        assert answer.status_code == 201, [  # in words: an outcome is long
            issue["diagnostics"] for issue in answer.json()["issue"] if issue["severity"] == "error"
        ]
        self.names[f"{resource['resourceType']}/{resource['id']}"] = f"{resource['resourceType']}/{answer.json()['id']}"

    def __getitem__(self, name):
        """Return the bare id of a Patient by its short name."""
        return self.names[f"Patient/{name}"].partition("/")[2]

    def content(self):
        """Return every one of them by its short name as it stands there now, without what the server writes itself."""
        with self._client() as client:
            return {name: without_the_servers(client.get(f"/{there}").json()) for name, there in self.names.items()}

    def search(self, resource_type, **parameters):
        """Return what a search finds, by its first page."""
        with self._client() as client:
            bundle = client.get(f"/{resource_type}", params=parameters).json()
            return [entry["resource"] for entry in bundle.get("entry", [])]

    def edit(self, name, **elements):
        """Change elements of one as somebody does who reads it first."""
        with self._client() as client:
            there = self.names[name]
            answer = client.put(f"/{there}", json=client.get(f"/{there}").json() | elements)
            assert answer.status_code == 200, answer.text

    def referring_to(self, *patients):
        """Return who of them refers to these Patients, apart from what tells of the past and of replacement."""
        wanted = {self.names[f"Patient/{one}"] for one in patients}
        return sorted(
            name
            for name, resource in self.content().items()
            if not name.startswith(("Provenance/", "AuditEvent/"))
            for found in iterate_references(resource)
            if found.value.get("reference") in wanted and found.path != "link.other"
        )


def without_the_servers(resource):
    """Return a resource without version and time; HAPI appends its request's id to `meta.source`, or writes only that."""
    meta = {name: value for name, value in resource["meta"].items() if name not in {"versionId", "lastUpdated"}}
    source = meta.pop("source", "").partition("#")[0]
    return resource | {"meta": meta | ({"source": source} if source else {})}
