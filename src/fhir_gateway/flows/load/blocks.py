"""Blocking keys as numbers, so that no ledger holds a name or a number in the clear."""

import struct
from collections.abc import Sequence
from hashlib import blake2b

from fhir_gateway.identity.blocking import blocking_keys, earlier_keys, nik_key
from fhir_gateway.identity.evidence import PersonEvidence

LARGEST_BLOCK = 300
"""A key that more people share tells nobody from anybody; their other keys find them."""


def block_numbers(evidence: PersonEvidence) -> tuple[int, ...]:
    """Return a person's blocking keys as signed 64-bit numbers."""
    return _numbers(blocking_keys(evidence))


def known_block_numbers(evidence: PersonEvidence) -> tuple[int, ...]:
    """Return the numbers under which a ledger may know a person, those of earlier versions included: it cannot tell whose they were."""
    return _numbers(blocking_keys(evidence) + earlier_keys(evidence))


def nik_blocks(evidence: PersonEvidence) -> tuple[int, ...]:
    """Return those of a person's own valid NIKs."""
    return _numbers([nik_key(nik) for nik in evidence.niks])


def _numbers(keys: Sequence[str]) -> tuple[int, ...]:
    digests = [blake2b(key.encode(), digest_size=8).digest() for key in keys]
    return struct.unpack(f">{len(digests)}q", b"".join(digests))
