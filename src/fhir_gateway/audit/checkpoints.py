"""Signed checkpoints: texts that can be kept elsewhere and show later that a history is still the same.

The form is that of https://c2sp.org/tlog-checkpoint in a note of https://c2sp.org/signed-note; other tools for
transparency logs read it. Extension lines tell the time, and of how many merges the entries are, with the root over how many
each has: by that a proof for one merge shows that none of its entries was left out.
"""

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fhir_gateway.audit.verify_history import PublicKey, TreeHead

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SEED_BYTES = 32


class SigningKey:
    """An Ed25519 key under a name: the origin of the checkpoints that it signs."""

    def __init__(self, name: str, private: "Ed25519PrivateKey") -> None:
        self._private = private
        self.public = PublicKey.of(name, private.public_key().public_bytes_raw())

    def sign(self, head: TreeHead, *, time: datetime) -> str:
        """Return the signed checkpoint of a history with this head."""
        moment = time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        root, counts = (base64.b64encode(each).decode() for each in (head.root, head.counts))
        text = f"{self.public.name}\n{head.size}\n{root}\ntime {moment}\nmerges {head.merges} {counts}\n"
        signature = base64.b64encode(self.public.id + self._private.sign(text.encode())).decode()
        return f"{text}\n\u2014 {self.public.name} {signature}\n"


def origin(environment: str, ledger: str) -> str:
    """Return the name under which a ledger's history is known: without blanks and plus signs."""
    return f"fhir-gateway/{environment}/{ledger}"


def new_private_key() -> str:
    """Return a new key as PEM (PKCS 8)."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - 7 MiB that a load has no use for
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    key = Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def read_signing_key(name: str, text: str) -> SigningKey:
    """Read a private key, PEM (PKCS 8) or 32 bytes in base64; raises ValueError where it is none, without showing it."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        if "PRIVATE KEY" in text:
            key = load_pem_private_key(text.encode(), password=None)
        else:
            key = Ed25519PrivateKey.from_private_bytes(_seed(text))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, Ed25519PrivateKey):
        return SigningKey(name, key)
    raise ValueError("is no Ed25519 key: PEM (PKCS 8, without a password) or 32 bytes in base64") from None


def _seed(text: str) -> bytes:
    seed = base64.b64decode(text.strip(), validate=True)
    if len(seed) != _SEED_BYTES:
        raise ValueError
    return seed
