"""Concept maps: what a source writes → codes, kept as CSV beside the mappings, a site's own lines over the shipped ones.

`<map>.csv` holds lines `value,<system>,…,from,until,clinic`: a column for every code system, the dates between which
the line holds where a name meant different things at different times (`until` is the first day on which it no longer
holds), and the clinic where the value is a clinic's own code. `<map>_codes.csv` holds lines
`system,code,display,with,doses`: the codes that may be used, with the codes that always go along, and the highest
number that a name can tell as a dose's. The word `not-an-immunization` in a code's place rejects what is no vaccine at all.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from rapidfuzz import fuzz, process

from fhir_gateway.domain import systems
from fhir_gateway.domain.errors import ConfigurationProblem
from fhir_gateway.domain.recent import remembered
from fhir_gateway.domain.records import Resource, UnmappedValue
from fhir_gateway.mapping.document import Faults, Place
from fhir_gateway.mapping.spellings import HIGHEST_DOSE, UNKNOWN_DOSE, DoseNumber, halves, spelling_key, spellings

NOT_AN_IMMUNIZATION = "not-an-immunization"
SYSTEMS = {"cvx": systems.CVX, "kfa": systems.KFA}
_NEAR_ENOUGH = 75
_COMMENT = re.compile(r"\s+# .*$")
_CACHE_SIZE = 8192


@dataclass(frozen=True, slots=True)
class CsvText:
    """A concept map's file: its name for messages, and its text."""

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a system, with the codes that always go along (as `kfa:VG45`)."""

    system: str
    code: str
    display: str
    along: tuple[str, ...] = ()
    doses: int = HIGHEST_DOSE
    """The highest number in a name that is a dose's; a higher one is a valence, an age or a vial's content."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a value means between two dates (ISO, "" for open ends; `until` is no longer included)."""

    codes: tuple[Code, ...]
    since: str = ""
    until: str = ""
    value: str = ""
    coding: list[Resource] = field(default_factory=list, compare=False)
    """The codes as FHIR's list of Codings, which all doses with this meaning share."""

    @property
    def no_immunization(self) -> bool:
        """Whether the value is no vaccine at all."""
        return not self.codes


@dataclass(frozen=True, slots=True)
class Match:
    """What a text means, and the dose number that stood in it."""

    meanings: tuple[Meaning, ...]
    dose: DoseNumber = UNKNOWN_DOSE

    @property
    def undated(self) -> Meaning | None:
        """The meaning where it is the same on every day, else None."""
        first = self.meanings[0]
        return None if first.since or first.until else first

    def on(self, day: str) -> Meaning | None:
        """Return the meaning on a day (ISO); "" takes the first without dates, else the last one."""
        if (always := self.undated) is not None:
            return always
        if not day:
            return next((m for m in self.meanings if not m.since and not m.until), self.meanings[-1])
        return next((m for m in self.meanings if m.since <= day and (not m.until or day < m.until)), None)


@dataclass(frozen=True, slots=True)
class ConceptMap:
    """A concept map; `meanings` by spelling key."""

    name: str
    meanings: Mapping[str, tuple[Meaning, ...]]
    values: tuple[str, ...] = ()
    _cache: dict[tuple[str, str], Match | None] = field(default_factory=dict, compare=False)

    def match(self, text: str, clinic: str = "") -> Match | None:
        """Return what a name means, at a clinic where that matters; None where the map lacks it."""
        key = (text, clinic)
        try:
            return self._cache[key]
        except KeyError:
            found = self._find(text, clinic)
            if len(self._cache) < _CACHE_SIZE:
                self._cache[key] = found
            return found

    def match_code(self, code: str, clinic: str = "") -> Match | None:
        """Return what a clinic's own code means; the whole code counts, nothing is taken off."""
        key = spelling_key(code)
        meanings = self.meanings.get(_at(clinic, key)) or self.meanings.get(key)
        return Match(meanings) if meanings else None

    def nearest(self, text: str) -> str:
        """Return the value of the map that is spelled most like the text, "" where none is near."""
        return _nearest(text.casefold(), self.values)

    def _find(self, text: str, clinic: str) -> Match | None:
        for spelling in spellings(text):
            meanings = self.meanings.get(_at(clinic, spelling.key)) or self.meanings.get(spelling.key)
            if meanings:
                return _match(meanings, spelling.dose)
        return self._find_twice(text)

    def _find_twice(self, text: str) -> Match | None:
        """Match a vaccine that is named twice, "bOPV Polio Tetes"; two names that share no code are two vaccines."""
        for first, second in halves(text):
            left, right = self.meanings.get(first.key), self.meanings.get(second.key)
            if left and right and {m.codes for m in left} & {m.codes for m in right}:
                return _match(min(left, right, key=len), second.dose or first.dose)
        return None


def _match(meanings: tuple[Meaning, ...], dose: DoseNumber) -> Match:
    """Return the match, with the number that stood in the name where it can be a dose's."""
    highest = max(min((code.doses for code in meaning.codes), default=HIGHEST_DOSE) for meaning in meanings)
    return Match(meanings, UNKNOWN_DOSE if dose.number > highest else dose)


def _at(clinic: str, key: str) -> str:
    return f"{clinic.casefold()}\x1f{key}"


@remembered(4096)
def _nearest(text: str, values: tuple[str, ...]) -> str:
    best = process.extractOne(text, values, scorer=fuzz.token_sort_ratio, processor=str.casefold)
    return best[0] if best and best[1] >= _NEAR_ENOUGH else ""


def unmapped_line(value: str) -> str:
    """Return the line that a site pastes into its own concept map and completes with the code."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow([" ".join(value.split()), "?"])
    return buffer.getvalue()


def by_spelling(counted: Iterable[tuple[UnmappedValue, int]]) -> list[tuple[UnmappedValue, int]]:
    """Return one value for all that one line of a concept map would map, the most frequent first.

    It is the one that was written most often, with the count of all.
    """
    alike: dict[tuple[str, str], list[tuple[UnmappedValue, int]]] = {}
    for value, count in counted:
        key = (value.concept_map, spelling_key(value.value) or value.value)
        alike.setdefault(key, []).append((value, count))
    usual = [(min(several, key=_usual_first)[0], sum(count for _, count in several)) for several in alike.values()]
    return sorted(usual, key=_usual_first)


def _usual_first(counted: tuple[UnmappedValue, int]) -> tuple[int, str, str]:
    value, count = counted
    return -count, value.value, value.concept_map


def parse_concept_map(
    name: str, maps: Sequence[CsvText], codes: Sequence[CsvText]
) -> tuple[ConceptMap, tuple[ConfigurationProblem, ...]]:
    """Build a concept map from its files, later ones over earlier ones; faults come with file and line."""
    problems: list[ConfigurationProblem] = []
    known: dict[str, Code] = {}
    for source in codes:
        faults = Faults(source.file)
        for line, row in _rows(source, faults, ("system", "code", "display", "with", "doses")):
            code = _read_code(line, row, faults)
            if code:
                known[f"{code.system}:{code.code}"] = code
        problems += faults.problems
    meanings: dict[str, tuple[Meaning, ...]] = {}
    for source in maps:
        faults = Faults(source.file)
        meanings.update(_read_meanings(source, known, faults))
        problems += faults.problems
    values = tuple(sorted({m.value for several in meanings.values() for m in several}))
    return ConceptMap(name, meanings, values), tuple(problems)


def _rows(source: CsvText, faults: Faults, columns: tuple[str, ...]) -> Iterable[tuple[int, dict[str, str]]]:
    """Yield the lines by column; without a header the first columns are meant, for lines that were pasted."""
    text = source.text.removeprefix("\ufeff")
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(text))
    header: list[str] = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if stripped:
                stripped[-1] = _COMMENT.sub("", stripped[-1])
            if not any(stripped) or stripped[0].startswith("#"):
                continue
            if not header:
                named = [cell.lower() for cell in stripped]
                header = named if columns[0] in named else list(columns)
                _check_header(header, Place(reader.line_num, 1), columns, faults)
                if header is named:
                    continue
            if len(stripped) > len(header):
                faults.add(
                    Place(reader.line_num, 1), "more cells than the header has columns", "quote a value with commas"
                )
                continue
            yield reader.line_num, dict(zip(header, stripped + [""] * (len(header) - len(stripped)), strict=True))
    except csv.Error as error:
        faults.add(Place(reader.line_num, 1), f"this is not CSV: {error}")


def _delimiter(text: str) -> str:
    """Return the delimiter: a comma, or the semicolon that spreadsheets write in Indonesia."""
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    return ";" if ";" in first and "," not in first else ","


def _check_header(header: Iterable[str], place: Place, columns: tuple[str, ...], faults: Faults) -> None:
    for name in header:
        if name not in columns:
            faults.unknown(place, "column", name, columns)


def _read_code(line: int, row: Mapping[str, str], faults: Faults) -> Code | None:
    system = row.get("system", "")
    if system not in SYSTEMS:
        faults.unknown(Place(line, 1), "code system", system, SYSTEMS)
        return None
    doses = row.get("doses") or str(HIGHEST_DOSE)
    if not doses.isdecimal():
        faults.add(Place(line, 1), f"'{doses}' in column doses is no number", "write the highest dose number, as 3")
        return None
    return Code(system, row.get("code", ""), row.get("display", ""), tuple(row.get("with", "").split()), int(doses))


def _read_meanings(source: CsvText, known: Mapping[str, Code], faults: Faults) -> dict[str, tuple[Meaning, ...]]:
    found: dict[str, tuple[Meaning, ...]] = {}
    for line, row in _rows(source, faults, ("value", *SYSTEMS, "from", "until", "clinic", "comment")):
        key = spelling_key(row.get("value", ""))
        codes = _read_codes(line, row, known, faults)
        if not key:
            faults.add(Place(line, 1), "the value is empty")
        if not key or codes is None:
            continue
        since, until = row.get("from", ""), row.get("until", "")
        for column, text in (("from", since), ("until", until)):
            if text and not _is_iso(text):
                faults.add(Place(line, 1), f"'{text}' in column {column} is no date", "write it as 2016-04-04")
        if since and until and since >= until:
            faults.add(Place(line, 1), f"the line ends on {until}, before it begins", "exchange from and until")
            continue
        key = _at(row["clinic"], key) if row.get("clinic") else key
        meaning = Meaning(codes, since, until, row["value"], _coding(codes))
        before = next((one for one in found.get(key, ()) if _overlap(one, meaning)), None)
        if before is None:
            found[key] = (*found.get(key, ()), meaning)
        elif before.codes != codes:
            words = f"'{row['value']}' is '{before.value}', which has other codes in a line above"
            faults.add(Place(line, 1), words, "keep one of the two, or write in from and until when each holds")
    return found


def _overlap(one: Meaning, other: Meaning) -> bool:
    """Say whether there are days on which both hold."""
    return not (one.until and one.until <= other.since) and not (other.until and other.until <= one.since)


def _read_codes(
    line: int, row: Mapping[str, str], known: Mapping[str, Code], faults: Faults
) -> tuple[Code, ...] | None:
    """Return the codes of a line with those that go along, () for what is no immunization, None where it is faulty."""
    written = [(system, row[system]) for system in SYSTEMS if row.get(system)]
    if any(code == NOT_AN_IMMUNIZATION for _, code in written):
        return ()
    if not written or any(code == "?" for _, code in written):
        faults.add(Place(line, 1), f"'{row.get('value', '')}' has no code yet", "write its CVX code, as 198")
        return None
    names = [f"{system}:{code}" for system, code in written]
    stacked: dict[str, Code] = {}
    for name in names:
        if name not in known:
            faults.add(Place(line, 1), f"unknown code {name}", _hint(name, known))
            return None
        for one in (name, *known[name].along):
            if one not in known:
                faults.add(Place(line, 1), f"unknown code {one}, which goes along with {name}", _hint(one, known))
                return None
            stacked[one] = known[one]
    return tuple(stacked.values())


def _coding(codes: Iterable[Code]) -> list[Resource]:
    return [{"system": SYSTEMS[one.system], "code": one.code, "display": one.display} for one in codes]


def _hint(name: str, known: Mapping[str, Code]) -> str:
    """Return what to do about an unknown code; only one that a spreadsheet took the 0 of is near to another."""
    system, _, code = name.partition(":")
    if (whole := f"{system}:{code.zfill(2)}") in known:
        return f"did you mean '{whole}'?"
    return "add it to the file of codes beside the map: system,code,display"


def _is_iso(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
