"""Two versions of a resource side by side, line by line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

_TOLD_ELSEWHERE = frozenset({"resourceType", "id"})
_LONG = "text"
"""The narrative: shown where it differs only."""


@dataclass(frozen=True, slots=True)
class Line:
    """One element: where it stands, its values before and after ("" where it was absent)."""

    path: str
    before: str
    after: str

    @property
    def changed(self) -> bool:
        """Whether the two differ."""
        return self.before != self.after


def compared(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Line]:
    """Return every element of either version, in the order of the first one; lists are numbered from 1."""
    old, new = before or {}, after or {}
    shown = [key for key in dict.fromkeys((*old, *new)) if key not in _TOLD_ELSEWHERE]
    return [
        line
        for key in shown
        if key != _LONG or old.get(key) != new.get(key)
        for line in _lines(key, old.get(key), new.get(key))
    ]


def compared_element(pointer: str, before: Any, after: Any) -> list[Line]:
    """Return what stands at a JSON pointer before and after, None for nothing, with its path as compared() writes it."""
    steps = pointer.strip("/").split("/")
    path = "".join(f"[{int(step) + 1}]" if step.isdigit() else f".{step}" for step in steps).removeprefix(".")
    return _lines(path, before, after)


def _lines(path: str, old: Any, new: Any) -> list[Line]:
    kinds = {_kind(value) for value in (old, new) if value is not None}
    if len(kinds) > 1:
        return [*_lines(path, old, None), *_lines(path, None, new)]
    if kinds == {Mapping}:
        left, right = old or {}, new or {}
        keys = dict.fromkeys((*left, *right))
        return [line for key in keys for line in _lines(f"{path}.{key}", left.get(key), right.get(key))]
    if kinds == {Sequence}:
        pairs = list(zip_longest(old or (), new or ()))
        named = [f"{path}[{number}]" for number in range(1, len(pairs) + 1)] if len(pairs) > 1 else [path]
        return [line for name, pair in zip(named, pairs, strict=False) for line in _lines(name, *pair)]
    return [Line(path, _text(old), _text(new))]


def _kind(value: Any) -> type:
    if isinstance(value, Mapping):
        return Mapping
    return Sequence if isinstance(value, list) else str


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
