"""Long lists of values, cut into what one statement takes, in few lengths."""

from collections.abc import Iterable, Iterator
from typing import Any

CHUNK = 512
"""Values in one IN list; SQLite takes 32,766 parameters."""


def chunks(values: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """Yield the values in lists for IN, of at most `size`; the last value is repeated up to the next power of two.

    Each length is a statement of its own, which the driver keeps prepared: with every length that occurs that were
    many MiB, and hardly one would be met again.
    """
    chunk: list[Any] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        length = min(size, 1 << (len(chunk) - 1).bit_length())
        yield chunk + chunk[-1:] * (length - len(chunk))
