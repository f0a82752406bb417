"""What all records of one person tell together: a record is compared with the person, not with one row of hers.

A sheet's row without NIK or phone may fit none of a person's other rows for certain and still fit what they tell
together. What cannot be two things at once (birth date, sex, order of birth) is what most records say.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fhir_gateway.identity.comparators import birth_date_fits_nik
from fhir_gateway.identity.evidence import UNKNOWN_BIRTH_DATE, BirthDate, PersonEvidence
from fhir_gateway.people.nik import read_nik


def combine(records: Sequence[PersonEvidence]) -> PersonEvidence:
    """Return the evidence of one person's records together; their order does not matter."""
    if len(records) == 1:
        return records[0]
    named = [record for record in records if not record.newborn]
    return PersonEvidence(
        niks=_union(record.niks for record in records),
        old_niks=_union(record.old_niks for record in records),
        damaged_niks=_union(record.damaged_niks for record in records),
        odd_niks=_union(record.odd_niks for record in records),
        parent_niks=_union(record.parent_niks for record in records),
        names=tuple(dict.fromkeys(sorted((name for record in records for name in record.names), key=repr))),
        own_keys=_union(record.own_keys for record in records),
        newborn=not named,
        gender=_gender(records),
        birth_date=_birth_date(records),
        mother_keys=_union(record.mother_keys for record in records),
        parent_keys=_union(record.parent_keys for record in records),
        phones=_union(record.phones for record in records),
        places=_union(record.places for record in records),
        families=_union(record.families for record in records),
        records=_union(record.records for record in records),
        clinics=_union(record.clinics for record in records),
        persons=_union(record.persons for record in records),
        birth_order=max(record.birth_order for record in records),
        deceased=min((record.deceased for record in records if record.deceased), default=""),
        masked=any(record.masked for record in records),
    )


def with_orders_of_birth(people: Mapping[int, PersonEvidence]) -> dict[int, PersonEvidence]:
    """Return people's evidence, each under a record number that a labelled twin's row has ("By. Ny. Siti II") as that twin's.

    A hospital goes on with the number under the child's name, and leaves the label away. Of two labels the number tells none.
    """
    orders: dict[tuple[str, str], set[int]] = {}
    for known in people.values():
        for record in known.records if known.birth_order > 0 else ():
            orders.setdefault(record, set()).add(known.birth_order)
    if not orders:
        return dict(people)
    found = {}
    for number, known in people.items():
        said = set().union(*(orders.get(record, ()) for record in known.records))
        found[number] = known._replace(birth_order=min(said)) if known.birth_order < 0 and len(said) == 1 else known
    return found


def _union(values: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(sorted({value for each in values for value in each}))


def _gender(records: Sequence[PersonEvidence]) -> str:
    """Return the sex that most records say, counting twice those whose NIK tells it; "" where as many say the other."""
    said = Counter(record.gender for record in records if record.gender)
    said.update(record.gender for record in records if record.gender and record.gender in _told_sexes(record))
    if said["male"] == said["female"]:
        return ""
    return "male" if said["male"] > said["female"] else "female"


def _told_sexes(record: PersonEvidence) -> set[str]:
    return {read_nik(digits).gender for digits in record.niks}


def _birth_date(records: Sequence[PersonEvidence]) -> BirthDate:
    """Return the birth date that most records say; of several the one that a NIK confirms, then the fuller one."""
    said = Counter(record.birth_date for record in records if record.birth_date.year)
    if len(said) < 2:
        return next(iter(said), UNKNOWN_BIRTH_DATE)
    confirmed = Counter(record.birth_date for record in records if birth_date_fits_nik(record))
    return max(
        said, key=lambda day: (day.whole, said[day] + confirmed[day], confirmed[day], day.year, day.month, day.day)
    )
