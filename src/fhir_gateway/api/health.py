"""`/health/live`, `/health/ready`: for orchestrators, without credentials; and `/metrics`."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from fhir_gateway.api.answers import json_response
from fhir_gateway.api.documented import problems
from fhir_gateway.api.metrics import MEDIA_TYPE, Metrics
from fhir_gateway.api.registry_models import Liveness, Readiness
from fhir_gateway.api.security import Inside, serving
from fhir_gateway.domain.errors import GatewayError
from fhir_gateway.serving.environments import Serving

router = APIRouter(tags=["health"])


@router.get("/health/live", response_model=Liveness, summary="Is the process alive?")
async def live() -> Response:
    """Answer 200 as long as the process answers at all."""
    return json_response({"status": "live"})


@router.get(
    "/health/ready",
    response_model=Readiness,
    responses={503: {"description": "Not yet.", "model": Readiness}},
    summary="Can requests be carried out?",
)
async def ready(request: Request) -> Response:
    """Answer 200 where every environment's ledger is open and its FHIR server answers within a second, else 503.

    What was found out about a FHIR server is believed for ten seconds.
    """
    served = serving(request)
    names = served.names
    states = await asyncio.gather(*(_state(served, name) for name in names))
    is_ready = all(all(state.values()) for state in states)
    body = {
        "status": "ready" if is_ready else "not ready",
        "environments": dict(zip(names, states, strict=True)),
    }
    return json_response(body, 200 if is_ready else 503)


async def _state(served: Serving, name: str) -> dict[str, bool]:
    try:
        environment = await served.environment(name)
    except GatewayError:
        return {"ledger": False, "fhir_server": False}
    return {"ledger": environment.has_ledger(), "fhir_server": await environment.is_reachable()}


@router.get(
    "/metrics",
    summary="Counters for Prometheus",
    response_class=Response,
    dependencies=[Inside],
    responses=problems(401, 429),
)
async def metrics(request: Request) -> Response:
    """Return counters and times by route, in Prometheus' text form; no ids, nothing of patients.

    Who scrapes needs an access key of any environment.
    """
    counted: Metrics = request.app.state.metrics
    return Response(counted.text(environments=len(serving(request).opened)), media_type=MEDIA_TYPE)
