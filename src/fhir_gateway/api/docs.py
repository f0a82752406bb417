"""`/docs`: what can be asked, as a page without scripts, and as OpenAPI; with an access key."""

from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse, Response

from fhir_gateway.api.answers import json_response
from fhir_gateway.api.security import Inside

router = APIRouter(prefix="/docs", tags=["docs"], include_in_schema=False, dependencies=[Inside])

_PAGES = Environment(loader=PackageLoader("fhir_gateway.api"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_METHODS = ("get", "post", "put", "patch", "delete")


@router.get("")
async def page(request: Request) -> Response:
    """Return the page."""
    schema = request.app.openapi()
    html = _PAGES.get_template("docs.html").render(
        info=schema["info"], operations=_operations(schema), models=schema.get("components", {}).get("schemas", {})
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY})


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    return json_response(request.app.openapi())


@router.get("/style.css")
async def style() -> Response:
    """Return the page's style."""
    source, *_ = PackageLoader("fhir_gateway.api").get_source(_PAGES, "docs.css")
    return Response(source, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


def _operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every operation with its path and method, in the order in which they were registered."""
    return [
        {"path": path, "method": method.upper(), "body": _body(operation), "answers": _answers(operation)} | operation
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
        if method in _METHODS
    ]


def _body(operation: dict[str, Any]) -> str:
    """Name the model of an operation's body, "" where it takes none."""
    return _model(operation.get("requestBody", {}))


def _answers(operation: dict[str, Any]) -> dict[str, str]:
    """Name the models of what an operation answers where it succeeds, by status."""
    answers = operation.get("responses", {}).items()
    return {status: model for status, answer in answers if status.startswith("2") and (model := _model(answer))}


def _model(media_types: dict[str, Any]) -> str:
    content = media_types.get("content", {})
    references = [str(media.get("schema", {}).get("$ref", "")) for media in content.values()]
    return references[0].rpartition("/")[2] if references else ""
