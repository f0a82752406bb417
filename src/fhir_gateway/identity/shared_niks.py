"""A NIK in the rows of many people: a clinic's own, an officer's, or one that a sheet was filled down with.

It says of nobody who he is; and by it alone, all of these would be asked about one by one.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from zlib import crc32

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource
from fhir_gateway.identity.comparators import compare_keys_of
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.vetoes import OTHER_NAME
from fhir_gateway.people.nik import read_nik

MANY = 5
"""So many people of different names have one NIK by no confusion within a family."""
_COUNTED_TOGETHER = 50_000
_NIKS = frozenset({systems.NIK, systems.NIK_AS_WRITTEN, systems.NIK_IBU})
_DIGEST_BYTES = 7


class NikCount:
    """Counts under how many names NIKs stand, each known by its blocking key; ten bytes for each person's NIK."""

    def __init__(self) -> None:
        self._keys = array("q")
        self._names = array("H")

    def add(self, keys: Iterable[int], person: PersonEvidence) -> None:
        """Count a person; `keys` are the blocking keys of the person's own NIKs."""
        names = _name_keys(person)
        name = crc32(names[0].encode()) & 0xFFFF if names else 0
        for key in keys:
            self._keys.append(key)
            self._names.append(name)

    def suspects(self) -> list[int]:
        """Return the keys under which many names were counted, however these are spelled."""
        parts = len(self._keys) // _COUNTED_TOGETHER + 1
        found: list[int] = []
        for part in range(parts):
            named = {(key, name) for key, name in zip(self._keys, self._names, strict=True) if key % parts == part}
            counted = Counter(key for key, _ in named)
            found += [key for key, names in counted.items() if names >= MANY]
        return sorted(found)


def are_many(people: Iterable[PersonEvidence]) -> bool:
    """Say whether among people there are many of whom no two can have one name; a newborn's is the mother's."""
    different: list[tuple[str, ...]] = []
    for person in people:
        name = _name_keys(person)
        if name and all(compare_keys_of(name, other).level in OTHER_NAME for other in different):
            different.append(name)
        if len(different) >= MANY:
            return True
    return False


def without_nik(patient: Resource, digests: frozenset[str]) -> Resource:
    """Return a Patient without the NIKs of these digests, the very same one where it has none of them."""
    identifiers = patient.get("identifier", ())
    kept = [one for one in identifiers if one.get("system") not in _NIKS or nik_digest(one["value"]) not in digests]
    if len(kept) == len(identifiers):
        return patient
    rest = {key: value for key, value in patient.items() if key != "identifier"}
    return rest | {"identifier": kept} if kept else rest


def niks_of_all(patients: Iterable[Resource]) -> frozenset[str]:
    """Return the digests of the NIKs that all of these have as their own."""
    return frozenset(set[str].intersection(*({nik_digest(nik) for nik in evidence_of(one).niks} for one in patients)))


def nik_digest(written: str) -> str:
    """Return by what a NIK is remembered."""
    return blake2b(read_nik(written).digits.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _name_keys(person: PersonEvidence) -> tuple[str, ...]:
    return person.mother_keys if person.newborn else person.own_keys
