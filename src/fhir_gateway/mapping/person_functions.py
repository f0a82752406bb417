"""Mapping functions for what a row tells of the person."""

from datetime import date
from functools import lru_cache
from typing import Any

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource
from fhir_gateway.mapping.functions import Apply, Facts, MappingFunction, Option, Setup, Steadiness
from fhir_gateway.mapping.general_functions import as_written
from fhir_gateway.people.addresses import PARTS, AddressText, read_address
from fhir_gateway.people.names import PersonName, read_name, says_none
from fhir_gateway.people.nik import Nik, NikStatus, decoded_birth_date, read_nik
from fhir_gateway.people.phones import read_phones

_GENDERS = {
    **dict.fromkeys(
        ("l", "lk", "laki", "laki laki", "laki2", "lelaki", "pria", "male", "m", "1", "cowok", "putra"), "male"
    ),
    **dict.fromkeys(("p", "pr", "perempuan", "wanita", "female", "f", "2", "cewek", "putri"), "female"),
}
_RELATIONSHIPS = {"mother": ("MTH", "mother"), "father": ("FTH", "father"), "parent": ("PRN", "parent")}
_MEDICAL_RECORD_TYPE: Resource = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR", "display": "Medical record number"}
    ]
}
_NO_NIK = (NikStatus.MISSING, NikStatus.PLACEHOLDER)
_YOUNGEST_MOTHER, _OLDEST_MOTHER, _CHILD_UNTIL = 12, 55, 18
_DAYS_A_YEAR = 365.2425
_ADDRESSES = 2048
_NOTHING = frozenset({"tidak ada", "tdk ada", "belum ada", "tidak punya", "belum punya", "kosong", "nihil"})
"""What stands for no number, in words."""


def _build_person_name(setup: Setup) -> Apply:
    unreadable = setup.problem(
        "name-unreadable",
        "the name holds no Latin letters, or says that there is none",
        "write the person's name; a newborn's as By. Ny. and its mother's name",
    )

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        text = _joined(texts)
        if not text:
            return None
        name = read_name(text)
        if not name.words and not name.newborn:
            return unreadable
        facts.name = name
        return {"use": "temp" if name.newborn else "official", **human_name(name)}

    return apply


def _joined(texts: tuple[str, ...]) -> str:
    """Return a name that stands in one column, or in several."""
    return texts[0] if len(texts) == 1 else " ".join(filter(None, texts))


def human_name(name: PersonName) -> Resource:
    """Return a HumanName without use; Indonesian names have no family name, so all words are given names."""
    original, text, prefix, suffix, given, *_ = name
    if given and not (prefix or suffix) and (original == text or original.casefold() == text.casefold()):
        return {"text": text, "given": list(given)}
    written = " ".join(name.original.split())
    if name.newborn or not name.text:
        return {"text": written}
    result: Resource = {"text": name.text}
    for element, words in (("given", name.given), ("prefix", name.prefix), ("suffix", name.suffix)):
        if words:
            result[element] = list(words)
    shown = " ".join((*name.prefix, name.text, *name.suffix)).casefold()
    folded = written.casefold()
    if shown != folded and _letters(shown) != _letters(folded):
        result["extension"] = [as_written(written)]
    return result


def _letters(folded: str) -> str:
    return "".join(filter(str.isalnum, folded))


def _build_gender(setup: Setup) -> Apply:
    column = setup.columns[0]
    own = {word.casefold(): gender for gender in ("male", "female") for word in setup.options.get(gender) or ()}
    genders = _GENDERS | own

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        text = texts[0]
        if not text:
            return None
        gender = genders.get(text.casefold()) or genders.get(
            " ".join(text.casefold().replace("-", " ").replace(".", "").split())
        )
        if gender is None:
            facts.kept.append(f"{column}: {text}")
        else:
            facts.gender = gender
        return gender

    return apply


def _build_nik(setup: Setup) -> Apply:
    column = setup.columns[0]

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        if not texts[0]:
            return None
        nik = read_nik(texts[0], column in facts.numeric)
        if nik.status in _NO_NIK or _is_mothers(nik, facts):
            return _mothers(texts[0], nik, column, facts)
        if nik.writable:
            return {"use": "official", "system": systems.NIK, "value": nik.digits}
        return {"system": systems.NIK_AS_WRITTEN, "value": texts[0]}

    return apply


def _mothers(text: str, nik: Nik, column: str, facts: Facts) -> Resource | None:
    """Return the mother's NIK as an identifier; what cannot be one is kept as it was written."""
    if nik.writable:
        return {"system": systems.NIK_IBU, "value": nik.digits}
    if not _only_fills(text):
        facts.kept.append(f"{column}: {text}")
    return None


def _only_fills(text: str) -> bool:
    """Tell what fills a cell without saying anything: one digit over and over, counted up, words for nothing."""
    digits = "".join(filter(str.isalnum, text))
    return len(set(digits)) <= 1 or digits in "1234567890" * 2 or text.casefold() in _NOTHING


def _is_mothers(nik: Nik, facts: Facts) -> bool:
    """Whether a NIK in the person's own column is the mother's: the person is a newborn under her name, or only she fits.

    A NIK that merely disagrees with the record stays the person's own: it is not reissued when a date is corrected.
    """
    newborn = facts.name is not None and facts.name.newborn
    if nik.birth_year < 0 or not facts.birth_date:
        return newborn
    if f"{nik.birth_year:02}-{nik.birth_month:02}-{nik.birth_day:02}" == facts.birth_date[2:]:
        return newborn and bool(facts.gender) and facts.gender != nik.gender
    try:
        born = date.fromisoformat(facts.birth_date)
    except ValueError:  # a mapping may pass it through no function; then the row's Patient is no valid one
        return newborn
    today = facts.context.today
    decoded = decoded_birth_date(nik, near=born, today=today)
    older = (born - decoded).days / _DAYS_A_YEAR if decoded else 0.0
    could_be_mother = nik.gender == "female" and _YOUNGEST_MOTHER <= older <= _OLDEST_MOTHER
    return could_be_mother and (newborn or (today - born).days / _DAYS_A_YEAR < _CHILD_UNTIL)


def _build_parent_nik(setup: Setup) -> Apply:
    column = setup.columns[0]

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        nik = read_nik(texts[0], column in facts.numeric)
        if nik.writable and nik.gender != "female":
            return None  # a father's NIK has no place in nik-ibu
        return _mothers(texts[0], nik, column, facts)

    return apply


def _build_phones(setup: Setup) -> Apply:  # noqa: ARG001 - the signature of all functions
    def apply(texts: tuple[str, ...], facts: Facts) -> Any:  # noqa: ARG001 - the signature of all functions
        points: list[Resource] = []
        for text in filter(None, texts):
            read = read_phones(text)
            for number in read.numbers:
                point = {"system": "phone", "value": number}
                points.append(point | {"use": "mobile"} if number.startswith("+628") else point)
            if read.as_written:
                if not read.numbers:
                    points.append({"system": "phone"})
                points[-1]["extension"] = [as_written(read.as_written)]
        return points or None

    return apply


def _build_address(setup: Setup) -> Apply:
    parts = tuple(setup.options.get("parts") or ("text",))

    @lru_cache(maxsize=_ADDRESSES)
    def read(texts: tuple[str, ...]) -> Resource | None:
        return read_address(AddressText(**dict(zip(parts, texts, strict=True)))) if any(texts) else None

    return lambda texts, facts: read(texts)  # noqa: ARG005 - the signature of all functions


def _build_contact_person(setup: Setup) -> Apply:
    column = setup.columns[0]
    relationship = str(setup.options.get("relationship") or "parent")
    code, display = _RELATIONSHIPS[relationship]
    coded = [{"coding": [{"system": systems.RELATIONSHIP, "code": code, "display": display}]}]

    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        text = _joined(texts)
        if says_none(text):
            text = ""
        if not text and relationship == "mother" and facts.name is not None:
            text = facts.name.newborn_of
        name = read_name(text) if text else None
        if name is None or not (name.words or name.newborn):
            if any(map(str.isalnum, text)):
                facts.kept.append(f"{column}: {text}")
            return None
        return {"relationship": coded, "name": human_name(name)}

    return apply


def _build_birth_order(setup: Setup) -> Apply:  # noqa: ARG001 - the signature of all functions
    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        name = read_name(texts[0]) if texts and texts[0] else facts.name
        return name.birth_order if name is not None and name.birth_order > 0 else None

    return apply


def _build_medical_record(setup: Setup) -> Apply:  # noqa: ARG001 - the signature of all functions
    def apply(texts: tuple[str, ...], facts: Facts) -> Any:
        if not texts[0]:
            return None
        system = systems.medical_record(facts.safe_clinic)
        return {"use": "usual", "type": _MEDICAL_RECORD_TYPE, "system": system, "value": texts[0]}

    return apply


PERSON_FUNCTIONS = (
    MappingFunction(
        "person_name",
        "a HumanName without titles, degrees apart, the original kept; several columns are parts of one name",
        _build_person_name,
        makes=("HumanName",),
    ),
    MappingFunction(
        "gender",
        "FHIR's gender from L/P, laki-laki/perempuan and the like; the options are what a source writes otherwise",
        _build_gender,
        {"male": Option("list"), "female": Option("list")},
        sex=True,
        columns=1,
        makes=("code",),
    ),
    MappingFunction(
        "nik",
        "the identifier that a NIK is: the person's own, the mother's, or damaged",
        _build_nik,
        nik=True,
        columns=1,
        makes=("Identifier",),
    ),
    MappingFunction(
        "parent_nik",
        "the mother's NIK from a parent's column; a father's is left out",
        _build_parent_nik,
        nik=True,
        columns=1,
        makes=("Identifier",),
    ),
    MappingFunction(
        "phones",
        "every phone number of a cell in E.164",
        _build_phones,
        steadiness=Steadiness.STEADY,
        makes=("ContactPoint",),
    ),
    MappingFunction(
        "address",
        "an Address with Indonesia's administrative codes where they can be told",
        _build_address,
        {"parts": Option("list", choices=PARTS)},
        for_each_column="parts",
        steadiness=Steadiness.STEADY,
        makes=("Address",),
    ),
    MappingFunction(
        "contact_person",
        "a contact with name and relationship",
        _build_contact_person,
        {"relationship": Option(required=True, choices=tuple(_RELATIONSHIPS))},
        makes=("PatientContact",),
    ),
    MappingFunction(
        "birth_order",
        "the number of a twin where the name tells it",
        _build_birth_order,
        columns=1,
        makes=("integer", "positiveInt"),
    ),
    MappingFunction(
        "medical_record",
        "the clinic's medical record number",
        _build_medical_record,
        steadiness=Steadiness.STEADY,
        columns=1,
        makes=("Identifier",),
    ),
)
