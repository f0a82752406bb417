"""Rows a column at a time: what is done to every cell is done to a column by a few calls."""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

EMPTY = frozenset({"", "-", "--", "---", "–", "—", "null", "NULL", "Null", "\\N", "n/a", "N/A", "?"})  # noqa: RUF001 - dashes as sheets have them; \\N is MySQL's
LOST = frozenset(
    {"#REF!", "#NAME?", "#N/A", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA"}
) | {"#" * width for width in range(2, 64)}
"""What stands in a cell whose value a spreadsheet could not work out, or had no room to show."""

_NOTHING = dict.fromkeys(EMPTY, "")
_NOTHING_OR_LOST = dict.fromkeys(EMPTY | LOST, "")


class Columns(dict[str, list[str]]):
    """Some rows' columns by name, each what its cells say (see said), "" where a row lacks it; read when it is asked for.

    A value that a spreadsheet lost says nothing, but in `conditions` that there is one.
    """

    __slots__ = ("_conditions", "_written")

    def __init__(self, written: Sequence[Mapping[str, str]], conditions: Collection[str] = ()) -> None:
        super().__init__()
        self._written = written
        self._conditions = conditions

    def written(self, name: str) -> list[str]:
        """Return what each row's cell in a column holds."""
        try:
            return list(map(itemgetter(name), self._written))
        except KeyError:
            return [cells.get(name, "") for cells in self._written]

    def __missing__(self, name: str) -> list[str]:
        texts = self[name] = said_in(self.written(name), _NOTHING if name in self._conditions else _NOTHING_OR_LOST)
        return texts

    def of(self, written: Sequence[Mapping[str, str]]) -> "Columns":
        """Return other rows' columns."""
        return Columns(written, self._conditions)

    def texts(self, names: tuple[str, ...]) -> Sequence[str] | Sequence[tuple[str, ...]]:
        """Return what each row says in these columns: a text where it is one column, else a tuple."""
        if len(names) == 1:
            return self[names[0]]
        return list(zip(*map(self.__getitem__, names), strict=True)) if names else [()] * len(self._written)

    def rows(self, names: tuple[str, ...]) -> list[dict[str, str]]:
        """Return each row's cells in these columns."""
        columns = zip(*map(self.__getitem__, names), strict=True) if names else repeat((), len(self._written))
        return list(map(dict, map(zip, repeat(names), columns)))

    def row(self, names: tuple[str, ...], place: int) -> dict[str, str]:
        """Return one row's cells in these columns."""
        return {name: self[name][place] for name in names}


def cells_of(names: tuple[str, ...], texts: Any) -> dict[str, str]:
    """Return as cells what a row says in these columns (see Columns.texts)."""
    return {names[0]: texts} if len(names) == 1 else dict(zip(names, texts, strict=True))


def said_in(cells: Sequence[str], signs: Mapping[str, str] = _NOTHING) -> list[str]:
    """Return what each of the cells says (see said), "" for the `signs` of nothing, too."""
    texts = list(map(str.strip, cells))
    if not "".join(texts).isprintable():
        texts = list(map(said, texts))
    return list(map(signs.get, texts, texts))


def said(text: str) -> str:
    """Return what a cell says: stripped, without control characters, "" for the signs of nothing."""
    stripped = text.strip()
    if not stripped.isprintable():
        stripped = _clean(stripped)
    return "" if stripped in EMPTY else stripped


def _clean(text: str) -> str:
    text = text.replace("\r\n", "\n")  # one line break: XML keeps it as that, so a workbook's report would say another
    kept = "".join(" " if unicodedata.category(c) in {"Zs", "Zl", "Zp"} or c in "\t\n\r" else c for c in text)
    return "".join(c for c in kept if c.isprintable()).strip()
