"""Pages from templates, with the headers that every page carries."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from fhir_gateway.console.sessions import Session

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_NOT_SHOWN = frozenset({"resourceType", "id", "meta", "text"})

pages = Environment(
    loader=PackageLoader("fhir_gateway.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(
    request: Request, template: str, session: Session | None = None, *, status: int = 200, **values: Any
) -> Response:
    """Return a page; `values` are what its template shows."""
    html = pages.get_template(template).render(
        session=session, notice=session.take_notice() if session else "", here=request.url.path, **values
    )
    return HTMLResponse(html, status, headers={"Content-Security-Policy": POLICY})


def moment(value: datetime | None) -> str:
    """Return a moment in UTC to the second, "" for none."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else ""


def json_text(value: Any) -> str:
    """Return a JSON value as text that a person can read; a single text stands without its quotation marks."""
    if value is None:
        return "—"
    if isinstance(value, str):
        return value
    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()


def lines_of(resource: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return a resource as (path, value) lines in its order, without what every resource has."""
    return [line for key, value in (resource or {}).items() if key not in _NOT_SHOWN for line in _lines(key, value)]


def _lines(path: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [line for key, inner in value.items() for line in _lines(f"{path}.{key}", inner)]
    if isinstance(value, list):
        several = len(value) > 1
        return [
            line
            for number, inner in enumerate(value, start=1)
            for line in _lines(f"{path}[{number}]" if several else path, inner)
        ]
    return [(path, str(value).lower() if isinstance(value, bool) else str(value))]


pages.filters["moment"] = moment
pages.filters["json_text"] = json_text
pages.filters["lines_of"] = lines_of
