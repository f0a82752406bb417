"""`/{environment}/access`: whose key this is."""

from fastapi import APIRouter
from starlette.responses import Response

from fhir_gateway.api.answer_models import WhoseKey
from fhir_gateway.api.answers import json_response
from fhir_gateway.api.documented import OF_AN_ENVIRONMENT
from fhir_gateway.api.security import Reader

router = APIRouter(prefix="/{environment}", tags=["access"], responses=OF_AN_ENVIRONMENT)


@router.get("/access", response_model=WhoseKey, summary="Whose key is this?")
async def access(caller: Reader) -> Response:
    """Tell the name and the role that the key of this request was given."""
    return json_response(
        {"environment": caller.environment, "key": caller.key_id, "name": caller.name, "role": caller.role}
    )
