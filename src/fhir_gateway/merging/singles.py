"""Which value survives of fields that have one: birth date, gender, death, multiple birth."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_gateway.domain.merges import FieldChoice, MergeConflict
from fhir_gateway.domain.records import Resource
from fhir_gateway.identity.comparators import birth_date_fits_nik
from fhir_gateway.identity.evidence import evidence_of, read_birth_date
from fhir_gateway.merging.elements import text

_SEXES = frozenset({"male", "female"})


@dataclass(frozen=True, slots=True)
class Chosen:
    """Elements that the survivor gets, those that it loses for them, and what was decided."""

    elements: dict[str, Any] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    choices: tuple[FieldChoice, ...] = ()
    conflicts: tuple[MergeConflict, ...] = ()


def choose_birth_date(patients: Sequence[Resource]) -> Chosen:
    """Choose the birth date that a NIK confirms, then the more exact one, then what most say, then the survivor's.

    Of those who say so, one that tells the time of birth, too, comes first. Dates of which one is the other's beginning agree. Others are a conflict unless the NIK confirms just one of them.
    """
    known = [patient for patient in patients if read_birth_date(text(patient.get("birthDate"))).year]
    if not known:
        return Chosen()
    dates = [text(patient["birthDate"]) for patient in known]
    fits = _confirmed(patients, known)
    told = next((patient for patient in known if "_birthDate" in patient), known[0])
    if len(set(dates)) == 1 and told is patients[0]:
        return Chosen()
    best = max(known, key=lambda patient: _birth_date_rank(text(patient["birthDate"]), fits, dates))
    chosen = text(best["birthDate"])
    saying_so = [patient for patient in known if text(patient["birthDate"]) == chosen]
    taken = next((patient for patient in saying_so if "_birthDate" in patient), saying_so[0])
    disagreeing = [patient for patient in known if not _beginning(text(patient["birthDate"]), chosen)]
    conflicts: tuple[MergeConflict, ...] = ()
    if disagreeing and (chosen not in fits or len(fits) > 1):
        conflicts = (
            _conflict("birth-date-disagrees", "the birth dates disagree, and no NIK tells which is right", known),
        )
    dropped = tuple(str(patient["id"]) for patient in known if patient["birthDate"] != chosen)
    rule = "confirmed by the NIK" if chosen in fits else "the more exact one, then what most say, then the survivor's"
    elements: dict[str, Any] = {name: taken[name] for name in ("birthDate", "_birthDate") if name in taken}
    removed = ("_birthDate",) if "_birthDate" not in taken and taken is not patients[0] else ()
    return Chosen(elements, removed, (FieldChoice("birthDate", rule, (str(taken["id"]),), dropped),), conflicts)


def _confirmed(patients: Sequence[Resource], known: Sequence[Resource]) -> set[str]:
    """Return the birth dates that any of the Patients' NIKs tells."""
    niks = tuple(sorted({nik for patient in patients for nik in evidence_of(patient).niks}))
    return {
        text(patient["birthDate"]) for patient in known if birth_date_fits_nik(evidence_of(patient)._replace(niks=niks))
    }


def _birth_date_rank(value: str, fits: set[str], dates: list[str]) -> tuple[bool, int, int]:
    return value in fits, len(value), dates.count(value)


def _beginning(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def choose_gender(patients: Sequence[Resource]) -> Chosen:
    """Choose the survivor's where it says male or female, else the first that does; two that disagree are a conflict."""
    known = [patient for patient in patients if text(patient.get("gender")) in _SEXES]
    if not known:
        return Chosen()
    taken = known[0]
    disagreeing = [patient for patient in known if patient["gender"] != taken["gender"]]
    if taken is patients[0] and not disagreeing:
        return Chosen()
    words = "the one is recorded as male, the other as female"
    conflicts = (_conflict("gender-disagrees", words, known),) if disagreeing else ()
    choice = FieldChoice(
        "gender", "the survivor's, else the first known", (str(taken["id"]),), tuple(str(p["id"]) for p in disagreeing)
    )
    return Chosen({"gender": taken["gender"]}, (), (choice,), conflicts)


def choose_deceased(patients: Sequence[Resource]) -> Chosen:
    """Choose a death that is told over none, with its date where one is known; two days of death are a conflict.

    That one says nothing, or `false` (which many systems write for everybody), contradicts no death, but is listed.
    """
    dated = [patient for patient in patients if text(patient.get("deceasedDateTime"))]
    dated.sort(key=lambda patient: -len(text(patient["deceasedDateTime"])[:10]))  # the more exact ones first
    dead = [patient for patient in patients if patient.get("deceasedBoolean") is True]
    denied = [patient for patient in patients if patient.get("deceasedBoolean") is False]
    known = [*dated, *dead, *denied]
    if not known:
        return Chosen()
    taken = known[0]
    name = "deceasedDateTime" if dated else "deceasedBoolean"
    conflicts: list[MergeConflict] = []
    days = [text(patient["deceasedDateTime"])[:10] for patient in dated]
    if any(not _beginning(day, days[0]) for day in days):
        conflicts.append(_conflict("death-disagrees", "two different days of death are recorded", dated))
    if (dated or dead) and denied:
        words = "one record says that the person has died, another that not"
        conflicts.append(_conflict("death-denied", words, [taken, *denied], blocks=False))
    dropped = tuple(str(p["id"]) for p in known if p is not taken and p.get(name) != taken.get(name))
    if taken is patients[0] and not dropped and not conflicts:
        return Chosen()
    choice = FieldChoice(
        "deceased[x]", "death outranks its absence, a date the mere fact", (str(taken["id"]),), dropped
    )
    removed = _others("deceasedDateTime", "deceasedBoolean", but=name)
    return Chosen({name: taken[name]}, removed, (choice,), tuple(conflicts))


def choose_multiple_birth(patients: Sequence[Resource]) -> Chosen:
    """Choose an order of birth over the mere fact; two orders, or one and a single birth, are a conflict (twins)."""
    ordered = [patient for patient in patients if _is_order(patient.get("multipleBirthInteger"))]
    told = [patient for patient in patients if isinstance(patient.get("multipleBirthBoolean"), bool)]
    known = [*ordered, *told]
    if not known:
        return Chosen()
    taken = known[0]
    disagreeing = [patient for patient in known if not _same_birth(patient, taken)]
    conflicts: tuple[MergeConflict, ...] = ()
    if disagreeing:
        words = "the orders of birth disagree: they may be twins"
        conflicts = (_conflict("birth-order-disagrees", words, [taken, *disagreeing]),)
    name = "multipleBirthInteger" if ordered else "multipleBirthBoolean"
    if taken is patients[0] and not disagreeing:
        return Chosen()
    choice = FieldChoice(
        "multipleBirth[x]",
        "an order of birth outranks the mere fact",
        (str(taken["id"]),),
        tuple(str(patient["id"]) for patient in disagreeing),
    )
    removed = _others("multipleBirthInteger", "multipleBirthBoolean", but=name)
    return Chosen({name: taken[name]}, removed, (choice,), conflicts)


def _others(*names: str, but: str) -> tuple[str, ...]:
    """Return the other forms of a choice element, which must not stand beside the chosen one."""
    return tuple(spelling for name in names if name != but for spelling in (name, f"_{name}"))


def _is_order(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _same_birth(one: Resource, other: Resource) -> bool:
    """Whether two agree on the birth; a single birth is written as 0 or false."""
    orders = [patient.get("multipleBirthInteger") for patient in (one, other)]
    if None not in orders:
        return orders[0] == orders[1]
    facts = [
        order > 0 if _is_order(order) and order is not None else patient.get("multipleBirthBoolean")
        for order, patient in zip(orders, (one, other), strict=True)
    ]
    return facts[0] == facts[1]


def _conflict(code: str, words: str, patients: Sequence[Resource], *, blocks: bool = True) -> MergeConflict:
    return MergeConflict(code, words, tuple(f"Patient/{patient['id']}" for patient in patients), blocks)
