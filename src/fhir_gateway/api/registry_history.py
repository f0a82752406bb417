"""`/{environment}/fhir/…/_history`: what became of Immunizations and Patients since a time, deletions too."""

from fastapi import APIRouter
from starlette.responses import Response

from fhir_gateway.api.answers import FhirJson, RequestRefusedError
from fhir_gateway.api.documented import OF_AN_ENVIRONMENT
from fhir_gateway.api.registry import LetIn, Visit, packed, pairs_of, refused_search
from fhir_gateway.api.registry_models import FhirBundle
from fhir_gateway.registry.parameters import SearchProblemError

router = APIRouter(prefix="/{environment}/fhir", tags=["registry"], responses=OF_AN_ENVIRONMENT)


@router.get(
    "/{resource_type}/_history",
    response_class=FhirJson,
    response_model=FhirBundle,
    summary="What became of all resources of a type?",
)
async def type_history(resource_type: str, let_in: LetIn) -> Response:
    """Return versions, the newest first; `_since` names an instant, deletions are entries without a resource."""
    return await _told(let_in, resource_type, "", permission="s")


@router.get(
    "/{resource_type}/{resource_id}/_history",
    response_class=FhirJson,
    response_model=FhirBundle,
    summary="What became of one resource?",
)
async def instance_history(resource_type: str, resource_id: str, let_in: LetIn) -> Response:
    """Return the versions of one resource, the newest first."""
    return await _told(let_in, resource_type, resource_id, permission="r")


async def _told(let_in: Visit, resource_type: str, resource_id: str, *, permission: str) -> Response:
    let_in.check(resource_type, permission)
    if not await let_in.registry.keeps_history(resource_type):
        raise RequestRefusedError(404, f"there is no history of {resource_type} here", code="not-supported")
    query = let_in.request.url.query.encode()
    try:
        found = await let_in.registry.history(
            let_in.asked(resource_type, pairs_of(query, "a history"), query), resource_id
        )
    except SearchProblemError as error:
        raise refused_search(error) from None
    if found is None:
        raise RequestRefusedError(404, f"there is no such {resource_type}")
    return packed(let_in.request, found)
