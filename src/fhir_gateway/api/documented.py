"""What the OpenAPI document says of answers: every problem is an OperationOutcome."""

from typing import Any

from fhir_gateway.api.answers import FHIR_JSON

_WORDS = {
    400: "The request is malformed.",
    401: "No valid access key or token of this environment.",
    403: "This needs the key of another role, or a wider scope.",
    404: "There is no such environment, or nothing of this number in it.",
    409: "Something stands against it, as the answer says: a conflict that a person has to decide, or work that goes on.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request is well-formed, but something in it cannot be.",
    429: "Too many wrong keys, or too much at once: `Retry-After` says when to come again.",
    502: "The FHIR server refused what was asked of it.",
    503: "The ledger or the FHIR server cannot be reached just now.",
    504: "The answer took too long.",
}

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """Return what OpenAPI says of these statuses."""
    content = {FHIR_JSON: {"schema": {"type": "object", "description": "An OperationOutcome."}}}
    return {status: {"description": _WORDS[status], "content": content} for status in statuses}


OF_AN_ENVIRONMENT = problems(400, 401, 403, 404, 413, 415, 422, 429, 502, 503, 504)
"""What every request to an environment may be answered with."""
CONFLICT = problems(409)
