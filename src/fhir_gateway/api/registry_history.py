"""`/{environment}/fhir/…/_history`: what became of Immunizations and Patients since a time, deletions too."""

from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.responses import Response

from fhir_gateway.api.answers import RequestRefusedError
from fhir_gateway.api.registry import LetIn, Visit, packed
from fhir_gateway.registry.parameters import SearchProblemError

router = APIRouter(prefix="/{environment}/fhir", tags=["registry"])

_MOST_PARAMETERS = 10


@router.get("/{resource_type}/_history", summary="What became of all resources of a type?")
async def type_history(resource_type: str, let_in: LetIn) -> Response:
    """Return versions, the newest first; `_since` names an instant, deletions are entries without a resource."""
    return await _told(let_in, resource_type, "", permission="s")


@router.get("/{resource_type}/{resource_id}/_history", summary="What became of one resource?")
async def instance_history(resource_type: str, resource_id: str, let_in: LetIn) -> Response:
    """Return the versions of one resource, the newest first."""
    return await _told(let_in, resource_type, resource_id, permission="r")


async def _told(let_in: Visit, resource_type: str, resource_id: str, *, permission: str) -> Response:
    let_in.check(resource_type, permission)
    if not await let_in.registry.keeps_history(resource_type):
        raise RequestRefusedError(404, f"there is no history of {resource_type} here", code="not-supported")
    query = let_in.request.url.query
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise RequestRefusedError(400, f"a history has at most {_MOST_PARAMETERS} parameters") from None
    try:
        found = await let_in.registry.history(let_in.asked(resource_type, pairs, query.encode()), resource_id)
    except SearchProblemError as error:
        status = 410 if error.code == "expired" else 400
        raise RequestRefusedError(status, str(error), code=error.code) from None
    if found is None:
        raise RequestRefusedError(404, f"there is no such {resource_type}")
    return packed(let_in.request, found)
