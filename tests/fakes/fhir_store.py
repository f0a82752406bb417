"""A FHIR server in memory behind the ports FhirReader and FhirWriter; it remembers what it was asked."""

import json
from dataclasses import dataclass

from fhir_gateway.domain.errors import UntrustedAnswerError
from fhir_gateway.domain.posting import EntryKind, EntryOutcome


@dataclass(frozen=True)
class FakeProof:
    works: bool
    words: str = "as the test says"


class FakeFhirStore:
    """`broken` names search parameters that do not work, `untrusted` those whose answers cannot be trusted."""

    def __init__(self, *resources, broken=(), untrusted=()):
        self.resources = {}
        self.broken = set(broken)
        self.untrusted = set(untrusted)
        self.searches = []
        self.reads = []
        for resource in resources:
            self.put(resource)

    def put(self, resource):
        self.resources[resource["resourceType"], resource["id"]] = resource

    async def prove_search(self, resource_type, parameter):
        return FakeProof(parameter not in self.broken)

    async def read(self, resource_type, resource_id):
        self.reads.append(resource_id)
        return self.resources.get((resource_type, resource_id))

    async def search(self, resource_type, parameters):
        self.searches.append({name: list(values) for name, values in parameters.items()})
        if self.untrusted & set(parameters):
            raise UntrustedAnswerError("the server ignored a parameter")
        for (kind, _), resource in list(self.resources.items()):
            if kind == resource_type and all(_has(resource, name, values) for name, values in parameters.items()):
                yield resource

    async def send(self, entries):
        return [self._write(entry) for entry in entries]

    def _write(self, entry):
        if entry.method == "PUT":
            resource_id = entry.url.split("/")[1]
            held = self.resources.get((entry.url.split("/")[0], resource_id))
            version = _version(held)
            if held is None or (entry.if_match and entry.if_match != version):
                return EntryOutcome(entry.key, EntryKind.CHANGED_MEANWHILE, status=412)
            return self._keep(entry, resource_id, str(int(version) + 1), EntryKind.UPDATED)
        for (kind, resource_id), held in self.resources.items():
            name, _, value = entry.if_none_exist.partition("=")
            if entry.if_none_exist and kind == entry.url and _has(held, name, [value]):
                return EntryOutcome(entry.key, EntryKind.EXISTED, resource_id, _version(held), 200)
        return self._keep(entry, f"f{len(self.resources) + 1}", "1", EntryKind.CREATED)

    def _keep(self, entry, resource_id, version, kind):
        meta = {**entry.resource.get("meta", {}), "versionId": version}
        self.put({**entry.resource, "id": resource_id, "meta": meta})
        return EntryOutcome(entry.key, kind, resource_id, version, 201 if kind is EntryKind.CREATED else 200)


def _version(resource):
    return (resource or {}).get("meta", {}).get("versionId", "1")


def _has(resource, name, values):
    if name == "name":
        words = " ".join(one.get("text", "") for one in resource.get("name", ())).casefold().split()
        return any(word.startswith(value.casefold()) for word in words for value in values)
    own = {
        "_id": [resource["id"]],
        "identifier": [f"{one.get('system', '')}|{one.get('value', '')}" for one in resource.get("identifier", ())],
        "birthdate": [resource.get("birthDate")],
        "gender": [resource.get("gender")],
        "gender:missing": [json.dumps("gender" not in resource)],
        "phone": [one.get("value") for one in resource.get("telecom", ())],
        "patient": [resource.get("patient", {}).get("reference")],
    }[name]
    return bool(set(own) & set(values))
