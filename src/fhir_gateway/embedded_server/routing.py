"""Which interaction a method and a path ask for, and its answer as HTTP."""

from collections.abc import Callable, Mapping

from fhir_gateway.embedded_server import interactions
from fhir_gateway.embedded_server.answers import (
    FHIR_JSON,
    RefusedError,
    Response,
    etag,
    http_date,
    instant,
    json_response,
    outcome,
)
from fhir_gateway.embedded_server.capabilities import capability_statement
from fhir_gateway.embedded_server.history import answer_history
from fhir_gateway.embedded_server.interactions import Written
from fhir_gateway.embedded_server.request import Request, parse_query
from fhir_gateway.embedded_server.search_request import parse_search
from fhir_gateway.embedded_server.searching import answer_search
from fhir_gateway.embedded_server.store import Session, Stored
from fhir_gateway.fhir.validation import resource_types

_FORM = "application/x-www-form-urlencoded"
_Handler = Callable[[Session, Request], Response]


def is_write(request: Request) -> bool:
    """Tell whether a request needs a writing session."""
    return request.method in ("POST", "PUT", "DELETE") and request.path[-1:] != ("_search",)


def answer(session: Session, request: Request) -> Response:
    """Carry out one request other than a bundle; raises RefusedError where it is not carried out."""
    _check_format(request)
    path = request.path
    if path[:1] in (("metadata",), ("_history",)) and len(path) == 1:
        return _system(session, request)
    if not path or path[0] not in resource_types():
        raise RefusedError(404, "not-supported", "there is no such resource type here")
    shape = _shape(path)
    handlers = _ROUTES.get(shape)
    if handlers is None:
        raise RefusedError(404, "not-supported", "operations and such paths are not supported here")
    handler = handlers.get("GET" if request.method == "HEAD" else request.method)
    if handler is None:
        raise RefusedError(405, "not-supported", f"{request.method} is not supported there; {', '.join(handlers)} are")
    return handler(session, request)


def _shape(path: tuple[str, ...]) -> str:
    return "/".join(["type", *(step if step.startswith(("_", "$")) else "id" for step in path[1:])])


def _check_format(request: Request) -> None:
    accept = request.headers.get("accept", "")
    wanted = dict(request.parameters).get("_format", "")
    kinds = [part.split(";")[0].strip().lower() for part in (wanted or accept).split(",") if part.strip()]
    if kinds and not any("json" in kind or kind in ("*/*", "application/*") for kind in kinds):
        raise RefusedError(406, "not-supported", "only JSON is spoken here: Accept: application/fhir+json")


def _system(session: Session, request: Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        raise RefusedError(405, "not-supported", "only GET is supported there")
    if request.path == ("metadata",):
        return json_response(200, capability_statement(request.base))
    return json_response(200, answer_history(session, request))


def _read(session: Session, request: Request) -> Response:
    stored = interactions.read(session, request.path[0], request.path[1])
    known = request.headers.get("if-none-match", "")
    if known and etag(stored.version).removeprefix("W/") in known:
        return Response(304, _headers(stored))
    return _stored_response(stored)


def _read_version(session: Session, request: Request) -> Response:
    return _stored_response(interactions.read_version(session, request.path[0], request.path[1], request.path[3]))


def _update(session: Session, request: Request) -> Response:
    return written_response(request, interactions.update(session, request, request.path[0], request.path[1]))


def _delete(session: Session, request: Request) -> Response:
    interactions.delete(session, request, request.path[0], request.path[1])
    return Response(204)


def _create(session: Session, request: Request) -> Response:
    return written_response(request, interactions.create(session, request, request.path[0]))


def _update_conditionally(session: Session, request: Request) -> Response:
    return written_response(request, interactions.update_conditionally(session, request, request.path[0]))


def _delete_conditionally(session: Session, request: Request) -> Response:
    interactions.delete_conditionally(session, request, request.path[0])
    return Response(204)


def _search(session: Session, request: Request) -> Response:
    parameters, remembered = _with_page(session, list(request.parameters))
    return _answer_search(session, request, parameters, by_post=remembered)


def _with_page(session: Session, parameters: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], bool]:
    """Return the parameters with those that a next link's `_page` stands for, and whether there was one."""
    pages = [value for name, value in parameters if name == "_page"]
    if not pages:
        return parameters, False
    query = session.load_page(pages[0])
    if query is None:
        raise RefusedError(410, "expired", "this page is no longer known; search again")
    return [pair for pair in parameters if pair[0] != "_page"] + list(parse_query(query)), True


def _search_by_post(session: Session, request: Request) -> Response:
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type != _FORM and request.body:
        raise RefusedError(415, "not-supported", f"a search is posted as {_FORM}")
    try:
        form = parse_query(request.body.decode())
    except UnicodeDecodeError as error:
        raise RefusedError(400, "invalid", "the form is not UTF-8") from error
    parameters, _ = _with_page(session, [*request.parameters, *form])
    return _answer_search(session, request, parameters, by_post=True)


def _answer_search(session: Session, request: Request, parameters: list[tuple[str, str]], *, by_post: bool) -> Response:
    lenient = request.prefers("handling=lenient")
    search = parse_search(request.path[0], parameters, base=request.base, lenient=lenient)
    return json_response(200, answer_search(session, search, base=request.base, by_post=by_post))


def _history(session: Session, request: Request) -> Response:
    path = request.path
    resource_id = path[1] if len(path) == 3 else ""
    return json_response(200, answer_history(session, request, resource_type=path[0], resource_id=resource_id))


def _headers(stored: Stored) -> dict[str, str]:
    return {"ETag": etag(stored.version), "Last-Modified": http_date(stored.updated)}


def _stored_response(stored: Stored) -> Response:
    headers = {"Content-Type": FHIR_JSON, **_headers(stored)}
    return Response(200, headers, stored.body or b"", instant(stored.updated))


def written_response(request: Request, written: Written) -> Response:
    """Return the answer to a write, with the body that Prefer asks for (the resource by default)."""
    stored = written.stored
    location = f"{request.base}/{stored.resource_type}/{stored.id}/_history/{stored.version}"
    headers = _headers(stored) | {"Location": location}
    if request.prefers("return=minimal"):
        return Response(written.status, headers, last_modified=instant(stored.updated))
    if request.prefers("return=OperationOutcome"):
        words = {201: "created", 200: "stands on the server"}[written.status]
        content = outcome("information", "informational", f"{stored.resource_type} {words}")
        return json_response(written.status, content, **headers)
    headers = {"Content-Type": FHIR_JSON, **headers}
    return Response(written.status, headers, stored.body or b"", instant(stored.updated))


_ROUTES: Mapping[str, Mapping[str, _Handler]] = {
    "type": {"GET": _search, "POST": _create, "PUT": _update_conditionally, "DELETE": _delete_conditionally},
    "type/_search": {"POST": _search_by_post},
    "type/_history": {"GET": _history},
    "type/id": {"GET": _read, "PUT": _update, "DELETE": _delete},
    "type/id/_history": {"GET": _history},
    "type/id/_history/id": {"GET": _read_version},
}
