"""SKELETON: what a FHIR Patient says of who the person is; signatures are final, bodies follow within minutes."""

from dataclasses import dataclass

from fhir_gateway.domain.records import Resource
from fhir_gateway.people.names import PersonName


@dataclass(frozen=True, slots=True)
class PersonEvidence:
    """Everything in a Patient that tells who the person is; anything may be empty.

    `niks` are valid NIKs (the current one first), `nik_prefixes` the trusted digits of damaged ones, `mother_niks`
    those of the mother. `names` are current first. `birth_date` is ISO, possibly partial ("2024", "2024-05").
    `gender` is FHIR's code or "". `records` are (clinic, medical record number) pairs. `phones` are comparable last
    digits. `birth_order` is multipleBirthInteger (-1 unknown). `masked` says that the server hides the NIK.
    """

    niks: tuple[str, ...] = ()
    old_niks: tuple[str, ...] = ()
    nik_prefixes: tuple[str, ...] = ()
    mother_niks: tuple[str, ...] = ()
    names: tuple[PersonName, ...] = ()
    gender: str = ""
    birth_date: str = ""
    mothers: tuple[PersonName, ...] = ()
    parents: tuple[PersonName, ...] = ()
    phones: tuple[str, ...] = ()
    villages: tuple[str, ...] = ()
    districts: tuple[str, ...] = ()
    records: tuple[tuple[str, str], ...] = ()
    clinics: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    birth_order: int = -1
    deceased: str = ""
    masked: bool = False


def evidence_of(patient: Resource) -> PersonEvidence:
    """Read a Patient, ours or a foreign server's; never raises, what is malformed is left out."""
    raise NotImplementedError
