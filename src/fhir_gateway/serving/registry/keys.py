"""The gateway's own keys for registries: what signs access tokens, and what seals the cursors of pages.

They stand in a file of the environment's folder that only its owner can read; every process reads it again as soon as
it has changed.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import orjson
from cryptography.fernet import Fernet, InvalidToken
from joserfc.jwk import ECKey

from fhir_gateway.domain.errors import ConfigurationError, ConfigurationProblem
from fhir_gateway.registry.tokens import SIGNATURE, SigningKey, checks

_FILE = "registry-keys.json"


class RegistryKeys:
    """One environment's keys. `folder` is the environment's own; the file is made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._read_at: tuple[int, int] | None = None
        self._keys: tuple[SigningKey, ...] = ()
        self._seal: Fernet | None = None

    def all(self, now: datetime) -> tuple[SigningKey, ...]:
        """Return the keys whose tokens may be alive, the newest first; raises ConfigurationError for a damaged file."""
        self._refresh(now)
        return tuple(key for key in self._keys if checks(key, now))

    def current(self, now: datetime, *, life: timedelta) -> SigningKey:
        """Return the key that signs; one older than `life` is rotated first."""
        key = self.all(now)[0]
        return self.rotate(now) if now - key.made > life else key

    def rotate(self, now: datetime, *, withdraw: bool = False) -> SigningKey:
        """Make a new key that signs from now on and return it.

        Tokens of the one before live on for their five minutes; `withdraw` ends them at once (a key that leaked).
        """
        self._refresh(now)
        with self._locked():
            content = orjson.loads(self._path.read_bytes())
            for one in content["keys"]:
                one["retired"] = one["retired"] or now.isoformat()
            kept = [] if withdraw else [one for one in content["keys"] if checks(_key(one), now)]
            self._write({**content, "keys": [_new(now), *kept]})
        self._refresh(now)
        return self._keys[0]

    def seal(self, content: bytes, now: datetime) -> str:
        """Return content that only this environment can read and nobody can change."""
        self._refresh(now)
        assert self._seal is not None  # noqa: S101 - _refresh sets it
        return self._seal.encrypt(content).decode()

    def unseal(self, text: str, now: datetime) -> bytes | None:
        """Return what was sealed, None where it was not sealed here."""
        self._refresh(now)
        assert self._seal is not None  # noqa: S101 - _refresh sets it
        try:
            return self._seal.decrypt(text)
        except InvalidToken:
            return None

    def _refresh(self, now: datetime) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            with self._locked():
                if not self._path.exists():
                    self._write({"keys": [_new(now)], "seal": Fernet.generate_key().decode()})
            found = self._path.stat()
        if self._read_at == (found.st_mtime_ns, found.st_ino):
            return
        try:
            content = orjson.loads(self._path.read_bytes())
            self._keys = tuple(_key(one) for one in content["keys"])
            self._seal = Fernet(content["seal"])
        except (ValueError, KeyError, TypeError):
            text = "is damaged: take it back from a copy, or delete it (tokens and cursors that are alive end then)"
            raise ConfigurationError([ConfigurationProblem(str(self._path), 0, 0, text)]) from None
        self._read_at = (found.st_mtime_ns, found.st_ino)

    def _write(self, content: dict[str, object]) -> None:
        """Replace the file as a whole: nobody reads half of it."""
        beside = self._path.with_suffix(f".{secrets.token_hex(4)}")
        descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(content, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _new(now: datetime) -> dict[str, object]:
    key_id = secrets.token_hex(8)
    key = ECKey.generate_key("P-384", {"kid": key_id, "use": "sig", "alg": SIGNATURE})
    return {"id": key_id, "made": now.isoformat(), "retired": None, "jwk": key.as_dict(private=True)}


def _key(content: dict[str, object]) -> SigningKey:
    retired = content["retired"]
    return SigningKey(
        id=str(content["id"]),
        key=ECKey.import_key(content["jwk"]),  # type: ignore[arg-type]
        made=datetime.fromisoformat(str(content["made"])),
        retired=datetime.fromisoformat(str(retired)) if retired else None,
    )
