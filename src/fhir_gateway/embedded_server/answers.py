"""What the embedded server answers: responses, refusals as OperationOutcomes, dates and versions as HTTP writes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from fhir_gateway.domain.errors import InterruptedRunError
from fhir_gateway.domain.records import Problem, Resource
from fhir_gateway.fhir import json_text

FHIR_JSON = "application/fhir+json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response; `headers` have their usual spelling, `body` is JSON or empty.

    `last_modified` is the moment to the microsecond, for bundles; HTTP's own header gives the second only.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    last_modified: str = ""


class RefusedError(Exception):
    """A request that is not carried out: the HTTP status and the OperationOutcome's issues say why."""

    def __init__(self, status: int, code: str, text: str, *, issues: tuple[Problem, ...] = ()) -> None:
        self.status = status
        self.code = code
        self.issues = issues
        super().__init__(text)


class StorageError(InterruptedRunError):
    """The data cannot be written or read (disk full, damaged, write protected); nothing was changed."""


def too_deep() -> RefusedError:
    """Return the refusal of what is nested so deeply that nobody can mean it."""
    return RefusedError(400, "too-long", "the resource is nested too deeply")


def json_response(status: int, content: Any, **headers: str) -> Response:
    """Return a response with JSON and these further headers."""
    return Response(status, {"Content-Type": FHIR_JSON, **headers}, json_text.dump(content))


def outcome(severity: str, code: str, text: str) -> Resource:
    """Return an OperationOutcome with one issue."""
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code, "diagnostics": text}]}


def refusal_outcome(refused: RefusedError) -> Resource:
    """Return a refusal as OperationOutcome: its own words, or every problem of a resource."""
    if not refused.issues:
        return outcome("error", refused.code, str(refused))
    return {"resourceType": "OperationOutcome", "issue": [_issue(problem) for problem in refused.issues]}


def _issue(problem: Problem) -> dict[str, Any]:
    hint = f" ({problem.suggestion})" if problem.suggestion else ""
    issue = {"severity": "error", "code": "invalid", "diagnostics": problem.text + hint}
    place = problem.text.partition(":")[0]
    return issue | ({"expression": [place]} if " " not in place else {})


def refusal_response(refused: RefusedError) -> Response:
    """Return a refusal as an HTTP response."""
    return json_response(refused.status, refusal_outcome(refused))


def etag(version: int) -> str:
    """Return a version as a weak ETag."""
    return f'W/"{version}"'


def instant(stamp: int) -> str:
    """Return microseconds since 1970 as a FHIR instant in UTC, with all its six decimals."""
    return _moment(stamp).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def http_date(stamp: int) -> str:
    """Return microseconds since 1970 as HTTP writes a date."""
    return format_datetime(_moment(stamp).replace(microsecond=0), usegmt=True)


def status_line(status: int) -> str:
    """Return a status as bundles write it: `201 Created`."""
    return f"{status} {HTTPStatus(status).phrase}"


def _moment(stamp: int) -> datetime:
    seconds, micros = divmod(stamp, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
