"""`/{environment}/audit-events`: which registry was told of whom, as FHIR AuditEvents, for auditors only."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from fhir_gateway.api.addresses import public_url
from fhir_gateway.api.answers import FHIR_JSON, RequestRefusedError, json_response
from fhir_gateway.api.security import Auditor, Environment
from fhir_gateway.bootstrap.audit_events import AuditEvents, Page, UnknownCursorError
from fhir_gateway.bootstrap.serving import ServedEnvironment
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.registry import PullFilter

router = APIRouter(prefix="/{environment}/audit-events", tags=["audit"])

_MOST = 500
_NO_STORE = {"Cache-Control": "no-store"}
_ID = r"^[A-Za-z0-9\-.]{0,64}$"


class EventSearch(BaseModel):
    """Which events are asked for; what is left out is not asked."""

    model_config = ConfigDict(extra="forbid")

    nik: str = Field(default="", pattern=r"^([0-9]{16})?$", description="A NIK of 16 digits.")
    patient: str = Field(default="", pattern=_ID, description="A Patient's bare id.")
    client: str = Field(default="", pattern=_ID, description="A registered client's id.")
    since: AwareDatetime | None = Field(default=None, description="Pulled at this moment or later.")
    until: AwareDatetime | None = Field(default=None, description="Pulled at this moment or earlier.")
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


@router.get("", summary="What registries were told, the newest first")
async def events(  # noqa: PLR0913, PLR0917 - what FastAPI hands over
    let_in: LetIn,
    client: Annotated[str, Query(pattern=_ID, description="A registered client's id.")] = "",
    since: Annotated[AwareDatetime | None, Query(description="Pulled at this moment or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Pulled at this moment or earlier.")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST, description="So many events at most.")] = 100,
    cursor: Annotated[str, Query(max_length=4000, description="Where to go on, as the next link says it.")] = "",
) -> Response:
    """Return AuditEvents (IHE BALP) page by page in a Bundle, whose next link leads on.

    A search or a reading is there once for each Patient whom it told of, an export once. Whose they are is asked for
    by `POST …/audit-events/search`, since addresses end up in logs.
    """
    if not cursor:
        return let_in.bundle(let_in.events.page(PullFilter(client, (), since, until), limit=limit))
    try:
        return let_in.bundle(let_in.events.following(cursor))
    except UnknownCursorError as error:
        raise RequestRefusedError(400, str(error)) from None


@router.post("/search", summary="Who was told of this person?")
async def search(let_in: LetIn, wanted: EventSearch) -> Response:
    """Return AuditEvents by Patient or NIK too; exports tell of a whole region and are always among them."""
    patients = [wanted.patient] if wanted.patient else []
    if wanted.nik:
        carrying = await let_in.events.patients_of(wanted.nik)
        patients = [one for one in carrying if one in patients or not patients]
        if not patients:
            raise RequestRefusedError(404, "there is no such Patient with this NIK on the server")
    asked = PullFilter(wanted.client, tuple(patients), wanted.since, wanted.until)
    return let_in.bundle(let_in.events.page(asked, limit=wanted.limit))


@router.get("/{event}", summary="One event")
async def event(let_in: LetIn, event: str) -> Response:
    """Return one AuditEvent."""
    found = let_in.events.event(event)
    if found is None:
        raise RequestRefusedError(404, "there is no such event")
    return json_response(found, headers=_NO_STORE, media_type=FHIR_JSON)
