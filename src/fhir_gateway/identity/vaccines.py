"""Whether two vaccine codes may name one dose, by CVX; the families are data (vaccine_families.toml)."""

import tomllib
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from itertools import combinations
from typing import Any

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource


class VaccineLevel(StrEnum):
    """How two vaccines agree, best first."""

    SAME = "same"
    COMPATIBLE = "compatible"
    DOUBTFUL = "doubtful"
    DIFFERENT = "different"


_ORDER = tuple(VaccineLevel)


def compare_vaccines(left: Resource, right: Resource) -> VaccineLevel:
    """Compare the vaccine codes of two Immunizations, the best of all pairs of codings.

    CVX decides where both have it, else the KFA product, else the text; codes of systems that do not meet are doubtful.
    """
    one, other = codes_of(left), codes_of(right)
    if one.get(systems.CVX) and other.get(systems.CVX):
        pairs = [(a, b) for a in one[systems.CVX] for b in other[systems.CVX]]
        return min((_compare_cvx(a, b) for a, b in pairs), key=_ORDER.index)
    shared = one.keys() & other.keys()
    if any(one[system] & other[system] for system in shared):
        return VaccineLevel.SAME
    texts = _text_of(left), _text_of(right)
    if all(texts) and texts[0] == texts[1]:
        return VaccineLevel.SAME
    return VaccineLevel.DIFFERENT if shared or not (one and other) else VaccineLevel.DOUBTFUL


def may_name_one(one: str, other: str) -> bool:
    """Say whether two CVX codes may name one dose's vaccine: the same, or an unspecified one and one of its family."""
    return _compare_cvx(one, other) in {VaccineLevel.SAME, VaccineLevel.COMPATIBLE}


def _compare_cvx(one: str, other: str) -> VaccineLevel:
    if one == other:
        return VaccineLevel.SAME
    return _families().get(frozenset((one, other)), VaccineLevel.DIFFERENT)


@lru_cache(maxsize=1)
def _families() -> dict[frozenset[str], VaccineLevel]:
    """Return every pair of codes that is not simply different."""
    document = _document()
    pairs: dict[frozenset[str], VaccineLevel] = {}
    for codes in document["doubtful"].values():
        pairs.update(dict.fromkeys(map(frozenset, combinations(codes, 2)), VaccineLevel.DOUBTFUL))
    for codes in document["one"].values():
        pairs.update(dict.fromkeys(map(frozenset, combinations(codes, 2)), VaccineLevel.COMPATIBLE))
    for unspecified, codes in document["unspecified"].items():
        pairs.update({frozenset((unspecified, code)): VaccineLevel.COMPATIBLE for code in codes})
    return pairs


@lru_cache(maxsize=1)
def small_childrens() -> frozenset[str]:
    """Return the CVX codes of what only small children get."""
    return frozenset(_document()["small_children"]["codes"])


def _document() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("vaccine_families.toml").read_text("utf-8"))


def codes_of(immunization: Resource) -> dict[str, set[str]]:
    """Return the vaccine's codes by their system; CVX with its leading zero."""
    codes: dict[str, set[str]] = {}
    for coding in _codings(immunization):
        system, code = coding.get("system"), coding.get("code")
        if isinstance(system, str) and isinstance(code, str) and code.strip():
            # Some writers leave CVX's leading zero out (2 for 02).
            codes.setdefault(system, set()).add(code.strip().zfill(2) if system == systems.CVX else code.strip())
    return codes


def _codings(immunization: Resource) -> list[dict[str, Any]]:
    concept = immunization.get("vaccineCode")
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return [coding for coding in codings if isinstance(coding, dict)] if isinstance(codings, list) else []


def _text_of(immunization: Resource) -> str:
    concept = immunization.get("vaccineCode")
    text = concept.get("text") if isinstance(concept, dict) else None
    return "".join(c for c in text.lower() if c.isalnum()) if isinstance(text, str) else ""
