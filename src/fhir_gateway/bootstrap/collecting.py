"""How often Python looks for cycles of objects: rows and pages make objects by the thousand, but no cycles."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_OBJECTS = 20_000
"""Before cycles are looked for: rows go their way by the hundred, Patients by the page, and are all alive that long."""


def collect_seldom() -> None:
    """Look for cycles seldom from now on; what was built before is not searched."""
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for cycles seldom as long as this lasts.

    Afterwards everything is searched again: what is kept from it at exit is never freed, and DuckDB complains of that on stderr.
    """
    thresholds = gc.get_threshold()
    collect_seldom()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


@contextmanager
def no_collections() -> Iterator[None]:
    """Look for no cycles as long as this lasts, for work that makes none; what is left of it is not searched either."""
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
