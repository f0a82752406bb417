"""A client's public keys (RFC 7517): what is taken as one, and which of them may have signed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

ALGORITHMS = {"RS384": "RSA", "ES384": "EC"}
"""Signature algorithm → kind of key; those that SMART App Launch wants every server to have, and no others."""

LARGEST_SET = 64 << 10
_MOST_KEYS = 20
_LEAST_RSA_BITS = 2048
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class UnusableKeysError(ValueError):
    """A set of keys that cannot be registered or used; the message says why and holds none of it."""


@dataclass(frozen=True, slots=True)
class ClientKey:
    """One public key. `id` is its kid, "" where it has none."""

    id: str
    kind: str
    key: RSAKey | ECKey


def read_keys(text: str | bytes) -> tuple[ClientKey, ...]:
    """Return the usable public keys of a JWKS; keys of other kinds are passed over, since sets are shared.

    Raises UnusableKeysError where none is usable, where a private key stands in it, or it is no JWKS.
    """
    if len(text) > LARGEST_SET:
        raise UnusableKeysError(f"a JWKS has at most {LARGEST_SET >> 10} KiB")
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise UnusableKeysError('this is no JSON; a JWKS looks like {"keys": [{"kty": "EC", …}]}') from None
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= _MOST_KEYS or not all(isinstance(one, dict) for one in keys):
        raise UnusableKeysError(f'a JWKS has 1 to {_MOST_KEYS} keys under "keys"')
    if any(_PRIVATE & set(one) for one in keys):
        raise UnusableKeysError(
            "this JWKS holds a private key: register public keys only, and make a new pair, as this one has been shown"
        )
    usable = [key for one in keys if (key := _read(one)) is not None]
    if not usable:
        raise UnusableKeysError("no key in this JWKS is an RSA key of 2048 bits or more, or an EC key on P-384")
    named = [key.id for key in usable if key.id]
    if len(set(named)) != len(named):
        raise UnusableKeysError("two keys of this JWKS have the same kid")
    return tuple(usable)


def candidates(keys: Sequence[ClientKey], *, algorithm: str, key_id: str) -> list[ClientKey]:
    """Return the keys that may have signed: the one of that id, or, where no id is told, the only one of the kind."""
    fitting = [key for key in keys if key.kind == ALGORITHMS.get(algorithm)]
    if key_id:
        return [key for key in fitting if key.id == key_id]
    return fitting if len(fitting) == 1 else []


def _read(content: dict[str, Any]) -> ClientKey | None:
    if content.get("use", "sig") != "sig" or content.get("alg", "RS384") not in list(ALGORITHMS):
        return None
    operations = content.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        key = JWKRegistry.import_key(content)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    key_id = content.get("kid")
    named = key_id if isinstance(key_id, str) else ""
    if isinstance(key, RSAKey) and key.raw_value.key_size >= _LEAST_RSA_BITS:
        return ClientKey(named, "RSA", key)
    if isinstance(key, ECKey) and key.curve_name == "P-384":
        return ClientKey(named, "EC", key)
    return None
