"""Access keys: how they are made and shown once, and who stands at the door with one."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fhir_gateway.domain.access import AccessKey, Role
from fhir_gateway.serving.request_rates import RequestRates

_KEY = re.compile(r"fgk-([0-9a-f]{8})-[A-Za-z0-9_-]{43}", re.ASCII)
_SECRET_BYTES = 32
_NO_SUCH = hashlib.sha256(b"").hexdigest()
# A forgotten program that repeats a revoked key is stopped by the first limit long before it reaches the second, which
# would stop everybody at its address.
_FAILURES_OF_A_KEY = 10
_FAILURES_OF_AN_ADDRESS = 60


class Keys(Protocol):
    """Where access keys are looked up (ledger.access)."""

    def get(self, key_id: str) -> AccessKey | None:
        """Return a key, revoked or not."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the holder of an access key of one environment."""

    environment: str
    key_id: str
    name: str
    role: Role

    @property
    def user(self) -> str:
        """How the caller stands in the history of what was done."""
        return f"{self.name} (key {self.key_id})"


class RefusedKeyError(Exception):
    """The key is none of this environment's, or was revoked."""


class TooManyAttemptsError(Exception):
    """So many keys were wrong that none is looked at for a while; `retry_after` is in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"too many wrong access keys, try again in {retry_after} s")


def new_key(*, name: str, role: Role, at: datetime) -> tuple[AccessKey, str]:
    """Return a new random key of 256 bits: as it is kept, and as it is shown once."""
    key_id = secrets.token_hex(4)
    text = f"fgk-{key_id}-{secrets.token_urlsafe(_SECRET_BYTES)}"
    return AccessKey(id=key_id, name=name, role=role, digest=_digest(text), created=at), text


class Doorkeeper:
    """Looks at the keys that are shown at one environment's door; too many wrong ones, and it looks at none."""

    def __init__(self, environment: str, keys: Keys) -> None:
        self._environment = environment
        self._keys = keys
        self._failures = RequestRates()

    def knows(self, text: str) -> bool:
        """Say whether there is, or was, a key of this id here; whether it opens anything is another question."""
        form = _KEY.fullmatch(text)
        return form is not None and self._keys.get(form[1]) is not None

    def authenticate(self, text: str, *, address: str) -> Caller:
        """Return whose key this is.

        Raises RefusedKeyError, or TooManyAttemptsError where this key or this address has failed too often.
        """
        form = _KEY.fullmatch(text)
        key_id = form[1] if form else ""
        self._check_attempts(address, key_id)
        key = self._keys.get(key_id) if key_id else None
        same = hmac.compare_digest(_digest(text), key.digest if key else _NO_SUCH)
        if key is None or not same or key.revoked:
            self._failures.hit(_FAILURES_OF_A_KEY, address, key_id)
            self._failures.hit(_FAILURES_OF_AN_ADDRESS, address)
            raise RefusedKeyError
        return self._caller(key)

    def still(self, caller: Caller) -> Caller | None:
        """Return the caller as the ledger has her now, None where her key was revoked meanwhile."""
        key = self._keys.get(caller.key_id)
        return self._caller(key) if key and not key.revoked else None

    def _caller(self, key: AccessKey) -> Caller:
        return Caller(self._environment, key.id, key.name, key.role)

    def _check_attempts(self, address: str, key_id: str) -> None:
        for most, place in ((_FAILURES_OF_A_KEY, (address, key_id)), (_FAILURES_OF_AN_ADDRESS, (address,))):
            if wait := self._failures.wait(most, *place):
                raise TooManyAttemptsError(wait)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
