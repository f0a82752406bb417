"""Which row is a file's header and which mapping's layout fits it best."""

import difflib
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.domain.recent import remembered
from fhir_gateway.domain.records import Layout

HEADER_WITHIN = 50
"""The header stands in one of the first so many rows; title rows may stand above it."""

GATEWAY_PREFIX = "gateway_"
_BESIDE_PREFIX = ("patient_id", "immunization_ids", "match_grade")
"""What a report adds without that prefix."""

_RUNNABLE = ("'=", "'+", "'-", "'@", "'\t", "'\r")
_FORMULA_OF_TEXT = re.compile(r'="((?:[^"]|"")*)"\s*')
_BETWEEN_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Header:
    """A header row that fits a layout: `names` as the file spells them, `keys` the cells' names, `row` its index."""

    layout: Layout
    names: tuple[str, ...]
    keys: tuple[str, ...]
    row: int
    known: int


@remembered(4096)
def column_key(name: str) -> str:
    """Return a column's name as it is compared: without regard to case, surrounding and repeated blanks."""
    return " ".join(name.replace("\ufeff", "").split()).casefold()


def as_typed(cell: str) -> str:
    """Take off what stands around a text for a spreadsheet program's sake.

    The apostrophe that a report puts before what the program would run; and `="0123"`, by which exports keep it from
    taking a text of digits for a number.
    """
    if cell.startswith(_RUNNABLE):
        return cell[1:]
    text = _FORMULA_OF_TEXT.fullmatch(cell) if cell.startswith('="') else None
    return text[1].replace('""', '"') if text else cell


def fitting_headers(rows: Sequence[Sequence[str]], layouts: Iterable[Layout]) -> list[Header]:
    """Return for each layout that fits the best of the rows as its header."""
    found = []
    for layout in layouts:
        headers = [header for index, row in enumerate(rows) if (header := _as_header(index, row, layout))]
        if headers:
            found.append(max(headers, key=lambda header: header.known))
    return found


def best_header(headers: Sequence[Header], file: str) -> Header:
    """Return the header with the most known columns.

    Raises SourceError where two mappings fit equally well, or where a column that the mapping reads stands twice.
    """
    best = max(headers, key=lambda header: header.known)
    equal = sorted({header.layout.mapping for header in headers if header.known == best.known})
    if len(equal) > 1:
        names = ", ".join(equal)
        raise SourceError(f"{file}: the mappings {names} fit equally well: choose one with --mapping")
    if repeated := _repeated_columns(best):
        raise SourceError(
            f"{file}: columns stand more than once in the header: {', '.join(repeated)}: keep one of each"
        )
    return best


def _as_header(index: int, row: Sequence[str], layout: Layout) -> Header | None:
    names = _without_blank_end(row)
    compared = _compared(names, layout)
    if _missing(layout, compared):
        return None
    spelling = {column_key(name): name for name in layout.known | layout.required}
    known = sum(1 for name in spelling if name in compared)
    return Header(layout, names, _unique_keys(compared, names, spelling), index, known) if known else None


def _missing(layout: Layout, compared: Container[str]) -> list[str]:
    """Return the required columns that stand under none of their names among a row's."""
    aliases = dict(layout.aliases)
    return sorted(
        name
        for name in layout.required
        if not any(column_key(one) in compared for one in (name, *aliases.get(name, ())))
    )


@remembered(4096)
def _words(key: str) -> str:
    """Return what is left of a column's name when punctuation counts as a blank: `Tgl. Lahir` and `tgl_lahir` are one."""
    return " ".join(_BETWEEN_WORDS.sub(" ", key).split())


def _compared(names: Sequence[str], layout: Layout) -> list[str]:
    """Return a row's names as they are compared; one that is a column's but for punctuation stands as that column.

    It does not where another name of the row is the column's to the letter, or two are so but for punctuation.
    """
    compared = [column_key(name) for name in names]
    wanted = sorted({column_key(name) for name in layout.known | layout.required})
    free: dict[str, list[int]] = {}
    for place, key in enumerate(compared):
        if key not in wanted and (words := _words(key)):
            free.setdefault(words, []).append(place)
    for key in wanted:
        places = free.get(_words(key), ()) if key not in compared else ()
        if len(places) == 1:
            compared[places[0]] = key
    return compared


def _without_blank_end(row: Sequence[str]) -> tuple[str, ...]:
    names = [as_typed(name.strip("\r\n")) for name in row]
    while names and not names[-1].strip():
        names.pop()
    return tuple(names)


def _unique_keys(compared: Sequence[str], names: Sequence[str], spelling: dict[str, str]) -> tuple[str, ...]:
    """Name the cells: the layout's spelling, else the file's; the first of equal names keeps it."""
    keys: list[str] = []
    for number, (name, written) in enumerate(zip(compared, names, strict=True), start=1):
        key = spelling.get(name) or (name if name.startswith(GATEWAY_PREFIX) else written.strip()) or f"column {number}"
        keys.append(f"{key} ({number})" if key in keys else key)
    return tuple(keys)


def _repeated_columns(header: Header) -> list[str]:
    compared = [column_key(name) for name in header.names]
    return sorted(name for name in header.layout.known | header.layout.required if compared.count(column_key(name)) > 1)


def unread_columns(header: Header) -> tuple[str, ...]:
    """Return the columns that the layout does not read, each with the one that it may be meant for, where that is missing."""
    read = header.layout.known | header.layout.required
    names_of = dict(header.layout.aliases)
    other_names = {alias for aliases in names_of.values() for alias in aliases}
    missing = {
        column_key(name): name
        for name in read - other_names
        if not any(one in header.keys for one in (name, *names_of.get(name, ())))
    }
    of_report = _BESIDE_PREFIX if any(key.startswith(GATEWAY_PREFIX) for key in header.keys) else ()
    told = []
    for name, key in zip(header.names, header.keys, strict=True):
        if key in read or key in of_report or key.startswith(GATEWAY_PREFIX) or not name.strip():
            continue
        near = difflib.get_close_matches(column_key(name), sorted(missing), n=1)
        told.append(f"'{name.strip()}' (is it '{missing[near[0]]}'?)" if near else f"'{name.strip()}'")
    return tuple(told)


def misread_doses(header: Header) -> str:
    """Return what is wrong with a wide sheet whose columns name doses, but none as the layout reads them; "" if nothing.

    As where the antigens stand in a header row above "Tanggal": all rows would be loaded, and no dose missed.
    """
    if not header.layout.doses or not header.layout.doses.isdisjoint(header.keys):
        return ""
    doses = {_in_words(name): name for name in sorted(header.layout.doses)}
    for name in header.names:
        words = _in_words(name)
        told = any(map(str.isalpha, words))
        expected = next((dose for key, dose in doses.items() if told and key.endswith(f" {words}")), "")
        if expected:
            return (
                f"'{name.strip()}' names a dose, but the mapping {header.layout.mapping} reads such in columns as"
                f" '{expected}' and found none: write the columns' names so (where the header has two rows, make one of them)"
            )
    return ""


def _in_words(name: str) -> str:
    return _BETWEEN_WORDS.sub(" ", column_key(name)).strip()


def misfit(
    file: str,
    rows: Sequence[Sequence[str]],
    layouts: Sequence[Layout],
    *,
    others: Sequence[Layout] = (),
    nothing: str = f"no header row in its first {HEADER_WITHIN} rows",
) -> SourceError:
    """Return the error for a file that no layout fits: what is missing, nearest names, and which mapping would fit.

    `nothing` says that there is not one of the columns.
    """
    if not layouts:
        return SourceError(f"{file}: there is no mapping to read it with")
    layout, row, missing = _nearest(rows, layouts)
    if len(missing) == len(layout.required):
        wanted = "; ".join(
            f"mapping {each.mapping} needs the columns {', '.join(sorted(each.required))}" for each in layouts
        )
        text = f"{file}: {nothing}; {wanted}"
    else:
        named = ", ".join(_missing_with_nearest(missing, row, layout))
        none = "fits no mapping, nearest is" if len(layouts) > 1 else "lacks columns of mapping"
        text = f"{file}: {none} {layout.mapping}" + (f", but lacks {named}" if len(layouts) > 1 else f": {named}")
    would_fit = fitting_headers(rows, others)
    if would_fit:
        best = max(would_fit, key=lambda header: header.known)
        text += f"; mapping {best.layout.mapping} would fit: --mapping {best.layout.mapping}"
    return SourceError(text)


def _nearest(rows: Sequence[Sequence[str]], layouts: Sequence[Layout]) -> tuple[Layout, Sequence[str], list[str]]:
    """Return the layout and the row that share the largest part of the required columns, and what is missing."""

    def share(layout: Layout, row: Sequence[str]) -> tuple[float, int]:
        compared = set(_compared(row, layout))
        known = {column_key(name) for name in layout.known}
        here = len(layout.required) - len(_missing(layout, compared))
        return here / max(1, len(layout.required)), len(known & compared)

    layout, row = max(((layout, row) for layout in layouts for row in [*rows, ()]), key=lambda pair: share(*pair))
    compared = _compared(row, layout)
    return layout, row, _missing(layout, compared)


def _missing_with_nearest(missing: Sequence[str], row: Sequence[str], layout: Layout) -> list[str]:
    known = {column_key(name) for name in layout.known | layout.required}
    free = {column_key(name): name.strip() for name in row if column_key(name) not in known}
    named = []
    for name in missing:
        wanted = column_key(name)
        near = [key for key in free if key.startswith(f"{wanted} ")]  # "Tgl Lahir (dd/mm/yyyy)"
        near = near or difflib.get_close_matches(wanted, list(free), n=1, cutoff=0.75)
        named.append(f"'{name}' (did you mean '{free[near[0]]}'?)" if near else f"'{name}'")
    return named
