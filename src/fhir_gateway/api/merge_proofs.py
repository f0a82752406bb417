"""`/{environment}/merges/verification`, `checkpoint`, `{merge}/proof`: that the history is unaltered, and its proofs."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import PlainTextResponse, Response

from fhir_gateway.api.addresses import public_url
from fhir_gateway.api.answer_models import MergeProof, VerificationState
from fhir_gateway.api.answers import RequestRefusedError, json_response
from fhir_gateway.api.documented import CONFLICT, OF_AN_ENVIRONMENT
from fhir_gateway.api.security import Environment, Reader
from fhir_gateway.bootstrap.told_merges import told_verification
from fhir_gateway.domain.errors import LedgerError
from fhir_gateway.serving.environments import ServedEnvironment

router = APIRouter(prefix="/{environment}/merges", tags=["merges"], responses=OF_AN_ENVIRONMENT)

_POLL = {"Retry-After": "5"}
Note = Annotated[str, Field(max_length=4000, description="A checkpoint, as `GET …/checkpoint` has answered it once.")]
Number = Annotated[int, Path(ge=1, le=2**31, description="The merge's number.")]


class VerificationWish(BaseModel):
    """What the history is held against, beside its own hashes and signatures."""

    model_config = ConfigDict(extra="forbid", strict=True)

    checkpoints: list[Note] = Field(
        default_factory=list, max_length=20, description="Checkpoints that were kept elsewhere."
    )


class ProofWish(BaseModel):
    """What else a proof is to show."""

    model_config = ConfigDict(extra="forbid", strict=True)

    earlier: Note = Field(default="", description="An earlier checkpoint, to be shown to be of this history.")


@router.get("/verification", response_model=VerificationState, summary="Is the history unaltered?")
async def verification(environment: Environment, _: Reader) -> Response:
    """Tell what the last verification found and when, and whether one is going on.

    `result` is null before the first one; it outlives a restart. `faults` name the rows that were changed,
    `not_known` says what nobody can know without a checkpoint that was kept elsewhere.
    """
    return json_response(_told(environment))


@router.post(
    "/verification",
    status_code=202,
    response_model=VerificationState,
    responses=CONFLICT,
    summary="Verify the history anew",
)
async def verify(request: Request, environment: Environment, _: Reader, wish: VerificationWish) -> Response:
    """Recompute every hash of the history beside the gateway's other work: 202, and `GET` tells what was found.

    A million entries take about a minute. 409 while another verification is going on, 400 for what is no checkpoint.
    """
    notes = {f"checkpoint {number}": note for number, note in enumerate(wish.checkpoints, start=1)}
    if not environment.history.verify(notes):
        raise RequestRefusedError(409, "the history is being verified already, ask for its result", headers=_POLL)
    where = public_url(request, environment, "merges/verification")
    return json_response(_told(environment), 202, headers={"Content-Location": where, **_POLL})


@router.get("/checkpoint", summary="A signed checkpoint of the history", response_class=PlainTextResponse)
async def checkpoint(environment: Environment, _: Reader) -> Response:
    """Return a checkpoint over all entries, as https://c2sp.org/tlog-checkpoint writes it: keep it elsewhere.

    With it can be found out later whether the end of the history was cut off or all of it was written anew.
    """
    return PlainTextResponse(await environment.history.checkpoint())


@router.get("/checkpoint/key", summary="The key of the checkpoints", response_class=PlainTextResponse)
async def checkpoint_key(environment: Environment, _: Reader) -> Response:
    """Return the public key that checkpoints are checked with, as https://c2sp.org/signed-note writes it."""
    return PlainTextResponse(f"{await environment.history.public_key()}\n")


@router.get("/{merge}/proof", response_model=MergeProof, summary="The proof that a merge stands in the history")
async def proof(environment: Environment, _: Reader, merge: Number) -> Response:
    """Return a signed checkpoint, the path from each entry of the merge to its root, and that there are no more of them.

    Paths are those of RFC 9162, 2.1.3. It holds hashes, no patient's data; `python -m fhir_gateway.audit.verify_history`
    checks it without the gateway.
    """
    _check_exists(environment, merge)
    return json_response(await environment.history.prove(merge))


@router.post(
    "/{merge}/proof",
    response_model=MergeProof,
    responses=CONFLICT,
    summary="The same proof, and that an earlier checkpoint is of this history",
)
async def proof_since(environment: Environment, _: Reader, merge: Number, wish: ProofWish) -> Response:
    """Return the proof with the path from `earlier` to the checkpoint of now (RFC 9162, 2.1.4).

    400 for what is no checkpoint, 409 for one that is not of this history.
    """
    _check_exists(environment, merge)
    try:
        return json_response(await environment.history.prove(merge, earlier=wish.earlier))
    except LedgerError as error:
        raise RequestRefusedError(409, str(error)) from None


def _check_exists(environment: ServedEnvironment, merge: int) -> None:
    if environment.merges.record(merge) is None:
        raise RequestRefusedError(404, "there is no merge of this number in this environment")


def _told(environment: ServedEnvironment) -> dict[str, Any]:
    work = environment.history.verification
    last = work.result
    return {
        "running_since": work.began,
        "problem": work.problem,
        "result": told_verification(last.value) | {"began": last.began, "finished": last.finished} if last else None,
    }
