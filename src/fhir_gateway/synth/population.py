"""The invented people, family by family: who is whose child, twin and namesake, and who was given what."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import count

from fhir_gateway.synth.dice import Dice, dice_for
from fhir_gateway.synth.naming import GivenName, customs, give_name, named_alike, one_sound_apart
from fhir_gateway.synth.numbers import IssuedNiks, make_phone
from fhir_gateway.synth.places import OTHER_REGENCIES, REGENCY, Village, street, village, villages_for
from fhir_gateway.synth.rates import Rates
from fhir_gateway.synth.schedule import TODAY, Child, Dose, childhood_doses, covid_doses, maternal_doses

_YOUNGEST_DAYS, _OLDEST_DAYS = 20, 4200
_NAMESAKES_A_POOL = 3


@dataclass(frozen=True, slots=True)
class Household:
    """Where a family lives; `moved` and `changed_phone` are the days from which the second values hold."""

    id: str
    homes: tuple[tuple[Village, str], tuple[Village, str]]
    moved: date
    phones: tuple[str, ...]
    later_phones: tuple[str, ...]
    changed_phone: date

    def home(self, on: date) -> tuple[Village, str]:
        """Return the village and the street address on that day."""
        return self.homes[on >= self.moved]

    def phones_on(self, on: date) -> tuple[str, ...]:
        """Return the numbers that the family could be reached at on that day."""
        return self.later_phones if on >= self.changed_phone else self.phones


@dataclass(frozen=True, slots=True)
class Person:
    """A person as she truly is. `role` is child, mother, father or grandparent; `namesake` names the strangers alike."""

    id: str
    role: str
    name: GivenName
    sex: str
    born: date
    niks: tuple[str, ...]
    twin_of: str = ""
    birth_order: int = 0
    namesake: str = ""
    doses: tuple[Dose, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """A household and its people; the parents are always known, also where no row shows them."""

    household: Household
    mother: Person
    father: Person
    others: tuple[Person, ...]

    @property
    def people(self) -> tuple[Person, ...]:
        """Everybody in the family, the parents first."""
        return (self.mother, self.father, *self.others)


@dataclass(frozen=True, slots=True)
class Region:
    """What all families of one run share."""

    seed: int
    persons: int
    population: str
    rates: Rates


def families(region: Region) -> Iterator[Family]:
    """Yield families without end; the same number is always the same family. All that is remembered are issued NIKs."""
    issued = IssuedNiks()
    for number in count(1):
        yield _FamilyMaker(region, number, issued).make()


class _FamilyMaker:
    """Invents one family: its customs, its people in the order of their births, what they were given."""

    def __init__(self, region: Region, number: int, issued: IssuedNiks) -> None:
        self._region = region
        self._issued = issued
        self._rates = region.rates
        self._key = f"P{number:07d}"
        self._dice = dice = dice_for(region.seed, region.population, "family", number)
        customs_here = customs(region.population)
        self._custom = dice.pick([custom for custom in customs_here if not custom.modern])
        self._modern = [custom for custom in customs_here if custom.modern]
        inherited = self._custom.family
        self._family_name = dice.pick_common(inherited) if inherited else ""
        self._maiden_name = dice.pick_common(inherited) if inherited else ""
        self._household = _household(region, f"H{number:07d}", dice)

    def make(self) -> Family:
        """Return the family."""
        dice, rates = self._dice, self._rates
        births = _births(dice, rates)
        mother = self._adult("mother", "P", births[0], self._maiden_name)
        father = self._adult("father", "L", births[0], self._family_name)
        if dice.happens(rates.mother_with_doses):
            doses = maternal_doses(dice, person=mother.id, births=births)
            mother = replace(mother, doses=doses + (covid_doses(dice, person=mother.id) if dice.happens(0.5) else ()))
        if dice.happens(rates.father_with_doses):
            father = replace(father, doses=covid_doses(dice, person=father.id))
        others = list(self._children(births, father))
        if dice.happens(rates.grandparent_with_doses):
            grandparent = self._adult("grandparent", dice.pick("LP"), mother.born, self._maiden_name)
            others.append(replace(grandparent, doses=covid_doses(dice, person=grandparent.id)))
        return Family(self._household, mother, father, tuple(others))

    def _adult(self, role: str, sex: str, first_birth: date, family_name: str) -> Person:
        """Return somebody who became a parent on that day."""
        dice = self._dice
        born = first_birth - timedelta(days=dice.randint(18 * 365, 36 * 365))
        name = give_name(dice, self._custom, sex=sex, family_name=family_name, mononym=self._rates.mononym_adult)
        letter = {"mother": "M", "father": "F", "grandparent": "G"}[role]
        return Person(self._key + letter, role, name, sex, born, self._niks(born, sex))

    def _children(self, births: tuple[date, ...], father: Person) -> Iterator[Person]:
        dice = self._dice
        before: Person | None = None
        order = 0
        for born in births:
            order += 1
            child = self._child(f"{self._key}C{order}", born, father, before)
            if dice.happens(self._rates.twins):
                order += 1
                twin = self._twin(f"{self._key}C{order}", child)
                child = replace(child, twin_of=twin.id, birth_order=1)
                yield self._with_doses(twin)
            before = child
            yield self._with_doses(child)

    def _child(self, key: str, born: date, father: Person, before: Person | None) -> Person:
        dice, rates = self._dice, self._rates
        if dice.happens(rates.same_name_and_birth_date):
            return self._namesake(key)
        sex = dice.pick("LP")
        name = self._childs_name(sex)
        if before is not None and dice.happens(rates.siblings_named_alike):
            name = named_alike(dice, before.name, name)
        elif sex == "L" and dice.happens(rates.son_named_like_father):
            name = replace(father.name, words=(*father.name.words, *dice.pick(((), ("Junior",), ("Putra",)))))
        return Person(key, "child", name, sex, born, self._niks(born, sex))

    def _childs_name(self, sex: str) -> GivenName:
        dice = self._dice
        chosen = dice.pick(self._modern) if dice.happens(self._rates.modern_name) else self._custom
        return give_name(dice, chosen, sex=sex, family_name=self._family_name, mononym=self._rates.mononym_child)

    def _namesake(self, key: str) -> Person:
        """Return a child who shares sex, name and birth date with a few strangers of other families."""
        region = self._region
        pools = max(1, int(region.persons * self._rates.same_name_and_birth_date / 2 / _NAMESAKES_A_POOL))
        pool = self._dice.randint(1, pools)
        shared = dice_for(region.seed, region.population, "namesake", pool)
        sex = shared.pick("LP")
        born = TODAY - timedelta(days=shared.randint(_YOUNGEST_DAYS, _OLDEST_DAYS))
        name = give_name(shared, shared.pick(customs(region.population)), sex=sex, family_name="", mononym=0.1)
        return Person(key, "child", name, sex, born, self._niks(born, sex), namesake=f"N{pool}")

    def _twin(self, key: str, child: Person) -> Person:
        dice = self._dice
        same_sex = dice.happens(self._rates.twins_same_sex)
        sex = child.sex if same_sex else {"L": "P", "P": "L"}[child.sex]
        alike = same_sex and dice.happens(self._rates.twins_one_sound_apart)
        name = one_sound_apart(dice, child.name) if alike else self._childs_name(sex)
        if name.words == child.name.words:
            name = one_sound_apart(dice, name)
        return Person(key, "child", name, sex, child.born, self._niks(child.born, sex), twin_of=child.id, birth_order=2)

    def _with_doses(self, child: Person) -> Person:
        home, _ = self._household.homes[0]
        child_ = Child(child.id, child.born, child.sex, home)
        return replace(child, doses=childhood_doses(self._dice, self._rates, child_))

    def _niks(self, born: date, sex: str) -> tuple[str, ...]:
        dice, rates = self._dice, self._rates
        elsewhere = dice.happens(rates.born_elsewhere)
        regency = dice.pick(OTHER_REGENCIES) if elsewhere else REGENCY[self._region.population]
        written = born
        if dice.happens(rates.nik_disagrees_with_person):
            written = born + timedelta(days=dice.pick((-30, -1, 1, 9, 31, 365, -365)))
        niks = [self._issued.issue(dice, regency, written, sex)]
        if dice.happens(rates.two_niks):
            niks.append(self._issued.issue(dice, dice.pick(OTHER_REGENCIES), written, sex))
        return tuple(niks)


def _household(region: Region, key: str, dice: Dice) -> Household:
    villages = villages_for(region.persons)
    first = (village(int(dice.random() ** 1.3 * villages)), street(dice, region.population))
    second = (village(int(dice.random() * villages)), street(dice, region.population))
    never = TODAY + timedelta(days=1)
    some_day = TODAY - timedelta(days=dice.randint(60, 1800))
    reachable = not dice.happens(region.rates.family_without_phone)
    phones = tuple(make_phone(dice) for _ in range(dice.pick((1, 2, 2)))) if reachable else ()
    changed = reachable and dice.happens(region.rates.changed_phone)
    return Household(
        id=key,
        homes=(first, second),
        moved=some_day if dice.happens(region.rates.moved) else never,
        phones=phones,
        later_phones=(make_phone(dice), *phones[1:]) if changed else phones,
        changed_phone=TODAY - timedelta(days=dice.randint(60, 1800)) if changed else never,
    )


def _births(dice: Dice, rates: Rates) -> tuple[date, ...]:
    """Return the births of a family, the first one first, at least ten months apart."""
    youngest = TODAY - timedelta(days=int(dice.random() ** 1.5 * (_OLDEST_DAYS - _YOUNGEST_DAYS)) + _YOUNGEST_DAYS)
    births = [youngest]
    more = dice.pick((0, 0, 1, 1, 1, 2, 3))
    if rates.large_family and dice.happens(rates.large_family):
        more += dice.pick((1, 2, 3, 4))
    for _ in range(more):
        earlier = births[-1] - timedelta(days=dice.randint(310, 1500))
        if (TODAY - earlier).days <= _OLDEST_DAYS:
            births.append(earlier)
    return tuple(reversed(births))
