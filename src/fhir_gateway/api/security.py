"""Who asks, and in which environment: what routes depend on."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.security import HTTPBearer

from fhir_gateway.api.answers import RequestRefusedError
from fhir_gateway.domain.access import Role
from fhir_gateway.domain.errors import GatewayError
from fhir_gateway.domain.loopback import is_loopback
from fhir_gateway.serving.access import Caller, RefusedKeyError, TooManyAttemptsError
from fhir_gateway.serving.environments import ServedEnvironment, Serving

_FORWARDED = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"})
_SCHEME = HTTPBearer(
    scheme_name="access key",
    description="An access key of the environment, as `fhir-gateway access add` prints it once.",
    auto_error=False,
)


def serving(request: Request) -> Serving:
    """Return what is served."""
    found: Serving = request.app.state.serving
    return found


EnvironmentName = Annotated[str, Path(description="The environment's name.", max_length=63)]


async def environment(request: Request, environment: EnvironmentName) -> ServedEnvironment:
    """Return the environment that the path names; raises NoSuchEnvironmentError (404)."""
    return await serving(request).environment(environment)


Environment = Annotated[ServedEnvironment, Depends(environment)]


def bearer_token(request: Request) -> str:
    """Return what the Authorization header carries as bearer token, "" where it carries none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def client_address(request: Request) -> str:
    """Return the client's address as far as it is known (behind a proxy: as the proxy tells it)."""
    return request.client.host if request.client else ""


def unauthorised(environment: str, text: str) -> RequestRefusedError:
    """Return the refusal of a request without valid credentials."""
    return RequestRefusedError(401, text, headers={"WWW-Authenticate": f'Bearer realm="{environment}"'})


async def from_inside(request: Request, _: Annotated[object, Depends(_SCHEME)] = None) -> None:
    """Let in whoever holds a key of any environment; where `serve` was told so, also what asks from this machine.

    What a proxy on this machine hands on comes from elsewhere. Raises 401, 429 after too many wrong keys.
    """
    is_inside = is_loopback(client_address(request)) and not _FORWARDED & set(request.headers)
    if request.app.state.open_to_this_machine and is_inside:
        return
    token = bearer_token(request)
    environments = [one async for one in _environments(serving(request))] if token else []
    if not environments:
        raise unauthorised("fhir-gateway", "an access key is needed: Authorization: Bearer …")
    own = next((one for one in environments if one.doorkeeper.knows(token)), environments[0])
    await holder_of_key(request, own)


async def _environments(serving: Serving) -> AsyncIterator[ServedEnvironment]:
    """Yield every environment that can be used."""
    for name in serving.names:
        with suppress(GatewayError):
            yield await serving.environment(name)


Inside = Depends(from_inside)
"""For what tells nothing of anybody, but how the gateway is built and used."""


async def holder_of_key(
    request: Request, environment: Environment, _: Annotated[object, Depends(_SCHEME)] = None
) -> Caller:
    """Return who asks; raises 401 without a valid access key of this environment, 429 after too many wrong ones."""
    token = bearer_token(request)
    if not token:
        raise unauthorised(environment.name, "an access key is needed: Authorization: Bearer …")
    try:
        return environment.doorkeeper.authenticate(token, address=client_address(request))
    except RefusedKeyError:
        raise unauthorised(environment.name, "this is no valid access key of this environment") from None
    except TooManyAttemptsError as error:
        raise RequestRefusedError(429, str(error), headers={"Retry-After": str(error.retry_after)}) from None


Reader = Annotated[Caller, Depends(holder_of_key)]
"""Whoever holds a key of the environment, operator or auditor."""


async def operator(caller: Reader) -> Caller:
    """Return who asks; raises 403 unless she is an operator."""
    if caller.role is not Role.OPERATOR:
        raise RequestRefusedError(403, "this needs the key of an operator")
    return caller


Operator = Annotated[Caller, Depends(operator)]
"""Whoever holds an operator's key."""


async def auditor(caller: Reader) -> Caller:
    """Return who asks; raises 403 unless she is an auditor."""
    if caller.role is not Role.AUDITOR:
        raise RequestRefusedError(403, "this needs the key of an auditor")
    return caller


Auditor = Annotated[Caller, Depends(auditor)]
"""Whoever holds an auditor's key."""
