"""The two readable parts of a JWT, before anything of it is proved: only to find out which key would prove it."""

import base64
from typing import Any

import orjson


def unproved(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a signed JWT; raises ValueError where it is none."""
    header, claims, _signature = text.split(".")
    return _part(header), _part(claims)


def _part(text: str) -> dict[str, Any]:
    content = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if not isinstance(content, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - what was sent, no programming error
    return content
