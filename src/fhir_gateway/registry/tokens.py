"""Access tokens: signed by the gateway, for one client, one environment, five minutes at most (RFC 9068)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from fhir_gateway.domain.registry import Puller
from fhir_gateway.registry.jwt_parts import unproved
from fhir_gateway.registry.scopes import parse_scopes

TOKEN_LIFE = timedelta(minutes=5)
_TYPE = "at+jwt"
SIGNATURE = "ES384"
_LONGEST_TOKEN = 8 << 10


class RefusedTokenError(ValueError):
    """The token opens nothing here: forged, expired, of another environment, or signed with a key that is gone."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One of the gateway's own keys; `retired` ones sign nothing more, and check tokens until those have expired."""

    id: str
    key: ECKey
    made: datetime
    retired: datetime | None = None


def issue(puller: Puller, *, base: str, key: SigningKey, now: datetime) -> str:
    """Return a token that lets a client in at an environment's endpoint `base` until `puller.expires`."""
    claims = {
        "iss": base,
        "aud": base,
        "sub": puller.client,
        "client_id": puller.client,
        "scope": " ".join(map(str, puller.scopes)),
        "jti": puller.token,
        "iat": int(now.timestamp()),
        "exp": int(puller.expires.timestamp()),
    }
    header = {"alg": SIGNATURE, "typ": _TYPE, "kid": key.id}
    return jwt.encode(header, claims, key.key, algorithms=[SIGNATURE])


def check_token(text: str, *, environment: str, base: str, keys: Sequence[SigningKey], now: datetime) -> Puller:
    """Return whom a token lets in; raises RefusedTokenError. Whether the client was revoked is the caller's to look up."""
    key = _key(text, keys, now)
    try:
        claims = jwt.decode(text, key.key, algorithms=[SIGNATURE]).claims
        scopes = parse_scopes(str(claims.get("scope", "")))
    except (JoseError, ValueError):
        raise RefusedTokenError("the token is not valid") from None
    if claims.get("iss") != base or claims.get("aud") != base:
        raise RefusedTokenError("the token is of another environment")
    expires = _expiry(claims)
    if expires <= now:
        raise RefusedTokenError("the token has expired")
    return Puller(str(claims["client_id"]), environment, scopes, str(claims["jti"]), expires)


@dataclass(frozen=True, slots=True)
class _Proved:
    puller: Puller
    base: str
    key: SigningKey

    def opens(self, base: str, keys: Sequence[SigningKey], now: datetime) -> bool:
        """Say whether the token lets in at an endpoint still."""
        believed = any(one is self.key for one in keys) and checks(self.key, now)
        return believed and self.base == base and self.puller.expires > now


class ProvedTokens:
    """Checks the tokens of one environment, and proves the signature of each but once: that costs more than all else.

    What was proved is known by the token's hash. It counts for the same endpoint only, until the token expires, and
    while its key is one of those that are given, the very same object: once keys were read anew, all is proved anew.
    """

    def __init__(self, environment: str, *, most: int = 10_000) -> None:
        self._environment = environment
        self._most = most
        self._proved: dict[bytes, _Proved] = {}

    def check(self, text: str, *, base: str, keys: Sequence[SigningKey], now: datetime) -> Puller:
        """Return whom a token lets in, as check_token does; raises RefusedTokenError."""
        digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
        found = self._proved.get(digest)
        if found is not None and found.opens(base, keys, now):
            return found.puller
        self._proved.pop(digest, None)
        puller = check_token(text, environment=self._environment, base=base, keys=keys, now=now)
        if len(self._proved) >= self._most:
            self._proved = {key: one for key, one in self._proved.items() if one.puller.expires > now}
        if len(self._proved) < self._most:
            self._proved[digest] = _Proved(puller, base, _key(text, keys, now))
        return puller


def published(keys: Sequence[SigningKey]) -> dict[str, Any]:
    """Return the public keys as a JWKS."""
    return {"keys": [one.key.as_dict(private=False) for one in keys]}


def _key(text: str, keys: Sequence[SigningKey], now: datetime) -> SigningKey:
    if len(text) > _LONGEST_TOKEN:
        raise RefusedTokenError("the token is too long")
    try:
        header, _ = unproved(text)
    except ValueError:
        raise RefusedTokenError("the token is no access token of this gateway") from None
    fitting = [one for one in keys if one.id == header.get("kid") and checks(one, now)]
    if header.get("typ") != _TYPE or header.get("alg") != SIGNATURE or not fitting:
        raise RefusedTokenError("the token is no access token of this gateway, or its key was withdrawn")
    return fitting[0]


def checks(key: SigningKey, now: datetime) -> bool:
    """Say whether tokens that this key signed may still be alive."""
    return key.retired is None or now < key.retired + TOKEN_LIFE


def _expiry(claims: dict[str, Any]) -> datetime:
    value = claims.get("exp")
    if isinstance(value, bool) or not isinstance(value, int):
        raise RefusedTokenError("the token is not valid")
    return datetime.fromtimestamp(value, UTC)
