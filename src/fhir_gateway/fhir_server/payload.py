"""What stands on the wire where FHIR's JSON should."""

import codecs
from typing import Any

import httpx

from fhir_gateway.fhir import json_text

CUT = "JSON that is cut or broken"
"""What an answer looks like whose end was lost on the way."""


class NotJsonError(ValueError):
    """The bytes are no JSON; the message says what they look like, and quotes none of them."""


def parse_json(body: bytes) -> Any:
    """Return the JSON value in `body`, decimals with their digits; raises NotJsonError."""
    try:
        return json_text.parse(body.removeprefix(codecs.BOM_UTF8))
    except ValueError:
        # `from None`: the parser's error carries the document, and with it patients' data.
        raise NotJsonError(_looks_like(body)) from None


async def whole_body(response: httpx.Response, *, most: int) -> bytes | None:
    """Return the body that is still to be received, unpacked; None where it is larger than `most` bytes."""
    chunks, size = [], 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > most:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def is_html(content_type: str, body: bytes) -> bool:
    """Return whether an answer is a web page (a proxy's, a login's) or another kind of markup."""
    return "html" in content_type.lower() or body.lstrip()[:1] == b"<"


def _looks_like(body: bytes) -> str:
    return CUT if body.lstrip()[:1] in {b"{", b"["} else "something that is no JSON"
