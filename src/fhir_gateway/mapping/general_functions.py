"""Mapping functions that belong to no one thing: words, references, the clinic."""

import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource
from fhir_gateway.mapping.functions import Apply, ClinicEntry, Facts, MappingFunction, Option, Setup, Steadiness

_VOWELS = frozenset("aeiou")
_REFERENCE_TYPES = ("Practitioner", "PractitionerRole", "Organization", "Location")


def _build_word(setup: Setup) -> Apply:
    """Let the first listed word that stands in the text decide; a word listed with null decides for nothing."""
    words = [
        (re.compile(rf"(?<!\w){re.escape(str(word).casefold())}(?!\w)"), value) for word, value in setup.options.items()
    ]

    @lru_cache(maxsize=1024)
    def decide(texts: tuple[str, ...]) -> Any:
        for text in texts:
            folded = " ".join(text.casefold().split())
            for pattern, value in words:
                if folded and pattern.search(folded):
                    return value
        return None

    return lambda texts, facts: decide(texts)  # noqa: ARG005 - the signature of all functions


def _build_other_clinic(setup: Setup) -> Apply:
    """Mark a text that names a clinic of these kinds which is not the one of the second column."""
    kinds = "|".join(re.escape(str(word).casefold()) for word in setup.options["words"])
    named = re.compile(rf"(?<!\w)(?:{kinds})(?!\w)(.*)")

    @lru_cache(maxsize=1024)
    def decide(text: str, own: str) -> str:
        found = named.search(text.casefold())
        if found is None or not (name := _letters(found[1])):
            return text
        of_own = named.search(own.casefold())
        ours = _letters(of_own[1]) if of_own else _letters(own)
        if name in ours or ours in name:
            return text if ours else f"{text} (unknown clinic)"
        return f"{text} ({'unknown' if _may_abbreviate(name, ours) else 'other'} clinic)"

    return lambda texts, facts: decide(*texts) or None  # noqa: ARG005 - the signature of all functions


def _may_abbreviate(short: str, name: str) -> bool:
    """Tell whether letters without a vowel, as in PKM BBS, may stand for this name, as they may for another one."""
    rest = iter(name)
    return _VOWELS.isdisjoint(short) and short[0] == name[0] and all(letter in rest for letter in short)


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text.casefold()))


_NUMBER = re.compile(r"-?\d{1,15}(?:[.,]\d{1,9})?")


def _build_number(setup: Setup) -> Apply:
    column = setup.columns[0]

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        text = texts[0]
        if not text:
            return None
        if not _NUMBER.fullmatch(text):
            facts.kept.append(f"{column}: {text}")
            return None
        value = float(text.replace(",", "."))
        return int(value) if value.is_integer() else value

    return apply


def _build_reference(setup: Setup) -> Apply:
    kind = str(setup.options["type"])
    excluded = tuple(str(word).casefold() for word in setup.options.get("except") or ())

    @lru_cache(maxsize=2048)
    def refer(texts: tuple[str, ...], safe_clinic: str) -> Resource | None:
        text = next(filter(None, texts), "")
        if not text or any(word in text.casefold() for word in excluded):
            return None
        system = f"{systems.LOCAL_IDENTIFIERS}/{kind.lower()}/{safe_clinic}"
        return {"type": kind, "identifier": {"system": system, "value": text}, "display": text}

    return lambda texts, facts: refer(texts, facts.safe_clinic)


def _build_as_written(setup: Setup) -> Apply:
    expected = frozenset(str(word).casefold() for word in setup.options.get("except") or ())
    columns = setup.columns

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:  # noqa: ARG001 - the signature of all functions
        told = zip(columns, texts, strict=True)
        kept = [as_written(f"{column}: {text}") for column, text in told if text and text.casefold() not in expected]
        return kept or None

    return apply


def as_written(text: str) -> Resource:
    """Return the extension that keeps an original text."""
    return {"url": systems.AS_WRITTEN, "valueString": text}


def _build_clinic(setup: Setup) -> Apply:  # noqa: ARG001 - the signature of all functions
    def apply(texts: tuple[str, ...], facts: Facts) -> Any:  # noqa: ARG001 - the signature of all functions
        return clinic_reference(facts)

    return apply


def clinic_reference(facts: Facts) -> Resource:
    """Return the clinic as the Organization that the environment names, else as a logical reference."""
    entry = facts.context.clinics.get(facts.clinic)
    return _clinic_reference(facts.clinic, facts.clinic_display, facts.safe_clinic, entry)


@lru_cache(maxsize=1024)
def _clinic_reference(clinic: str, display: str, safe: str, entry: ClinicEntry | None) -> Resource:
    shown = (entry.name if entry else "") or display
    if entry and entry.reference:
        return {"reference": entry.reference, "display": shown}
    system = (entry.identifier_system if entry else "") or f"{systems.LOCAL_IDENTIFIERS}/organization/{safe}"
    value = (entry.identifier_value if entry else "") or clinic
    return {"type": "Organization", "identifier": {"system": system, "value": value}, "display": shown}


def uri_safe(text: str) -> str:
    """Return a text as it may stand in a URI."""
    return quote(text, safe="")


GENERAL_FUNCTIONS = (
    MappingFunction(
        "other_clinic",
        "the first column's text, marked `other clinic` where it names a clinic of these kinds that is not the second column's,"
        " `unknown clinic` where that is empty, or the first may be short for it or for another one",
        _build_other_clinic,
        {"words": Option("list", required=True)},
        columns=2,
        steadiness=Steadiness.STEADY,
        makes=("string",),
    ),
    MappingFunction(
        "word",
        "the value beside the first listed word that the text holds",
        _build_word,
        free_options=True,
        steadiness=Steadiness.STEADY,
    ),
    MappingFunction(
        "number",
        "a number, with a comma or a point before its decimals; anything else is kept aside",
        _build_number,
        columns=1,
        steadiness=Steadiness.STEADY,
        makes=("decimal", "integer", "positiveInt", "unsignedInt"),
    ),
    MappingFunction(
        "reference",
        "a logical reference: identifier and display",
        _build_reference,
        {"type": Option(required=True, choices=_REFERENCE_TYPES), "except": Option("list")},
        steadiness=Steadiness.STEADY,
        makes=("Reference",),
    ),
    MappingFunction(
        "as_written",
        "the extensions that keep what the cells say, but for the words that are expected there",
        _build_as_written,
        {"except": Option("list")},
        steadiness=Steadiness.STEADY,
        makes=("Extension",),
    ),
    MappingFunction(
        "clinic",
        "the clinic that the record comes from",
        _build_clinic,
        needs_columns=False,
        steadiness=Steadiness.STEADY,
        makes=("Reference",),
    ),
)
