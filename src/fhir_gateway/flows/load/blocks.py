"""Blocking keys as numbers, so that no ledger holds a name or a number in the clear."""

import struct
from hashlib import blake2b

from fhir_gateway.identity.blocking import blocking_keys
from fhir_gateway.identity.evidence import PersonEvidence

LARGEST_BLOCK = 300
"""A key that more people share tells nobody from anybody; their other keys find them."""


def block_numbers(evidence: PersonEvidence) -> tuple[int, ...]:
    """Return a person's blocking keys as signed 64-bit numbers."""
    digests = [blake2b(key.encode(), digest_size=8).digest() for key in blocking_keys(evidence)]
    return struct.unpack(f">{len(digests)}q", b"".join(digests))
