"""What changes between two versions of a resource, element by element, as JSON pointers (RFC 6901)."""

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_gateway.domain.merges import ElementChange
from fhir_gateway.domain.records import Resource

_ABSENT = object()


def element_changes(before: Resource, after: Resource) -> tuple[ElementChange, ...]:
    """Return every element that differs, whole where it was added or removed; list elements are compared by position."""
    return tuple(_differences(before, after, ""))


def pointer(steps: Sequence[str | int]) -> str:
    """Return a JSON pointer of element names and positions."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def path_steps(path: str) -> list[str]:
    """Return the steps of a JSON pointer as they were written, positions as digits."""
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _differences(before: Any, after: Any, path: str) -> Iterator[ElementChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in (*before, *(name for name in after if name not in before)):
            below = path + pointer((name,))
            yield from _differences(before.get(name, _ABSENT), after.get(name, _ABSENT), below)
    elif isinstance(before, list) and isinstance(after, list):
        for position in range(max(len(before), len(after))):
            yield from _differences(_at(before, position), _at(after, position), f"{path}/{position}")
    elif not same(before, after):
        yield ElementChange(path, _shown(before), _shown(after))


def same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are the same; unlike in Python, true is not 1."""
    if one is other:
        return True
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _at(values: list[Any], position: int) -> Any:
    return values[position] if position < len(values) else _ABSENT


def _shown(value: Any) -> Any:
    return None if value is _ABSENT else value
