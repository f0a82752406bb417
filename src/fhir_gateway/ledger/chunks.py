"""Long lists of values, cut into what one statement takes."""

from collections.abc import Iterable, Iterator
from typing import Any

CHUNK = 500
"""Values in one IN list; SQLite takes 32,766 parameters, PostgreSQL plans shorter lists faster."""


def chunks(values: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """Yield the values in lists of at most `size`."""
    chunk: list[Any] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
