"""Which questions hang on which: one answer settles the rows of all loads that wait for it.

A question hangs on another one that asks about the very same people, word for word; so does that of somebody who fits
two people about equally well of whom the other one asks whether they are one, and of who is certainly somebody who waits
in it.
"""

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from fhir_gateway.domain.runs import ReviewItem, ReviewKind
from fhir_gateway.flows.load.deciding import SAME_WORDS
from fhir_gateway.flows.load.rivals_waiting import FITS_WAITING
from fhir_gateway.flows.review.asking import whom_it_may_be
from fhir_gateway.identity.decision import FITS_TWO
from fhir_gateway.ports import Ledger

_FITTING = (FITS_TWO, FITS_WAITING)
"""The reasons of questions whose person is somebody else's, once others have been answered."""


@dataclass(frozen=True, slots=True)
class Question:
    """What an operator is asked: `item`, its `rows` being all that its answer settles, those of the `hanging` questions, too."""

    item: ReviewItem
    hanging: tuple[int, ...] = ()


def questions(ledger: Ledger) -> list[Question]:
    """Return the questions that wait, each with those that hang on it; those on which most rows hang first."""
    items = {item.id: item for item in ledger.reviews.open_items()}
    on = _hanging_on(items, ledger)
    hanging: dict[int, list[int]] = {}
    for number in sorted(on):
        hanging.setdefault(_first(number, on), []).append(number)
    found = []
    for number, item in items.items():
        if _first(number, on) == number:
            others = [other for other in hanging.get(number, ()) if other != number]
            rows = item.rows + sum(items[other].rows for other in others)
            found.append(Question(replace(item, rows=rows), tuple(others)))
    return sorted(found, key=lambda question: (-question.item.rows, question.item.id))


def question_of(item: ReviewItem, ledger: Ledger) -> Question:
    """Return a question with those that hang on it: none where it waits no longer or hangs on another one itself."""
    return next((one for one in questions(ledger) if one.item.id == item.id), Question(item))


def hanging_on(number: int, ledger: Ledger) -> tuple[int, ...]:
    """Return the questions that hang on one."""
    return next((question.hanging for question in questions(ledger) if question.item.id == number), ())


class SettledWith(NamedTuple):
    """The open questions that an answer settles, too: those `alike`, and those about who fits two, if these are one (`torn`)."""

    alike: tuple[int, ...] = ()
    torn: tuple[int, ...] = ()


def settled_with(item: ReviewItem, ledger: Ledger) -> SettledWith:
    """Return what an answer to a question about people settles as well: see SettledWith."""
    waiting = ledger.reviews.people_waiting() if item.kind is ReviewKind.PERSON else {}
    mine = waiting.get(item.id)
    if not mine:
        return SettledWith()
    alike = sorted(number for number, people in waiting.items() if number != item.id and _alike(item, people, mine))
    torn = [other for other in ledger.reviews.open_items(_FITTING) if other.id != item.id and _torn(other)]
    fitting = _digests_of_candidates(torn, ledger)
    return SettledWith(tuple(alike), tuple(sorted(number for number, people in fitting.items() if people & mine)))


def _digests_of_candidates(items: Iterable[ReviewItem], ledger: Ledger) -> dict[int, set[str]]:
    """Return question → digests of the people, of its load or of earlier questions, whom its person may be."""
    found: dict[int, set[str]] = {}
    for run_id, group in groupby(sorted(items, key=attrgetter("run")), key=attrgetter("run")):
        run, people = ledger.runs.get(run_id), {}
        for item in group:
            found[item.id] = set(item.decision.waiting if item.decision else ())
            people[item.id] = [one for one in item.decision.candidates if isinstance(one, int)] if item.decision else []
        digests = ledger.spool.digests_of(run, {one for each in people.values() for one in each}) if run else {}
        for number, each in people.items():
            found[number] |= {digests[one] for one in each if one in digests}
    return found


def whom_torn_is(item: ReviewItem, ledger: Ledger) -> str:
    """Return the Patient that all whom a question's person fits have become, "" where that is none or not one."""
    whom = whom_it_may_be(item, ledger)
    return whom.patients[0] if len(whom.patients) == 1 and not whom.waiting else ""


def _hanging_on(items: Mapping[int, ReviewItem], ledger: Ledger) -> dict[int, int]:
    """Return question → the one that it hangs on."""
    waiting = {number: people for number, people in ledger.reviews.people_waiting().items() if number in items}
    asked: dict[str, set[int]] = {}
    for number, people in waiting.items():
        for digest in people:
            asked.setdefault(digest, set()).add(number)
    found = {}
    for number, people in waiting.items():
        item = items[number]
        sharing = set[int].intersection(*(asked[digest] for digest in people)) - {number}
        alike = [one for one in sharing if len(waiting[one]) > len(people) or one < number]
        alike = [one for one in alike if _alike(items[one], people, waiting[one])]
        others = alike or (_awaited(item, asked, ledger) if _torn(item) else ())
        if others:
            found[number] = min(others)
    return found


def _awaited(item: ReviewItem, asked: Mapping[str, Collection[int]], ledger: Ledger) -> set[int]:
    """Return the questions whose answers may show that all whom somebody fits are one person."""
    whom = whom_it_may_be(item, ledger)
    if len(whom.patients) > 1:
        return set()
    return {number for digest in whom.waiting for number in asked.get(digest, ())} - {item.id}


def _torn(item: ReviewItem) -> bool:
    return item.kind is ReviewKind.PERSON and item.decision is not None and item.decision.torn


def _alike(item: ReviewItem, people: AbstractSet[str], mine: AbstractSet[str]) -> bool:
    """Say whether an answer to a question about people (`mine`) is one about these people as well."""
    return item.kind is ReviewKind.PERSON and item.code != SAME_WORDS and people <= mine


def _first(number: int, on: Mapping[int, int]) -> int:
    """Return the question at the end of a chain; of questions that hang on each other the first."""
    seen: list[int] = []
    while number in on and number not in seen:
        seen.append(number)
        number = on[number]
    return min(seen[seen.index(number) :]) if number in seen else number
