"""The ASIK cohort: one wide row per young child, with all that the health centre knows of its doses."""

from collections.abc import Iterator
from datetime import date, timedelta

from fhir_gateway.synth.dice import Dice
from fhir_gateway.synth.population import Person
from fhir_gateway.synth.rates import Rates
from fhir_gateway.synth.registration import Clerk, Registration
from fhir_gateway.synth.schedule import HOSPITAL, TODAY, Dose
from fhir_gateway.synth.sheet import Cell, row_xml
from fhir_gateway.synth.written import WrittenRow

SOURCE = "asik"
ANTIGENS = (
    "HB0", "BCG 1", "POLIO 1", "POLIO 2", "POLIO 3", "POLIO 4", "DPT-Hb-Hib 1", "DPT-Hb-Hib 2", "DPT-Hb-Hib 3", "IPV 1", "IPV 2",
    "ROTA 1", "ROTA 2", "ROTA 3", "PCV 1", "PCV 2", "MR 1", "IDL 1", "DPT-Hb-Hib 4", "MR 2", "IBL 1", "PCV 3",
)  # fmt: skip
PERSON_COLUMNS = (
    "NIK Anak",
    "Nama Anak",
    "Tanggal Lahir Anak",
    "Jenis Kelamin Anak",
    "Nama Orang Tua",
    "NIK Orang Tua",
    "Puskesmas",
)
COLUMNS = PERSON_COLUMNS + tuple(
    f"{what} Imunisasi {antigen}" for antigen in ANTIGENS for what in ("Tanggal", "Pos", "Status")
)
TITLES = ("KOHORT IMUNISASI BAYI DAN BADUTA", "Data rekaan, bukan orang sungguhan", "")
BORN_FROM = date(2021, 1, 1)
_BASIC = ("HB0", "BCG 1", "POLIO 4", "DPT-Hb-Hib 3", "MR 1")
_NO_DOSE: tuple[Cell, ...] = ("-", "-", "-")
_DPT = {"DPT": "DPT-Hb-Hib"}


def cohort_rows(clerk: Clerk, person: Person) -> Iterator[WrittenRow]:
    """Yield a young child's row, and a second one where its family moved to another health centre."""
    dice, rates = clerk.dice, clerk.rates
    if person.role != "child" or person.born < BORN_FROM or not dice.happens(rates.in_cohort):
        return
    known = {_antigen(dose): dose for dose in person.doses}
    listed = {
        antigen: dose
        for antigen, dose in known.items()
        if antigen in ANTIGENS and not dice.happens(rates.cohort_dose_missing)
    }
    newborn = dice.happens(rates.cohort_still_newborn)
    row = _row(clerk, person, person.born, listed, newborn=newborn)
    yield row
    if dice.happens(rates.row_twice):
        yield WrittenRow(dice.random(), row.text, person.id, (*row.tags, "row-twice"), row.doses)
    moved = clerk.family.household.moved
    if person.born < moved <= TODAY and dice.happens(rates.in_two_cohorts):
        since = {
            antigen: dose
            for antigen, dose in listed.items()
            if dose.given >= moved or dice.happens(rates.doses_carried_over)
        }
        yield _row(clerk, person, TODAY, since, newborn=False)


def _antigen(dose: Dose) -> str:
    return "HB0" if dose.vaccine == "HB0" else f"{_DPT.get(dose.vaccine, dose.vaccine)} {dose.number}"


def antigen_of(dose: str) -> str:
    """Return the antigen under which a dose, told by its id in the truth, stands in the cohort."""
    _, _, told = dose.replace("-SYSTEM-", "-").partition("-")
    vaccine, _, number = told.rpartition("-")
    return f"{_DPT.get(vaccine, vaccine)} {number}" if vaccine not in {"", "HB0"} else "HB0"


def _row(clerk: Clerk, person: Person, on: date, listed: dict[str, Dose], *, newborn: bool) -> WrittenRow:
    dice, rates = clerk.dice, clerk.rates
    registered = clerk.register(person, on, newborn=newborn)
    home, _ = clerk.family.household.home(on)
    tags = list(registered.tags)
    cells: list[Cell] = _person_cells(dice, registered, home.centre)
    doses: list[str] = []
    as_dates = dice.happens(0.2)
    for antigen in ANTIGENS:
        if antigen.startswith(("IDL", "IBL")):
            cells += _complete(listed, antigen)
        elif antigen in listed:
            dose = listed[antigen]
            given, where = (
                _given(dice, rates, dose, tags),
                "dalam gedung" if dose.place == HOSPITAL else f"Posyandu {home.posyandu}",
            )
            cells += [
                given if as_dates else given.isoformat(),
                where,
                dice.pick(("ideal", "ideal", "ideal", "tidak ideal")),
            ]
            doses.append(dose.id)
        elif dice.happens(rates.cohort_date_by_program) and antigen not in {_antigen(dose) for dose in person.doses}:
            filled = _filled_in(person.born)
            cells += [filled.isoformat(), "oleh sistem", "ideal"]
            doses.append(f"{person.id}-SYSTEM-{antigen.replace(' ', '-')}")
            tags.append("by-program")
        else:
            cells += _NO_DOSE
    return WrittenRow(dice.random(), row_xml(cells), person.id, tuple(dict.fromkeys(tags)), tuple(doses))


def _person_cells(dice: Dice, registered: Registration, centre: str) -> list[Cell]:
    nik: Cell = registered.nik or "-"
    if "nik-through-spreadsheet" in registered.tags and registered.nik.isdigit():
        nik = int(registered.nik)
    return [
        nik,
        registered.name if dice.happens(0.6) else registered.name.upper(),
        registered.born.isoformat() if registered.born else "-",
        {"L": "Laki-laki", "P": "Perempuan", "": "-"}[registered.sex],
        registered.parent or "-",
        registered.parent_nik or "-",
        centre,
    ]


def _given(dice: Dice, rates: Rates, dose: Dose, tags: list[str]) -> date:
    if not dice.happens(rates.dose_date_off):
        return dose.given
    tags.append("dose-date-off")
    return min(dose.given + timedelta(days=dice.pick((1, 1, 2, -1))), TODAY)


def _filled_in(born: date) -> date:
    return min(born + timedelta(days=120), TODAY)


def _complete(listed: dict[str, Dose], flag: str) -> tuple[Cell, ...]:
    """Return the cells of a completeness flag, which is no dose."""
    wanted = _BASIC if flag.startswith("IDL") else (*_BASIC, "DPT-Hb-Hib 4", "MR 2")
    if not all(antigen in listed for antigen in wanted):
        return _NO_DOSE
    return (max(listed[antigen].given for antigen in wanted).isoformat(), "-", "lengkap")
