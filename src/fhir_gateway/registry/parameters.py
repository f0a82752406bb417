"""Which searches a registry may ask, and a search as it was asked, taken apart.

FHIR R4, https://hl7.org/fhir/R4/search.html: repeats of a parameter are AND, values parted by commas are OR.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from fhir_gateway.fhir.date_ranges import range_of

DEFAULT_COUNT = 100
LARGEST_COUNT = 1000
MOST_VALUES = 200
_LONGEST_VALUE = 512
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_REFERENCE = re.compile(r"(?:(?:https?://\S+/)?(?P<type>[A-Z][A-Za-z]+)/)?(?P<id>[A-Za-z0-9\-.]{1,64})")
_TOKEN = re.compile(r"(?!\|$)(?:[^|\\]|\\.)*(?:\|(?:[^|\\]|\\.)*)?")
_DATE = re.compile(r"(?P<prefix>eq|gt|ge|lt|le)?(?P<date>\d.*)")
_FORMATS = frozenset({"json", "application/json", "application/fhir+json", "application/fhir json"})
_COUNTS = {"count": True, "false": False}
_TOTALS = {"none": False, "estimate": True, "accurate": True}


class Kind(StrEnum):
    """How a parameter's values are read and compared."""

    ID = "id"
    DATE = "date"
    TOKEN = "token"  # noqa: S105 - FHIR's word
    STRING = "string"
    REFERENCE = "reference"
    PERSON = "person"
    """A person's identifier: it never stands in a link that this server writes."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter of one type; `type_code` is FHIR's own (date, token …)."""

    name: str
    kind: Kind
    words: str

    @property
    def type_code(self) -> str:
        """FHIR's search parameter type."""
        return {Kind.ID: "token", Kind.PERSON: "token"}.get(self.kind, self.kind.value)


def _named(*parameters: Parameter) -> Mapping[str, Parameter]:
    return {one.name: one for one in parameters}


_EVERYWHERE = (
    Parameter("_id", Kind.ID, "the resource's id"),
    Parameter("_lastUpdated", Kind.DATE, "when the resource was last written, with gt, ge, lt or le"),
)
SEARCHES: Mapping[str, Mapping[str, Parameter]] = {
    "Immunization": _named(
        *_EVERYWHERE,
        Parameter("date", Kind.DATE, "when the dose was given"),
        Parameter("location", Kind.REFERENCE, "where the dose was given"),
        Parameter("lot-number", Kind.STRING, "the lot's number, from its beginning"),
        Parameter("patient", Kind.REFERENCE, "whose dose it is; a replaced Patient's id finds the survivor's doses"),
        Parameter("patient.identifier", Kind.PERSON, "whose dose it is, by an identifier such as the NIK; use POST"),
        Parameter("status", Kind.TOKEN, "completed, not-done or entered-in-error"),
        Parameter("vaccine-code", Kind.TOKEN, "the vaccine, as system|code or code"),
    ),
    "Patient": _named(
        *_EVERYWHERE,
        Parameter("identifier", Kind.PERSON, "an identifier such as the NIK, as system|value; use POST"),
    ),
    "Organization": _named(*_EVERYWHERE),
}
INCLUDE = "Immunization:patient"
SORTS = {"_lastUpdated": False, "-_lastUpdated": True}


class SearchProblemError(ValueError):
    """What is wrong with a search; `code` is FHIR's issue type, the message never repeats a value."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Filter:
    """One parameter with its alternative values, unescaped."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RegistrySearch:
    """A search: filters are ANDed; `ignored` are parameters that a lenient client gets a warning for."""

    resource_type: str
    filters: tuple[Filter, ...] = ()
    count: int = DEFAULT_COUNT
    newest_first: bool = False
    count_only: bool = False
    with_total: bool = False
    with_patients: bool = False
    elements: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()

    def values(self, name: str) -> tuple[str, ...]:
        """Return the alternatives of the first filter of that name, none where there is none."""
        return next((one.values for one in self.filters if one.name == name), ())


def parse_search(
    resource_type: str,
    pairs: Iterable[tuple[str, str]],
    *,
    served: Collection[str],
    lenient: bool = False,
) -> RegistrySearch:
    """Take a search apart; `served` names the parameters that work on the server behind.

    Raises SearchProblemError for what cannot be read and, unless `lenient`, for a parameter that is not known.
    """
    filters: list[Filter] = []
    controls: dict[str, list[str]] = {}
    ignored: list[str] = []
    for key, text in pairs:
        name = "patient" if key == "patient:Patient" else key.replace("patient:Patient.", "patient.")
        parameter = SEARCHES[resource_type].get(name)
        if name in _CONTROLS:
            controls.setdefault(name, []).append(text)
        elif parameter is not None and name in served:
            filters.append(Filter(name, _values(parameter, text)))
        elif lenient:
            ignored.append(shown_name(key))
        else:
            raise SearchProblemError("not-supported", f"{resource_type} cannot be searched by {shown_name(key)} here")
    return _controlled(RegistrySearch(resource_type, tuple(filters), ignored=tuple(ignored)), controls)


def to_pairs(search: RegistrySearch) -> list[tuple[str, str]]:
    """Return the pairs that a search can be made of again (what was ignored is gone)."""
    pairs = [(one.name, ",".join(map(_escaped, one.values))) for one in search.filters]
    pairs.append(("_count", str(search.count)))
    pairs += [("_sort", "-_lastUpdated")] if search.newest_first else []
    pairs += [("_summary", "count")] if search.count_only else []
    pairs += [("_total", "accurate")] if search.with_total else []
    pairs += [("_include", INCLUDE)] if search.with_patients else []
    return pairs + ([("_elements", ",".join(sorted(search.elements)))] if search.elements else [])


def is_personal(resource_type: str, name: str) -> bool:
    """Say whether a parameter's values name a person, so that they belong in no URL."""
    parameter = SEARCHES[resource_type].get(name)
    return parameter is not None and parameter.kind is Kind.PERSON


def split_date(text: str) -> tuple[str, str]:
    """Return prefix (`eq` where none is written) and date of a date value; raises SearchProblemError."""
    found = _DATE.fullmatch(text.replace(" ", "+"))  # a + that was not encoded arrives as a blank
    try:
        range_of(found["date"] if found else "")
    except ValueError:
        found = None
    if not found:
        raise SearchProblemError(
            "value", "a date looks like ge2024-01-31 or gt2024-01-31T08:00:00+07:00, with eq, gt, ge, lt or le"
        )
    return found["prefix"] or "eq", found["date"]


def reference_id(text: str, resource_type: str) -> str:
    """Return the bare id of a reference value; raises SearchProblemError where it points elsewhere."""
    found = _REFERENCE.fullmatch(text)
    if not found or found["type"] not in (None, resource_type):
        raise SearchProblemError("value", f"a reference looks like {resource_type}/123 or 123")
    return found["id"]


def _values(parameter: Parameter, text: str) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(value for value in _split(text) if value))
    if not values or len(values) > MOST_VALUES:
        raise SearchProblemError("value", f"{parameter.name} takes 1 to {MOST_VALUES} values")
    if any(len(value) > _LONGEST_VALUE or not value.isprintable() for value in values):
        raise SearchProblemError("value", f"a value of {parameter.name} is too long, or no text")
    if parameter.kind is Kind.DATE:
        return tuple("".join(split_date(value)) for value in values)
    if parameter.kind is Kind.REFERENCE:
        return tuple(reference_id(value, "Patient" if parameter.name == "patient" else "Location") for value in values)
    if parameter.kind in (Kind.TOKEN, Kind.PERSON) and not all(_TOKEN.fullmatch(value) for value in values):
        raise SearchProblemError("value", f"a value of {parameter.name} looks like code, system|code, system| or |code")
    if parameter.kind is Kind.ID and not all(_ID.fullmatch(value) for value in values):
        raise SearchProblemError("value", "an id has letters, digits, - and . only, 64 at most")
    return values


def _controlled(search: RegistrySearch, controls: Mapping[str, list[str]]) -> RegistrySearch:
    for name, texts in controls.items():
        if len(texts) > 1 and name not in ("_include", "_elements"):
            raise SearchProblemError("value", f"{name} may be given once")
    first = {name: texts[0] for name, texts in controls.items()}
    if first.get("_format", "json").split(";")[0].strip() not in _FORMATS:
        raise SearchProblemError("not-supported", "JSON only: _format=json")
    includes = [value for text in controls.get("_include", []) for value in text.split(",")]
    if any(
        value not in (INCLUDE, f"{INCLUDE}:Patient") or search.resource_type != "Immunization" for value in includes
    ):
        raise SearchProblemError("not-supported", f"_include can be {INCLUDE} here, in a search of Immunizations")
    count = first.get("_count", str(DEFAULT_COUNT))
    if not (count.isascii() and count.isdigit() and len(count) < 10):
        raise SearchProblemError("value", "_count is a whole number")
    return replace(
        search,
        count=min(int(count), LARGEST_COUNT) or DEFAULT_COUNT,
        newest_first=_chosen(SORTS, "_sort", first.get("_sort", "_lastUpdated")),
        count_only=_chosen(_COUNTS, "_summary", first.get("_summary", "false")) or int(count) == 0,
        with_total=_chosen(_TOTALS, "_total", first.get("_total", "none")),
        with_patients=bool(includes),
        elements=elements_of(search.resource_type, controls.get("_elements", [])),
    )


def elements_of(resource_type: str, texts: Iterable[str]) -> frozenset[str]:
    """Return the top-level elements that `_elements` names for a type (`Type.element` and `element` both count)."""
    names = {name.strip() for text in texts for name in text.split(",") if name.strip()}
    chosen = set()
    for name in names:
        before, dot, element = name.partition(".")
        if not dot:
            chosen.add(name)
        elif before == resource_type:
            chosen.add(element.partition(".")[0])
    if not all(re.fullmatch(r"[A-Za-z]{1,64}", name) for name in chosen):
        raise SearchProblemError("value", "_elements names elements, parted by commas")
    return frozenset(chosen)


def _chosen(choices: Mapping[str, bool], name: str, value: str) -> bool:
    if value not in choices:
        raise SearchProblemError("not-supported", f"{name} can be {' or '.join(choices)} here")
    return choices[value]


def _split(text: str) -> list[str]:
    r"""Part values at commas; `\,`, `\|`, `\$` and `\\` are literal (FHIR R4, 3.1.1.5.7). `\|` stays escaped."""
    parts = re.findall(r"(?:[^\\,]|\\.)+", text)
    return [re.sub(r"\\([,$\\])", r"\1", part).strip() for part in parts]


def _escaped(value: str) -> str:
    return re.sub(r"([,$]|\\(?!\|))", r"\\\1", value)


def shown_name(name: str) -> str:
    """Return a parameter's name for a message: a name can hold anything, too."""
    return name if re.fullmatch(r"[A-Za-z_:.\-]{1,40}", name) else "a parameter of that name"


_CONTROLS = frozenset(
    # _totalMethod is what fhirpy's count() adds; what it asks for, a total, is given.
    ("_count", "_sort", "_summary", "_total", "_include", "_elements", "_format", "_pretty", "_totalMethod")
)
