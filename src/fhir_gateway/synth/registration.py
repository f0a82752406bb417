"""How a clinic wrote a person down on a day: the true person, seen through a clerk and a spreadsheet."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from fhir_gateway.synth.dates import swapped, wrong_digit, wrong_year
from fhir_gateway.synth.dice import Dice
from fhir_gateway.synth.misspelling import Bearer, newborn_name, written_name
from fhir_gateway.synth.numbers import (
    PLACEHOLDERS,
    other_digit,
    phone_through_spreadsheet,
    through_spreadsheet,
    transposed,
    written_phone,
    wrong_length,
)
from fhir_gateway.synth.places import village
from fhir_gateway.synth.population import Family, Person
from fhir_gateway.synth.rates import Rates


@dataclass(frozen=True, slots=True)
class Registration:
    """What stands in a clinic's books; `born` is None where unknown, `tags` say what is not the plain truth."""

    name: str
    nik: str
    sex: str
    born: date | None
    parent: str
    parent_nik: str
    village: str
    address: str
    phone: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clerk:
    """Who writes a family down: with these dice, at these rates, near this stranger's line."""

    dice: Dice
    rates: Rates
    family: Family
    stranger_nik: str

    def register(self, person: Person, on: date, *, newborn: bool = False) -> Registration:
        """Return what is written of the person on that day; `newborn`: she has no name of her own yet."""
        tags: list[str] = []
        name = self._newborn_name(person, tags) if newborn else self._name(person, tags)
        home, street = self.family.household.home(on)
        if self.dice.happens(self.rates.village_wrong):
            home = village(self.dice.randrange(max(home.number, 6)))
            tags.append("village-wrong")
        parent, parent_nik = self._parent(person, tags, named=newborn)
        return Registration(
            name=name,
            nik=self._newborn_nik(tags) if newborn else self._nik(person, tags),
            sex=self._sex(person, tags),
            born=self._born(person, tags),
            parent=parent,
            parent_nik=parent_nik,
            village=home.name,
            address="" if self.dice.happens(self.rates.address_missing) else f"{street}, {home.name}",
            phone=self._phone(on, tags),
            tags=tuple(dict.fromkeys(tags)),
        )

    def _name(self, person: Person, tags: list[str]) -> str:
        child = person.role == "child"
        if self.dice.happens(self.rates.wrong_name_kept):
            tags.append("other-name")
            return f"{self.dice.pick(('Arum', 'Damar', 'Lintang', 'Guntur'))} {person.name.words[-1]}"
        father = self.family.father.name.words[0] if child else ""
        text, what = written_name(self.dice, self.rates, Bearer(person.name, person.sex, child=child, father=father))
        tags.extend(what)
        return text

    def _newborn_name(self, person: Person, tags: list[str]) -> str:
        tags.append("newborn")
        mother, _ = written_name(self.dice, self.rates, Bearer(self.family.mother.name, "P"))
        order = 0 if self.dice.happens(self.rates.newborn_number_missing) else person.birth_order
        return newborn_name(self.dice, mother, order)

    def _newborn_nik(self, tags: list[str]) -> str:
        if self.dice.happens(self.rates.newborn_with_mothers_nik):
            tags.append("nik-of-mother")
            return self.family.mother.niks[0]
        tags.append("nik-missing")
        return self.dice.pick(("", "", "-"))

    def _nik(self, person: Person, tags: list[str]) -> str:
        dice, rates = self.dice, self.rates
        own = dice.pick(person.niks)
        siblings = [other.niks[0] for other in self.family.others if other.id != person.id]
        if len(person.niks) > 1:
            tags.append("two-niks")
        of_mother = rates.nik_of_mother if person.role == "child" else 0
        chances: tuple[tuple[str, float, Callable[[], str]], ...] = (
            ("nik-missing", rates.nik_missing, lambda: ""),
            ("nik-placeholder", rates.nik_placeholder, lambda: dice.pick(PLACEHOLDERS)),
            ("nik-of-mother", of_mother, lambda: self.family.mother.niks[0]),
            ("nik-of-sibling", rates.nik_of_sibling if siblings else 0, lambda: dice.pick(siblings)),
            ("nik-of-stranger", rates.nik_of_stranger if self.stranger_nik else 0, lambda: self.stranger_nik),
            ("nik-temporary", rates.nik_temporary, lambda: "0" + own[1:]),
            ("nik-typo", rates.nik_typo, lambda: other_digit(dice, own)),
            ("nik-transposed", rates.nik_transposed, lambda: transposed(dice, own)),
            ("nik-wrong-length", rates.nik_wrong_length, lambda: wrong_length(dice, own)),
            ("nik-through-spreadsheet", rates.nik_through_spreadsheet, lambda: through_spreadsheet(dice, own)),
        )
        for tag, chance, written in chances:
            if chance and dice.happens(chance):
                if (result := written()) != own:
                    tags.append(tag)
                return result
        return own

    def _sex(self, person: Person, tags: list[str]) -> str:
        if self.dice.happens(self.rates.sex_missing):
            tags.append("sex-missing")
            return ""
        if self.dice.happens(self.rates.sex_wrong):
            tags.append("sex-wrong")
            return "P" if person.sex == "L" else "L"
        return person.sex

    def _born(self, person: Person, tags: list[str]) -> date | None:
        dice, rates, born = self.dice, self.rates, person.born
        chances: tuple[tuple[str, float, Callable[[date], date | None]], ...] = (
            ("birth-date-swapped", rates.birth_date_swapped, swapped),
            ("birth-year-wrong", rates.birth_year_wrong, lambda day: wrong_year(dice, day)),
            ("birth-date-typo", rates.birth_date_typo, lambda day: wrong_digit(dice, day)),
            ("birth-date-january", rates.birth_date_first_of_january, lambda day: day.replace(month=1, day=1)),
            ("birth-date-of-mother", rates.birth_date_of_mother, lambda _: self.family.mother.born),
            ("birth-date-missing", rates.birth_date_missing, lambda _: None),
        )
        for tag, chance, written in chances:
            if dice.happens(chance):
                result = written(born)
                if result != born:
                    tags.append(tag)
                return result
        return born

    def _parent(self, person: Person, tags: list[str], *, named: bool) -> tuple[str, str]:
        """Return the parent's name and NIK; a child under its mother's name always has hers (`named`)."""
        if person.role != "child" or (not named and self.dice.happens(self.rates.mother_missing)):
            return "", ""
        father = not named and self.dice.happens(self.rates.parent_is_father)
        parent = self.family.father if father else self.family.mother
        if father:
            tags.append("parent-is-father")
        text, _ = written_name(self.dice, self.rates, Bearer(parent.name, parent.sex))
        return text, self._nik(parent, [])

    def _phone(self, on: date, tags: list[str]) -> str:
        dice, rates = self.dice, self.rates
        phones = self.family.household.phones_on(on)
        if not phones or dice.happens(rates.phone_missing):
            return ""
        if dice.happens(rates.phone_dummy):
            tags.append("phone-dummy")
            return dice.pick(("081111111111", "08123456789", "080000000000", "0"))
        phone = dice.pick(phones)
        if dice.happens(rates.phone_typo):
            tags.append("phone-typo")
            phone = phone[:3] + other_digit(dice, phone[3:])
        if dice.happens(rates.phone_through_spreadsheet):
            tags.append("phone-through-spreadsheet")
            return phone_through_spreadsheet(phone)
        written = written_phone(dice, phone)
        if len(phones) > 1 and dice.happens(rates.phone_pair):
            return f"{phones[0]}{dice.pick(('/', ' / ', ', ', ' atau '))}{phones[1]}"
        return (
            f"{written} ({dice.pick(('ibu', 'bapak', 'WA', 'nenek'))})"
            if dice.happens(rates.phone_with_remark)
            else written
        )
