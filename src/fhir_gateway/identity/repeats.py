"""What lists have of both of two people, and whether that makes them two: what one clinic's list says twice tells most.

A child gets one first dose of a vaccine, so two of them under names that are not quite the same speak for two children.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import product
from typing import NamedTuple

from fhir_gateway.domain.recent import remembered
from fhir_gateway.identity.comparators import (
    compare_keys_of,
    compare_own_names,
    in_chosen_spelling,
    no_number_in_common,
    numbered_twice,
    years_apart,
)
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.given import GivenDose, Listed, source_of
from fhir_gateway.identity.weighing import called_by_child
from fhir_gateway.people.name_agreement import NameAgreement, NameLevel
from fhir_gateway.people.name_slips import is_slip
from fhir_gateway.people.name_sounds import same_sound

_SEVERAL = 2
_A_WEEK = 7
"""A line that was typed twice names a day that lies nearer."""
_COPIED_WRONGLY = 5
"""From so many days on, two lists do not tell of one dose whose day was copied wrongly."""
_TWO_WEEKS = 14
"""Nobody gets a vaccine again so soon: two such lines tell of one dose, or of two people's."""
_SAME_PARENT = frozenset({NameLevel.EXACT, NameLevel.EQUIVALENT, NameLevel.NEAR})
_GIVEN_ONCE = frozenset({"19"})
"""CVX codes of what nobody gets twice: BCG. Such a dose is the first one, numbered or not."""


class Repeats(NamedTuple):
    """Of the doses that the same lists have of two people (`compared`, of the shorter list), how many stand twice.

    `again` are numbered ones among them that one list has on two days a week or more apart: no line written twice.
    `agreed` are doses of which different lists tell about the same day for both, `contradicted` those of
    which they tell days further apart. `lines` says that a list which has one line for each child has one for either.
    `later` are doses that two files of one source have of both: the later one may have them under a new name.
    `between` are doses of which a list has the earlier and later ones of the course for the one, and this for the other.
    """

    repeated: int = 0
    compared: int = 0
    again: int = 0
    agreed: int = 0
    contradicted: int = 0
    lines: bool = False
    later: int = 0
    between: int = 0

    @property
    def half(self) -> bool:
        """Whether a list has at least half of the doses of the one for the other as well."""
        return self.repeated > 0 and 2 * self.repeated >= self.compared

    @property
    def of_two(self) -> bool:
        """Whether a list has so much twice that it is two people's, however many others; a single line may have been written twice."""
        return self.repeated >= _SEVERAL or (self.half and self.again > 0)

    @property
    def contradict(self) -> bool:
        """Whether different lists tell of two courses of vaccination: a date may be copied wrongly, several are not."""
        return self.contradicted > _SEVERAL and self.contradicted > self.agreed

    @property
    def complement(self) -> bool:
        """Whether what a list has of the one is not what it has of the other, as with two parts of one person's doses."""
        return self.compared > 0 and not self.repeated and not self.lines


def count_repeats(left: Listed, right: Listed) -> Repeats:
    """Count the doses that the same lists have of both people; symmetric.

    Lists are compared with themselves only: two clinics may well have written down the same dose. Of two files of one
    source only a numbered dose on days a week or more apart counts: a row on the same day may be the other one, under
    the name that the child has got since. What several files of one source say alike counts once: each may be a later
    state of the same register.
    """
    lines = not left.lines.isdisjoint(right.lines)
    if not (left.doses and right.doses):
        return Repeats(lines=lines)
    one, other = _in_lists(left.doses), _in_lists(right.doses)
    counts = [0] * len(_View._fields)
    for source in one.keys() & other.keys():
        views = [map(len, view) for view in _views(one[source], other[source])]
        counts = [count + max(seen) for count, *seen in zip(counts, *views, strict=True)]
    compared, repeated, again, later, between = counts
    agreed, contradicted = _across(one, other)
    return Repeats(repeated, compared, again, agreed, contradicted, lines, later, between)


def doses_part(left: PersonEvidence, right: PersonEvidence, found: Repeats) -> bool:
    """Say whether doses make two of these.

    One dose that stands twice in a list may be a line written twice, several are not. Where the names are not the same,
    or two spellings between which parents choose, one is enough; as it is of namesakes of whom no family is the same or
    who have two mothers, of two spellings that one clinic numbered both, however many other doses it has of them, and of
    two lines of a list that has one for each child. Under one name and in one family several doses on two days each are two courses, and nobody has two. Two such lines under names that are more than spelled otherwise are two children's without a dose. Against
    a NIK in common several doses speak, under two names, or one on two days under names a sound apart: the number is a twin's. Of two
    years of birth several doses twice tell that neither is written wrong.
    """
    numbered = numbered_twice(left, right)
    twice = found.half or (numbered and found.repeated > 0)
    if not (twice or found.of_two or found.contradicted or found.lines or found.later) or _share(
        left.records, right.records
    ):
        return False
    name = compare_own_names(left, right)
    level = NameLevel.EXACT if _share(left.own_keys, right.own_keys) else name.level
    if _share(left.niks, right.niks):
        return _one_number_of_two(replace(name, level=level), found)
    if found.contradict or (found.of_two and years_apart(left, right)):
        return True
    if level is NameLevel.EXACT:
        return found.half and (found.again >= _SEVERAL or not _same_family(left, right) or _two_mothers(left, right))
    if level is NameLevel.EQUIVALENT:
        twins = twice and (numbered or in_chosen_spelling(left, right) or _two_mothers(left, right))
        return twins or found.of_two or found.contradicted > found.agreed or (found.half and found.lines)
    return twice or found.contradicted > found.agreed or found.lines


def _one_number_of_two(name: NameAgreement, found: Repeats) -> bool:
    """Say whether doses speak for two children under one NIK: a list has several of both, and the names are not the same.

    A later file of one source has them mostly under the name that a clerk corrected: then only names a sound apart tell.
    """
    if name.level is NameLevel.EQUIVALENT:
        return found.half and found.repeated >= _SEVERAL
    if name.level is not NameLevel.NEAR:
        return False  # of a name that lacks words it is the child's own
    a_sound_apart = not all(is_slip(one, other) or same_sound(one, other) for one, other in name.near)
    return found.of_two or (a_sound_apart and found.later >= _SEVERAL)


def _same_family(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Say whether a parent, a phone or a family card is the same; a village is many families'."""
    parents = compare_keys_of(_parents_of(left), _parents_of(right))
    return parents.level in _SAME_PARENT or not no_number_in_common(left, right)


def _two_mothers(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Say whether both name a mother, and another one; who is called after her child ("Mak Rafa") may be either."""
    mothers = left.mother_keys, right.mother_keys
    return not any(map(called_by_child, mothers)) and compare_keys_of(*mothers).level is NameLevel.DIFFERENT


def _parents_of(known: PersonEvidence) -> tuple[str, ...]:
    """Return the parents' names, but for that of "By. Rafa", which is the child's own."""
    return tuple(key for key in known.mother_keys + known.parent_keys if key not in known.own_keys)


def _share(left: tuple[object, ...], right: tuple[object, ...]) -> bool:
    return not set(left).isdisjoint(right)


_DoseInList = tuple[str, str, int]
"""Vaccine, number, and the day as its ordinal number."""


class _InList(NamedTuple):
    """One's doses in a list.

    `numbered` is (vaccine, number) → the (last) day, of those of which the number is known, `of_vaccine` is vaccine →
    (number, day) of each.
    """

    doses: list[_DoseInList]
    numbered: dict[tuple[str, str], int]
    of_vaccine: dict[str, list[tuple[str, int]]]


class _InSource(NamedTuple):
    """One's doses in a source's files, by register, and how many different ones they are."""

    files: Mapping[str, _InList]
    doses: int


@remembered(512)
def _in_lists(doses: frozenset[GivenDose]) -> Mapping[str, _InSource]:
    """Return what each source has; each of a family is held against all others, whose doses are sorted out once."""
    found: dict[str, dict[str, _InList]] = {}
    for dose in doses:
        vaccine = dose.vaccine
        registers = found.setdefault(source_of(dose.register), {})
        told = registers.get(dose.register)
        if told is None:
            told = registers[dose.register] = _InList([], {}, {})
        number = "1" if vaccine in _GIVEN_ONCE else dose.number
        day = date.fromisoformat(dose.day).toordinal()
        told.doses.append((vaccine, number, day))
        told.of_vaccine.setdefault(vaccine, []).append((number, day))
        if number:
            told.numbered[vaccine, number] = max(day, told.numbered.get((vaccine, number), day))
    return {
        source: _InSource(files, len({dose for told in files.values() for dose in told.doses}))
        for source, files in found.items()
    }


class _View(NamedTuple):
    """Of one's doses in a source's files those that are compared with the other's, and what was found of them, see Repeats."""

    compared: set[tuple[object, ...]]
    repeated: set[tuple[object, ...]]
    again: set[tuple[object, ...]]
    later: set[tuple[object, ...]]
    between: set[tuple[object, ...]]


def _views(one: _InSource, other: _InSource) -> list[_View]:
    """Return a source's doses as seen from whom it has fewer of, from both where these are as many."""
    found = []
    if one.doses <= other.doses:
        found.append(_view(one.files, other.files))
    if one.doses >= other.doses:
        found.append(_view(other.files, one.files))
    return found


def _view(few: Mapping[str, _InList], many: Mapping[str, _InList]) -> _View:
    found = _View(set(), set(), set(), set(), set())
    for (here, mine), (there, theirs) in product(few.items(), many.items()):
        elsewhere = _on_other_days(mine, theirs)
        found.again.update(elsewhere)
        if here == there:
            found.compared.update(mine.doses)
            found.repeated.update(_repeated(mine, theirs))
            found.between.update(_between(mine, theirs))
        else:
            found.later.update(_repeated(mine, theirs))
            found.repeated.update((*dose, mine.numbered[dose]) for dose in elsewhere)
            found.compared.update(mine.doses if elsewhere else ())
    return found


def _on_other_days(few: _InList, many: _InList) -> list[tuple[str, str]]:
    """Return the numbered doses that both have on days a week or more apart."""
    return [dose for dose, day in few.numbered.items() if abs(many.numbered.get(dose, day) - day) >= _A_WEEK]


def _between(few: _InList, many: _InList) -> list[_DoseInList]:
    """Return the numbered doses of the one that the other lacks, and of which it has later ones of the course."""
    return [
        (vaccine, number, day)
        for (vaccine, number), day in few.numbered.items()
        if (vaccine, number) not in many.numbered and _fills_gap(number, day, many.of_vaccine.get(vaccine, ()))
    ]


def _fills_gap(number: str, day: int, course: Sequence[tuple[str, int]]) -> bool:
    """Whether a dose stands by number and day before the later ones of a course, of which there are some, and after the earlier."""
    if not number.isdigit():
        return False
    numbered = [(int(other), on) for other, on in course if other.isdigit()]
    later = any(other > int(number) for other, _ in numbered)
    return later and all((other > int(number)) == (on > day) for other, on in numbered)


def _repeated(few: _InList, many: _InList) -> list[_DoseInList]:
    """Return the doses that stand in both, under the same number or on days that lie too near for two."""
    if few.of_vaccine.keys().isdisjoint(many.of_vaccine):
        return []
    return [
        (vaccine, number, day)
        for vaccine, number, day in few.doses
        if (vaccine, number) in many.numbered
        or any(abs(day - there) < _TWO_WEEKS for _, there in many.of_vaccine.get(vaccine, ()))
    ]


def _across(one: Mapping[str, _InSource], other: Mapping[str, _InSource]) -> tuple[int, int]:
    """Count the doses of which two lists tell about the same day, and those of which they tell days further apart.

    What the one has in two lines and the other in one is one dose.
    """
    agreed, contradicted = _Both(set(), set()), _Both(set(), set())
    for (here, mine), (there, theirs) in product(_files(one), _files(other)):
        if here == there:
            continue
        for vaccine in mine.of_vaccine.keys() & theirs.of_vaccine.keys():
            for (number, day), (their_number, their_day) in product(
                mine.of_vaccine[vaccine], theirs.of_vaccine[vaccine]
            ):
                days = abs(day - their_day)
                if number == their_number if number and their_number else days < _TWO_WEEKS:
                    found = contradicted if days >= _COPIED_WRONGLY else agreed
                    found.mine.add((vaccine, number))
                    found.theirs.add((vaccine, their_number))
    return agreed.fewer, contradicted.fewer


def _files(sources: Mapping[str, _InSource]) -> list[tuple[str, _InList]]:
    return [file for source in sources.values() for file in source.files.items()]


class _Both(NamedTuple):
    """Doses that both have, by vaccine and number as either tells them."""

    mine: set[tuple[str, str]]
    theirs: set[tuple[str, str]]

    @property
    def fewer(self) -> int:
        """How many they are for the one of whom fewer are told."""
        return min(len(self.mine), len(self.theirs))
