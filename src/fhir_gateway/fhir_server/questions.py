"""Searches as they are asked: values escaped, long lists cut into several questions."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from urllib.parse import quote, urlencode

VALUES_A_SEARCH = 200
LONGEST_FORM = 64_000
LONGEST_URL = 6_000  # HAPI answers 414 beyond 8,192 bytes, base URL and headers included

Parameters = Mapping[str, Sequence[str]]

_IMPERSONAL = frozenset({"_id", "_lastUpdated", "patient", "active", "status", "date", "vaccine-code"})


def escaped(value: str) -> str:
    r"""Return a value with `\`, `,` and `$` escaped, and every `|` after the first (FHIR R4, 3.1.1.5.7)."""
    system, bar, rest = re.sub(r"([\\,$])", r"\\\1", value).partition("|")
    return system + bar + rest.replace("|", "\\|")


def encoded(parameters: Parameters) -> str:
    """Return parameters as a query string or form; `:` and `,` of FHIR's own syntax are encoded, too."""
    return urlencode(
        [(name, ",".join(escaped(value) for value in values)) for name, values in parameters.items()], quote_via=quote
    )


def is_personal(parameters: Parameters) -> bool:
    """Return whether a search says something of a person, so that it does not belong in a URL."""
    return not all(name.split(":")[0] in _IMPERSONAL or name.startswith("_") for name in parameters)


def cut(parameters: Parameters, *, longest: int, most_values: int = VALUES_A_SEARCH) -> Iterator[Parameters]:
    """Yield parameters that together ask the same, each at most `longest` bytes; the longest list is cut.

    A single value is never cut, whatever its length.
    """
    if not parameters or all(len(values) <= 1 for values in parameters.values()):
        yield parameters
        return
    name = max(parameters, key=lambda one: len(parameters[one]))
    values = list(dict.fromkeys(parameters[name]))
    rest = {other: parameters[other] for other in parameters if other != name}
    room = max(longest - len(encoded(rest)) - len(name) - 2, 1)
    start, used = 0, 0
    for position, value in enumerate(values):
        size = len(quote(escaped(value), safe="")) + 3
        if position > start and (used + size > room or position - start >= most_values):
            yield {**rest, name: values[start:position]}
            start, used = position, 0
        used += size
    yield {**rest, name: values[start:]}


def each_alone(parameters: Parameters) -> Iterator[Parameters]:
    """Yield parameters that together ask the same, each with one value."""
    for values in product(*parameters.values()):
        yield {name: (value,) for name, value in zip(parameters, values, strict=True)}
