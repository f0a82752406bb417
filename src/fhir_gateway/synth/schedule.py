"""Who is given which dose when: the national schedule with the delays of life."""

from dataclasses import dataclass
from datetime import date, timedelta

from fhir_gateway.synth.dice import Dice
from fhir_gateway.synth.places import Village, posyandu_day
from fhir_gateway.synth.rates import Rates

TODAY = date(2025, 12, 31)
"""The day on which the invented clinics export."""

EXPORTED_FROM = date(2021, 3, 1)
"""The day from which their systems hold doses."""
MEASLES_RUBELLA_FROM = date(2017, 8, 1)
COVID_CAMPAIGN = date(2021, 3, 1)

HOSPITAL, POSYANDU, SCHOOL, CENTRE = "hospital", "posyandu", "school", "centre"


@dataclass(frozen=True, slots=True)
class Dose:
    """A dose that was really given; `id` is its own for ever, `number` 0 where the vaccine has no count."""

    id: str
    vaccine: str
    number: int
    given: date
    place: str
    hour: int


@dataclass(frozen=True, slots=True)
class Child:
    """Of a child, what its doses depend on; `sex` is L or P, `home` the village whose posyandu it goes to."""

    id: str
    born: date
    sex: str
    home: Village


# (vaccine, number, age in days, given from)
_CHILDHOOD = (
    ("HB0", 0, 0, date(2000, 1, 1)),
    ("BCG", 1, 30, date(2000, 1, 1)),
    ("POLIO", 1, 30, date(2000, 1, 1)),
    ("DPT", 1, 61, date(2000, 1, 1)),
    ("POLIO", 2, 61, date(2000, 1, 1)),
    ("PCV", 1, 61, date(2022, 6, 1)),
    ("ROTA", 1, 61, date(2023, 6, 1)),
    ("DPT", 2, 91, date(2000, 1, 1)),
    ("POLIO", 3, 91, date(2000, 1, 1)),
    ("PCV", 2, 91, date(2022, 6, 1)),
    ("ROTA", 2, 91, date(2023, 6, 1)),
    ("DPT", 3, 122, date(2000, 1, 1)),
    ("POLIO", 4, 122, date(2000, 1, 1)),
    ("IPV", 1, 122, date(2016, 7, 1)),
    ("ROTA", 3, 122, date(2023, 6, 1)),
    ("MR", 1, 274, date(2000, 1, 1)),
    ("IPV", 2, 274, date(2023, 1, 1)),
    ("PCV", 3, 365, date(2022, 6, 1)),
    ("DPT", 4, 548, date(2014, 1, 1)),
    ("MR", 2, 548, date(2014, 1, 1)),
)
# (vaccine, number, school year in which it is given, month, girls only)
_AT_SCHOOL = (
    ("MR", 3, 1, 8, False),
    ("DT", 0, 1, 11, False),
    ("TD", 1, 2, 11, False),
    ("TD", 2, 5, 11, False),
    ("HPV", 1, 5, 8, True),
    ("HPV", 2, 6, 8, True),
)


def childhood_doses(dice: Dice, rates: Rates, child: Child) -> tuple[Dose, ...]:
    """Return the doses that a child was given up to TODAY, in order of time."""
    person, born, home = child.id, child.born, child.home
    private = dice.happens(rates.hospital_child)
    in_hospital = private or dice.happens(rates.born_in_hospital)
    until = born + timedelta(days=dice.randint(20, 500)) if dice.happens(rates.left_early) else TODAY
    doses: list[Dose] = []
    late = 0
    for vaccine, number, age, given_from in _CHILDHOOD:
        if age == 0:
            given, place = born + timedelta(days=dice.pick((0, 0, 0, 1))), HOSPITAL if in_hospital else CENTRE
        elif private:
            given, place = _workday(born + timedelta(days=age + late + _visit(born, age))), HOSPITAL
        else:
            given, place = posyandu_day(home, born + timedelta(days=age + late)), POSYANDU
        if dice.happens(rates.posyandu_late / 3):
            late = min(late + 30, 150)
        if given < given_from or given > min(until, TODAY) or dice.happens(rates.dose_missed):
            continue
        if vaccine == "MR" and given < MEASLES_RUBELLA_FROM:
            vaccine = "CAMPAK"  # noqa: PLW2901 -- the same dose under the vaccine of its day
        doses.append(Dose(f"{person}-{vaccine}-{number}", vaccine, number, given, place, dice.randint(7, 12)))
    if until == TODAY:
        doses += _school_doses(dice, rates, child)
    return tuple(sorted(doses, key=lambda dose: dose.given))


def _visit(born: date, age: int) -> int:
    """Doses of one age are given on one visit: the delay depends on child and age alone."""
    return (born.toordinal() * 7 + age * 13) % 11


def _workday(day: date) -> date:
    return day + timedelta(days=1) if day.weekday() == 6 else day


def _school_doses(dice: Dice, rates: Rates, child: Child) -> list[Dose]:
    doses = []
    born = child.born
    first_year = born.year + (7 if born.month > 6 else 6)
    for vaccine, number, grade, month, girls_only in _AT_SCHOOL:
        given = _workday(date(first_year + grade - 1, month, born.toordinal() % 5 + 10))
        if given > TODAY or (girls_only and (child.sex != "P" or given.year < 2022)) or dice.happens(rates.dose_missed):
            continue
        doses.append(Dose(f"{child.id}-{vaccine}-{number}", vaccine, number, given, SCHOOL, 9))
    return doses


def maternal_doses(dice: Dice, *, person: str, births: tuple[date, ...]) -> tuple[Dose, ...]:
    """Return the tetanus doses that a mother was given before her births, at most five in her life."""
    doses: list[Dose] = []
    for born in births:
        for days in (150, 115):
            given = _workday(born - timedelta(days=days + dice.randint(0, 12)))
            if len(doses) == 5 or given > TODAY or dice.happens(0.45):
                continue
            place = HOSPITAL if dice.happens(0.2) else CENTRE
            number = len(doses) + 1
            doses.append(
                Dose(
                    f"{person}-TT-{number}",
                    "TT" if given.year < 2020 else "TD",
                    number,
                    given,
                    place,
                    dice.randint(8, 13),
                )
            )
    return tuple(doses)


def covid_doses(dice: Dice, *, person: str) -> tuple[Dose, ...]:
    """Return one to three COVID-19 doses of the campaign, the first two of one brand."""
    first = _workday(COVID_CAMPAIGN + timedelta(days=dice.randint(0, 330)))
    brand = dice.pick(("SINOVAC", "SINOVAC", "SINOVAC", "ASTRAZENECA", "PFIZER", "MODERNA"))
    days = (0, 28 if brand == "SINOVAC" else 84, 280)
    place = HOSPITAL if dice.happens(0.4) else CENTRE
    count = dice.pick((1, 2, 2, 2, 3))
    brands = (brand, brand, dice.pick(("PFIZER", "MODERNA", "ASTRAZENECA")))
    return tuple(
        Dose(
            f"{person}-COVID-{number + 1}",
            f"COVID_{brands[number]}",
            number + 1,
            _workday(first + timedelta(days=days[number])),
            place,
            dice.randint(8, 15),
        )
        for number in range(count)
    )
