"""What the doses tell of who is who, within limits: they may part two records or have them asked about, and never join any.

One vial serves many children on one day, and twins share vaccine, day, lot and clinic, so that doses which agree tell
nothing of one family's children. What one clinic's list says twice tells more: a child gets one first dose of a vaccine,
so two of them under names that are not quite the same speak for two children.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from itertools import product
from typing import NamedTuple

from fhir_gateway.domain import systems
from fhir_gateway.domain.recent import remembered
from fhir_gateway.domain.records import Dose, MissingDose, Resource
from fhir_gateway.domain.runs import ListedDose, ListedRow
from fhir_gateway.identity.comparators import (
    compare_keys_of,
    compare_own_names,
    in_chosen_spelling,
    no_number_in_common,
    numbered_twice,
    years_apart,
)
from fhir_gateway.identity.doses import dose_number, local_date, lot_of
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.vaccines import codes_of, small_childrens
from fhir_gateway.identity.weighing import called_by_child
from fhir_gateway.people.name_agreement import NameAgreement, NameLevel
from fhir_gateway.people.name_slips import is_slip
from fhir_gateway.people.name_sounds import same_sound

_WHOLE_DAY = len("2023-01-31")
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
_GROWN_UP_YEARS = 16
"""At this age nobody gets what only small children get, in no campaign either."""


@dataclass(frozen=True, slots=True)
class GivenDose:
    """A dose as a list has it: which clinic's list (`register`), CVX code, number in its series ("" unknown), ISO day.

    A register is one file; what a source tells in several files goes on as `SOURCE#FILE`.
    """

    register: str
    vaccine: str
    number: str
    day: str


class Vial(NamedTuple):
    """What a list says that all who came that day were given: its `register`, CVX code, ISO day, comparable lot."""

    register: str
    vaccine: str
    day: str
    lot: str


class Listed(NamedTuple):
    """What lists say of one: the doses, and which of those that have one line for each child (`lines`) have one for it.

    `vials` are the doses of which the lot is known as well, `rows` is how many rows say it.
    """

    doses: frozenset[GivenDose] = frozenset()
    lines: frozenset[str] = frozenset()
    vials: frozenset[Vial] = frozenset()
    rows: int = 0

    def __or__(self, other: "Listed") -> "Listed":
        """Return what both say."""
        return Listed(
            self.doses | other.doses, self.lines | other.lines, self.vials | other.vials, self.rows + other.rows
        )


def listed(register: str, doses: Sequence[Dose], missing: Sequence[MissingDose], *, zone: tzinfo) -> Listed:
    """Return what one row of a list says."""
    return listed_again(register, listed_row("", doses, missing, zone=zone))


def listed_row(source: str, doses: Sequence[Dose], missing: Sequence[MissingDose], *, zone: tzinfo) -> ListedRow:
    """Return what a row says of doses, to be kept; where they have names (a wide sheet) or are none, it is a line."""
    known = dict.fromkeys(told for dose in doses if (told := _listed_dose(dose.resource, zone=zone)))
    of_its_own = all(dose.name for dose in doses) and all(dose.name for dose in missing)
    return ListedRow(source, of_its_own, tuple(known))


def listed_again(register: str, row: ListedRow) -> Listed:
    """Return what a row that was kept says in a list."""
    return Listed(
        frozenset(GivenDose(register, dose.vaccine, dose.number, dose.day) for dose in row.doses),
        frozenset({register} if row.line else ()),
        frozenset(Vial(register, dose.vaccine, dose.day, dose.lot) for dose in row.doses if dose.lot),
        1,
    )


def _listed_dose(immunization: Resource, *, zone: tzinfo) -> ListedDose | None:
    """Return a converted dose as evidence; None where it was refused, or its vaccine or whole date is unknown."""
    codes = codes_of(immunization).get(systems.CVX, set())
    day = local_date(immunization, zone=zone)
    if len(codes) != 1 or len(day) < _WHOLE_DAY or immunization.get("status") == "not-done":
        return None
    return ListedDose(min(codes), dose_number(immunization), day, lot_of(immunization))


def days_of(said: Listed) -> frozenset[Vial]:
    """Return on which days lists say that vaccines were given, as vials of no lot: of whatever lot."""
    return frozenset(Vial(dose.register, dose.vaccine, dose.day, "") for dose in said.doses)


def source_of(register: str) -> str:
    """Return whose list a register is: several files of one source go on with each other."""
    return register.rpartition("#")[0] or register


def in_different_lists(left: Listed, right: Listed) -> bool:
    """Say whether a source with one line for each child has one for the one, and none for the other, of whom others tell."""
    one, other = ({source_of(line) for line in said.lines} for said in (left, right))
    return bool(left.doses and right.doses) and one != other and one.isdisjoint(other)


def of_a_small_child(said: Listed, born: int) -> bool:
    """Say whether doses are a small child's which nobody who was born in this year can have got: the year is another's."""
    last = f"{born + _GROWN_UP_YEARS:04}-12-31"
    return born > 0 and any(dose.day > last and dose.vaccine in small_childrens() for dose in said.doses)


def may_fit_no_birth_date(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Say whether doses may show that their birth dates are neither's: both are whole, and of two years."""
    return left.birth_date.year != right.birth_date.year and left.birth_date.whole and right.birth_date.whole


def fit_no_birth_date(left: PersonEvidence, right: PersonEvidence, said: Listed) -> bool:
    """Say whether what two have got can be nobody's who was born on either day: an impossible timeline.

    `said` is what lists say of both. Who was born on the earlier day was grown up when a small child's dose was given,
    and a dose was given before the later day.
    """
    if not may_fit_no_birth_date(left, right):
        return False
    births = left.birth_date, right.birth_date
    later = max(f"{born.year:04}-{born.month:02}-{born.day:02}" for born in births)
    before = any(dose.day < later for dose in said.doses)
    return before and of_a_small_child(said, min(born.year for born in births))


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
    the name that the child has got since.
    """
    lines = not left.lines.isdisjoint(right.lines)
    if not (left.doses and right.doses):
        return Repeats(lines=lines)
    one, other = _in_lists(left.doses), _in_lists(right.doses)
    repeated = compared = again = later = between = 0
    for register in one.keys() & other.keys():
        few, many = sorted((one[register], other[register]), key=_length)
        repeated += _of_shorter(_repeated, few, many)
        compared += len(few.doses)
        again += _on_other_days(few, many)
        between += _of_shorter(_between, few, many)
    for few, many in _later_files(one, other):
        later += _of_shorter(_repeated, few, many)
        elsewhere = _on_other_days(few, many)
        if elsewhere:
            repeated, compared, again = repeated + elsewhere, compared + len(few.doses), again + elsewhere
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


class _InList(NamedTuple):
    """One's doses in a list, a day being its ordinal number.

    `doses` are (vaccine, number, day), `numbered` is (vaccine, number) → the (last) day, of those of which the number is
    known, `of_vaccine` is vaccine → (number, day) of each.
    """

    doses: list[tuple[str, str, int]]
    numbered: dict[tuple[str, str], int]
    of_vaccine: dict[str, list[tuple[str, int]]]


@remembered(512)
def _in_lists(doses: frozenset[GivenDose]) -> Mapping[str, _InList]:
    """Return register → what it has; each of a family is held against all others, whose doses are sorted out once."""
    found: dict[str, _InList] = {}
    for dose in doses:
        vaccine = dose.vaccine
        told = found.get(dose.register)
        if told is None:
            told = found[dose.register] = _InList([], {}, {})
        number = "1" if vaccine in _GIVEN_ONCE else dose.number
        day = date.fromisoformat(dose.day).toordinal()
        told.doses.append((vaccine, number, day))
        told.of_vaccine.setdefault(vaccine, []).append((number, day))
        if number:
            told.numbered[vaccine, number] = max(day, told.numbered.get((vaccine, number), day))
    return found


def _on_other_days(few: _InList, many: _InList) -> int:
    """Count the numbered doses that both have on days a week or more apart."""
    return sum(abs(many.numbered.get(dose, day) - day) >= _A_WEEK for dose, day in few.numbered.items())


def _between(few: _InList, many: _InList) -> int:
    """Count the numbered doses of the shorter list that the longer one lacks, and of which it has later ones of the course."""
    return sum(
        (vaccine, number) not in many.numbered and _fills_gap(number, day, many.of_vaccine.get(vaccine, ()))
        for (vaccine, number), day in few.numbered.items()
    )


def _fills_gap(number: str, day: int, course: Sequence[tuple[str, int]]) -> bool:
    """Whether a dose stands by number and day before the later ones of a course, of which there are some, and after the earlier."""
    if not number.isdigit():
        return False
    numbered = [(int(other), on) for other, on in course if other.isdigit()]
    later = any(other > int(number) for other, _ in numbered)
    return later and all((other > int(number)) == (on > day) for other, on in numbered)


def _later_files(one: Mapping[str, _InList], other: Mapping[str, _InList]) -> Iterator[tuple[_InList, _InList]]:
    """Yield what one source tells in different files of the two, the shorter first."""
    for here, there in product(one, other):
        if here != there and source_of(here) == source_of(there):
            few, many = sorted((one[here], other[there]), key=_length)
            yield few, many


def _length(listed: _InList) -> int:
    return len(listed.doses)


def _of_shorter(count: Callable[[_InList, _InList], int], few: _InList, many: _InList) -> int:
    """Count in the shorter of two lists what the longer one has; where both are as long, the more of both ways."""
    return max(count(few, many), count(many, few) if _length(few) == _length(many) else 0)


def _repeated(few: _InList, many: _InList) -> int:
    """Count the doses that stand in both, under the same number or on days that lie too near for two."""
    if few.of_vaccine.keys().isdisjoint(many.of_vaccine):
        return 0
    return sum(
        (vaccine, number) in many.numbered
        or any(abs(day - there) < _TWO_WEEKS for _, there in many.of_vaccine.get(vaccine, ()))
        for vaccine, number, day in few.doses
    )


def _across(one: Mapping[str, _InList], other: Mapping[str, _InList]) -> tuple[int, int]:
    """Count the doses of which two lists tell about the same day, and those of which they tell days further apart.

    What the one has in two lines and the other in one is one dose.
    """
    agreed, contradicted = _Both(set(), set()), _Both(set(), set())
    for mine, theirs in ((one[here], other[there]) for here in one for there in other if here != there):
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


class _Both(NamedTuple):
    """Doses that both have, by vaccine and number as either tells them."""

    mine: set[tuple[str, str]]
    theirs: set[tuple[str, str]]

    @property
    def fewer(self) -> int:
        """How many they are for the one of whom fewer are told."""
        return min(len(self.mine), len(self.theirs))
