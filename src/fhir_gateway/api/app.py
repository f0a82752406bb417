"""The application: every resource of the HTTP contract, its problems, and what stands beside it."""

from collections.abc import Mapping, Sequence
from functools import partial

from fastapi import APIRouter, FastAPI
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp

from fhir_gateway import __version__
from fhir_gateway.api import (
    access,
    audit_events,
    docs,
    export,
    groups,
    health,
    merge_duplicates,
    merge_history,
    merge_jobs,
    merge_operation,
    merge_proofs,
    registry,
    registry_history,
)
from fhir_gateway.api.edge import Edge, EdgePolicy
from fhir_gateway.api.metrics import Metrics
from fhir_gateway.api.problems import answer_problems
from fhir_gateway.serving.environments import Serving

ROUTERS: Sequence[APIRouter] = (
    registry_history.router,
    export.router,
    groups.router,
    registry.router,
    health.router,
    docs.router,
    access.router,
    merge_jobs.router,
    merge_proofs.router,
    merge_duplicates.router,
    merge_history.router,
    merge_operation.router,
    audit_events.router,
)
"""In this order paths are tried. A path has as many segments as its route, so only those with the same fixed ones matter:
what a name in the path could stand for comes later (`_history` before `{resource_id}`). What is asked most comes first."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - what somebody may have asked for, not what is the default
_ABOUT = """\
Duplicates of people on a FHIR server are found, merged and undone, and every merge can be proved.

Every request names its environment and carries an access key of it: `Authorization: Bearer fgk-…`. Operators read and
merge, auditors read. Every problem is answered with an OperationOutcome. A NIK never stands in an address: it travels
in bodies only.
"""


def create_app(
    serving: Serving,
    *,
    pages: Mapping[str, ASGIApp] | None = None,
    metrics: Metrics | None = None,
    open_to_this_machine: bool = False,
) -> FastAPI:
    """Return the application over what is served; `pages` are applications of their own under their path.

    With `open_to_this_machine`, /metrics and /docs need no key from there.
    """
    app = FastAPI(
        title="fhir-gateway",
        version=__version__,
        description=_ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.serving = serving
    app.state.open_to_this_machine = open_to_this_machine
    app.state.metrics = metrics or Metrics()
    answer_problems(app)
    for path, page in (pages or {}).items():
        app.add_api_route(path, partial(_to_the_start, path), include_in_schema=False)
        app.mount(path, page)
    app.state.routes = [route for router in ROUTERS for route in router.routes]
    app.router.routes += app.state.routes  # as they are: include_router would build each anew for every application
    return app


async def _to_the_start(path: str) -> Response:
    return RedirectResponse(f"{path}/", 303)


def create_edge(app: FastAPI, *, host: str, policy: EdgePolicy | None = None) -> Edge:
    """Return the application as it is served on an address, with everything that guards it.

    It answers for the loopback address, for `host`, and for the public addresses of its environments.
    """
    settings, _ = app.state.serving.policies()
    public = {each.serving.public_host for each in settings}
    hosts = _LOOPBACK | {host.lower()} | public
    return Edge(app, policy=policy or EdgePolicy(hosts=hosts - _ANY_ADDRESS), metrics=app.state.metrics)
