"""Pages from templates, with the headers that every page carries."""

from datetime import UTC, datetime, tzinfo
from typing import Any

import orjson
from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.responses import HTMLResponse, Response

from fhir_gateway.console.niks import masked
from fhir_gateway.console.sessions import Session
from fhir_gateway.domain.access import Role
from fhir_gateway.domain.merges import GroupRule
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.human_names import name_text, texts
from fhir_gateway.fhir.outcomes import shorten

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}
"""Under `no-referrer` browsers send `Origin: null` with this site's own forms: https://fetch.spec.whatwg.org/#append-a-request-origin-header."""
_RULES = {
    GroupRule.SAME_NIK: "the same NIK",
    GroupRule.EVIDENCE: "alike without a NIK in common",
    GroupRule.PROPOSAL: "a loaded row shows it",
    GroupRule.CHOSEN: "named by an operator",
}

_PLACES = (
    ("/console/merges", "Merges", Role.AUDITOR),
    ("/console/duplicates", "Duplicates", Role.OPERATOR),
    ("/console/plans", "Plan", Role.OPERATOR),
    ("/console/jobs", "Jobs", Role.OPERATOR),
    ("/console/merges/verification", "Verification", Role.AUDITOR),
)
"""The pages that stand at the top of each, and the least role that sees them."""

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
        session=session,
        notice=session.take_notice() if session else "",
        here=request.url.path,
        places=_places(request.url.path, session),
        zone=_zone(request, session),
        **values,
    )
    return HTMLResponse(html, status, headers=_HEADERS)


def _places(here: str, session: Session | None) -> list[tuple[str, str, bool]]:
    """Return (address, words, whether it is the one that is shown) of the pages that a login may see."""
    if session is None:
        return []
    seen = [each for each in _PLACES if each[2] is Role.AUDITOR or session.caller.role is Role.OPERATOR]
    shown = max((address for address, *_ in seen if here.startswith(address)), key=len, default="")
    return [(address, words, address == shown) for address, words, _ in seen]


def _zone(request: Request, session: Session | None) -> tzinfo:
    opened = request.app.state.serving.opened.get(session.caller.environment) if session else None
    return opened.settings.zone if opened else UTC


@pass_context
def moment(context: Context, value: datetime | None) -> str:
    """Return a moment to the second in the environment's zone, "" for none."""
    return f"{value.astimezone(context['zone']):%Y-%m-%d %H:%M:%S %Z}" if value else ""


def why(rule: GroupRule) -> str:
    """Return in words why Patients were taken for one person."""
    return _RULES[rule]


def json_text(value: Any) -> str:
    """Return a JSON value as text that a person can read; a single text stands without its quotation marks."""
    if value is None:
        return "—"
    if isinstance(value, str):
        return value
    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()


def told_person(patient: Resource) -> dict[str, str]:
    """Return what tells a Patient from others, in words; "" for what it does not say."""
    return {
        "name": shorten("; ".join(map(name_text, _listed(patient, "name")))),
        "born": shorten(str(patient.get("birthDate", ""))),
        "gender": shorten(str(patient.get("gender", ""))),
        "address": shorten("; ".join(map(_address, _listed(patient, "address")))),
    }


def _listed(patient: Resource, element: str) -> list[dict[str, Any]]:
    found = patient.get(element)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _address(address: dict[str, Any]) -> str:
    parts = [*texts(address.get("line")), address.get("district", ""), address.get("city", "")]
    return str(address.get("text") or ", ".join(str(each) for each in parts if each))


pages.filters["moment"] = moment
pages.filters["json_text"] = json_text
pages.filters["why"] = why
pages.filters["masked"] = masked
pages.filters["shorten"] = shorten
