"""A working folder whose embedded server holds invented people several times over."""

import json

from tests.fakes.duplicated_people import put_all

from fhir_gateway.embedded_server.server import EmbeddedServer
from fhir_gateway.fhir.references import iterate_references
from fhir_gateway.fhir.validation import resource_types


def fill(home, resources, environment="embedded"):
    """Put resources on the embedded server of a working folder."""
    server = EmbeddedServer(home / ".fhir-gateway" / environment)
    try:
        put_all(server, resources)
    finally:
        server.close()


def everything(home, environment="embedded"):
    """Return every resource of the server by `Type/id`, without version and time, but no Provenance."""
    server = EmbeddedServer(home / ".fhir-gateway" / environment)
    try:
        return read_all(server)
    finally:
        server.close()


def read_all(server):
    """Return every resource of an embedded server by `Type/id`, without version and time, but no Provenance."""
    found = {}
    for resource_type in sorted(resource_types() - {"Provenance"}):
        asked = "_count=500"
        while asked:
            said = server.handle("GET", f"/{resource_type}", query=asked, headers={}, body=b"", base="http://x/fhir")
            bundle = json.loads(said.body)
            found |= {
                f"{resource_type}/{entry['resource']['id']}": bare(entry["resource"])
                for entry in bundle.get("entry", [])
            }
            following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            asked = following[0].partition("?")[2] if following else ""
    return found


def bare(resource):
    """Return a resource without what the server writes itself."""
    meta = {name: value for name, value in resource["meta"].items() if name not in {"versionId", "lastUpdated"}}
    rest = {name: value for name, value in resource.items() if name != "meta"}
    return rest | {"meta": meta} if meta else rest


def referring_to(content, patient_ids):
    """Return who refers to these Patients, Patient.link apart."""
    wanted = {f"Patient/{one}" for one in patient_ids}
    return sorted(
        name
        for name, resource in content.items()
        for found in iterate_references(resource)
        if found.value.get("reference") in wanted and found.path != "link.other"
    )
