"""Whether the history of merges is unaltered: verified, held against checkpoints, proved."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from fhir_gateway.console.guarding import Environment, Guarded, LoggedIn, PageRefusedError
from fhir_gateway.console.merges import Number, existing
from fhir_gateway.console.rendering import page
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.fhir import json_text

router = APIRouter(prefix="/merges")

_HERE = "/console/merges/verification"


@router.get("/verification")
async def state(request: Request, session: LoggedIn, environment: Environment) -> Response:
    """Show what the last verification found, and whether one is going on."""
    return page(request, "verification.html", session, work=environment.history.verification)


@router.post("/verification")
async def verify(
    session: Guarded, environment: Environment, checkpoint: Annotated[str, Form(max_length=4000)] = ""
) -> Response:
    """Begin to verify, against a checkpoint that somebody has kept where she has one."""
    given = {"the checkpoint that was given": checkpoint} if checkpoint.strip() else {}
    try:
        begun = environment.history.verify(given)
    except UsageError as error:
        raise PageRefusedError(422, f"{error}. Please paste all lines of it.") from None
    if not begun:
        session.tell("A verification is going on already.")
    return RedirectResponse(_HERE, 303)


@router.get("/checkpoint")
async def checkpoint(_: LoggedIn, environment: Environment) -> Response:
    """Give a signed checkpoint as a file."""
    return PlainTextResponse(
        await environment.history.checkpoint(), headers=_as_file(f"{environment.name}-history.txt")
    )


@router.get("/checkpoint/key")
async def checkpoint_key(_: LoggedIn, environment: Environment) -> Response:
    """Give the public key of the checkpoints as a file."""
    headers = _as_file(f"{environment.name}-history-key.txt")
    return PlainTextResponse(f"{await environment.history.public_key()}\n", headers=headers)


@router.get("/{merge}/proof")
async def proof(_: LoggedIn, environment: Environment, merge: Number) -> Response:
    """Give the proof that a merge stands in the history as a file."""
    existing(environment, merge)
    body = json_text.dump(await environment.history.prove(merge))
    headers = _as_file(f"{environment.name}-merge-{merge}-proof.json")
    return Response(body, media_type="application/json", headers=headers)


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
