"""What the API answers with: JSON written fast, and problems as OperationOutcomes."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from fhir_gateway.fhir import json_text

JSON = "application/json"
FHIR_JSON = "application/fhir+json"

_ISSUE_TYPES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    408: "timeout",
    409: "conflict",
    410: "deleted",
    412: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "invalid",
    429: "throttled",
    500: "exception",
    502: "transient",
    503: "transient",
    504: "timeout",
}
"""HTTP status → http://hl7.org/fhir/R4/valueset-issue-type.html."""


class FhirJson(JSONResponse):
    """What OpenAPI is told of answers that are FHIR's."""

    media_type = FHIR_JSON


class RequestRefusedError(Exception):
    """A request that is not carried out; the text says why and what to do, and holds no patient's data."""

    def __init__(self, status: int, text: str, *, code: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        super().__init__(text)


def json_response(
    content: Any, status: int = 200, *, headers: Mapping[str, str] | None = None, media_type: str = JSON
) -> Response:
    """Return a response with JSON (plain values, dataclasses, dates, a server's decimals)."""
    return Response(json_text.dump(content), status, dict(headers or {}), media_type)


def outcome(status: int, *texts: str, code: str = "") -> dict[str, Any]:
    """Return an OperationOutcome with an issue for each text."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": code or _ISSUE_TYPES.get(status, "processing"),
                "diagnostics": text,
            }
            for text in texts
        ],
    }


def problem_response(
    status: int, *texts: str, code: str = "", headers: Mapping[str, str] | None = None, media_type: str = FHIR_JSON
) -> Response:
    """Return a problem as HTTP says it and as FHIR says it."""
    return json_response(outcome(status, *texts, code=code), status, headers=headers, media_type=media_type)
