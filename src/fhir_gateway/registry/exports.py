"""What a bulk export is asked for, taken apart, and how it is kept.

Bulk Data Access v2, https://hl7.org/fhir/uv/bulkdata/STU2/export.html, with v3's `_until`; both spellings of lists
(repeated, parted by commas) are read, since clients in use send both.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from fhir_gateway.registry.parameters import (
    SEARCHES,
    RegistrySearch,
    SearchProblemError,
    elements_of,
    is_personal,
    parse_search,
    reference_id,
    shown_name,
    to_pairs,
)

EXPORTED_TYPES = ("Immunization", "Organization", "Patient")
"""What can be exported; also the only types that a job's order may name."""

ASSOCIATED = "Provenance"
"""What includeAssociatedData brings along."""

FORMATS = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
MOST_PATIENTS = 1000
_BETWEEN_FILTERS = re.compile(r",(?=[A-Z][A-Za-z]*\?)")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ONCE = ("_since", "_until", "_outputFormat")
_LISTS = ("_type", "_typeFilter", "_elements", "patient", "includeAssociatedData")
_CONTROLS = frozenset(
    {"_count", "_sort", "_summary", "_total", "_include", "_elements", "_format", "_pretty", "_totalMethod"}
)


class Associated(StrEnum):
    """Which Provenance comes along: none, of each exported resource the newest one, or every one."""

    NONE = ""
    LATEST = "LatestProvenanceResources"
    RELEVANT = "RelevantProvenanceResources"


class Level(StrEnum):
    """Whose data is exported."""

    SYSTEM = "system"
    PATIENT = "patient"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class TypeFilter:
    """A resource of the type is exported where it fits the search; several filters of a type are alternatives."""

    resource_type: str
    search: RegistrySearch


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """What an export is asked for. `types` are in the order of export; `patients` are ids, none for everybody.

    `since` is exclusive, `until` too. `ignored` are parameters that a lenient client gets a warning for.
    """

    level: Level
    types: tuple[str, ...]
    group: str = ""
    since: datetime | None = None
    until: datetime | None = None
    filters: tuple[TypeFilter, ...] = ()
    elements: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    provenance: Associated = Associated.NONE
    ignored: tuple[str, ...] = ()

    def searches(self, resource_type: str) -> tuple[RegistrySearch, ...]:
        """Return the filters of a type."""
        return tuple(one.search for one in self.filters if one.resource_type == resource_type)

    def elements_of(self, resource_type: str) -> frozenset[str]:
        """Return the elements that are wanted of a type, none for all."""
        return elements_of(resource_type, self.elements)


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks in which way: `served` are the search parameters that work, `permitted` the types that the token permits."""

    level: Level
    served: Mapping[str, Collection[str]]
    permitted: Collection[str]
    now: datetime
    group: str = ""
    lenient: bool = False
    by_post: bool = False


class NotPermittedError(Exception):
    """The token does not permit what is asked for; the text says what is needed."""


@dataclass(slots=True)
class _Read:
    """What has been read of the parameters so far."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)


def parse_export(pairs: Iterable[tuple[str, str]], asking: Asking) -> ExportOrder:
    """Take a kick-off apart. Raises SearchProblemError for what is wrong, NotPermittedError for types out of scope.

    A lenient client's unknown parameters, types and filters are ignored and told in the export's error file.
    """
    read = _sorted_out(pairs, asking)
    if read.texts.get("_outputFormat", ["ndjson"])[0].replace(" ", "+") not in FORMATS:
        raise SearchProblemError("not-supported", f"_outputFormat can be {', '.join(sorted(FORMATS))}")
    types = _types(read, asking)
    since, until = (_instant(name, read.texts.get(name, [])) for name in ("_since", "_until"))
    if since is not None and since > asking.now:
        raise SearchProblemError("value", "_since lies in the future")
    if since is not None and until is not None and until <= since:
        raise SearchProblemError("value", "_until must be later than _since")
    elements = tuple(read.texts.get("_elements", []))
    for one in types:
        elements_of(one, elements)
    return ExportOrder(
        level=asking.level,
        types=types,
        group=asking.group,
        since=since,
        until=until,
        filters=_filters(read, types, asking),
        elements=elements,
        patients=_patients(read),
        provenance=_provenance(read, asking),
        ignored=tuple(read.ignored),
    )


def pairs_in(parameters: Any) -> list[tuple[str, str]]:
    """Return the pairs that a Parameters resource holds; raises SearchProblemError for anything else."""
    entries = parameters.get("parameter", []) if isinstance(parameters, dict) else None
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise SearchProblemError("structure", "the body must be a Parameters resource")
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise SearchProblemError("structure", "Parameters.parameter must be a list of parameters")
    return [(str(one.get("name", "")), _value(one)) for one in entries]


def to_json(order: ExportOrder) -> dict[str, Any]:
    """Return an order as JSON, from which from_json makes it again."""
    return {
        "level": order.level,
        "types": order.types,
        "group": order.group,
        "since": order.since.isoformat() if order.since else None,
        "until": order.until.isoformat() if order.until else None,
        "filters": [[one.resource_type, to_pairs(one.search)] for one in order.filters],
        "elements": order.elements,
        "patients": order.patients,
        "provenance": order.provenance,
        "ignored": order.ignored,
    }


def to_query(order: ExportOrder) -> list[tuple[str, str]]:
    """Return the parameters of an order as an address holds them, without what was ignored, and without people."""
    moments = {"_since": order.since, "_until": order.until}
    filters = [
        (one.resource_type, [pair for pair in to_pairs(one.search) if pair[0] not in _CONTROLS])
        for one in order.filters
    ]
    return [
        ("_type", ",".join(order.types)),
        *((name, at.isoformat()) for name, at in moments.items() if at is not None),
        *(("_typeFilter", f"{one}?{urlencode(pairs, quote_via=quote)}") for one, pairs in filters),
        *((("_elements", ",".join(order.elements)),) if order.elements else ()),
        *((("includeAssociatedData", order.provenance.value),) if order.provenance else ()),
    ]


def from_json(said: Mapping[str, Any]) -> ExportOrder:
    """Return the order that to_json wrote."""
    since, until = (datetime.fromisoformat(said[name]) if said[name] else None for name in ("since", "until"))
    return ExportOrder(
        level=Level(said["level"]),
        types=tuple(said["types"]),
        group=said["group"],
        since=since,
        until=until,
        filters=tuple(
            TypeFilter(one, parse_search(one, [(n, v) for n, v in pairs], served=SEARCHES[one]))
            for one, pairs in said["filters"]
        ),
        elements=tuple(said["elements"]),
        patients=tuple(said["patients"]),
        provenance=Associated(said["provenance"]),
        ignored=tuple(said["ignored"]),
    )


def _value(entry: Mapping[str, Any]) -> str:
    value = next((value for name, value in entry.items() if name.startswith("value")), None)
    if isinstance(value, Mapping):
        value = value.get("reference")
    if not isinstance(value, str):
        raise SearchProblemError("structure", "a parameter has a value: valueString, valueInstant or valueReference")
    return value


def _sorted_out(pairs: Iterable[tuple[str, str]], asking: Asking) -> _Read:
    read = _Read()
    for name, value in pairs:
        if name in _ONCE or (name in _LISTS and (name != "patient" or _takes_patients(asking))):
            read.texts.setdefault(name, []).append(value)
        elif asking.lenient:
            read.ignored.append(f"the parameter {shown_name(name)}")
        elif name == "patient":
            raise SearchProblemError("not-supported", "patient is for POST at the levels of Patient and Group")
        else:
            raise SearchProblemError("not-supported", f"{shown_name(name)} is not supported by $export here")
    for name in _ONCE:
        if len(read.texts.get(name, [])) > 1:
            raise SearchProblemError("value", f"{name} may be given once")
    return read


def _takes_patients(asking: Asking) -> bool:
    return asking.by_post and asking.level is not Level.SYSTEM


def _types(read: _Read, asking: Asking) -> tuple[str, ...]:
    """Return the types to export: Patients before doses, so that whoever loads the files finds whom they refer to."""
    offered = [one for one in ("Organization", "Patient", "Immunization") if one in asking.served]
    named = [part.strip() for text in read.texts.get("_type", []) for part in text.split(",") if part.strip()]
    unknown = sorted({one for one in named if one not in offered})
    if unknown and not asking.lenient:
        shown = ", ".join(one if _TYPE.fullmatch(one) else "a type of that name" for one in unknown[:5])
        raise SearchProblemError("not-supported", f"_type: {shown} cannot be exported here, {', '.join(offered)} can")
    read.ignored += [f"the type {one}" if _TYPE.fullmatch(one) else "a type" for one in unknown]
    wanted = [one for one in offered if one in named] if "_type" in read.texts else offered
    if not wanted:
        raise SearchProblemError("not-supported", f"_type names nothing that can be exported: {', '.join(offered)} can")
    forbidden = [one for one in wanted if one not in asking.permitted]
    if forbidden and ("_type" in read.texts or len(forbidden) == len(wanted)):
        raise NotPermittedError(f"the token does not permit this: system/{forbidden[0]}.rs is needed")
    return tuple(one for one in wanted if one not in forbidden)


def _filters(read: _Read, types: Sequence[str], asking: Asking) -> tuple[TypeFilter, ...]:
    found: list[TypeFilter] = []
    texts = [part for text in read.texts.get("_typeFilter", []) for part in _BETWEEN_FILTERS.split(text) if part]
    for text in texts:
        try:
            found.append(_filter(text, types, asking))
        except SearchProblemError:
            if not asking.lenient:
                raise
            read.ignored.append("a _typeFilter")
    return tuple(found)


def _filter(text: str, types: Sequence[str], asking: Asking) -> TypeFilter:
    resource_type, mark, query = text.partition("?")
    if not mark or resource_type not in types:
        raise SearchProblemError("value", "_typeFilter looks like Immunization?status=completed, for a type of _type")
    pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)
    if any(name in _CONTROLS for name, _ in pairs) or not pairs:
        raise SearchProblemError("not-supported", "_typeFilter holds search parameters, none of paging or content")
    if any(is_personal(resource_type, name) for name, _ in pairs):
        raise SearchProblemError("not-supported", "_typeFilter takes no identifier of a person; POST with patient does")
    search = parse_search(resource_type, pairs, served=asking.served[resource_type])
    return TypeFilter(resource_type, search)


def _patients(read: _Read) -> tuple[str, ...]:
    texts = [part.strip() for text in read.texts.get("patient", []) for part in text.split(",") if part.strip()]
    if "patient" in read.texts and not 1 <= len(texts) <= MOST_PATIENTS:
        raise SearchProblemError("value", f"patient names 1 to {MOST_PATIENTS} Patients")
    return tuple(dict.fromkeys(reference_id(text, "Patient") for text in texts))


def _provenance(read: _Read, asking: Asking) -> Associated:
    texts = read.texts.get("includeAssociatedData", [])
    named = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    known = [one for one in Associated if one and one in named]
    if len(known) < len(set(named)):
        if not asking.lenient:
            words = " and ".join(one for one in Associated if one)
            raise SearchProblemError("not-supported", f"includeAssociatedData can be {words}")
        read.ignored.append("a value of includeAssociatedData")
    if known and ASSOCIATED not in asking.permitted:
        raise NotPermittedError(f"the token does not permit this: system/{ASSOCIATED}.rs is needed")
    return known[-1] if known else Associated.NONE


def _instant(name: str, texts: Sequence[str]) -> datetime | None:
    if not texts:
        return None
    try:
        moment = datetime.fromisoformat(texts[0].replace(" ", "+"))  # a + that was not encoded arrives as a blank
        at = moment.astimezone(UTC) if moment.tzinfo and "T" in texts[0] else None
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise SearchProblemError("value", f"{name} is an instant such as 2024-01-31T08:00:00+07:00")
    return at
