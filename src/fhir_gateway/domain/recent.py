"""A bounded memory of what was worked out lately: rows of one person, one vaccine, one day repeat in every export."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

Key = TypeVar("Key")
Value = TypeVar("Value")
Result = TypeVar("Result")

_FORGETTING: list[Callable[[], None]] = []


def remembered(size: int | None) -> Callable[[Callable[..., Result]], "_lru_cache_wrapper[Result]"]:
    """Remember what a module's pure function returned lately, for `size` different arguments (None: all), until forget_all()."""

    def decorate(function: Callable[..., Result]) -> "_lru_cache_wrapper[Result]":
        remembering = lru_cache(maxsize=size)(function)
        _FORGETTING.append(remembering.cache_clear)
        return remembering

    return decorate


def forget_all() -> None:
    """Forget what all remembered functions returned: for who has finished with many rows and goes on to other work."""
    for forget in _FORGETTING:
        forget()


class Recent(Generic[Key, Value]):
    """Remembers values (never None) of the keys that were asked for last: `size` of them at least, twice as many at most.

    Two generations of dicts: when the younger one is full it becomes the older one, and what is asked for again there
    moves back; dearer bookkeeping would cost more than it saves.
    """

    __slots__ = ("_older", "_size", "_younger")

    def __init__(self, size: int) -> None:
        self._size = size
        self._younger: dict[Key, Value] = {}
        self._older: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """Return what was kept for the key, None where it is unknown or forgotten."""
        value = self._younger.get(key)
        if value is None and (value := self._older.get(key)) is not None:
            self.keep(key, value)
        return value

    def get_all(self, keys: Sequence[Key]) -> list[Value | None]:
        """Return what was kept for each of the keys, as get() does."""
        found = list(map(self._younger.get, keys))
        if self._older:
            older = self._older.get
            for place, value in enumerate(found):
                if value is None and (value := older(keys[place])) is not None:
                    found[place] = self.keep(keys[place], value)
        return found

    def forget(self) -> None:
        """Forget everything."""
        self._younger, self._older = {}, {}

    def keep(self, key: Key, value: Value) -> Value:
        """Remember a value, and return it."""
        if len(self._younger) >= self._size:
            self._older, self._younger = self._younger, {}
        self._younger[key] = value
        return value

    def keep_all(self, values: Mapping[Key, Value]) -> None:
        """Remember a few values together, be it that the younger generation grows by them beyond its size."""
        if len(self._younger) >= self._size:
            self._older, self._younger = self._younger, {}
        self._younger.update(values)
