"""A request as the server's interactions see it, whether it came alone or as an entry of a bundle."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from fhir_gateway.embedded_server.answers import RefusedError
from fhir_gateway.fhir import json_text

_JSON_TYPES = ("application/fhir+json", "application/json", "application/json+fhir", "text/json")
_ETAG = re.compile(r'(?:W/)?"?(\d{1,18})"?')
_NOT_GIVEN = object()


@dataclass(frozen=True, slots=True)
class Request:
    """A method, a path below the base (`Patient/1`), parameters, headers in lower case, and a body or its JSON."""

    method: str
    path: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    base: str
    body: bytes = b""
    parsed: Any = field(default=_NOT_GIVEN)

    def prefers(self, preference: str) -> bool:
        """Tell whether the Prefer header asks for this (`return=minimal`)."""
        return preference in re.split(r"[,;]\s*", self.headers.get("prefer", ""))

    def json(self) -> Any:
        """Return the body's JSON; raises RefusedError where it is none or of another content type."""
        if self.parsed is not _NOT_GIVEN:
            return self.parsed
        content_type = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if content_type and content_type not in _JSON_TYPES:
            raise RefusedError(415, "not-supported", "only JSON is taken: Content-Type: application/fhir+json")
        try:
            return json_text.parse(self.body)
        except ValueError as error:
            raise RefusedError(400, "structure", "the body is no JSON in UTF-8") from error

    def resource(self) -> dict[str, Any]:
        """Return the body's resource; raises RefusedError where it is no JSON object."""
        content = self.json()
        if not isinstance(content, dict):
            raise RefusedError(400, "structure", "the body is no JSON object")
        return content

    def expected_version(self) -> int | None:
        """Return the version that If-Match names, None without the header; raises RefusedError for anything else."""
        text = self.headers.get("if-match", "").strip()
        if not text:
            return None
        found = _ETAG.fullmatch(text)
        if not found:
            raise RefusedError(412, "conflict", "If-Match names no version of this server")
        return int(found[1])


def parse_query(query: str) -> tuple[tuple[str, str], ...]:
    """Return a query string's parameters; raises RefusedError where it is not UTF-8."""
    try:
        return tuple(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=10_000))
    except ValueError as error:
        raise RefusedError(400, "invalid", "the query is not readable") from error


def split_path(path: str) -> tuple[str, ...]:
    """Return the steps of a path below the base."""
    return tuple(step for step in path.split("/") if step)
