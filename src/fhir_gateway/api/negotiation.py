"""What a client can take (RFC 9110, 12.5; https://hl7.org/fhir/R4/http.html#mime-type), and how strictly it is to be read."""

import re
from collections.abc import Collection, Iterator
from urllib.parse import parse_qsl

from fastapi import Request

from fhir_gateway.api.answers import RequestRefusedError

JSON_TYPES = frozenset({"application/fhir+json", "application/json", "json", "text/json"})
NDJSON_TYPES = frozenset({"application/fhir+ndjson", "application/ndjson", "application/x-ndjson", *JSON_TYPES})
"""A file is the same to whoever names the format of all other answers."""

ASKED_AS_HEAD = "fhir_gateway.head"
"""Key of a request's scope: HEAD is answered as GET is, and its body is left away."""
_FHIR_VERSIONS = frozenset({"4.0", "4.0.1"})
_NO_WEIGHT = re.compile(r"0(\.0*)?")


def check_accept(request: Request, offered: Collection[str] = JSON_TYPES) -> None:
    """Raise 406 where a client takes none of the media types that are offered; `_format` outranks the Accept header."""
    wanted = dict(parse_qsl(request.url.query)).get("_format") if "_format" in request.url.query else None
    accepted = ",".join(request.headers.getlist("accept")) if wanted is None else wanted.replace(" ", "+")
    if accepted.strip() and not any(_is_offered(kind, offered) for kind in _accepted(accepted)):
        words = "answers are FHIR 4.0 as application/fhir+json (files application/fhir+ndjson); Accept, or _format, names neither"
        raise RequestRefusedError(406, words)


def takes_gzip(request: Request) -> bool:
    """Say whether an answer may be packed: gzip is named, and not with a weight of 0."""
    codings = _accepted(request.headers.get("accept-encoding", ""))
    return any(coding in ("gzip", "x-gzip") for coding in codings)


def is_lenient(request: Request) -> bool:
    """Say whether what is not known is to be ignored (Prefer: handling=lenient)."""
    return "handling=lenient" in request.headers.get("prefer", "").replace(" ", "").lower()


def is_head(request: Request) -> bool:
    """Say whether only the headers of an answer are wanted, so that nothing is told."""
    return bool(request.scope.get(ASKED_AS_HEAD))


def _accepted(header: str) -> Iterator[str]:
    """Yield what a header names with a weight above 0, of the FHIR version that there is."""
    for part in header.lower().split(","):
        kind, *parameters = (one.strip() for one in part.split(";"))
        given = dict(one.replace(" ", "").split("=", 1) for one in parameters if "=" in one)
        refused = _NO_WEIGHT.fullmatch(given.get("q", "1"))
        if not refused and given.get("fhirversion", "4.0").strip('"') in _FHIR_VERSIONS:
            yield kind


def _is_offered(kind: str, offered: Collection[str]) -> bool:
    group, _, rest = kind.partition("/")
    return (
        kind in offered
        or kind == "*"
        or (rest == "*" and any(one.startswith(f"{group}/") or group == "*" for one in offered))
    )
