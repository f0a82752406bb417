"""Which element of one version of a list is which element of another, by content and not by position."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from fhir_gateway.fhir import json_text

_MOST_COMPARED = 10_000
"""So many pairs of changed elements are compared at most; beyond, what changed counts as taken out and added."""
_MOST_ALIGNED = 1_000_000
"""So many pairs of positions are looked at most to tell equal elements by their neighbours."""


def match(one: list[Any], other: list[Any], *, in_place: bool = False) -> dict[int, int]:
    """Return positions in `one` → positions in `other` of the same element, each at most once.

    Equal elements are the same. Of several equal ones those are that stand in the same places, where nothing but
    references has changed since, else those in the longest runs that both lists have; of the rest the first is the first.
    Of what is left, the most alike objects are the same, unless what identifies them (id, system and value, reference,
    URL) says that they are two. With `in_place`, lists of equal length have the same elements in the same order, whatever
    became of each: so the merge leaves them.
    """
    if in_place and len(one) == len(other):
        return {position: position for position in range(len(one))}
    found = _equal(one, other)
    taken = set(found.values())
    mine = {position: element for position, element in enumerate(one) if position not in found}
    theirs = {position: element for position, element in enumerate(other) if position not in taken}
    if len(mine) * len(theirs) <= _MOST_COMPARED:
        found |= _alike(mine, theirs, _two)
    return found


def put_back(current: list[Any], before: list[Any], after: list[Any], *, then_of: Mapping[int, int]) -> dict[int, int]:
    """Return positions now → after the merge of elements that it changed and that are as before it again.

    They are in their places, or came where what the merge had made of them is gone. `then_of` is position after the
    merge → before it. Without this, what still refers to the survivor in its own right would be taken for them.
    """
    now, merged = [_text(element) for element in current], [_text(element) for element in after]
    changed = {at: then for at, one in then_of.items() if (then := _text(before[one])) != merged[at]}
    found = {at: at for at, then in changed.items() if len(now) == len(merged) and now[at] == then}
    came, gone = Counter(now) - Counter(merged), Counter(merged) - Counter(now)
    came.subtract(changed[at] for at in found)
    gone.subtract(merged[at] for at in found)
    for at, then in changed.items():
        if at not in found.values() and came[then] > 0 and gone[merged[at]] > 0:
            nearest = min(
                (n for n, text in enumerate(now) if text == then and n not in found), key=lambda n: abs(n - at)
            )
            found[nearest] = at
            came[then] -= 1
            gone[merged[at]] -= 1
    return found


def edited(current: Mapping[int, Any], added: Mapping[int, Any]) -> dict[int, int]:
    """Return positions now → after the merge of elements that it added and that are unlike what they may have become.

    Takes elements by their positions that match() found nothing for. What was edited and what was taken out for another
    of its kind cannot be told apart, so either is paired: a person has to decide.
    """
    return _alike(current, added, _of_two_kinds, least=0) if len(current) * len(added) <= _MOST_COMPARED else {}


def _equal(one: list[Any], other: list[Any]) -> dict[int, int]:
    mine, theirs = [_text(element) for element in one], [_text(element) for element in other]
    found: dict[int, int] = {}
    if _repeat(mine, theirs):
        in_place = _only_repointed(one, other)
        found = {n: n for n, text in enumerate(mine) if text == theirs[n]} if in_place else _aligned(mine, theirs)
    taken = set(found.values())
    waiting: dict[bytes, deque[int]] = defaultdict(deque)
    for position, text in enumerate(theirs):
        if position not in taken:
            waiting[text].append(position)
    for position, text in enumerate(mine):
        if position not in found and waiting.get(text):
            found[position] = waiting[text].popleft()
    return found


def _repeat(mine: list[bytes], theirs: list[bytes]) -> bool:
    """Whether it is open which of several equal elements is which."""
    counts = Counter(mine), Counter(theirs)
    several = any(max(counts[0][text], counts[1][text]) > 1 for text in counts[0].keys() & counts[1].keys())
    return several and len(mine) * len(theirs) <= _MOST_ALIGNED


def _only_repointed(one: list[Any], other: list[Any]) -> bool:
    """Whether two lists may be the same one but for what merges do: references in their places lead to a survivor or not.

    Several merges into one survivor leave equal elements, whose neighbours tell nothing once some were undone.
    """
    if len(one) != len(other):
        return False
    counts = [Counter(found for element in elements for found in _references(element)) for elements in (one, other)]
    survivors = {reference for count in counts for reference in count if count[reference] > 1}
    pairs = list(zip(one, other, strict=True))
    changed = [(mine, theirs) for mine, theirs in pairs if _text(mine) != _text(theirs)]
    return all(
        _rest(mine) == _rest(theirs) and survivors & (_references(mine) | _references(theirs))
        for mine, theirs in changed
    )


def _rest(element: Any) -> set[tuple[str, bytes]]:
    """Return what an element says beside its references."""
    return {leaf for leaf in _leaves(element, "") if not leaf[0].endswith("/reference")}


def _aligned(mine: list[bytes], theirs: list[bytes]) -> dict[int, int]:
    """Return the positions of the longest runs that both lists have: equal elements are told by their neighbours."""
    blocks = SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks()
    return {block.a + n: block.b + n for block in blocks for n in range(block.size)}


def _text(element: Any) -> bytes:
    try:
        return json_text.dump(element, ordered=True)
    except TypeError:  # a number beyond 64 bits, nested too deeply: another server's JSON may hold it
        return repr(element).encode(errors="replace")


def _alike(
    one: Mapping[int, Any], other: Mapping[int, Any], two: Callable[[Any, Any], bool], *, least: int = 1
) -> dict[int, int]:
    """Pair the most alike, then the nearest, that share at least so many values and are not two by `two`."""
    scored = []
    leaves = {position: set(_leaves(element, "")) for position, element in other.items()}
    for left, mine in one.items():
        own = set(_leaves(mine, ""))
        for right, theirs in other.items():
            shared = len(own & leaves[right])
            if shared >= least and not two(mine, theirs):
                likeness = shared / max(len(own), len(leaves[right]), 1)
                scored.append((-likeness, abs(left - right), left, right))
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, left, right in sorted(scored):
        if left not in found and right not in taken:
            found[left] = right
            taken.add(right)
    return found


def _two(one: Any, other: Any) -> bool:
    """Whether two elements are two: no objects, or what identifies them says so (their own keys, whom they refer to)."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return True
    for names in (("id",), ("url",), ("system", "value")):
        if all(name in one and name in other for name in names):
            return any(_text(one[name]) != _text(other[name]) for name in names)
    return _refer_elsewhere(one, other)


def _of_two_kinds(one: Any, other: Any) -> bool:
    """Whether one element cannot have become the other by an edit: it has another key, system or reference."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return type(one) is not type(other)
    for name in ("id", "url", "system"):
        if name in one and name in other and _text(one[name]) != _text(other[name]):
            return True
    return _refer_elsewhere(one, other)


def _refer_elsewhere(one: dict[str, Any], other: dict[str, Any]) -> bool:
    mine, theirs = _references(one), _references(other)
    return bool(mine and theirs) and not mine & theirs


def _references(element: dict[str, Any]) -> set[tuple[str, bytes]]:
    return {leaf for leaf in _leaves(element, "") if leaf[0].endswith("/reference")}


def _leaves(element: Any, path: str) -> Iterator[tuple[str, bytes]]:
    """Yield the plain values inside an element with their paths; positions in lists do not count."""
    if isinstance(element, dict):
        for name, value in element.items():
            yield from _leaves(value, f"{path}/{name}")
    elif isinstance(element, list):
        for value in element:
            yield from _leaves(value, f"{path}/")
    else:
        yield path, _text(element)
