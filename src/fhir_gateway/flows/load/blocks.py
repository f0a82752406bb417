"""Blocking keys as numbers, so that no ledger holds a name or a number in the clear."""

import hashlib

from fhir_gateway.identity.blocking import blocking_keys
from fhir_gateway.identity.evidence import PersonEvidence

LARGEST_BLOCK = 300
"""A key that more people share tells nobody from anybody; their other keys find them."""


def block_numbers(evidence: PersonEvidence) -> tuple[int, ...]:
    """Return a person's blocking keys as signed 64-bit numbers."""
    return tuple(
        int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), signed=True)
        for key in blocking_keys(evidence)
    )
