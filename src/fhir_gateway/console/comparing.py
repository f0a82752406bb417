"""Two versions of a resource side by side, line by line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir_gateway.console.rendering import lines_of


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
    """Return every element of either version, in the order of the first one, new ones after it."""
    old, new = dict(lines_of(before)), dict(lines_of(after))
    return [Line(path, old.get(path, ""), new.get(path, "")) for path in dict.fromkeys((*old, *new))]
