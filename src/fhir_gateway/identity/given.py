"""What the doses tell of who is who, within limits: they may part two records, and never join any.

One vial serves many children on one day, and twins share vaccine, day, lot and clinic, so that doses which agree tell
nothing of one family's children. What one clinic's list says twice tells more: a child gets one first dose of a vaccine,
so two of them under names that are not quite the same speak for two children.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Dose, MissingDose, Resource
from fhir_gateway.identity.comparators import compare_keys_of, compare_own_names, no_number_in_common, years_apart
from fhir_gateway.identity.doses import dose_number, local_date
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.vaccines import codes_of, small_childrens
from fhir_gateway.people.name_agreement import NameLevel

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
    """A dose as a list has it: which clinic's list (`register`), CVX code, number in its series ("" unknown), ISO day."""

    register: str
    vaccine: str
    number: str
    day: str


@dataclass(frozen=True, slots=True)
class Listed:
    """What lists say of one: the doses, and which of those that have one line for each child (`lines`) have one for it."""

    doses: frozenset[GivenDose] = frozenset()
    lines: frozenset[str] = frozenset()

    def __or__(self, other: "Listed") -> "Listed":
        """Return what both say."""
        return Listed(self.doses | other.doses, self.lines | other.lines)


def listed(register: str, doses: Sequence[Dose], missing: Sequence[MissingDose], *, zone: tzinfo) -> Listed:
    """Return what one row of a list says; where the doses have names (a wide sheet) or there are none, it is a line of its own."""
    given = (given_dose(register, dose.resource, zone=zone) for dose in doses)
    of_its_own = all(dose.name for dose in doses) and all(dose.name for dose in missing)
    return Listed(frozenset(dose for dose in given if dose), frozenset({register} if of_its_own else ()))


def given_dose(register: str, immunization: Resource, *, zone: tzinfo) -> GivenDose | None:
    """Return a converted dose as evidence; None where it was refused, or its vaccine or whole date is unknown."""
    codes = codes_of(immunization).get(systems.CVX, set())
    day = local_date(immunization, zone=zone)
    if len(codes) != 1 or len(day) < _WHOLE_DAY or immunization.get("status") == "not-done":
        return None
    return GivenDose(register, min(codes), dose_number(immunization), day)


def of_a_small_child(said: Listed, born: int) -> bool:
    """Say whether doses are a small child's which nobody who was born in this year can have got: the year is another's."""
    last = f"{born + _GROWN_UP_YEARS:04}-12-31"
    return born > 0 and any(dose.vaccine in small_childrens() and dose.day > last for dose in said.doses)


@dataclass(frozen=True, slots=True)
class Repeats:
    """Of the doses that the same lists have of two people (`compared`, of the shorter list), how many stand twice.

    `again` are numbered ones among them that one list has on two days a week or more apart: no line written twice.
    `agreed` are doses of which different lists tell about the same day for both, `contradicted` those of
    which they tell days further apart. `lines` says that a list which has one line for each child has one for either.
    """

    repeated: int = 0
    compared: int = 0
    again: int = 0
    agreed: int = 0
    contradicted: int = 0
    lines: bool = False

    @property
    def half(self) -> bool:
        """Whether a list has at least half of the doses of the one for the other as well."""
        return self.repeated > 0 and 2 * self.repeated >= self.compared

    @property
    def of_two(self) -> bool:
        """Whether a list has so much twice that it is two people's; a single line may have been written twice."""
        return self.half and (self.repeated >= _SEVERAL or self.again > 0)

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

    Lists are compared with themselves only: two clinics may well have written down the same dose.
    """
    lines = not left.lines.isdisjoint(right.lines)
    if not (left.doses and right.doses):
        return Repeats(lines=lines)
    one, other = _by_register(left.doses), _by_register(right.doses)
    repeated = compared = again = 0
    for register in one.keys() & other.keys():
        few, many = sorted((one[register], other[register]), key=len)
        repeated += max(_repeated(few, many), _repeated(many, few) if len(few) == len(many) else 0)
        compared += len(few)
        again += _again(few, many)
    agreed, contradicted = _across(one, other)
    return Repeats(repeated, compared, again, agreed, contradicted, lines)


def doses_part(left: PersonEvidence, right: PersonEvidence, found: Repeats) -> bool:
    """Say whether doses make two of these.

    One dose that stands twice in a list may be a line written twice, several are not. Where the names are not the same
    one is enough; as it is of namesakes of whom no family is the same, and of two lines of a list that has one for each
    child. Two such lines under names that are more than spelled otherwise are two children's without a dose. Against
    a NIK in common several doses speak, or one on two days, under names a sound apart: the number is a twin's. Of two
    years of birth several doses twice tell that neither is written wrong.
    """
    if not (found.half or found.contradicted or found.lines) or _share(left.records, right.records):
        return False
    level = compare_own_names(left, right).level
    if _share(left.own_keys, right.own_keys):
        level = NameLevel.EXACT
    if _share(left.niks, right.niks):
        return level is NameLevel.NEAR and found.of_two
    if found.contradict or (found.of_two and years_apart(left, right)):
        return True
    if level is NameLevel.EXACT:
        return found.half and not _same_family(left, right)
    if level is NameLevel.EQUIVALENT:
        return found.of_two or found.contradicted > found.agreed or (found.half and found.lines)
    return found.half or found.contradicted > found.agreed or found.lines


def _same_family(left: PersonEvidence, right: PersonEvidence) -> bool:
    """Say whether a parent, a phone or a family card is the same; a village is many families'."""
    parents = compare_keys_of(_parents_of(left), _parents_of(right))
    return parents.level in _SAME_PARENT or not no_number_in_common(left, right)


def _parents_of(known: PersonEvidence) -> tuple[str, ...]:
    """Return the parents' names, but for that of "By. Rafa", which is the child's own."""
    return tuple(key for key in known.mother_keys + known.parent_keys if key not in known.own_keys)


def _share(left: tuple[object, ...], right: tuple[object, ...]) -> bool:
    return not set(left).isdisjoint(right)


def _across(one: dict[str, set[GivenDose]], other: dict[str, set[GivenDose]]) -> tuple[int, int]:
    """Count the doses of which two lists tell about the same day, and those of which they tell days further apart."""
    agreed: set[tuple[str, str]] = set()
    contradicted: set[tuple[str, str]] = set()
    for register, doses in one.items():
        for elsewhere in other.keys() - {register}:
            for left in doses:
                for right in other[elsewhere]:
                    days = _one_dose(left, right)
                    if days is not None:
                        (contradicted if days >= _COPIED_WRONGLY else agreed).add((left.vaccine, _number(left)))
    return len(agreed), len(contradicted)


def _one_dose(left: GivenDose, right: GivenDose) -> int | None:
    """Return how many days apart two lists tell of one dose; None where they tell of two, or nobody can say."""
    if left.vaccine != right.vaccine:
        return None
    days = abs((date.fromisoformat(left.day) - date.fromisoformat(right.day)).days)
    one, other = _number(left), _number(right)
    same = one == other if one and other else days < _TWO_WEEKS
    return days if same else None


def _numbered(doses: Iterable[GivenDose]) -> dict[tuple[str, str], str]:
    """Return vaccine and number → the (last) day of it, of those of which the number is known."""
    numbered = sorted((dose.vaccine, _number(dose), dose.day) for dose in doses if _number(dose))
    return {(vaccine, number): day for vaccine, number, day in numbered}


def _number(dose: GivenDose) -> str:
    return "1" if dose.vaccine in _GIVEN_ONCE else dose.number


def _far_apart(one: str, other: str) -> bool:
    return abs((date.fromisoformat(one) - date.fromisoformat(other)).days) >= _A_WEEK


def _again(few: Iterable[GivenDose], many: Iterable[GivenDose]) -> int:
    days = _numbered(many)
    return sum(dose in days and _far_apart(day, days[dose]) for dose, day in _numbered(few).items())


def _by_register(doses: Iterable[GivenDose]) -> dict[str, set[GivenDose]]:
    found: dict[str, set[GivenDose]] = {}
    for dose in doses:
        found.setdefault(dose.register, set()).add(dose)
    return found


def _repeated(few: set[GivenDose], many: set[GivenDose]) -> int:
    numbered = _numbered(many)
    days: dict[str, set[date]] = {}
    for dose in many:
        days.setdefault(dose.vaccine, set()).add(date.fromisoformat(dose.day))
    return sum((dose.vaccine, _number(dose)) in numbered or _soon(dose, days.get(dose.vaccine, ())) for dose in few)


def _soon(dose: GivenDose, days: Iterable[date]) -> bool:
    given = date.fromisoformat(dose.day)
    return any(abs((given - day).days) < _TWO_WEEKS for day in days)
