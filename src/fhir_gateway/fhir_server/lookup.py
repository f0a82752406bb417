"""Finds what a conditional create made, by the identifier that it was created with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhir_gateway.domain.errors import UntrustedAnswerError
from fhir_gateway.domain.posting import BundleEntry
from fhir_gateway.fhir_server.reader import ServerReader

_IDENTIFIER = "identifier="


@dataclass(frozen=True, slots=True)
class Found:
    """A resource on the server."""

    resource_id: str
    version_id: str
    several: bool = False
    """Whether others carry the same identifier."""


async def find_created(reader: ServerReader, creates: Sequence[BundleEntry]) -> dict[str, Found]:
    """Return what the server has for these creates, by `<type>?<condition>`; those without an identifier are left out.

    Raises ServerError as searches do; also where "not found" cannot be believed.
    """
    found: dict[str, Found] = {}
    for resource_type in sorted({entry.url for entry in creates}):
        tokens = {
            entry.if_none_exist.removeprefix(_IDENTIFIER)
            for entry in creates
            if entry.url == resource_type and entry.if_none_exist.startswith(_IDENTIFIER)
        }
        if not tokens:
            continue
        proof = await reader.prove_search(resource_type, "identifier")
        if not proof.works:
            raise UntrustedAnswerError(
                f"The server does not search {resource_type} by identifier, so nobody knows what it has: {proof.words}"
            )
        async for resource in reader.search(resource_type, {"identifier": sorted(tokens)}):
            version = (resource.get("meta") or {}).get("versionId") or ""
            for identifier in resource.get("identifier") or ():
                token = f"{identifier.get('system', '')}|{identifier.get('value', '')}"
                if token in tokens:
                    name = f"{resource_type}?{_IDENTIFIER}{token}"
                    before = found.get(name)
                    several = before is not None and before.resource_id != resource["id"]
                    found[name] = (
                        replace(before, several=True) if before and several else Found(resource["id"], version)
                    )
    return found
