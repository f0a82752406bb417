"""How often what happens in the invented population and its files; each rate says where it comes from."""

import tomllib
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fhir_gateway.domain.errors import ConfigurationError, ConfigurationProblem

_ASSUMED = "assumed"
_HIGHEST_ERROR_RATE = 0.9
_HEAD = (
    "# Rates of the invented population; probabilities between 0 and 1.",
    "# Errors are of what somebody types, not of rows: a line that is copied from last month's keeps those that it has.",
    "# A NIK or a birth date gets one error at most, so each of these errors is somewhat rarer than its rate.",
)


def _error(rate: float, origin: str = _ASSUMED) -> Any:
    """Declare a writing error: `--harsh` multiplies it."""
    return field(default=rate, metadata={"origin": origin, "kind": "error"})


def _fact(rate: float, origin: str = _ASSUMED) -> Any:
    """Declare a fact of the population or of the clinics' habits: `--harsh` leaves it alone."""
    return field(default=rate, metadata={"origin": origin, "kind": "fact"})


@dataclass(frozen=True, slots=True)
class Rates:
    """Probabilities between 0 and 1; `metadata` of each field names its origin and its kind (fact or error)."""

    # who there is
    twins: float = _fact(0.012, "Smits & Monden 2011, doi:10.1371/journal.pone.0025239: 6-9 per 1,000 births; raised")
    large_family: float = _fact(0.0, "assumed: up to four more children; 0 in the default population")
    twins_same_sex: float = _fact(0.65, "assumed: all identical twins, and half of the others")
    twins_one_sound_apart: float = _fact(0.7, "assumed: twins are often given names that rhyme")
    siblings_named_alike: float = _fact(0.2)
    son_named_like_father: float = _fact(0.03)
    mononym_adult: float = _fact(
        0.3, "assumed: one-word names are common among older people; of names without a Siti or Lalu in front"
    )
    mononym_child: float = _fact(0.05, "assumed: population documents want two words since Permendagri 73/2022")
    modern_name: float = _fact(0.45, "assumed")
    same_name_and_birth_date: float = _fact(0.004, "assumed: strangers who share both")
    two_niks: float = _fact(0.004)
    nik_disagrees_with_person: float = _fact(
        0.03, "assumed; a NIK stays when a birth date is corrected, and all ten sandbox patients of SATUSEHAT disagree"
    )
    born_elsewhere: float = _fact(0.12)
    moved: float = _fact(0.06)
    changed_phone: float = _fact(0.2)
    family_without_phone: float = _fact(0.08)
    mother_with_doses: float = _fact(0.55)
    father_with_doses: float = _fact(0.2)
    grandparent_with_doses: float = _fact(0.08)
    # where they go
    born_in_hospital: float = _fact(0.4)
    hospital_child: float = _fact(0.08, "assumed: all doses in the hospital")
    dose_missed: float = _fact(0.12)
    left_early: float = _fact(0.25, "assumed: no dose after some age")
    village_without_sheet: float = _fact(
        0.3, "assumed: the health centre enters the cohort only; in a small region it may be none"
    )
    in_cohort: float = _fact(0.75, "assumed: young children who stand in the ASIK cohort")
    cohort_dose_missing: float = _fact(0.06)
    in_two_cohorts: float = _fact(0.3, "assumed: of the children who moved, in the new place's cohort as well")
    doses_carried_over: float = _fact(0.7, "assumed: of their earlier doses, those that the new cohort has, too")
    cohort_date_by_program: float = _fact(0.01, "assumed: Pos reads 'oleh sistem'")
    posyandu_late: float = _fact(0.25, "assumed: a dose waits for a later posyandu day")
    # newborns
    newborn_named_after_mother: float = _fact(0.4, "assumed: first doses under 'By. Ny. <mother>'")
    newborn_with_mothers_nik: float = _fact(0.55, "assumed: of those; the others have none")
    record_renamed: float = _fact(0.4, "assumed: hospital records of newborns that are given the child's name later")
    newborn_number_missing: float = _error(0.3, "assumed: a twin's row does not say which twin")
    cohort_still_newborn: float = _error(0.015)
    new_medical_record: float = _error(0.06, "assumed: registered anew in the same hospital")
    # names as written
    abbreviated_prefix: float = _error(0.4, "assumed: of the names with Muhammad, Abdul, Siti, Nur")
    respelled: float = _error(0.08, "assumed: of a name's words with a sound that has two spellings")
    title: float = _error(0.05)
    degree: float = _error(0.06, "assumed: of adults")
    father_appended: float = _error(0.012, "assumed: bin or binti and the father's name")
    nickname: float = _error(0.008)
    word_dropped: float = _error(0.05)
    word_shortened: float = _error(0.03, "assumed: a later word as its initial")
    words_swapped: float = _error(0.006)
    typo: float = _error(0.05)
    space_lost: float = _error(0.008)
    wrong_name_kept: float = _error(0.002, "assumed: another name altogether, as before a renaming")
    # what else is written of a person
    sex_wrong: float = _error(0.005)
    sex_missing: float = _error(0.01)
    birth_date_missing: float = _error(0.01)
    birth_date_swapped: float = _error(0.008, "assumed: day and month, where the day is 12 at most")
    birth_year_wrong: float = _error(0.006)
    birth_date_typo: float = _error(0.008, "assumed: one digit")
    birth_date_first_of_january: float = _error(0.004)
    birth_date_of_mother: float = _error(0.001)
    nik_missing: float = _error(0.15)
    nik_placeholder: float = _error(0.025, "assumed; the forms have been seen in clinics' tables")
    nik_typo: float = _error(0.02)
    nik_transposed: float = _error(0.006)
    nik_wrong_length: float = _error(0.005)
    nik_temporary: float = _error(0.003, "assumed; the form, a leading 0, has been seen")
    nik_of_mother: float = _error(0.025)
    nik_of_sibling: float = _error(0.004)
    nik_of_stranger: float = _error(0.0006, "assumed: a slip to the next line")
    nik_through_spreadsheet: float = _error(0.025, "assumed; 15 significant digits are the format's own")
    mother_missing: float = _error(0.08)
    parent_is_father: float = _error(0.1, "assumed: the parent named is the father")
    phone_missing: float = _error(0.2)
    phone_typo: float = _error(0.012)
    phone_with_remark: float = _error(0.02)
    phone_pair: float = _error(0.03)
    phone_through_spreadsheet: float = _error(0.015)
    phone_dummy: float = _error(0.006)
    address_missing: float = _error(0.06)
    village_wrong: float = _error(0.01)
    copied_from_last_month: float = _fact(0.75, "assumed: the sheet's line is copied, errors included")
    # doses and rows
    lot_missing: float = _error(0.15)
    lot_invented: float = _error(0.04, "assumed; 'BATCH-' and 14 digits have been seen in mlite")
    dose_number_missing: float = _error(0.15)
    dose_date_off: float = _error(0.006, "assumed: a day or two between two sources")
    dose_typed_twice: float = _error(0.004)
    row_twice: float = _error(0.008)
    row_broken: float = _error(0.006, "assumed: of the hospital's and the sheet's; the cohort has none")
    no_vaccine: float = _fact(0.012, "assumed: Vitamin A and the like in the same list")

    def harsher(self, factor: float) -> "Rates":
        """Return these rates with every writing error this many times as frequent, 0.9 at most where it was less before."""
        errors = {each.name: getattr(self, each.name) for each in fields(self) if each.metadata["kind"] == "error"}
        most = {name: max(rate, _HIGHEST_ERROR_RATE) for name, rate in errors.items()}
        return replace(self, **{name: min(most[name], rate * factor) for name, rate in errors.items()})


def read_rates(path: Path) -> Rates:
    """Return the default rates with those that the TOML file names (`rate = probability`) in their place.

    Raises ConfigurationError with all faults: no TOML, an unknown rate, a value that is no probability.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError([ConfigurationProblem(str(path), 0, 0, f"cannot be read as TOML: {error}")]) from error
    known = [each.name for each in fields(Rates)]
    problems = [
        ConfigurationProblem(str(path), 0, 0, message, suggestion)
        for name, value in table.items()
        for message, suggestion in _faults(name, value, known)
    ]
    if problems:
        raise ConfigurationError(problems)
    return Rates(**{name: float(value) for name, value in table.items()})


def _faults(name: str, value: object, known: list[str]) -> list[tuple[str, str]]:
    if name not in known:
        near = get_close_matches(name, known, 1)
        return [
            (f"there is no rate {name!r}", f"did you mean {near[0]!r}?" if near else "see `fhir-gateway synth rates`")
        ]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return [(f"{name} must be a probability between 0 and 1", "")]
    return []


def rates_as_toml(rates: Rates) -> str:
    """Return the rates as a TOML file to edit, each with its origin behind it."""
    lines = [f"{each.name} = {getattr(rates, each.name)}  # {each.metadata['origin']}" for each in fields(rates)]
    return "\n".join([*_HEAD, *lines, ""])
