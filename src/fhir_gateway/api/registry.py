"""`/{environment}/fhir`: the endpoint that registries pull from, and how they get in (SMART Backend Services)."""

import gzip
import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from fhir_gateway.api.addresses import public_url
from fhir_gateway.api.answers import FHIR_JSON, FhirJson, RequestRefusedError, json_response
from fhir_gateway.api.documented import OF_AN_ENVIRONMENT, Responses
from fhir_gateway.api.negotiation import JSON_TYPES, check_accept, is_head, is_lenient, takes_gzip
from fhir_gateway.api.registry_models import AccessToken, FhirBundle, FhirResource, KeySet, SmartConfiguration
from fhir_gateway.api.security import Environment, EnvironmentName, bearer_token, client_address, serving
from fhir_gateway.bootstrap.gateway import SystemClock
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.registry import Puller
from fhir_gateway.fhir import json_text
from fhir_gateway.registry.exports import NotPermittedError
from fhir_gateway.registry.parameters import SEARCHES, SearchProblemError, shown_name
from fhir_gateway.registry.scopes import SERVED_TYPES, allows
from fhir_gateway.registry.tokens import RefusedTokenError
from fhir_gateway.serving.environments import ServedEnvironment
from fhir_gateway.serving.registry.door import TokenRefusedError, TooManyRequestsError
from fhir_gateway.serving.registry.endpoint import Asked, Registry

router = APIRouter(prefix="/{environment}/fhir", tags=["registry"], responses=OF_AN_ENVIRONMENT)
_OF_THE_TOKEN: Responses = {
    status: {
        "description": "An error of OAuth 2.0 (RFC 6749), with its `error` and `error_description`.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
    for status in (400, 401)
}

_WORTH_PACKING = 1000
_MOST_PARAMETERS = 100
_READING = ("_elements", "_format", "_pretty")
FORM = "application/x-www-form-urlencoded"
INSUFFICIENT_SCOPE = {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def registry_of(request: Request, environment: ServedEnvironment) -> Registry:
    """Return the endpoint over an opened environment, built when it is first asked for."""
    built: dict[int, Registry] = request.app.state.__dict__.setdefault("registries", {})
    if id(environment) not in built:
        built[id(environment)] = Registry(
            environment.settings,
            environment.ledger,
            environment.client,
            environment.reader,
            book=environment.pull_book,
            clock=SystemClock(),
            transport=environment.transport,
        )
    return built[id(environment)]


@dataclass(frozen=True, slots=True)
class Place:
    """The endpoint that a request has come to; `base` is its own address."""

    request: Request
    environment: ServedEnvironment
    registry: Registry
    base: str


async def place(request: Request, environment: Environment) -> Place:
    """Return the endpoint of the environment that the path names."""
    return Place(request, environment, registry_of(request, environment), public_url(request, environment, "fhir"))


At = Annotated[Place, Depends(place)]


@dataclass(frozen=True, slots=True)
class Visit(Place):
    """A request by somebody who was let in."""

    puller: Puller

    def asked(self, resource_type: str, pairs: Sequence[tuple[str, str]] = (), raw: bytes = b"") -> Asked:
        """Return what is asked for, with who asks and from where."""
        return Asked(
            resource_type,
            pairs,
            raw,
            lenient=is_lenient(self.request),
            told=not is_head(self.request),
            puller=self.puller,
            address=client_address(self.request),
            base=self.base,
        )

    def check(self, resource_type: str, permission: str) -> None:
        """Raise 404 for a type that is not served, 403 where the token does not permit reading (r) or searching (s)."""
        if resource_type not in SEARCHES:
            raise RequestRefusedError(404, f"there are {', '.join(sorted(SEARCHES))} here", code="not-supported")
        self.check_scope(resource_type, permission)

    def check_scope(self, resource_type: str, permissions: str) -> None:
        """Raise 403 where the token lacks one of these permissions."""
        if not all(allows(self.puller.scopes, resource_type, one) for one in permissions):
            raise RequestRefusedError(
                403,
                f"the token does not permit this: system/{resource_type}.{permissions} is needed",
                headers=INSUFFICIENT_SCOPE,
            )


def visitor(offered: Collection[str]) -> Callable[[Request, str], Awaitable[Visit]]:
    """Return what lets somebody in at routes that answer with one of these media types."""

    async def visit(request: Request, environment: EnvironmentName) -> Visit:
        """Let somebody in.

        Raises 401 without a valid token of this environment, 429 for one who asks too often, 406 for one who takes
        nothing that there is.
        """
        at = await place(request, await serving(request).environment(environment))
        visit = Visit(at.request, at.environment, at.registry, at.base, _admitted(at))
        check_accept(request, offered)
        return visit

    return visit


def _admitted(at: Place) -> Puller:
    token = bearer_token(at.request)
    try:
        return at.registry.door.admit(token, base=at.base)
    except RefusedTokenError as error:
        words = str(error) if token else "an access token is needed: POST a signed assertion to auth/token"
        challenge = f'Bearer realm="{at.base}"' + (', error="invalid_token"' if token else "")
        raise RequestRefusedError(401, words, headers={"WWW-Authenticate": challenge}) from None
    except TooManyRequestsError as error:
        raise RequestRefusedError(429, str(error), headers={"Retry-After": str(error.retry_after)}) from None


LetIn = Annotated[Visit, Depends(visitor(JSON_TYPES))]


@router.get("/metadata", response_class=FhirJson, response_model=FhirResource, summary="What can be searched here?")
async def metadata(at: At) -> Response:
    """Return the CapabilityStatement: exactly what works on this environment's FHIR server."""
    check_accept(at.request)
    return packed(at.request, await at.registry.metadata(at.base))


@router.get(
    "/.well-known/smart-configuration", response_model=SmartConfiguration, summary="How does a registry get in?"
)
async def smart_configuration(at: At) -> Response:
    """Return the SMART configuration."""
    base = at.base
    return json_response(
        {
            "issuer": base,
            "jwks_uri": f"{base}/.well-known/jwks.json",
            "token_endpoint": f"{base}/auth/token",
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
            "grant_types_supported": ["client_credentials"],
            "scopes_supported": [f"system/{one}.rs" for one in ("*", *SERVED_TYPES)],
            "response_types_supported": [],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
        }
    )


@router.get("/.well-known/jwks.json", response_model=KeySet, summary="The keys that sign access tokens")
async def jwks(at: At) -> Response:
    """Return the public keys that the SMART configuration names as `jwks_uri`."""
    return json_response(at.registry.published_keys(), headers={"Cache-Control": "max-age=300"})


@router.post("/auth/token", response_model=AccessToken, summary="Get an access token", responses=_OF_THE_TOKEN)
async def token(at: At) -> Response:
    """Give a token of five minutes for an assertion that the client has signed (private_key_jwt)."""
    try:
        form = _form(at.request, await at.request.body())
        answer = await at.registry.door.let_in(form, base=at.base, address=client_address(at.request))
    except TokenRefusedError as error:
        headers = _NO_STORE | ({"Retry-After": str(error.retry_after)} if error.retry_after else {})
        status = 401 if error.error == "invalid_client" and error.status == 400 else error.status
        return json_response({"error": error.error, "error_description": str(error)}, status, headers=headers)
    return json_response(answer, headers=_NO_STORE)


@router.get("/{resource_type}", response_class=FhirJson, response_model=FhirBundle, summary="Search")
async def search(resource_type: str, let_in: LetIn) -> Response:
    """Search Immunizations, Patients or Organizations; an identifier of a person belongs into POST _search."""
    return await _searched(let_in, resource_type, form=b"")


@router.post(
    "/{resource_type}/_search",
    response_class=FhirJson,
    response_model=FhirBundle,
    summary="Search, parameters in the body",
)
async def search_by_post(resource_type: str, let_in: LetIn) -> Response:
    """Search with parameters in the body (and the address), so that what names a person stands in no address."""
    if not is_form(let_in.request):
        raise RequestRefusedError(415, f"the body of a search must be {FORM}")
    return await _searched(let_in, resource_type, form=await let_in.request.body())


@router.get("/{resource_type}/{resource_id}", response_class=FhirJson, response_model=FhirResource, summary="Read")
async def read(resource_type: str, resource_id: str, let_in: LetIn) -> Response:
    """Read one resource; If-None-Match with its ETag is answered 304 while it has not changed."""
    let_in.check(resource_type, "r")
    elements = read_elements(let_in)
    try:
        found = await let_in.registry.read(let_in.asked(resource_type), resource_id, elements=elements)
    except SearchProblemError as error:
        raise refused_search(error) from None
    if found is None:
        raise RequestRefusedError(404, f"there is no such {resource_type}")
    return packed(let_in.request, found)


async def _searched(let_in: Visit, resource_type: str, *, form: bytes) -> Response:
    let_in.check(resource_type, "s")
    raw = b"&".join(filter(None, (let_in.request.url.query.encode(), form)))
    try:
        found = await let_in.registry.search(let_in.asked(resource_type, pairs_of(raw, "a search"), raw))
    except SearchProblemError as error:
        raise refused_search(error) from None
    except NotPermittedError as error:
        raise RequestRefusedError(403, str(error), headers=INSUFFICIENT_SCOPE) from None
    return packed(let_in.request, found)


def read_elements(let_in: Visit) -> Sequence[str]:
    """Return what a reading names as `_elements`; raises 400 for what a reading does not know, unless lenient."""
    pairs = pairs_of(let_in.request.url.query.encode(), "a reading")
    unknown = [shown_name(name) for name, _ in pairs if name not in _READING]
    if unknown and not is_lenient(let_in.request):
        raise RequestRefusedError(
            400, f"a reading knows no {unknown[0]}, but {', '.join(_READING)}", code="not-supported"
        )
    return [value for name, value in pairs if name == "_elements"]


def pairs_of(raw: bytes, what: str) -> list[tuple[str, str]]:
    """Return the parameters that a query string or a form holds; raises 400 for too many."""
    try:
        return parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise RequestRefusedError(400, f"{what} has at most {_MOST_PARAMETERS} parameters") from None


def refused_search(error: SearchProblemError) -> RequestRefusedError:
    """Return the refusal of what cannot be searched so: 410 for a page that has expired."""
    return RequestRefusedError(410 if error.code == "expired" else 400, str(error), code=error.code)


def is_form(request: Request) -> bool:
    """Say whether a request's body is a form."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def _form(request: Request, body: bytes) -> dict[str, str]:
    """Return the fields of a form; raises TokenRefusedError."""
    if not is_form(request):
        raise TokenRefusedError("invalid_request", f"the body must be {FORM}")
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), max_num_fields=20)
    except ValueError:
        raise TokenRefusedError("invalid_request", "the body has too many fields") from None
    if len(dict(pairs)) != len(pairs):
        raise TokenRefusedError("invalid_request", "a field is given twice")
    return dict(pairs)


def packed(request: Request, content: Resource) -> Response:
    """Return a resource with its weak ETag, 304 where the client has it, packed where it takes that."""
    body = json_text.dump(content)
    etag = f'W/"{_version(content)}{hashlib.blake2b(_told(content, body), digest_size=8).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding, Authorization"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(None, 304, headers)
    if len(body) > _WORTH_PACKING and takes_gzip(request):
        body = gzip.compress(body, 5, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, 200, headers, FHIR_JSON)


def _told(content: Resource, body: bytes) -> bytes:
    """Return what an ETag is made of: not the next link, which is sealed anew each time, but the day, since it expires."""
    links: Any = content.get("link") if content.get("resourceType") == "Bundle" else None
    following = [str(one["url"]) for one in links or () if one["relation"] == "next"]
    day = SystemClock().now().date().isoformat()
    return body.replace(following[0].encode(), day.encode(), 1) if following else body


def _version(content: Resource) -> str:
    """Return what leads the ETag: the version id; the rest changes with what references lead to."""
    meta: Any = content.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return f"{version}-" if isinstance(version, str) and version.isascii() and version.isalnum() else ""
