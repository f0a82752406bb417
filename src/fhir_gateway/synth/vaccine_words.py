"""Vaccines and dose numbers in the words of a clinic's staff."""

from fhir_gateway.synth.dice import Dice

_IN_SHEETS = {
    "HB0": ("HB0", "HB-0", "HB 0", "Hb0", "HB O", "Hepatitis B 0"),
    "BCG": ("BCG", "bcg", "B C G", "Vaksin BCG"),
    "POLIO": ("Polio", "OPV", "bOPV", "Polio Tetes", "polio tetes", "POLIO", "Polio Oral"),
    "IPV": ("IPV", "Polio Suntik", "ipv", "I P V"),
    "DPT": ("DPT-HB-Hib", "DPT/HB/Hib", "Pentabio", "Pentavalen", "DPT HB HIB", "DPT-HB-HIB", "Penta"),
    "PCV": ("PCV", "PCV13", "PCV 13", "pcv"),
    "ROTA": ("Rota", "RV", "Rotavirus", "ROTA"),
    "MR": ("MR", "Campak Rubella", "Campak-Rubela", "M R", "Campak/MR", "mr"),
    "CAMPAK": ("Campak", "campak", "CAMPAK"),
    "DT": ("DT", "DT (BIAS)", "BIAS DT"),
    "TD": ("Td", "TD", "Td (BIAS)", "td"),
    "TT": ("TT", "T T", "Tetanus Toxoid", "TT Bumil"),
    "HPV": ("HPV", "hpv", "HPV (BIAS)"),
    "COVID_SINOVAC": ("Sinovac", "CoronaVac", "COVID-19 Sinovac", "Covid 19", "Vaksin Covid Sinovac"),
    "COVID_ASTRAZENECA": ("AstraZeneca", "AZ", "Astra Zeneca", "COVID-19"),
    "COVID_PFIZER": ("Pfizer", "COVID-19 Pfizer", "pfizer"),
    "COVID_MODERNA": ("Moderna", "COVID-19 Moderna"),
}

HOSPITAL_DRUGS = {
    "HB0": ("B000301", "VAKSIN HEPATITIS B (HB0) UNIJECT"),
    "BCG": ("B000302", "VAKSIN BCG"),
    "POLIO": ("B000303", "VAKSIN bOPV POLIO TETES"),
    "IPV": ("B000304", "VAKSIN IPV (POLIO SUNTIK)"),
    "DPT": ("B000305", "VAKSIN DPT-HB-Hib (PENTABIO)"),
    "PCV": ("B000306", "VAKSIN PCV13"),
    "ROTA": ("B000307", "VAKSIN ROTAVIRUS"),
    "MR": ("B000308", "VAKSIN MR (CAMPAK RUBELLA)"),
    "CAMPAK": ("B000309", "VAKSIN CAMPAK"),
    "TD": ("B000310", "VAKSIN Td"),
    "TT": ("B000311", "VAKSIN TT"),
    "COVID_SINOVAC": ("B000320", "VAKSIN COVID-19 SINOVAC"),
    "COVID_ASTRAZENECA": ("B000321", "VAKSIN COVID-19 ASTRAZENECA"),
    "COVID_PFIZER": ("B000322", "VAKSIN COVID-19 PFIZER"),
    "COVID_MODERNA": ("B000323", "VAKSIN COVID-19 MODERNA"),
}

NO_VACCINES = ("Vitamin A", "Vit A merah", "Suntik KB", "obat cacing", "Oralit", "ATS", "Vitamin A biru", "Obat Cacing")
_ROMAN = ("", "I", "II", "III", "IV", "V")


def sheet_vaccine(dice: Dice, vaccine: str, number: int) -> tuple[str, str]:
    """Return a vaccine's name and its dose number as a sheet has them; the number may stand in the name."""
    word = dice.pick(_IN_SHEETS[vaccine])
    if not number:
        return word, dice.pick(("", "", "0", "1")) if vaccine == "HB0" else ""
    if not word[-1].isdigit() and dice.happens(0.15):
        return f"{word} {dice.pick((str(number), _ROMAN[number]))}", dice.pick(("", str(number)))
    return word, dose_words(dice, number)


def dose_words(dice: Dice, number: int) -> str:
    """Return a dose number as people write it."""
    form = dice.random()
    if form < 0.7:
        return str(number)
    return dice.pick((_ROMAN[number], f"Dosis {number}", f"ke-{number}", f"{number}x" if number > 1 else "1"))


def hospital_instruction(dice: Dice, number: int) -> str:
    """Return the free text of `aturan_pakai` with a dose number hidden in it."""
    if not number:
        return dice.pick(("", "0,5 ml IM", "sekali"))
    return dice.pick(
        (
            f"Dosis {number}",
            f"dosis ke {number}",
            f"DOSIS {number}",
            f"0,5 ml IM Dosis {number}",
            f"Dosis {_ROMAN[number]}",
        )
    )
