"""Puts back what a merge changed in a resource, and only that, however the resource was edited since.

A three-way comparison: `before` and `after` are the resource around the merge, `current` is what stands there now.
Where the merge changed nothing, `current` stays. Where `current` is as the merge left it, `before` returns. Where
somebody has changed again what the merge had changed, both values are listed and `current` stays until a person decides.
Lists are matched by content, not by position. See docs/decisions/0016.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.merges import Restored, UndoConflict
from fhir_gateway.domain.records import Resource
from fhir_gateway.merging.changes import path_steps, pointer, same
from fhir_gateway.merging.matching import edited, match, put_back

_ABSENT: Any = object()
_CHOICES = (
    ("deceasedBoolean", "deceasedDateTime", "_deceasedBoolean", "_deceasedDateTime"),
    ("multipleBirthBoolean", "multipleBirthInteger", "_multipleBirthBoolean", "_multipleBirthInteger"),
)
"""The choice elements of which a merge changes the form."""
Steps = tuple[str | int, ...]


class Decision(StrEnum):
    """What a person decides of a conflict."""

    KEEP = "keep"
    """What stands there now stays."""
    RESTORE = "restore"
    """What stood there before the merge returns."""


@dataclass(frozen=True, slots=True)
class _Conflict:
    """A conflict with its steps in the current resource and in the restored one."""

    now_at: Steps
    then_at: Steps
    before: Any
    now: Any

    def below(self, now_step: str | int, then_step: str | int) -> "_Conflict":
        """Return the conflict as it is seen one element further up."""
        return _Conflict((now_step, *self.now_at), (then_step, *self.then_at), self.before, self.now)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What an element becomes, _ABSENT where nothing."""

    value: Any
    conflicts: tuple[_Conflict, ...] = ()


def restore(before: Resource, after: Resource, current: Resource) -> Restored:
    """Return the current resource with the merge's changes taken back, and the conflicts that keep some from it.

    `before` and `after` are as the journal keeps them, without version. Where `current` equals `after` the result
    equals `before`; `current`'s own version and everything else that the merge did not touch stays. Never raises,
    whatever `current` holds. The result's conflicts are settled by decide().
    """
    try:
        outcome = _Outcome(before) if same(current, after) else _restore_resource(before, after, current)
        resource = current if same(outcome.value, current) else outcome.value
    except RecursionError:  # nested as no resource is: what stands there now can only be kept or replaced as a whole
        outcome, resource = _Outcome(current, (_Conflict((), (), before, current),)), current
    name = f"{before.get('resourceType', '')}/{before.get('id', '')}"
    conflicts = tuple(
        UndoConflict(name, pointer(one.now_at), _shown(one.before), _shown(one.now), pointer(one.then_at))
        for one in outcome.conflicts
    )
    return Restored(resource, conflicts)


def _restore_resource(before: Resource, after: Resource, current: Any) -> _Outcome:
    """Take back a resource's changes; `meta` may be the merge's or the server's own, so it is looked into always."""
    now = {"meta": {}} | current if isinstance(current, dict) else current
    outcome = _restore({"meta": {}} | before, {"meta": {}} | after, now)
    if isinstance(outcome.value, dict) and outcome.value.get("meta") == {} and before.get("meta") != {}:
        return _Outcome({name: value for name, value in outcome.value.items() if name != "meta"}, outcome.conflicts)
    return outcome


def decide(restored: Restored, decisions: Mapping[str, Decision | str]) -> Restored:
    """Apply a person's decisions to conflicts: by their `path`, `keep` or `restore`; undecided ones remain.

    Raises UsageError for a path that has no conflict and for any other word.
    """
    known = {conflict.path for conflict in restored.conflicts}
    chosen: dict[str, Decision] = {}
    for path, word in decisions.items():
        if path not in known:
            raise UsageError(f"there is no conflict at {path or 'the whole resource'}: take a path from the list")
        if word not in set(Decision):
            raise UsageError(f"a conflict is decided by {' or '.join(Decision)}")
        chosen[path] = Decision(word)
    resource: Any = restored.resource
    # From the end, so that what is taken out of a list moves no later place.
    taken_back = [one for one in restored.conflicts if chosen.get(one.path) is Decision.RESTORE]
    taken_back.sort(key=lambda one: _place_order(one.place), reverse=True)
    for conflict in taken_back:
        resource = _put(resource, path_steps(conflict.place), conflict.before)
    for conflict in taken_back:
        resource = _without_empty(resource, path_steps(conflict.place))
    left = tuple(one for one in restored.conflicts if one.path not in chosen)
    return Restored(resource, left)


def _place_order(place: str) -> list[tuple[bool, int, str]]:
    """Return what sorts places as they stand in the resource; the end of a list comes last."""
    return [(step == "-", int(step) if step.isdigit() else 0, step) for step in path_steps(place)]


def _restore(before: Any, after: Any, current: Any) -> _Outcome:
    if same(before, after) or same(current, before):
        return _Outcome(current)
    if same(current, after):
        return _Outcome(before)
    if all(isinstance(value, dict) for value in (before, after, current)):
        return _restore_object(before, after, current)
    if isinstance(current, list) and all(value is _ABSENT or isinstance(value, list) for value in (before, after)):
        return _restore_list(before, after, current)
    if current is _ABSENT and before == {}:
        return _Outcome(_ABSENT)
    return _Outcome(current, (_Conflict((), (), before, current),))


def _restore_object(before: dict[str, Any], after: dict[str, Any], current: dict[str, Any]) -> _Outcome:
    """Take back an object's changes element by element; the forms of a choice are taken back together or not at all."""
    result = dict(current)
    conflicts: list[_Conflict] = []
    for name in (*before, *(name for name in after if name not in before)):
        then, merged, now = (value.get(name, _ABSENT) for value in (before, after, current))
        outcome = _restore(then, merged, now)
        if not same(then, merged) and _choice_changed(name, after, current):
            outcome = _Outcome(now, () if same(then, now) else (_Conflict((), (), then, now),))
        if outcome.value is _ABSENT:
            result.pop(name, None)
        else:
            result[name] = outcome.value
        conflicts += [conflict.below(name, name) for conflict in outcome.conflicts]
    return _Outcome(result or _ABSENT, tuple(conflicts))


def _choice_changed(name: str, after: dict[str, Any], current: dict[str, Any]) -> bool:
    """Whether a form of the same choice element has been changed since: two forms must not stand side by side."""
    choice = next((forms for forms in _CHOICES if name in forms), ())
    return any(not same(after.get(form, _ABSENT), current.get(form, _ABSENT)) for form in choice)


def _restore_list(before: Any, after: Any, current: list[Any]) -> _Outcome:
    then = [] if before is _ABSENT else before
    merged = [] if after is _ABSENT else after
    result, conflicts = _ListRestoring(then, merged, current).run()
    return _Outcome(result or _ABSENT, tuple(conflicts))  # FHIR knows no empty lists


class _ListRestoring:
    """Takes back what a merge did to a list: elements that it added, changed or removed."""

    def __init__(self, before: list[Any], after: list[Any], current: list[Any]) -> None:
        self._before, self._after, self._current = before, after, current
        self._then_of = match(after, before, in_place=True)
        """Position after the merge → before it."""
        self._merged_of = self._matched()
        """Position now → after the merge."""
        self._result: list[Any] = []
        self._result_of: dict[int, int] = {}
        """Position before the merge → position in the result."""
        self._conflicts: list[_Conflict] = []

    def _matched(self) -> dict[int, int]:
        """Return position now → after the merge; what an undoing put back before it was interrupted is told first."""
        found = put_back(self._current, self._before, self._after, then_of=self._then_of)
        now = [at for at in range(len(self._current)) if at not in found]
        merged = sorted(set(range(len(self._after))) - set(found.values()))
        rest = match([self._current[at] for at in now], [self._after[at] for at in merged])
        found |= {now[one]: merged[other] for one, other in rest.items()}
        added = set(range(len(self._after))) - set(found.values()) - set(self._then_of)
        return found | edited(
            {at: self._current[at] for at in now if at not in found}, {at: self._after[at] for at in sorted(added)}
        )

    def run(self) -> tuple[list[Any], list[_Conflict]]:
        """Return the restored list and what could not be restored; positions are those in the two lists."""
        for now in range(len(self._current)):
            self._take(now)
        self._put_back_removed()
        self._list_missing()
        return self._result, self._conflicts

    def _take(self, now: int) -> None:
        element = self._current[now]
        merged = self._merged_of.get(now)
        if merged is None:  # added since
            self._result.append(element)
            return
        then = self._then_of.get(merged)
        outcome = _restore(_ABSENT if then is None else self._before[then], self._after[merged], element)
        if outcome.value is _ABSENT and not outcome.conflicts:
            return
        place = len(self._result)
        self._conflicts += [conflict.below(now, place) for conflict in outcome.conflicts]
        self._result.append(element if outcome.value is _ABSENT else outcome.value)
        if then is not None:
            self._result_of[then] = place

    def _put_back_removed(self) -> None:
        """Put elements that the merge had taken out behind the one that they stood behind."""
        known = set(self._then_of.values())
        for then, element in enumerate(self._before):
            if then in known or any(same(element, other) for other in self._result):
                continue
            place = (
                self._result_of[then - 1] + 1
                if then - 1 in self._result_of
                else (0 if then == 0 else len(self._result))
            )
            self._result.insert(place, element)
            self._shift(place)
            self._result_of[then] = place

    def _shift(self, place: int) -> None:
        self._result_of = {then: at + (at >= place) for then, at in self._result_of.items()}
        self._conflicts = [
            conflict
            if not isinstance(conflict.then_at[0], int) or conflict.then_at[0] < place
            else _Conflict(
                conflict.now_at, (conflict.then_at[0] + 1, *conflict.then_at[1:]), conflict.before, conflict.now
            )
            for conflict in self._conflicts
        ]

    def _list_missing(self) -> None:
        """List elements that the merge changed and somebody has taken out since; what it added may be missing."""
        present = set(self._merged_of.values())
        missing = [
            self._before[then]
            for merged, then in sorted(self._then_of.items())
            if merged not in present and not same(self._before[then], self._after[merged])
        ]
        # The second of them gets a name of its own, so that each can be decided.
        self._conflicts += [
            _Conflict((f"-{number or ''}",), ("-",), element, _ABSENT) for number, element in enumerate(missing)
        ]


def _shown(value: Any) -> Any:
    return None if value is _ABSENT else value


def _put(value: Any, steps: list[str], new: Any) -> Any:
    """Return the value with another one (None: nothing) at a place inside; a place that is gone changes nothing."""
    if not steps:
        return new
    step, rest = steps[0], steps[1:]
    if value is None:  # undoing had left nothing there, and what is empty must not stand
        inner = _put(None, rest, new)
        return None if inner is None else [inner] if step == "-" else {step: inner}
    if isinstance(value, dict):
        inner = _put(value.get(step), rest, new)
        return {name: old for name, old in value.items() if name != step} | ({} if inner is None else {step: inner})
    if isinstance(value, list):
        if step == "-":
            return [*value, _put(None, rest, new)] if new is not None else value
        at = int(step)
        inner = _put(value[at], rest, new)
        return [*value[:at], *([] if inner is None else [inner]), *value[at + 1 :]]
    return value


def _without_empty(value: Any, steps: list[str]) -> Any:
    """Return the value without lists and objects on the way to a place that were emptied: FHIR knows none."""
    if not steps or not isinstance(value, dict | list):
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        inner = _without_empty(value.get(step), rest)
        return {
            name: old if name != step else inner for name, old in value.items() if name != step or not _empty(inner)
        }
    if not step.isdigit() or int(step) >= len(value):
        return value
    inner = _without_empty(value[int(step)], rest)
    return [*value[: int(step)], *([] if _empty(inner) else [inner]), *value[int(step) + 1 :]]


def _empty(value: Any) -> bool:
    return isinstance(value, dict | list) and not value
