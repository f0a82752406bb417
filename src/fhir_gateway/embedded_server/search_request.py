"""A search as it was asked for, taken apart: conditions, order, page size, what comes along."""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

import orjson

from fhir_gateway.embedded_server.answers import RefusedError
from fhir_gateway.embedded_server.parameters import Kind, parameters_of
from fhir_gateway.embedded_server.search_criteria import Condition, UnknownParameterError, condition_of, shown
from fhir_gateway.fhir.validation import resource_types

_Chosen = TypeVar("_Chosen")
DEFAULT_COUNT = 50
LARGEST_COUNT = 1000
MOST_CONDITIONS = 50
_SORTS = {
    "_id": ("id", False),
    "-_id": ("id", True),
    "_lastUpdated": ("updated", False),
    "-_lastUpdated": ("updated", True),
}
_SUMMARIES = {"count": True, "false": False}
_TOTALS = {"none": False, "accurate": True, "estimate": True}


@dataclass(frozen=True, slots=True)
class Include:
    """`Immunization:patient`: the type that refers, and the elements (with their narrowing) through which."""

    resource_type: str
    name: str
    paths: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Search:
    """A search of one type; `applied` are the parameters that it honours, `ignored` the names that it does not know."""

    resource_type: str
    conditions: tuple[Condition, ...]
    applied: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    count: int
    sort: str
    descending: bool
    count_only: bool
    with_total: bool
    includes: tuple[Include, ...]
    revincludes: tuple[Include, ...]
    elements: frozenset[str]
    after: str | int | None

    @property
    def query(self) -> str:
        """The honoured parameters as a query string, without the cursor."""
        return urlencode(self.applied)


def parse_search(resource_type: str, parameters: Sequence[tuple[str, str]], *, base: str, lenient: bool) -> Search:
    """Take a search apart; raises RefusedError for what is wrong or (unless lenient) not known."""
    conditions: list[Condition] = []
    applied: list[tuple[str, str]] = []
    ignored: list[str] = []
    controls: dict[str, list[str]] = {}
    for key, value in parameters:
        if key in _CONTROLS:
            controls.setdefault(key, []).append(value)
        else:
            try:
                conditions.append(condition_of(resource_type, key, value, base=base))
            except UnknownParameterError:
                if not lenient:
                    raise
                ignored.append(shown(key))
                continue
        if key not in ("_cursor", "_format", "_pretty"):
            applied.append((key, value))
    if len(conditions) > MOST_CONDITIONS:
        raise RefusedError(400, "too-costly", f"at most {MOST_CONDITIONS} search parameters can be combined")
    count = _count(_single(controls, "_count"))
    sort, descending = _choose(_SORTS, "_sort", _single(controls, "_sort") or "_id")
    return Search(
        resource_type=resource_type,
        conditions=tuple(conditions),
        applied=tuple(applied),
        ignored=tuple(ignored),
        count=count,
        sort=sort,
        descending=descending,
        count_only=_choose(_SUMMARIES, "_summary", _single(controls, "_summary") or "false") or count == 0,
        with_total=_choose(_TOTALS, "_total", _single(controls, "_total") or "accurate"),
        includes=tuple(_includes(controls.get("_include", []), from_type=resource_type)),
        revincludes=tuple(_includes(controls.get("_revinclude", []), from_type="")),
        elements=frozenset(name.strip() for text in controls.get("_elements", []) for name in text.split(",") if name),
        after=_read_cursor(_single(controls, "_cursor"), sort),
    )


def write_cursor(key: str | int) -> str:
    """Return the opaque cursor that continues behind a sort key."""
    return base64.urlsafe_b64encode(orjson.dumps(key)).decode().rstrip("=")


def _read_cursor(text: str, sort: str) -> str | int | None:
    if not text:
        return None
    try:
        key = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error) as error:
        raise RefusedError(400, "invalid", "the cursor of this page is not one of this server") from error
    if not isinstance(key, int if sort == "updated" else str) or (isinstance(key, int) and abs(key) >= 2**62):
        raise RefusedError(400, "invalid", "the cursor of this page does not belong to this search")
    return key


def _single(controls: dict[str, list[str]], name: str) -> str:
    values = controls.get(name, [])
    if len(values) > 1:
        raise RefusedError(400, "invalid", f"{name} may be given once")
    return values[0] if values else ""


def _count(text: str) -> int:
    if not text:
        return DEFAULT_COUNT
    if not re.fullmatch(r"\d{1,9}", text):
        raise RefusedError(400, "invalid", "_count must be a whole number")
    return min(int(text), LARGEST_COUNT)


def _choose(choices: dict[str, _Chosen], name: str, value: str) -> _Chosen:
    if value not in choices:
        raise RefusedError(400, "not-supported", f"{name} can be {', '.join(choices)} here")
    return choices[value]


def _includes(values: list[str], *, from_type: str) -> Iterator[Include]:
    for value in values:
        resource_type, _, rest = value.partition(":")
        name, _, target = rest.partition(":")
        known = resource_type in resource_types() and (not from_type or resource_type == from_type)
        parameter = parameters_of(resource_type).get(name) if known else None
        if parameter is None or parameter.kind is not Kind.REFERENCE:
            raise RefusedError(
                400, "not-supported", "_include and _revinclude take Type:reference-parameter of what is searched"
            )
        paths = tuple((path, target or narrowed) for path, narrowed in parameter.paths)
        yield Include(resource_type, name, paths)


_CONTROLS = frozenset(
    ("_count", "_sort", "_summary", "_total", "_include", "_revinclude", "_elements", "_cursor", "_format", "_pretty")
)
