"""The health centres' sheet: typed by hand on posyandu days, often copied from last month's lines."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import groupby

from fhir_gateway.synth.dates import written_date
from fhir_gateway.synth.dice import Dice, dice_for
from fhir_gateway.synth.places import lot
from fhir_gateway.synth.population import Person
from fhir_gateway.synth.registration import Clerk, Registration
from fhir_gateway.synth.schedule import EXPORTED_FROM, HOSPITAL, POSYANDU, TODAY, Dose
from fhir_gateway.synth.vaccine_words import NO_VACCINES, sheet_vaccine
from fhir_gateway.synth.written import WrittenRow, csv_line, place_by_day

SOURCE = "puskesmas"
COLUMNS = (
    "Nomor", "Nama Lengkap", "NIK", "L/P", "Tgl Lahir", "Nama Ibu", "Desa", "No HP", "Tgl Vaksin", "Vaksin", "Dosis Ke", "Batch",
)  # fmt: skip
_NEWBORN_DAYS = 45


def sheet_rows(clerk: Clerk, person: Person) -> Iterator[WrittenRow]:
    """Yield a person's lines without their running number, which is the file's."""
    dice, rates = clerk.dice, clerk.rates
    doses = [dose for dose in person.doses if dose.place != HOSPITAL and dose.given >= EXPORTED_FROM]
    if not doses or (doses[0].place == POSYANDU and not _keeps_sheet(clerk, doses[0].given)):
        return
    newborn_until = date.min
    if person.role == "child" and dice.happens(rates.newborn_named_after_mother):
        newborn_until = person.born + timedelta(days=_NEWBORN_DAYS)
    line: tuple[Registration, tuple[str, ...]] | None = None
    was_newborn = False
    for day, session in groupby(doses, key=lambda dose: dose.given):
        newborn = day <= newborn_until
        if line is None or was_newborn != newborn or not dice.happens(rates.copied_from_last_month):
            line, was_newborn = _typed(clerk, person, day, newborn=newborn), newborn
        for dose in session:
            yield from _dose_lines(clerk, person, line, dose)
            if dice.happens(rates.dose_typed_twice):
                again, cells = _typed(clerk, person, day, newborn=newborn)
                yield _line(clerk, person, cells, dose, (*again.tags, "dose-typed-twice"))


def _keeps_sheet(clerk: Clerk, day: date) -> bool:
    """Return whether the family's village has its posyandu in the sheet."""
    home, _ = clerk.family.household.home(day)
    return not dice_for("sheet", home.number).happens(clerk.rates.village_without_sheet)


def _typed(clerk: Clerk, person: Person, day: date, *, newborn: bool) -> tuple[Registration, tuple[str, ...]]:
    dice = clerk.dice
    registered = clerk.register(person, day, newborn=newborn)
    name = registered.name if dice.happens(0.8) else dice.pick((registered.name.upper(), registered.name.lower()))
    cells = (
        name,
        registered.nik,
        registered.sex if dice.happens(0.95) else registered.sex.lower(),
        written_date(dice, registered.born) if registered.born else dice.pick(("", "-", "00-00-0000")),
        registered.parent,
        registered.village,
        registered.phone,
    )
    return registered, cells


def _dose_lines(
    clerk: Clerk, person: Person, line: tuple[Registration, tuple[str, ...]], dose: Dose
) -> Iterator[WrittenRow]:
    dice, rates = clerk.dice, clerk.rates
    registered, cells = line
    if dice.happens(rates.row_broken):
        yield _broken_line(dice, person, registered, cells, dose)
        return
    written = _line(clerk, person, cells, dose, registered.tags)
    yield written
    if dice.happens(rates.row_twice):
        at = min(written.at + dice.random() / 1000, 0.999999)
        yield WrittenRow(at, written.text, person.id, (*registered.tags, "row-twice"), written.doses)
    if dice.happens(rates.no_vaccine):
        other = csv_line((*cells, written_date(dice, dose.given), dice.pick(NO_VACCINES), "", ""), ";")
        yield WrittenRow(written.at, other, person.id, (*registered.tags, "no-vaccine"), ())


def _line(clerk: Clerk, person: Person, cells: tuple[str, ...], dose: Dose, tags: tuple[str, ...]) -> WrittenRow:
    dice, rates = clerk.dice, clerk.rates
    number = 0 if dice.happens(rates.dose_number_missing) else dose.number
    vaccine, count = sheet_vaccine(dice, dose.vaccine, number)
    home, _ = clerk.family.household.home(dose.given)
    batch = (
        ""
        if dice.happens(rates.lot_missing)
        else lot(home.centre, dose.vaccine, dose.given.year, dose.given.month // 4)
    )
    text = csv_line((*cells, written_date(dice, dose.given), vaccine, count, batch), ";")
    return WrittenRow(place_by_day(dose.given, dice.random()), text, person.id, tags, (dose.id,))


def _broken_line(
    dice: Dice, person: Person, registered: Registration, cells: tuple[str, ...], dose: Dose
) -> WrittenRow:
    """Return a line that cannot become a dose."""
    given, vaccine = written_date(dice, dose.given), sheet_vaccine(dice, dose.vaccine, dose.number)
    what = dice.pick(
        (
            "given-impossible",
            "given-missing",
            "given-future",
            "vaccine-unknown",
            "vaccine-missing",
            "name-missing",
            "cells-missing",
        )
    )
    row = [*cells, given, *vaccine, ""]
    if what == "given-impossible":
        row[7] = dice.pick(("31/02/2021", "30-02-2023", "45/13/2022"))
    elif what == "given-missing":
        row[7] = dice.pick(("", "-"))
    elif what == "given-future":
        row[7] = f"{dose.given:%d/%m}/{TODAY.year + 40}"
    elif what == "vaccine-unknown":
        row[8] = dice.pick(("lengkap", "sudah", "??", "imunisasi"))
    elif what == "vaccine-missing":
        row[8] = ""
    elif what == "name-missing":
        row[0] = dice.pick(("", "-"))
    else:
        row = row[: dice.randint(1, 5)]
    return WrittenRow(
        place_by_day(dose.given, dice.random()), csv_line(row, ";"), person.id, (*registered.tags, f"broken-{what}"), ()
    )
