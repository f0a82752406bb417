"""What a probe asks a server, and which of several questions a Patient answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fhir_gateway.domain import systems
from fhir_gateway.domain.identity import Probe
from fhir_gateway.domain.records import Resource
from fhir_gateway.people.nik import NikStatus, read_nik

_COUNTRY = "62"
_SHORTEST_NAME = 4


class Kind(StrEnum):
    """The search parameter by which candidates are looked for, the surest first; READ finds who is known."""

    READ = "_id"
    IDENTIFIER = "identifier"
    BIRTH_DATE = "birthdate"
    PHONE = "phone"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Question:
    """One thing asked, so that its answer can be kept: who has this identifier (`system|value`), born on this day.

    `gender` goes with a birth date only, "" where it is unknown or the server cannot search by it.
    """

    kind: Kind
    value: str
    gender: str = ""


def questions_of(probe: Probe, kind: Kind, *, by_gender: bool, by_birth_date: bool = True) -> Iterator[Question]:
    """Yield what a probe asks by one kind of search; a name only where there is no birth date to search by.

    A name alone finds far too many, so its longest token stands for it.
    """
    match kind:
        case Kind.READ:
            yield from (Question(kind, patient_id) for patient_id in probe.patient_ids)
        case Kind.IDENTIFIER:
            yield from (Question(kind, f"{system}|{value}") for system, value in probe.identifiers)
            # Elsewhere a child may carry its mother's number as if it were its own.
            yield from (Question(kind, f"{systems.NIK}|{value}") for value in _parents_niks(probe))
        case Kind.BIRTH_DATE:
            gender = probe.gender if by_gender else ""
            yield from (Question(kind, day, gender) for day in probe.birth_dates)
        case Kind.PHONE:
            yield from (Question(kind, number) for number in map(national_number, probe.phones) if number)
        case Kind.NAME if not (by_birth_date and probe.birth_dates):
            longest = max(probe.names, key=len, default="")
            if len(longest) >= _SHORTEST_NAME:
                yield Question(kind, longest.casefold())


def own_identifiers(probe: Probe) -> frozenset[str]:
    """Return the identifiers (`system|value`) by which nobody but the person is found.

    A parent's NIK finds the siblings, and one that may have lost its last digit finds whoever lost it alike.
    """
    return frozenset(
        f"{system}|{value}"
        for system, value in probe.identifiers
        if system != systems.NIK_IBU and not (system == systems.NIK and _may_be_cut(value))
    )


def _may_be_cut(value: str) -> bool:
    return read_nik(value).status is NikStatus.TRUNCATED


def _parents_niks(probe: Probe) -> Iterator[str]:
    return (value for system, value in probe.identifiers if system == systems.NIK_IBU)


def matching_values(patient: Resource, kind: Kind) -> Iterator[str]:
    """Yield the values of questions of this kind that a Patient answers, as questions spell them."""
    match kind:
        case Kind.READ:
            yield str(patient.get("id", ""))
        case Kind.IDENTIFIER:
            yield from _identifier_tokens(patient)
        case Kind.BIRTH_DATE:
            yield from _days(patient.get("birthDate"))
        case Kind.PHONE:
            yield from _phone_numbers(patient)
        case Kind.NAME:
            # Servers find names by their beginning.
            for word in _name_words(patient):
                yield from (word[:length] for length in range(_SHORTEST_NAME, len(word) + 1))


def search_values(question: Question) -> tuple[str, ...]:
    """Return the values to search for; a phone is written in several ways, and servers compare them as text."""
    if question.kind is not Kind.PHONE:
        return (question.value,)
    return (f"+{_COUNTRY}{question.value}", f"0{question.value}", f"{_COUNTRY}{question.value}")


def _identifier_tokens(patient: Resource) -> Iterator[str]:
    """Yield a Patient's identifiers as `system|value`."""
    for identifier in _dicts(patient.get("identifier")):
        yield f"{identifier.get('system') or ''}|{identifier.get('value') or ''}"


def _phone_numbers(patient: Resource) -> set[str]:
    """Return a Patient's phone numbers without country code and punctuation."""
    telecoms = _dicts(patient.get("telecom"))
    return {national_number(str(one.get("value") or "")) for one in telecoms if one.get("system") != "email"} - {""}


def _name_words(patient: Resource) -> Iterator[str]:
    """Yield the words of all names of a Patient, in lower case."""
    for name in _dicts(patient.get("name")):
        given = name.get("given")
        parts = [name.get("text"), name.get("family"), *(given if isinstance(given, list) else [])]
        for part in parts:
            if isinstance(part, str):
                yield from part.casefold().split()


def _days(birth_date: Any) -> Iterator[str]:
    """Yield a birth date and its less precise forms; a Patient of whom only the year is known answers the year only."""
    if isinstance(birth_date, str) and birth_date:
        yield from dict.fromkeys((birth_date, birth_date[:7], birth_date[:4]))


def national_number(phone: str) -> str:
    """Return a phone number's digits without 62, 0 and punctuation; "" where there are none."""
    digits = "".join(letter for letter in phone if letter in "0123456789")
    return digits.removeprefix(_COUNTRY).lstrip("0")


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []
