"""Mapping functions for what a row tells of a dose, and for dates."""

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

from fhir_gateway.domain import systems
from fhir_gateway.domain.lot_numbers import plain_lot
from fhir_gateway.domain.recent import Recent
from fhir_gateway.domain.records import Problem, Resource, UnmappedValue
from fhir_gateway.mapping.concept_maps import ConceptMap, Match, unmapped_line
from fhir_gateway.mapping.functions import Apply, Facts, MappingFunction, Option, Setup, Steadiness
from fhir_gateway.mapping.spellings import UNKNOWN_DOSE, DoseNumber, read_dose_number
from fhir_gateway.people.dates import FORMATS, DateFault, ReadDate, make_instant, read_clock, read_date, written_offset

_NOT = r"(?:tidak|tdk|tak|ga?k|nggak|belum|blm)"
_GIVEN = r"(?:jadi|mau|bersedia|diberi(?:kan)?|disuntik(?:kan)?|diimunisasi|divaksin(?:asi)?|datang|hadir|dilakukan)"
_NOT_REFUSED = re.compile(
    rf"\b{_NOT}\s+(?:pernah\s+|akan\s+|ada\s+)?(?:menolak|ditolak|tolak|penolakan)\b|\btolak\s+angin\b", re.IGNORECASE
)
_REFUSED = re.compile(
    rf"\b(?:menolak|ditolak|tolak|refused?|penolakan|batal|dibatalkan|{_NOT}\s+(?:jadi\s+)?{_GIVEN})\b",
    re.IGNORECASE,
)
_DEFERRED = re.compile(r"\b(?:ditunda|tunda|penundaan|deferred|menunda)\b", re.IGNORECASE)
_MIDNIGHT = re.compile(r"(?<![\d:.])0{1,2}[:.]00(?:[:.]00)?(?![\d:.]*[1-9])")
"""What databases write where the time is not known."""
_DOTTED_CLOCK = re.compile(r"\s\d{1,2}\.\d{2}(?!\d)")
_MEMORY = 16384


class _DateReader:
    """Reads the dates of one element: its formats, whether the future is allowed, and its problems."""

    def __init__(self, setup: Setup) -> None:
        self._formats: tuple[str, ...] = tuple(setup.options.get("formats") or setup.formats)
        self._future = bool(setup.options.get("future"))
        self._column = setup.columns[0]
        self._keeps = setup.options.get("unreadable") == "keep"
        subject, words = setup.subject, setup.subject.replace("-", " ")
        formats = ", ".join(self._formats)
        self._faults = {
            DateFault.UNREADABLE: setup.problem(
                f"{subject}-unreadable",
                f"the {words} is in no format that the mapping knows",
                f"write it as one of {formats}",
            ),
            DateFault.IMPOSSIBLE: setup.problem(
                f"{subject}-impossible",
                f"the {words} does not exist or is incomplete",
                "correct day, month and year, or say in the mapping's `dates` how the file writes them",
            ),
        }
        self._in_future = setup.problem(f"{subject}-future", f"the {words} lies in the future", "correct the date")

    def read(self, text: str, facts: Facts) -> ReadDate | Problem | None:
        """Return the date, None where there is none, or what is wrong with it."""
        context, future = facts.context, self._future
        iso, _, fault = found = read_date(text, self._formats, context.today, context.zone, future)
        if fault is None and (future or iso <= facts.today):
            return found
        if fault is DateFault.MISSING:
            return None
        if self._keeps:
            facts.kept.append(f"{self._column}: {text}")
            return None
        return self._in_future if fault is None else self._faults[fault]


def _build_date(setup: Setup) -> Apply:
    reader = _DateReader(setup)
    # A birth date's hours are those that programs make of a day; a dose's are when it was given.
    keeps_clock = setup.path == "Immunization.occurrenceDateTime"

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        number = 0 if texts[0] else next((number for number, text in enumerate(texts) if text), 0)
        found = reader.read(texts[number], facts)
        if not isinstance(found, ReadDate):
            return found
        if keeps_clock and _tells_time(texts[number]):
            facts.kept.append(f"{setup.columns[number]}: {texts[number]}")
        return found.iso

    return apply


def _build_date_time(setup: Setup) -> Apply:
    reader = _DateReader(setup)

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        found = reader.read(texts[0], facts)
        if not isinstance(found, ReadDate):
            return found
        second = texts[1] if len(texts) > 1 else ""
        clock = read_clock(second)
        if not clock and any(map(str.isalnum, second.strip("0:. "))):
            facts.kept.append(f"{setup.columns[1]}: {second}")
        if not found.clock and _tells_time(texts[0]):
            facts.kept.append(f"{setup.columns[0]}: {texts[0]}")
        if clock and clock is not second and (offset := written_offset(second)):
            return f"{found.iso}T{clock}{offset}"
        clock = clock or found.clock
        return make_instant(found.iso, clock, facts.context.zone) if clock else found.iso

    return apply


def _tells_time(written: str) -> bool:
    """Tell whether a date's text tells a time of day, be it one that does not exist; midnight is none."""
    tells = ":" in written or ("." in written and _DOTTED_CLOCK.search(written) is not None)
    return tells and not _MIDNIGHT.search(written)


def _build_concept_map(setup: Setup) -> Apply:
    name = str(setup.options["map"])
    concept_map = setup.maps[name]
    codes = frozenset(setup.options.get("codes") or ())
    columns = setup.columns or ("",)
    are_codes = [column in codes for column in columns]
    # The name is to blame, not the code that few concept maps know.
    names_first = sorted(range(len(columns)), key=are_codes.__getitem__)
    setups = [replace(setup, columns=(column,)) for column in columns]
    no_immunization = [
        blamed.problem(
            "not-an-immunization", "this is not an immunization", "nothing to do: it is not a vaccine and is not loaded"
        )
        for blamed in setups
    ]

    known: Recent[tuple[tuple[str, ...], str], tuple[int, Match | None]] = Recent(_MEMORY // 16)
    always: dict[tuple[tuple[str, ...], str], tuple[DoseNumber, Resource]] = {}

    def look_up(texts: tuple[str, ...], clinic: str) -> tuple[int, Match | None]:
        number = next((n for n in names_first if n < len(texts) and texts[n]), -1)
        match = _find(concept_map, are_codes, texts, clinic) if number >= 0 else None
        if match is not None and match.undated is not None and match.undated.codes:
            if len(always) >= _MEMORY // 8:
                always.clear()
            always[texts, clinic] = match.dose, {"coding": match.undated.coding, "text": texts[number]}
        return known.keep((texts, clinic), (number, match))

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        asked = (texts, facts.clinic)
        found = always.get(asked)
        if found is not None:
            facts.dose, concept = found
            return concept
        number, match = known.get(asked) or look_up(*asked)
        if number < 0:
            return None
        meaning = match.on(facts.occurrence[:10]) if match else None
        if match is None or meaning is None:
            return _unmapped(setups[number], concept_map, texts[number], facts)
        if not meaning.codes:
            return no_immunization[number]
        facts.of_row = match.undated is None
        facts.dose = match.dose
        return {"coding": meaning.coding, "text": texts[number]}

    return apply


_OF_A_PERSON = 9
"""Digits from which on a number is a phone's or a NIK; products' codes have eight."""


def _find(concept_map: ConceptMap, are_codes: list[bool], texts: tuple[str, ...], clinic: str) -> Match | None:
    for is_code, text in zip(
        are_codes, texts, strict=False
    ):  # a function before this one makes one text of all columns
        if text:
            match = concept_map.match_code(text, clinic) if is_code else concept_map.match(text, clinic)
            if match is not None:
                return match
    return None


def _unmapped(setup: Setup, concept_map: ConceptMap, written: str, facts: Facts) -> Problem:
    if sum(map(str.isdigit, written)) >= _OF_A_PERSON:  # it must not be printed
        return setup.problem(
            f"{setup.subject}-unmapped",
            "a long number stands where a name is expected",
            "put each cell under its column again: those of this row seem to be shifted",
        )
    line = unmapped_line(written)
    facts.unmapped.append(UnmappedValue(concept_map.name, written, line))
    near = concept_map.nearest(written)
    hint = f"did you mean '{near}'? Else add" if near else "add"
    return setup.problem(
        f"{setup.subject}-unmapped",
        f"the concept map {concept_map.name} lacks '{written[:80]}'",
        f"{hint} the line {line} with its code to mappings/concept_maps/{concept_map.name}.csv",
    )


def _build_dose_number(setup: Setup) -> Apply:
    free = frozenset(setup.options.get("free_text") or ())
    own = [column not in free for column in setup.columns]
    columns = setup.columns

    @lru_cache(maxsize=_MEMORY // 4)
    def read(texts: tuple[str, ...]) -> tuple[DoseNumber, tuple[str, ...]]:
        """Return the first number that the columns tell, and what was written before it without telling one."""
        kept: list[str] = []
        for column, own_column, text in zip(columns, own, texts, strict=True):
            if text:
                dose = read_dose_number(text, own_column=own_column)
                if dose:
                    return dose, tuple(kept)
                kept.append(f"{column}: {text}")
        return UNKNOWN_DOSE, tuple(kept)

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        dose, kept = read(texts)
        if kept:
            facts.kept += kept
        if dose is UNKNOWN_DOSE:
            dose = facts.dose
        if dose.booster:
            return {"doseNumberString": "Booster"}
        return {"doseNumberPositiveInt": dose.number} if dose.number else None

    return apply


def _build_lot_number(setup: Setup) -> Apply:
    column = setup.columns[0]
    usual: set[str] = set()

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        text = texts[0]
        if facts.not_done or not text:
            return None
        if text in usual:
            return text
        if not text.strip("0-. "):
            return None
        if not plain_lot(text):
            facts.kept.append(f"{column}: {text}")
            return None
        _note(usual, (text,))
        return text

    return apply


def _note(known: set[str], texts: tuple[str, ...]) -> None:
    """Note texts that are known to hold nothing unusual."""
    if len(known) >= _MEMORY // 16:
        known.clear()
    known.update(texts)


@lru_cache(maxsize=8192)
def _refusal(text: str) -> tuple[str, str] | None:
    text = _NOT_REFUSED.sub(" ", text)
    if _REFUSED.search(text):
        return "IS000002", "Tidak Diberikan"
    return ("IS000001", "Tunda") if _DEFERRED.search(text) else None


def _build_dose_status(setup: Setup) -> Apply:  # noqa: ARG001 - the signature of all functions
    of_given: set[str] = set()

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        if of_given.issuperset(texts):
            return "completed"
        for text in texts:
            if text and _refusal(text):
                facts.not_done = True
                return "not-done"
        _note(of_given, texts)
        return "completed"

    return apply


def _build_dose_status_reason(setup: Setup) -> Apply:  # noqa: ARG001 - the signature of all functions
    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        if not facts.not_done:
            return None
        text = next((text for text in texts if text and _refusal(text)), "")
        reason = _refusal(text)
        if reason is None:
            return None
        return {"coding": [{"system": systems.STATUS_REASON, "code": reason[0], "display": reason[1]}], "text": text}

    return apply


DOSE_FUNCTIONS = (
    MappingFunction(
        "date",
        "a date; of several columns the first that is filled",
        _build_date,
        {
            "formats": Option("list", choices=FORMATS),
            "future": Option("flag"),
            "unreadable": Option(choices=("reject", "keep")),
        },
        date=True,
        steadiness=Steadiness.STEADY,
        makes=("date", "dateTime"),
    ),
    MappingFunction(
        "date_time",
        "a date, with the time of day from a second column where one is known",
        _build_date_time,
        {"formats": Option("list", choices=FORMATS)},
        date=True,
        steadiness=Steadiness.SELDOM,
        makes=("dateTime",),
    ),
    MappingFunction(
        "concept_map",
        "a CodeableConcept by a concept map; the first column that the map knows",
        _build_concept_map,
        {"map": Option(required=True), "codes": Option("list")},
        steadiness=Steadiness.HEEDING,
        makes=("CodeableConcept",),
    ),
    MappingFunction(
        "dose_number",
        "the dose number from these columns, else from the vaccine's name; nothing where it is unknown",
        _build_dose_number,
        {"free_text": Option("list")},
        needs_columns=False,
        steadiness=Steadiness.HEEDING,
        makes=("ImmunizationProtocolApplied",),
    ),
    MappingFunction(
        "lot_number",
        'a lot number; what names none, such as a program\'s own or "tidak ada", is kept aside',
        _build_lot_number,
        steadiness=Steadiness.HEEDING,
        columns=1,
        makes=("string",),
    ),
    MappingFunction(
        "dose_status",
        "completed, or not-done where a refusal or a deferral is written; where the first column (of the key's and the vaccine's none"
        " counts) is empty, what an earlier export said stays",
        _build_dose_status,
        steadiness=Steadiness.EACH,
        makes=("code",),
    ),
    MappingFunction(
        "dose_status_reason",
        "why a dose was not given, as written",
        _build_dose_status_reason,
        steadiness=Steadiness.AFTER,
        makes=("CodeableConcept",),
    ),
)
