"""What a row of a source is on its way to becoming resources.

What is made for every row is a named tuple: it takes a quarter of the time of a frozen dataclass of as many fields.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

Made = TypeVar("Made", bound=tuple[Any, ...])


def maker(kind: type[Made]) -> Callable[[Iterable[Any]], Made]:
    """Return what makes a named tuple of all its fields' values, in their order: a third of the time that its class takes."""
    return partial(tuple.__new__, kind)


Resource = dict[str, Any]
"""A FHIR resource as plain JSON: the hot path knows no classes (see docs/decisions)."""


class SourceRef(NamedTuple):
    """Where a record stands: the file's name and its 1-based data row (title rows, header and blank lines uncounted)."""

    source: str
    row: int

    def __str__(self) -> str:
        return f"{self.source}:{self.row}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something cannot be loaded.

    `code` is a stable word for counting (`nik-missing`, `vaccine-unmapped`), `text` is for the operator and holds
    no patient's data, `column` is the source's column where one is to blame.
    """

    code: str
    text: str
    suggestion: str = ""
    column: str = ""


@dataclass(frozen=True, slots=True)
class UnmappedValue:
    """A value that a concept map lacks, so that a site can add it; `line` is ready to paste into its concept map."""

    concept_map: str
    value: str
    line: str


class SourceRecord(NamedTuple):
    """A row as it was written: column name → text ("" where empty), stripped of nothing.

    `numeric` names the columns whose cells were stored as numbers (XLSX, NDJSON): a 16-digit number in one that
    ends in 0 has lost its last digit. Dates of XLSX cells arrive in ISO form. `written` is the row as the file has it where its cells
    alone do not tell (NDJSON: the line, so that a report keeps each value's type), else "". `lost` names the columns whose
    cells hold a formula (XLSX) whose value is not in the file: something stands there, but nobody knows what.
    """

    ref: SourceRef
    cells: Mapping[str, str]
    numeric: frozenset[str] = frozenset()
    written: str = ""
    lost: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Layout:
    """What a mapping expects of a file, so that a source can find its header and the mapping that fits.

    `required` columns must all be there, `known` are all that the mapping reads. Names are compared without regard to
    case, surrounding blanks and repeated blanks, and to punctuation where that leaves no doubt. `sheet`, `delimiter` and `encoding` are given where the mapping fixes
    them, else "" (detect). `dates` are the columns that it reads as dates: a number there is a spreadsheet's day; of them
    `day_first` and `month_first` are those whose formats have but one of the two orders. `sexes` are those whose letters mean what they
    usually do. `doses` are those of a wide sheet that say whether there is a dose: without any of them only persons are read. `aliases` are (column, its
    other names), which stand for a required one as well.
    """

    mapping: str
    required: frozenset[str]
    known: frozenset[str]
    sheet: str = ""
    delimiter: str = ""
    encoding: str = ""
    dates: frozenset[str] = frozenset()
    day_first: frozenset[str] = frozenset()
    month_first: frozenset[str] = frozenset()
    sexes: frozenset[str] = frozenset()
    doses: frozenset[str] = frozenset()
    aliases: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row that cannot be read: its decodable text, and why."""

    ref: SourceRef
    text: str
    problem: Problem


class Dose(NamedTuple):
    """One dose of a record: an Immunization without `id` and `patient`.

    `name` tells doses of one record apart (`""` for one-dose rows, else the column group, as `HB0`) and stays the
    same when the row is corrected. `assumed` says that the cell which tells whether the dose was given is empty: then
    its status says nothing against an earlier one.
    """

    name: str
    resource: Resource
    assumed: bool = False

    @property
    def stated(self) -> Resource:
        """What the record says against what it said before: the Immunization without an assumed status."""
        return (
            {name: value for name, value in self.resource.items() if name != "status"}
            if self.assumed
            else self.resource
        )


@dataclass(frozen=True, slots=True)
class MissingDose:
    """A dose of a record that cannot become an Immunization."""

    name: str
    problem: Problem


class Converted(NamedTuple):
    """A record as FHIR: a Patient without `id`, its doses, and the doses that could not be converted.

    `key` is the record's key (see record_keys). `patient` holds everything that the source says of the person; what
    identity needs is read from it, so that a record and a Patient of a server are compared alike. `corrected` says
    that the row came from a report that the gateway wrote (it carried its `gateway_key`). `nik_cells` are the columns
    that hold a NIK with their text, so that a NIK which a spreadsheet damages later can be restored. `fingerprint` is
    the Patient's (see fhir.json_text), worked out once for all rows of a person, or "", and `content_id` the id that a
    Patient with just this content has where nobody decides who is who.

    Records of one person or one vaccine share parts of their resources: a resource is never changed, only copied.
    """

    ref: SourceRef
    key: str
    clinic: str
    patient: Resource
    doses: tuple[Dose, ...]
    missing: tuple[MissingDose, ...] = ()
    unmapped: tuple[UnmappedValue, ...] = ()
    corrected: bool = False
    nik_cells: tuple[tuple[str, str], ...] = ()
    fingerprint: str = ""
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot become a valid resource: every reason, the first one first."""

    ref: SourceRef
    problems: tuple[Problem, ...]
    key: str = ""
    unmapped: tuple[UnmappedValue, ...] = ()
    nik_cells: tuple[tuple[str, str], ...] = ()


def record_keys(clinics: Iterable[str], sources: Iterable[str], *natural_keys: Iterable[str]) -> list[str]:
    """Return records' opaque keys, 32 hex digits each, from their clinics, sources (mappings' names) and the parts of their natural keys."""
    sha256, texts = hashlib.sha256, map("\x1f".join, zip(clinics, sources, *natural_keys, strict=True))
    return [sha256(text.encode()).hexdigest()[:32] for text in texts]


def key_beside(key: str, place: int) -> str:
    """Return the key of the `place`-th other person whose row has the columns of `key`, as an operator found."""
    return hashlib.sha256(f"{key}\x1fbeside\x1f{place}".encode()).hexdigest()[:32]


def person_identifier(key: str) -> str:
    """Return the value of the gateway's own identifier for the Patient that the record `key` creates."""
    return hashlib.sha256(f"person\x1f{key}".encode()).hexdigest()[:32]


def dose_identifier(key: str, name: str) -> str:
    """Return the value of the gateway's own identifier for dose `name` of the record `key`."""
    return dose_identifiers((key,), name)[0]


def dose_identifiers(keys: Iterable[str], name: str) -> list[str]:
    """Return the values of the gateway's own identifiers for the doses `name` of the records `keys`."""
    sha256 = hashlib.sha256
    return [sha256(f"dose\x1f{key}\x1f{name}".encode()).hexdigest()[:32] for key in keys]
