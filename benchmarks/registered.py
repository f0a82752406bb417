"""A server's invented Patients, quickly and by the million: families, twins, and people who stand there twice.

Names are made of the words of `synth` and, so that a million people are not named by a few hundred words, of syllables.
A Patient's id begins with its person's number: two Patients of one number are one person.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from fhir_gateway.domain import systems
from fhir_gateway.synth.dice import Dice
from fhir_gateway.synth.misspelling import mistyped
from fhir_gateway.synth.naming import customs
from fhir_gateway.synth.numbers import make_phone

Patient = dict[str, Any]

SHARES_A_NIK = 0.03
"""So many of all people stand there a second time with their NIK."""
STANDS_WITHOUT = 0.02
"""So many stand there a second time without it, written otherwise."""
_TODAY = date(2026, 6, 30)
_OLDEST_DAYS = {"child": 8 * 365, "anybody": 80 * 365}
_MOTHER = [{"coding": [{"system": systems.RELATIONSHIP, "code": "MTH"}]}]
_STARTS = "bcdfghjklmnprstwyz"
_MIDDLES = ("a", "i", "u", "e", "o", "ai", "an", "ar", "in", "un", "ur", "il", "am")
_ENDS = ("", "", "n", "h", "s", "r", "l", "ti", "wan", "yah", "din", "man")


@dataclass(frozen=True, slots=True)
class _Person:
    number: int
    name: str
    sex: str
    born: date
    nik: str
    mother: str
    phone: str
    village: str


def patients(count: int, *, seed: int = 1) -> Iterator[Patient]:
    """Yield invented Patients, the second of a person directly behind the first."""
    dice = Dice(seed)
    words = _Words(dice)
    made = number = 0
    while made < count:
        for person in _family(dice, words, number, villages=max(6, count // 1_500)):
            number += 1
            for patient in _standing(dice, person):
                made += 1
                if made <= count:
                    yield patient


def is_one_person(one: str, other: str) -> bool:
    """Say whether two Patients, by their ids, are one person."""
    return one.partition("-")[0] == other.partition("-")[0]


class _Words:
    """Names: a third of all words is made of syllables, the others are the customs' own."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        every = customs("mixed")
        self._given = {sex: [word for custom in every for word in custom.given[sex]] for sex in "LP"}
        self._second = {sex: [word for custom in every for word in custom.second[sex]] for sex in "LP"}

    def name(self, sex: str) -> str:
        dice = self._dice
        words = [self._word(self._given[sex])]
        if dice.happens(0.9):
            words.append(self._word(self._second[sex]))
        if dice.happens(0.35):
            words.append(self._word(self._second[sex]))
        return " ".join(words)

    def _word(self, known: Sequence[str]) -> str:
        dice = self._dice
        if dice.happens(0.65):
            return dice.pick(known)
        syllables = (dice.pick(_STARTS) + dice.pick(_MIDDLES) for _ in range(2 + dice.happens(0.4)))
        return ("".join(syllables) + dice.pick(_ENDS)).capitalize()


def _family(dice: Dice, words: _Words, number: int, *, villages: int) -> Iterator[_Person]:
    """Yield a mother's children, one village and phone for all; now and then twins. Every other family has small ones."""
    mother, phone = words.name("P"), make_phone(dice)
    village = f"Desa {dice.randrange(villages)}"
    born = _TODAY - timedelta(days=dice.randrange(_OLDEST_DAYS[dice.pick(("child", "anybody"))]))
    for child in range(dice.randint(1, 4)):
        sex = dice.pick("LP")
        if child and not dice.happens(0.02):
            born += timedelta(days=dice.randint(300, 2_000))
        if born > _TODAY:
            return
        nik = f"3303{dice.randint(1, 18):02}{born.day + 40 * (sex == 'P'):02}{born:%m%y}{dice.randint(1, 9999):04}"
        yield _Person(number + child, words.name(sex), sex, born, nik, mother, phone, village)


def _standing(dice: Dice, person: _Person) -> Iterator[Patient]:
    """Yield the person's Patient, and a second one of those who stand there twice."""
    yield _patient(dice, person, "a", nik=person.nik if dice.happens(0.8) else "")
    again = dice.random()
    if again < SHARES_A_NIK:
        yield _patient(dice, _otherwise(dice, person), "b", nik=person.nik)
    elif again < SHARES_A_NIK + STANDS_WITHOUT:
        yield _patient(dice, _otherwise(dice, person), "b", nik="")


def _otherwise(dice: Dice, person: _Person) -> _Person:
    """Return the person as another clinic wrote her down."""
    words = person.name.split()
    born = person.born
    if dice.happens(0.2):
        place = dice.randrange(len(words))
        words[place] = mistyped(dice, words[place])
    if len(words) > 1 and dice.happens(0.15):
        words.pop()
    if dice.happens(0.05) and born.day <= 12:
        born = born.replace(month=born.day, day=born.month)
    phone = person.phone if dice.happens(0.6) else make_phone(dice)
    return _Person(person.number, " ".join(words), person.sex, born, person.nik, person.mother, phone, person.village)


def _patient(dice: random.Random, person: _Person, which: str, *, nik: str) -> Patient:
    patient: Patient = {
        "resourceType": "Patient",
        "id": f"{person.number}-{which}",
        "active": True,
        "identifier": [{"system": systems.medical_record("1"), "value": f"{person.number}{which}"}],
        "name": [{"use": "official", "text": person.name}],
        "gender": "male" if person.sex == "L" else "female",
        "birthDate": person.born.isoformat(),
        "address": [{"line": [person.village]}],
    }
    if nik:
        patient["identifier"].insert(0, {"system": systems.NIK, "value": nik})
    if dice.random() < 0.7:
        patient["telecom"] = [{"system": "phone", "value": person.phone}]
    if dice.random() < 0.6:
        patient["contact"] = [{"relationship": _MOTHER, "name": {"text": person.mother}}]
    return patient
