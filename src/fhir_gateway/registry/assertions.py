"""How a client proves who it is: a JWT that it signed with its own key (private_key_jwt).

SMART App Launch 2.2, "Client authentication: asymmetric"; RFC 7523. Every refusal is `invalid_client`; which check
failed is told, since a client's developers have nothing else to go by, and no secret is in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from fhir_gateway.domain.registry import RegistryClient
from fhir_gateway.registry.client_keys import ALGORITHMS, ClientKey, candidates
from fhir_gateway.registry.jwt_parts import unproved

LONGEST_ASSERTION = 16 << 10
LONGEST_LIFE = timedelta(minutes=5)
_SKEW = timedelta(seconds=10)
"""How far ahead `nbf` and `iat` may lie, since clocks differ; `exp` has to be five minutes ahead at most, by the clock here."""
_LONGEST_ID = 256


class InvalidClientError(ValueError):
    """The assertion does not prove who the client is; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What an assertion says before anything of it is proved."""

    algorithm: str
    key_id: str
    keys_url: str
    client: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """A proved assertion; its `id` (jti) must not be seen again before it `expires`."""

    id: str
    expires: datetime


def claimed(text: str) -> Claimed:
    """Return what an assertion says of itself, unproved; raises InvalidClientError for what is no such JWT."""
    if len(text) > LONGEST_ASSERTION:
        raise InvalidClientError("the client_assertion is too long")
    try:
        header, claims = unproved(text)
    except ValueError:
        raise InvalidClientError("the client_assertion is no signed JWT") from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidClientError(
            f"the client_assertion is signed with another algorithm than {' or '.join(ALGORITHMS)}"
        )
    if "crit" in header:
        raise InvalidClientError("the client_assertion has critical headers that are not known here")
    return Claimed(
        algorithm=algorithm,
        key_id=_text(header, "kid", needed=False),
        keys_url=_text(header, "jku", needed=False),
        client=_text(claims, "iss"),
    )


def check_assertion(
    text: str, *, client: RegistryClient, keys: Sequence[ClientKey], token_url: str, now: datetime
) -> Assertion:
    """Return a proved assertion; raises InvalidClientError. Whether its id was seen before is the caller's to find out."""
    said = claimed(text)
    if said.keys_url and said.keys_url != client.jwks_url:
        raise InvalidClientError("the assertion's jku is not the JWKS URL that this client registered")
    fitting = candidates(keys, algorithm=said.algorithm, key_id=said.key_id)
    if not fitting:
        raise InvalidClientError("none of the client's registered keys is the one that the assertion's kid names")
    try:
        claims = jwt.decode(text, fitting[0].key, algorithms=[said.algorithm]).claims
    except (JoseError, ValueError):
        raise InvalidClientError("the assertion's signature does not fit the client's key") from None
    if claims.get("iss") != client.id or claims.get("sub") != client.id:
        raise InvalidClientError("the assertion's iss and sub must both be the client id")
    if claims.get("aud") not in (token_url, [token_url]):
        raise InvalidClientError(f"the assertion's aud must be {token_url}")
    expires = _moment(claims, "exp")
    if expires is None or expires <= now:
        raise InvalidClientError("the assertion has expired, or has no exp")
    if expires > now + LONGEST_LIFE:
        raise InvalidClientError(
            f"the assertion's exp is more than five minutes ahead of {now:%H:%M:%S} UTC, the time here"
        )
    for name in ("nbf", "iat"):
        moment = _moment(claims, name)
        if name in claims and (moment is None or moment > now + _SKEW):
            raise InvalidClientError(f"the assertion's {name} is in the future")
    return Assertion(_text(claims, "jti"), expires)


def _text(content: dict[str, Any], name: str, *, needed: bool = True) -> str:
    value = content.get(name, None if needed else "")
    if not isinstance(value, str) or (needed and not value) or len(value) > _LONGEST_ID or not value.isprintable():
        raise InvalidClientError(f"the assertion's {name} is missing, or no text of at most {_LONGEST_ID} characters")
    return value


def _moment(claims: dict[str, Any], name: str) -> datetime | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
