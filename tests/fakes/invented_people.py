"""Builds invented people as FHIR Patients and their evidence, for tests of identity."""

from typing import Any

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of

MOTHER = [{"coding": [{"system": systems.RELATIONSHIP, "code": "MTH"}]}]
PARENT = [{"coding": [{"system": systems.RELATIONSHIP, "code": "PRN"}]}]


def patient(
    name: str = "",
    *,
    nik: str = "",
    old_nik: str = "",
    written_nik: str = "",
    mother_nik: str = "",
    born: str = "",
    gender: str = "",
    mother: str = "",
    parent: str = "",
    phone: str = "",
    village: str = "",
    record: tuple[str, str] | None = None,
    person: str = "",
    order: int | None = None,
    died: str = "",
) -> Resource:
    """Return a Patient with what is given."""
    identifiers = [
        {"system": system, "value": value, **({"use": "old"} if value == old_nik else {})}
        for system, value in (
            (systems.NIK, nik),
            (systems.NIK, old_nik),
            (systems.NIK_AS_WRITTEN, written_nik),
            (systems.NIK_IBU, mother_nik),
            (systems.PERSON, person),
            (systems.medical_record(record[0]), record[1]) if record else ("", ""),
        )
        if value
    ]
    contacts = [
        {"relationship": relationship, "name": {"text": text}}
        for relationship, text in ((MOTHER, mother), (PARENT, parent))
        if text
    ]
    parts: dict[str, Any] = {
        "identifier": identifiers,
        "name": [{"text": name}] if name else [],
        "gender": gender,
        "birthDate": born,
        "contact": contacts,
        "telecom": [{"system": "phone", "value": phone}] if phone else [],
        "address": [{"line": [village]}] if village else [],
        "multipleBirthInteger": order,
        "deceasedDateTime": died,
    }
    return {"resourceType": "Patient", **{key: value for key, value in parts.items() if value not in ("", [], None)}}


def evidence(name: str = "", **given: Any) -> PersonEvidence:
    """Return the evidence of an invented person."""
    return evidence_of(patient(name, **given))


RIZKI: dict[str, Any] = {
    "name": "Rizki Pratama",
    "born": "2020-03-15",
    "gender": "male",
    "mother": "Siti Aminah",
    "phone": "+6281234567890",
    "village": "Kalimanah",
}
"""An invented boy; his NIK would be RIZKIS_NIK."""

RIZKIS_NIK = "3303121503200001"
TWINS_NIK = "3303121503200002"


def rizki(**other: Any) -> PersonEvidence:
    """Return the boy's evidence with other values."""
    return evidence(**{**RIZKI, **other})
