"""Whether a plan that was reviewed still holds on a server that has moved on since."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fhir_gateway.domain.merges import ChangeKind, GroupPlan, PlannedChange
from fhir_gateway.fhir import json_text

_POSITION = re.compile(r"/(?:\d+|-)(?=/|$)")


class Verdict(StrEnum):
    """What became of a plan."""

    SAME = "same"
    """What was reviewed is what would be done now."""
    OTHER_REFERENCES = "other-references"
    """Resources came or went that refer to the same Patients: nothing that a reviewer would judge anew."""
    REFUSED = "refused"
    """Something would be done that nobody has reviewed."""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The verdict, and in words what is different from the reviewed plan: ids and elements, no values."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()


def overtaken(plan: GroupPlan, fresh: GroupPlan) -> Overtaken:
    """Compare a plan made earlier with one made now for the same group; bodies are not needed."""
    reasons = tuple(_differences(plan, fresh))
    if reasons:
        return Overtaken(Verdict.REFUSED, reasons)
    before, now = _references(plan), _references(fresh)
    if before == now:
        return Overtaken(Verdict.SAME)
    came, went = len(now.keys() - before.keys()), len(before.keys() - now.keys())
    changed = sum(1 for name in before.keys() & now.keys() if before[name] != now[name])
    words = f"referring resources: {came} more, {went} fewer, {changed} that refer otherwise"
    return Overtaken(Verdict.OTHER_REFERENCES, (words,))


def _differences(plan: GroupPlan, fresh: GroupPlan) -> Iterable[str]:
    if plan.survivor != fresh.survivor:
        yield f"another Patient would survive: {fresh.survivor or 'nobody'}, no longer {plan.survivor}"
    if set(plan.replaced) != set(fresh.replaced):
        yield f"other Patients would be replaced: {_told_apart(plan.replaced, fresh.replaced)}"
    if set(plan.fields) != set(fresh.fields):
        names = sorted({one.field for one in set(plan.fields) ^ set(fresh.fields)})
        yield f"other fields would be taken over: {', '.join(names)}"
    if _doses(plan) != _doses(fresh):
        yield f"other doses would become one: {_told_apart(_doses(plan), _doses(fresh))}"
    if (plan.group.rule, plan.group.grade) != (fresh.group.rule, fresh.group.grade):
        before, now = (f"{one.group.rule}, {one.group.grade}" for one in (plan, fresh))
        yield f"whether they are one person is judged otherwise: {now}, no longer {before}"
    if came := _conflicts(fresh) - _conflicts(plan):
        words = sorted(f"{code} ({', '.join(resources)})" if resources else code for code, resources, _ in came)
        yield f"there are new conflicts: {', '.join(words)}"
    for kind, words_of_kind in _REVIEWED.items():
        before_all, now_all = _contents(plan, kind), _contents(fresh, kind)
        if before_all != now_all:
            yield f"{words_of_kind}: {_places(before_all, now_all)}"


_REVIEWED = {
    ChangeKind.SURVIVOR: "the survivor's content would become another",
    ChangeKind.REPLACED: "a replaced Patient would be changed otherwise",
    ChangeKind.DOSE_KEPT: "a kept dose would be changed otherwise",
    ChangeKind.DOSE_IN_ERROR: "a dose entered in error would be changed otherwise",
}
_MOST_NAMED = 10


def _told_apart(before: Iterable[str], now: Iterable[str]) -> str:
    """Return what came and what went, by name."""
    came, went = sorted(set(now) - set(before)), sorted(set(before) - set(now))
    return "; ".join(
        f"{words} {', '.join(names[:_MOST_NAMED])}{' …' * (len(names) > _MOST_NAMED)}"
        for words, names in (("now also", came), ("no longer", went))
        if names
    )


def _doses(plan: GroupPlan) -> set[str]:
    return {f"Immunization/{dose.in_error} into {dose.kept}" for dose in plan.doses}


def _places(before: Mapping[str, Counter[Any]], now: Mapping[str, Counter[Any]]) -> str:
    """Return which resources would become others, and at which elements; no values."""
    told = []
    for name in sorted(before.keys() | now.keys()):
        one, other = before.get(name, Counter()), now.get(name, Counter())
        paths = sorted({path.lstrip("/").replace("/", ".") for path, _ in (one - other) + (other - one)})
        if paths:
            told.append(f"{name} ({', '.join(paths[:_MOST_NAMED])}{' …' * (len(paths) > _MOST_NAMED)})")
    return ", ".join(told[:_MOST_NAMED]) + " …" * (len(told) > _MOST_NAMED)


def _conflicts(plan: GroupPlan) -> set[tuple[str, tuple[str, ...], bool]]:
    return {(conflict.code, tuple(sorted(conflict.resources)), conflict.blocks) for conflict in plan.conflicts}


def _contents(plan: GroupPlan, kind: ChangeKind) -> dict[str, Counter[Any]]:
    return {change.resource: _content(change) for change in plan.changes if change.kind is kind}


def _references(plan: GroupPlan) -> dict[str, Counter[Any]]:
    return {change.resource: _content(change) for change in plan.changes if change.kind is ChangeKind.REFERENCE}


def _content(change: PlannedChange) -> Counter[Any]:
    """Return what changes in a resource; positions in lists are no part of it, as others may have added elements."""
    return Counter(
        (_POSITION.sub("", path), json_text.dump([before, after], ordered=True))
        for element in change.elements
        for path, before, after in _single(element.path, element.before, element.after)
    )


def _single(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield a list or `meta` that comes or goes as a whole by its elements: it may have been there meanwhile."""
    whole = after if before is None else before
    if before is not None and after is not None:
        yield path, before, after
    elif isinstance(whole, list):
        for element in whole:
            yield path, *((None, element) if before is None else (element, None))
    elif isinstance(whole, dict) and path == "/meta":
        for name, value in whole.items():
            yield from _single(f"{path}/{name}", *((None, value) if before is None else (value, None)))
    else:
        yield path, before, after
