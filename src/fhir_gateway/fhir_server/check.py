"""What an operator wants to know of a server before the first run."""

from collections.abc import Iterable
from dataclasses import dataclass

from fhir_gateway.domain.errors import PermanentServerError, ServerError
from fhir_gateway.fhir_server.capabilities import Capabilities
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.proof import SearchProof
from fhir_gateway.fhir_server.reader import ServerReader

PATIENCE = 10.0
"""Seconds that a check waits for a server that is down."""

NEEDED = {"Patient": ("identifier",), "Immunization": ("identifier", "patient")}
"""Searches without which a load cannot tell what is there already; _is_needed() knows which may be done without."""

USEFUL = {"Patient": ("birthdate", "gender", "phone", "name")}
"""Searches that find people without a number."""


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """What was found out. `problem` is "" when the server can be used; `searches` are the proofs, needed ones first."""

    reached: bool
    authorised: bool
    fhir_version: str
    software: str
    searches: tuple[SearchProof, ...]
    problem: str


async def check_server(client: FhirClient) -> ServerCheck:
    """Find out whether the server is reached, takes the credentials, speaks FHIR R4, and really searches.

    Never raises for what the server does; waits for a server that is down for PATIENCE seconds only.
    """
    client.limit_patience(PATIENCE)
    reader = ServerReader(client)
    capabilities = Capabilities()
    try:
        capabilities = await reader.capabilities()
        searches = [
            await reader.prove_search(resource_type, parameter)
            for wanted in (NEEDED, USEFUL)
            for resource_type, parameters in wanted.items()
            for parameter in parameters
        ]
    except ServerError as error:
        return _problem(error, capabilities)
    return ServerCheck(
        reached=True,
        authorised=not any(_forbidden(proof) for proof in searches),
        fhir_version=capabilities.fhir_version,
        software=capabilities.software,
        searches=tuple(searches),
        problem=_missing(one for one in searches if _is_needed(capabilities, one.resource_type, one.parameter)),
    )


async def what_hinders_a_load(reader: ServerReader) -> str:
    """Return why nothing can be loaded into this server (no FHIR R4, credentials refused, no searches), "" if nothing.

    Raises TransientServerError where the server stays away.
    """
    try:
        capabilities = await reader.capabilities()
        proofs = [
            await reader.prove_search(resource_type, parameter)
            for resource_type, parameters in NEEDED.items()
            for parameter in parameters
            if _is_needed(capabilities, resource_type, parameter)
        ]
    except PermanentServerError as error:
        return str(error)
    return _missing(proofs)


def _problem(error: ServerError, capabilities: Capabilities) -> ServerCheck:
    status = error.status if isinstance(error, PermanentServerError) else 0
    return ServerCheck(
        reached=status > 0 or capabilities.declared,
        authorised=status not in {401, 403} and (status > 0 or capabilities.declared),
        fhir_version=capabilities.fhir_version,
        software=capabilities.software,
        searches=(),
        problem=str(error),
    )


def _missing(needed: Iterable[SearchProof]) -> str:
    """Name the needed searches that do not work."""
    missing = [proof for proof in needed if not proof.works]
    return "; ".join(f"search {proof.resource_type}?{proof.parameter}: {proof.words}" for proof in missing)


def _is_needed(capabilities: Capabilities, resource_type: str, parameter: str) -> bool:
    """Tell whether nothing can be loaded without this search."""
    if (resource_type, parameter) == (
        "Immunization",
        "identifier",
    ):  # else a dose is looked for after a lost answer only
        return not capabilities.creates_conditionally("Immunization")
    return parameter in NEEDED.get(resource_type, ())


def _forbidden(proof: SearchProof) -> bool:
    return proof.status in {401, 403}
