"""Villages, health centres, posyandu days and vials of the invented region: the same for all who go there."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from fhir_gateway.synth.dice import Dice, dice_for

REGENCY = {"A": "3303", "B": "5201", "C": "3526", "mixed": "3303"}
"""Codes of existing regencies; the villages below are invented."""

OTHER_REGENCIES = (
    "3301",
    "3304",
    "3171",
    "3275",
    "3374",
    "3471",
    "3578",
    "5171",
    "5203",
    "5271",
    "6471",
    "7371",
    "1271",
)
_DISTRICTS = 12
_PEOPLE_A_VILLAGE = 1_500
_FIRST = (
    "Karang",
    "Suka",
    "Tanjung",
    "Kali",
    "Batu",
    "Mekar",
    "Sumber",
    "Gunung",
    "Banjar",
    "Padang",
    "Wana",
    "Sindang",
)
_SECOND = (
    "sari",
    "jaya",
    "rejo",
    "mulya",
    "anyar",
    "tengah",
    "asri",
    "wangi",
    "lor",
    "kidul",
    "agung",
    "indah",
    "baru",
)


@dataclass(frozen=True, slots=True)
class Village:
    """A village with its health centre (`centre`) and the day of the month on which its posyandu meets."""

    number: int
    name: str
    district: str
    centre: str
    posyandu: str
    posyandu_day: int


@lru_cache(maxsize=4096)
def village(number: int) -> Village:
    """Return the village of this number."""
    name = _FIRST[number % len(_FIRST)] + _SECOND[(number // len(_FIRST) + number) % len(_SECOND)]
    if number >= len(_FIRST) * len(_SECOND):
        name += f" {number // (len(_FIRST) * len(_SECOND)) + 1}"
    dice = dice_for("village", number)
    return Village(
        number=number,
        name=name,
        district=f"{number % _DISTRICTS + 1:02d}",
        centre=f"Puskesmas {_FIRST[number % _DISTRICTS]}{_SECOND[number % _DISTRICTS]}",
        posyandu=dice.pick(("Melati", "Mawar", "Anggrek", "Dahlia", "Kenanga", "Flamboyan", "Cempaka", "Teratai")),
        posyandu_day=dice.randint(3, 26),
    )


def villages_for(persons: int) -> int:
    """Return how many villages so many people live in."""
    return max(6, persons // _PEOPLE_A_VILLAGE)


def posyandu_day(place: Village, earliest: date) -> date:
    """Return the village's first posyandu day on or after `earliest`; it never meets on a Sunday."""
    year, month = earliest.year, earliest.month
    while True:
        day = date(year, month, place.posyandu_day)
        day += timedelta(days=1) if day.weekday() == 6 else timedelta()
        if day >= earliest:
            return day
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)


@lru_cache(maxsize=65536)
def lot(centre: str, vaccine: str, year: int, quarter: int) -> str:
    """Return the lot that a place gives of a vaccine in that quarter: one for all who come."""
    dice = dice_for("lot", centre, vaccine, year, quarter)
    digits = f"{dice.randint(1000000, 9999999)}"
    return dice.pick(
        (digits, f"{dice.pick('ABCDEHKLPR')}{digits[:5]}", f"{digits}{dice.pick('AB')}", f"{digits[:4]}/{year % 100}")
    )


def street(dice: Dice, population: str) -> str:
    """Return a household's address without its village."""
    hamlet = dice.pick(
        ("Dusun", "Dukuh", "Lingkungan", "Gang", "Jl.") if population != "B" else ("Dusun", "Lingk.", "Jl.", "Gg.")
    )
    name = dice.pick(
        (
            "Krajan",
            "Sawah",
            "Masjid",
            "Pasar",
            "Kauman",
            "Delima",
            "Merdeka",
            "Bukit",
            "Pantai",
            "Raya",
            "Timur",
            "Mangga",
        )
    )
    return f"{hamlet} {name} RT {dice.randint(1, 9):02d} RW {dice.randint(1, 12):02d}"
