"""A whole server's people, compactly: what each comparison needs of a Patient, in a few hundred bytes."""

import marshal
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from fhir_gateway.domain.finding import FoundPatient
from fhir_gateway.domain.records import Resource
from fhir_gateway.identity.evidence import BirthDate, PersonEvidence, evidence_of, evidence_of_all
from fhir_gateway.merging.elements import own_niks, text
from fhir_gateway.merging.grouping import brings_together
from fhir_gateway.people.names import tokens_of_key
from fhir_gateway.people.nik import is_masked, read_nik

_new = tuple.__new__
"""Makes a named tuple in a third of the time that its own _make() takes."""
_NAMES, _BORN = PersonEvidence._fields.index("names"), PersonEvidence._fields.index("birth_date")
_READ = frozenset(
    {"id", "meta", "identifier", "name", "telecom", "gender", "birthDate", "deceasedDateTime", "address", "contact"}
    | {"multipleBirthInteger"}
)
"""The elements of a Patient that evidence is made of."""


class Person(NamedTuple):
    """An active Patient: how a list shows it, the NIKs (16 digits) that may bring it together with others, evidence."""

    shown: FoundPatient
    niks: tuple[str, ...]
    evidence: PersonEvidence


def person_of(patient: Resource) -> Person:
    """Read a Patient; never raises, whatever a foreign server's resource holds."""
    return _person(patient, evidence_of(patient))


def people_of(patients: Sequence[Resource]) -> list[Person]:
    """Read Patients as person_of() does."""
    return [_person(patient, evidence) for patient, evidence in zip(patients, evidence_of_all(patients), strict=True)]


def _person(patient: Resource, evidence: PersonEvidence) -> Person:
    name = evidence.names[0].original if evidence.names else ""
    shown = _new(FoundPatient, (str(patient["id"]), name, text(patient.get("birthDate")), evidence.gender))
    return _new(Person, (shown, niks_of(patient), evidence))


def niks_of(patient: Resource) -> tuple[str, ...]:
    """Return the NIKs (16 digits) that may bring a Patient together with others, earlier ones included."""
    read = [nik.digits for nik in map(read_nik, own_niks(patient, old=True)) if brings_together(nik)]
    return tuple(dict.fromkeys(read)) if len(read) > 1 else tuple(read)


def hides_nik(patient: Resource) -> bool:
    """Say whether the server hides a NIK of this Patient."""
    return any(map(is_masked, own_niks(patient, old=True)))


def pack(person: Person) -> bytes:
    """Return a person as bytes; the evidence's names are left out, as comparing looks at their keys only."""
    shown, niks, evidence = person
    values: list[object] = list(evidence)
    values[_NAMES], values[_BORN] = (), tuple(evidence.birth_date)
    return marshal.dumps((tuple(shown), niks, values))


def pack_unread(patients: Sequence[Resource]) -> bytes:
    """Return Patients as bytes, to be read by another process, or when they are needed: few people share a NIK."""
    read = [{name: value for name, value in patient.items() if name in _READ} for patient in patients]
    try:
        return marshal.dumps(read)
    except ValueError:  # a decimal in an extension
        return marshal.dumps(_without_decimals(read))


def _without_decimals(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_decimals(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_decimals(each) for each in value]
    return float(value) if isinstance(value, Decimal) else value


def unpack_unread(patients: bytes) -> list[Resource]:
    """Return the Patients that pack_unread() wrote, as far as they are read here."""
    found: list[Resource] = marshal.loads(patients)  # noqa: S302 - written by this very program, for itself
    return found


def unpack(record: bytes) -> Person:
    """Return the person that pack() wrote, or pack_unread() of one Patient."""
    found = marshal.loads(record)  # noqa: S302 - written by this very process into a file of its own
    if isinstance(found, list):
        return person_of(found[0])
    shown, niks, values = found
    values[_BORN] = _new(BirthDate, values[_BORN])
    return _new(Person, (_new(FoundPatient, shown), niks, _new(PersonEvidence, values)))


def words_of(person: Person) -> dict[str, str]:
    """Return what another model may compare, by column (ports.SecondOpinion); the first of several values."""
    evidence, born = person.evidence, person.evidence.birth_date
    name = _first_name_in(evidence.own_keys)
    return {
        "id": person.shown.id,
        "name": name,
        "first": name.partition(" ")[0],
        "nik": next(iter(evidence.niks), ""),
        "born": f"{born.year:04}-{born.month:02}-{born.day:02}" if born.whole else "",
        "gender": evidence.gender,
        "mother": _first_name_in(evidence.mother_keys),
        "phone": next(iter(evidence.phones), ""),
        "place": next(iter(evidence.places), ""),
    }


def _first_name_in(keys: tuple[str, ...]) -> str:
    return " ".join(tokens_of_key(keys[0])[1]) if keys else ""
