"""What a FHIR Patient says of who the person is, in the form in which people are compared.

A record of a source and a Patient of a server are read alike. A foreign server's Patient may lack or malform
anything: what cannot be read is left out, nothing is raised.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple, TypeVar

from fhir_gateway.domain import systems
from fhir_gateway.domain.recent import remembered
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.human_names import name_text
from fhir_gateway.people.addresses import places_in
from fhir_gateway.people.name_agreement import NameLevel, compare_keys
from fhir_gateway.people.names import PersonName, read_name
from fhir_gateway.people.nik import NikStatus, is_masked, is_parents_nik, read_nik
from fhir_gateway.people.phone_digits import comparable_phone

_MRN = systems.medical_record("")
_SOURCE = f"{systems.SOURCE}:"
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_MOTHER, _PARENTS = "MTH", frozenset({"PRN", "PARNT", "NPRN", "FTH", "NFTH", "GUARD"})
_MOTHERS = frozenset({_MOTHER, "NMTH", "MTHR"})
_NIKS = frozenset({systems.NIK, systems.NIK_AS_WRITTEN})
_VALID = NikStatus.VALID
_Value = TypeVar("_Value")


class BirthDate(NamedTuple):
    """A birth date as far as it is known: 0 for an unknown part, all 0 where nothing is."""

    year: int = 0
    month: int = 0
    day: int = 0

    @property
    def whole(self) -> bool:
        """Whether year, month and day are known."""
        return self.day > 0


UNKNOWN_BIRTH_DATE = BirthDate()


class PersonEvidence(NamedTuple):
    """Everything in a Patient that tells who the person is; anything may be empty.

    `niks` are the person's own valid NIKs, `old_niks` earlier ones, `damaged_niks` the trusted leading digits (12 or
    more) of ones that a spreadsheet rounded, `odd_niks` written ones that are no NIK, `parent_niks` the mother's (or
    father's). `names` are all, current ones first; `own_keys` are the keys of the person's own ones, `newborn` says
    that there is only a temporary one, `unread_names` are those without any comparable word (in another script than
    ours), in lower case. `mother_keys` and `parent_keys` are those of the mother and of a parent whose
    sex is unknown. `phones` are national numbers without 0, `places` comparable villages (codes or words), `records`
    (clinic, medical record number), `persons` the gateway's own identifiers. `birth_order` is multipleBirthInteger, -1
    where unknown. `masked` says that the server hides the NIK, `deceased` is an ISO date.
    """

    niks: tuple[str, ...] = ()
    old_niks: tuple[str, ...] = ()
    damaged_niks: tuple[str, ...] = ()
    odd_niks: tuple[str, ...] = ()
    parent_niks: tuple[str, ...] = ()
    names: tuple[PersonName, ...] = ()
    own_keys: tuple[str, ...] = ()
    unread_names: tuple[str, ...] = ()
    newborn: bool = False
    gender: str = ""
    birth_date: BirthDate = UNKNOWN_BIRTH_DATE
    mother_keys: tuple[str, ...] = ()
    parent_keys: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    records: tuple[tuple[str, str], ...] = ()
    clinics: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    birth_order: int = -1
    deceased: str = ""
    masked: bool = False


def evidence_of(patient: Resource) -> PersonEvidence:
    """Read a Patient, ours or a foreign server's; never raises, what is malformed is left out."""
    return _evidence(patient, _names(patient), _contacts(patient.get("contact")), _places(patient.get("address")))


def evidence_of_all(patients: Sequence[Resource]) -> Iterable[PersonEvidence]:
    """Read Patients as evidence_of() does; one element of all at a time, as its code stays in the processor's caches then."""
    names = [_names(patient) for patient in patients]
    contacts = [_contacts(patient.get("contact")) for patient in patients]
    places = [_places(patient.get("address")) for patient in patients]
    return map(_evidence, patients, names, contacts, places)


def _evidence(
    patient: Resource, names: tuple[PersonName, ...], contacts: "_Contacts", places: tuple[str, ...]
) -> PersonEvidence:
    mothers, parents, parents_phones = contacts
    mother_keys = list(mothers)
    parent_keys = list(parents)
    temporary = [name for name in names if name.newborn and not _is_the_childs(name, mother_keys)]
    newborn = bool(names) and len(temporary) == len(names)
    birth_date = read_birth_date(_text(patient.get("birthDate")))
    numbers = _Numbers(birth_date, newborn=newborn)
    for identifier in _objects(patient.get("identifier")):
        numbers.add(identifier)
    for name in temporary:
        # Beside a parent who is named "By. X" may be the child as well as the mother.
        known = parent_keys if name.father or (name.key and parents) else mother_keys
        known.append(read_name(name.father or name.newborn_of).key)
    gender = patient.get("gender")
    values = (
        numbers.niks,
        numbers.old_niks,
        numbers.damaged,
        numbers.odd,
        numbers.parents,
        names,
        _unique([name.key for name in names]),
        _unique([name.text.casefold() for name in names if not (name.key or name.newborn)]),
        newborn,
        gender if gender in ("male", "female") else "",
        birth_date,
        _unique(mother_keys),
        _unique(parent_keys),
        _unique([*_phones(patient.get("telecom")), *parents_phones]),
        places,
        numbers.families,
        numbers.records,
        _clinics(patient, numbers.records),
        numbers.persons,
        _birth_order(patient.get("multipleBirthInteger"), names),
        _text(patient.get("deceasedDateTime"))[:10],
        numbers.masked,
    )
    return tuple.__new__(PersonEvidence, values)  # in the fields' order: a tenth of the time that it takes by name


def _is_the_childs(name: PersonName, mother_keys: list[str]) -> bool:
    """Whether "By. X" names the child itself: the mother who is named beside it is called otherwise altogether."""
    levels = {compare_keys(name.key, key).level for key in mother_keys}
    return levels == {NameLevel.DIFFERENT}


def _birth_order(order: Any, names: tuple[PersonName, ...]) -> int:
    if isinstance(order, int) and not isinstance(order, bool) and order >= 0:
        return order
    for name in names:
        if name.birth_order:
            return name.birth_order
    return -1


def unmasked(evidence: PersonEvidence, nik: str) -> PersonEvidence:
    """Return a masked Patient's evidence with the NIK by whose search it was found; it stays marked as masked."""
    return evidence._replace(niks=(nik,), masked=True)


@remembered(2048)
def read_birth_date(text: str) -> BirthDate:
    """Read FHIR's date (YYYY, YYYY-MM, YYYY-MM-DD); what is none, or no day of the calendar, is unknown."""
    if text[4:5] == text[7:8] == "-":
        try:
            born = date.fromisoformat(text[:10])
        except ValueError:
            pass  # not in ASCII digits, or no day of the calendar
        else:
            return BirthDate(born.year, born.month, born.day)
    found = _DATE.match(text)
    if not found:
        return UNKNOWN_BIRTH_DATE
    year, month, day = (int(part) if part else 0 for part in found.groups())
    try:
        date(year, month or (0 if day else 1), day or 1)
    except ValueError:
        return UNKNOWN_BIRTH_DATE
    return BirthDate(year, month, day)


class _Numbers:
    """Sorts identifiers by what they are, each once. Most people have few: what there is none of is never made."""

    niks: tuple[str, ...] = ()
    old_niks: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    records: tuple[tuple[str, str], ...] = ()
    persons: tuple[str, ...] = ()
    masked = False

    def __init__(self, birth_date: BirthDate, *, newborn: bool) -> None:
        self._born = birth_date
        self._newborn = newborn

    def add(self, identifier: dict[str, Any]) -> None:
        system, value = _text(identifier.get("system")), _text(identifier.get("value")).strip()
        if not value:
            return
        if system in _NIKS:
            self._add_nik(value, old=identifier.get("use") == "old")
        elif system.startswith(_MRN):
            number = value.upper().lstrip("0")
            if any(map(str.isalnum, number)):  # "-" and "0000" stand where there is none
                self.records = _with(self.records, (system[len(_MRN) :], number))
        elif system == systems.NIK_IBU:
            self._add_parents(value)
        elif system == systems.PERSON:
            self.persons = _with(self.persons, value)
        elif system == systems.KK and len(value) == 16 and value.strip("0"):
            self.families = _with(self.families, value)

    def _add_nik(self, value: str, *, old: bool) -> None:
        if is_masked(value):
            self.masked = True
            return
        nik = read_nik(value)
        born = self._born
        birth_date = date(born.year, born.month, born.day) if born.day else None
        if is_parents_nik(nik, birth_date=birth_date, newborn=self._newborn):
            self.parents = _with(self.parents, nik.trusted)
        elif nik.status is _VALID:
            if old:
                self.old_niks = _with(self.old_niks, nik.digits)
            else:
                self.niks = _with(self.niks, nik.digits)
        elif nik.status is NikStatus.TRUNCATED and len(nik.trusted) >= 12:
            self.damaged = _with(self.damaged, nik.trusted)
        elif nik.status is NikStatus.IMPLAUSIBLE and len(nik.digits) >= 13:
            self.odd = _with(self.odd, nik.digits)

    def _add_parents(self, value: str) -> None:
        nik = read_nik(value)
        if nik.status is NikStatus.VALID or len(nik.trusted) >= 15:
            self.parents = _with(self.parents, nik.trusted)


def _with(values: tuple[_Value, ...], value: _Value) -> tuple[_Value, ...]:
    return values if value in values else (*values, value)


def _names(patient: Resource) -> tuple[PersonName, ...]:
    """Return the names that can be read: official and usual ones first, earlier ones last."""
    current: list[PersonName] = []
    old: list[PersonName] = []
    for name in _objects(patient.get("name")):
        read = read_name(name_text(name))
        if read.text:
            (old if name.get("use") == "old" else current).append(read)
    return (*current, *old) if old else tuple(current)


class _Contacts(NamedTuple):
    """The keys of the mother's names and of other parents' names, and their phones."""

    mothers: list[str]
    parents: list[str]
    phones: list[str]


def _contacts(contacts: Any) -> _Contacts:
    mothers: list[str] = []
    parents: list[str] = []
    phones: list[str] = []
    for contact in _objects(contacts):
        codes = [
            _text(coding.get("code"))
            for relationship in _objects(contact.get("relationship"))
            for coding in _objects(relationship.get("coding"))
        ]
        named = mothers if not _MOTHERS.isdisjoint(codes) else None if _PARENTS.isdisjoint(codes) else parents
        if named is not None:
            name = contact.get("name")
            named.append(read_name(name_text(name) if isinstance(name, dict) else "").key)
            phones += _phones(contact.get("telecom"))
    return _Contacts(mothers, parents, phones)


def _phones(telecom: Any) -> list[str]:
    points = [_text(point.get("value")) for point in _objects(telecom) if point.get("system") in ("phone", "sms", None)]
    return [number for value in points if (number := comparable_phone(value))]


def _places(addresses: Any) -> tuple[str, ...]:
    places: list[str] = []
    for address in _objects(addresses):
        for extension in _objects(address.get("extension")):
            if extension.get("url") == systems.ADMINISTRATIVE_CODE:
                codes = _objects(extension.get("extension"))
                places += [_text(code.get("valueCode")) for code in codes if code.get("url") == "village"]
        places += places_in(address)
    return _unique(places)


def _clinics(patient: Resource, records: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    clinics = [clinic for clinic, _ in records]
    meta = patient.get("meta")
    source = _text(meta.get("source")) if isinstance(meta, dict) else ""
    if source.startswith(_SOURCE):
        clinics.insert(0, source[len(_SOURCE) :].rpartition(":")[0])
    return _unique(clinics)


def _objects(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        return []
    if len(value) == 1 and isinstance(value[0], dict):
        return value
    return [item for item in value if isinstance(item, dict)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _unique(values: Sequence[str]) -> tuple[str, ...]:
    """Return the distinct values that are not empty; mostly one or none."""
    if len(values) > 1:
        return tuple(filter(None, dict.fromkeys(values)))
    return tuple(values) if values and values[0] else ()
