"""`/{environment}/audit-events`: who was told of whom, and what the gateway changed, for auditors only."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from fhir_gateway.api.addresses import public_url
from fhir_gateway.api.answers import FHIR_JSON, FhirJson, RequestRefusedError, json_response
from fhir_gateway.api.documented import OF_AN_ENVIRONMENT
from fhir_gateway.api.registry_models import FhirBundle, FhirResource
from fhir_gateway.api.security import Auditor, Environment
from fhir_gateway.domain.auditing import EventFilter, EventKind
from fhir_gateway.domain.records import Resource
from fhir_gateway.serving.audit_events import AuditEvents, Page, UnknownCursorError
from fhir_gateway.serving.environments import ServedEnvironment

router = APIRouter(prefix="/{environment}/audit-events", tags=["audit"], responses=OF_AN_ENVIRONMENT)

_MOST = 500
_NO_STORE = {"Cache-Control": "no-store"}
_ID = r"^[A-Za-z0-9\-.]{0,64}$"
_LARGEST = 1 << 31
_KIND = "What registries were told, or what the gateway changed on the FHIR server."
_CLIENT = "A registered client's id; its events are pulls."
_USER = "Who ran the command or pressed the button; the events are changes."
_RUN = "A run's number; the events are changes."
_SINCE = "At this moment or later; of a run, that had not ended before."
_UNTIL = "At this moment or earlier; of a run, that had begun by then."


class EventSearch(BaseModel):
    """Which events are asked for; what is left out is not asked."""

    model_config = ConfigDict(extra="forbid")

    nik: str = Field(default="", pattern=r"^([0-9]{16})?$", description="A NIK of 16 digits.")
    patient: str = Field(default="", pattern=_ID, description="A Patient's bare id.")
    kind: EventKind | None = Field(default=None, description=_KIND)
    client: str = Field(default="", pattern=_ID, description=_CLIENT)
    user: str = Field(default="", max_length=200, description=_USER)
    run: int | None = Field(default=None, ge=1, lt=_LARGEST, description=_RUN)
    since: AwareDatetime | None = Field(default=None, description=_SINCE)
    until: AwareDatetime | None = Field(default=None, description=_UNTIL)
    limit: int = Field(default=100, ge=1, le=_MOST, description="So many events at most.")


class Visit:
    """The events of an environment, and under which address they are."""

    def __init__(self, request: Request, environment: ServedEnvironment) -> None:
        self.url = public_url(request, environment, "audit-events")
        self.events = AuditEvents(environment, base=public_url(request, environment, "fhir"), now=datetime.now(UTC))

    def bundle(self, page: Page) -> Response:
        """Answer with a page."""
        content: Resource = {"resourceType": "Bundle", "type": "searchset"}
        if page.following:
            content["link"] = [{"relation": "next", "url": f"{self.url}?cursor={page.following}"}]
        if page.events:
            content["entry"] = [
                {"fullUrl": f"{self.url}/{one['id']}", "resource": one, "search": {"mode": "match"}}
                for one in page.events
            ]
        return json_response(content, headers=_NO_STORE, media_type=FHIR_JSON)


async def visit(request: Request, environment: Environment, _: Auditor) -> Visit:
    """Let an auditor in."""
    return Visit(request, environment)


LetIn = Annotated[Visit, Depends(visit)]


@router.get(
    "",
    response_class=FhirJson,
    response_model=FhirBundle,
    summary="What registries were told and the gateway changed, the newest first",
)
async def events(  # noqa: PLR0913, PLR0917 - what FastAPI hands over
    let_in: LetIn,
    kind: Annotated[EventKind | None, Query(description=_KIND)] = None,
    client: Annotated[str, Query(pattern=_ID, description=_CLIENT)] = "",
    user: Annotated[str, Query(max_length=200, description=_USER)] = "",
    run: Annotated[int | None, Query(ge=1, lt=_LARGEST, description=_RUN)] = None,
    since: Annotated[AwareDatetime | None, Query(description=_SINCE)] = None,
    until: Annotated[AwareDatetime | None, Query(description=_UNTIL)] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST, description="So many events at most.")] = 100,
    cursor: Annotated[str, Query(max_length=4000, description="Where to go on, as the next link says it.")] = "",
) -> Response:
    """Return AuditEvents (IHE BALP) page by page in a Bundle, whose next link leads on.

    A search or a reading is there once for each Patient whom it told of, an export once; a load, an operator's decision,
    a merge or its undoing once for each resource that it created or updated. Whose they are is asked for by
    `POST …/audit-events/search`, since addresses end up in logs.
    """
    if not cursor:
        wanted = EventFilter(kind=kind, client=client, user=user, run=run, since=since, until=until)
        return let_in.bundle(await let_in.events.page(wanted, limit=limit))
    try:
        return let_in.bundle(await let_in.events.following(cursor))
    except UnknownCursorError as error:
        raise RequestRefusedError(400, str(error)) from None


@router.post(
    "/search",
    response_class=FhirJson,
    response_model=FhirBundle,
    summary="Who was told of this person, and what was changed of hers?",
)
async def search(let_in: LetIn, wanted: EventSearch) -> Response:
    """Return AuditEvents by Patient or NIK too; exports tell of a whole region and are always among them."""
    patients = [wanted.patient] if wanted.patient else []
    if wanted.nik:
        carrying = await let_in.events.patients_of(wanted.nik)
        patients = [one for one in carrying if one in patients or not patients]
        if not patients:
            raise RequestRefusedError(404, "there is no such Patient with this NIK on the server")
    asked = EventFilter(
        kind=wanted.kind,
        client=wanted.client,
        user=wanted.user,
        run=wanted.run,
        patients=tuple(patients),
        since=wanted.since,
        until=wanted.until,
    )
    return let_in.bundle(await let_in.events.page(asked, limit=wanted.limit))


@router.get("/{event}", response_class=FhirJson, response_model=FhirResource, summary="One event")
async def event(let_in: LetIn, event: str) -> Response:
    """Return one AuditEvent."""
    found = await let_in.events.event(event)
    if found is None:
        raise RequestRefusedError(404, "there is no such event")
    return json_response(found, headers=_NO_STORE, media_type=FHIR_JSON)
