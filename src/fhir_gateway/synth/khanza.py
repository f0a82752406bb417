"""The hospital's export: one row per dose, the patient's record joined to each of them."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import groupby

from fhir_gateway.synth.dates import written_date
from fhir_gateway.synth.dice import Dice
from fhir_gateway.synth.places import lot
from fhir_gateway.synth.population import Person
from fhir_gateway.synth.rates import Rates
from fhir_gateway.synth.registration import Clerk, Registration
from fhir_gateway.synth.schedule import EXPORTED_FROM, HOSPITAL, TODAY, Dose
from fhir_gateway.synth.vaccine_words import HOSPITAL_DRUGS, NO_VACCINES, hospital_instruction
from fhir_gateway.synth.written import WrittenRow, csv_line, place_by_day

SOURCE = "simrs-khanza"
COLUMNS = (
    "no_rawat", "no_rkm_medis", "nm_pasien", "no_ktp", "jk", "tmp_lahir", "tgl_lahir", "nm_ibu", "alamat", "no_tlp",
    "tgl_perawatan", "jam", "kode_brng", "nama_brng", "no_batch", "tgl_kadaluarsa", "aturan_pakai", "nm_dokter",
)  # fmt: skip
_NEWBORN_DAYS = 60
_NAME_LENGTH = 40
_TOWNS = ("Purbalingga", "Banyumas", "Gerung", "Mataram", "Jakarta", "Bandung", "Semarang", "Makassar")
_DOCTORS = (
    "dr. Sp.A Poli Anak 1",
    "dr. Sp.A Poli Anak 2",
    "dr. Umum IGD",
    "Bidan VK 1",
    "Bidan VK 2",
    "Petugas Vaksinasi",
)


class HospitalBooks:
    """Writes a hospital's rows; keeps the running numbers of records and visits, nothing of any person."""

    def __init__(self) -> None:
        self._records = 0
        self._visits = 0

    def rows(self, clerk: Clerk, person: Person) -> Iterator[WrittenRow]:
        """Yield the rows of a person's doses in this hospital."""
        doses = [dose for dose in person.doses if dose.place == HOSPITAL and dose.given >= EXPORTED_FROM]
        if not doses:
            return
        dice, rates = clerk.dice, clerk.rates
        newborn_until = _newborn_until(dice, rates, person, doses[-1].given)
        record, registered, was_newborn = "", None, False
        for day, visit in groupby(doses, key=lambda dose: dose.given):
            newborn = day <= newborn_until
            if registered is None or was_newborn != newborn or dice.happens(rates.new_medical_record):
                record, registered, was_newborn = (
                    self._new_record(),
                    clerk.register(person, day, newborn=newborn),
                    newborn,
                )
            yield from self._visit(clerk, person, (record, registered), list(visit))

    def _new_record(self) -> str:
        self._records += 1
        return f"{self._records:06d}"

    def _visit(
        self, clerk: Clerk, person: Person, file: tuple[str, Registration], doses: list[Dose]
    ) -> Iterator[WrittenRow]:
        dice, rates = clerk.dice, clerk.rates
        record, registered = file
        self._visits += 1
        number = f"{doses[0].given:%Y/%m/%d}/{self._visits % 1_000_000:06d}"
        head = (number, record, *_person_cells(dice, registered))
        for dose in doses:
            cells = [*head, *_dose_cells(dice, rates, dose, hour=doses[0].hour)]
            tags = registered.tags
            given: tuple[str, ...] = (dose.id,)
            if dice.happens(rates.row_broken):
                cells, tags, given = *_broken(dice, cells, tags), ()
            at = place_by_day(dose.given, dice.random())
            yield WrittenRow(at, csv_line(cells, ","), person.id, tags, given)
            if dice.happens(rates.row_twice):
                yield WrittenRow(at, csv_line(cells, ","), person.id, (*tags, "row-twice"), given)
        if dice.happens(rates.no_vaccine):
            drug = ("B000900", dice.pick(NO_VACCINES).upper())
            cells = [*head, doses[0].given.isoformat(), "10:00:00", *drug, "", "", "", _DOCTORS[0]]
            yield WrittenRow(
                place_by_day(doses[0].given, 0.5), csv_line(cells, ","), person.id, (*registered.tags, "no-vaccine"), ()
            )


def _newborn_until(dice: Dice, rates: Rates, person: Person, last: date) -> date:
    """Return the last day on which the child stands under its mother's name; a record renamed since shows none."""
    renamed_since = (last - person.born).days > _NEWBORN_DAYS and dice.happens(rates.record_renamed)
    if person.role != "child" or renamed_since or not dice.happens(rates.newborn_named_after_mother):
        return date.min
    return person.born + timedelta(days=_NEWBORN_DAYS)


def _person_cells(dice: Dice, registered: Registration) -> tuple[str, ...]:
    name = registered.name.upper() if dice.happens(0.8) else registered.name
    return (
        name[:_NAME_LENGTH],
        registered.nik,
        registered.sex,
        dice.pick_common(_TOWNS),
        registered.born.isoformat() if registered.born else "0000-00-00",
        registered.parent.upper()[:_NAME_LENGTH] or "-",
        registered.address or "-",
        registered.phone,
    )


def _dose_cells(dice: Dice, rates: Rates, dose: Dose, *, hour: int) -> tuple[str, ...]:
    code, name = HOSPITAL_DRUGS[dose.vaccine]
    batch = lot(HOSPITAL, dose.vaccine, dose.given.year, dose.given.month // 4)
    if dice.happens(rates.lot_missing):
        batch = dice.pick(("", "-"))
    elif dice.happens(rates.lot_invented):
        batch = f"BATCH-{dose.given:%Y%m%d}{dice.randrange(1_000_000):06d}"
    number = 0 if dice.happens(rates.dose_number_missing) else dose.number
    return (
        dose.given.isoformat(),
        f"{hour:02d}:{dice.randrange(60):02d}:{dice.randrange(60):02d}",
        code,
        name,
        batch,
        (dose.given + timedelta(days=dice.randint(90, 700))).isoformat() if dice.happens(0.7) else "0000-00-00",
        hospital_instruction(dice, number),
        dice.pick_common(_DOCTORS),
    )


def _broken(dice: Dice, cells: list[str], tags: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """Return a row that cannot become a dose, and why."""
    cells = list(cells)
    at = {name: number for number, name in enumerate(COLUMNS)}
    what = dice.pick(
        ("given-impossible", "given-missing", "given-future", "vaccine-unknown", "name-missing", "cells-missing")
    )
    if what == "given-impossible":
        cells[at["tgl_perawatan"]] = "2021-02-31"
    elif what == "given-missing":
        cells[at["tgl_perawatan"]] = "0000-00-00"
    elif what == "given-future":
        cells[at["tgl_perawatan"]] = (TODAY.replace(year=TODAY.year + 40)).isoformat()
    elif what == "vaccine-unknown":
        cells[at["kode_brng"]], cells[at["nama_brng"]] = (
            "B009999",
            dice.pick(("VAKSIN", "OBAT LAIN", "???", written_date(dice, TODAY))),
        )
    elif what == "name-missing":
        cells[at["nm_pasien"]] = dice.pick(("", "-"))
    else:
        cells = cells[: dice.randint(3, 9)]
    return cells, (*tags, f"broken-{what}")
