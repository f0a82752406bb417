"""JSON as it stands on the wire: decimals keep their digits, and what is no JSON is told apart."""

import json
import re
from typing import Any, Self

import orjson

_DECIMAL_MEMBER = re.compile(rb'"\s*:\s*-?\d+[.eE]')


class ExactDecimal(float):
    """A decimal that remembers how it was written: 0.50 stays 0.50 (FHIR R4, 2.24.0.1: precision matters)."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Read a JSON number."""
        number = super().__new__(cls, text)
        number.text = text
        return number


class NotJsonError(ValueError):
    """The bytes are no JSON; the message says what they look like, and quotes none of them."""


def parse_json(body: bytes) -> Any:
    """Return the JSON value in `body`; raises NotJsonError."""
    try:
        # orjson first: it is strict (no NaN, no broken UTF-8) and by far the quicker where no decimal is at stake.
        value = orjson.loads(body)
        return json.loads(body, parse_float=ExactDecimal) if _DECIMAL_MEMBER.search(body) else value
    except (ValueError, RecursionError) as error:
        raise NotJsonError(_looks_like(body)) from error


def write_json(value: Any) -> bytes:
    """Return `value` as JSON, decimals as they were read; raises TypeError for what JSON cannot hold."""
    return orjson.dumps(value, default=_exact)


def _exact(value: object) -> orjson.Fragment:
    if isinstance(value, ExactDecimal):
        return orjson.Fragment(value.text.encode())
    raise TypeError(f"JSON cannot hold a {type(value).__name__}")


def is_html(content_type: str, body: bytes) -> bool:
    """Return whether an answer is a web page (a proxy's, a login's) or another kind of markup."""
    return "html" in content_type.lower() or body.lstrip()[:1] == b"<"


def _looks_like(body: bytes) -> str:
    if body.lstrip()[:1] == b"<":
        return "a web page or XML"
    return "JSON that is cut or broken" if body.lstrip()[:1] in {b"{", b"["} else "something that is no JSON"
