"""Rows of two people under one key: where a source has none, name, birth date and dose may be both people's.

Once an operator has said that a row is not the person's whose key it has, its record gets a key of its own beside it:
else either row would replace the other, or be taken for it.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count

from fhir_gateway.bundling.digests import content_digest, digest
from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Dose, dose_identifier, key_beside
from fhir_gateway.domain.runs import KnownKey, SpooledRecord, Verdict
from fhir_gateway.ports import Ledger


def kept_apart(records: Sequence[SpooledRecord], known: Mapping[str, KnownKey], ledger: Ledger) -> list[SpooledRecord]:
    """Return the records as read, those that operators said are not their key's Patient's under keys of their own.

    What was said of other rows when some were taken apart does not count here: a row that was corrected to the words of
    those from whom it was taken apart would come back to them, with its dose doubled. It is asked about.
    """
    persons = {
        record.number: digest(record.patient)
        for record in records
        if record.key in known and known[record.key].content != record.content
    }
    denied = [one for one in ledger.verdicts.of(set(persons.values()), of_answers=True) if not one.same]
    if not denied:
        return list(records)
    said = [one for one in ledger.verdicts.of({one.digest for one in denied}) if one.same]
    into = ledger.keys.survivors({one.patient_id for one in (*denied, *said)})
    others, hers = _patients(denied, into), _patients(said, into)

    def own(record: SpooledRecord) -> SpooledRecord:
        person = persons.get(record.number, "")
        if person not in others or known[record.key].patient_id not in others[person]:
            return record
        return with_own_key(record, hers.get(person, ()), ledger)

    return [own(record) for record in records]


def _patients(verdicts: Iterable[Verdict], into: Mapping[str, str]) -> dict[str, set[str]]:
    """Return digest → the Patients of its verdicts and who stands for them since: a merge makes no record of two."""
    found: dict[str, set[str]] = {}
    for one in verdicts:
        found.setdefault(one.digest, set()).update((one.patient_id, into.get(one.patient_id, one.patient_id)))
    return found


def with_own_key(record: SpooledRecord, patient_ids: Container[str], ledger: Ledger) -> SpooledRecord:
    """Return a record under the key beside its own that stands for one of these Patients, or else for nobody yet."""

    def is_hers(key: str) -> bool:
        known = ledger.keys.known([key]).get(key)
        return known is None or known.patient_id in patient_ids

    key = next(filter(is_hers, (key_beside(record.key, place) for place in count(1))))
    doses = tuple(_under(key, dose) for dose in record.doses)
    return replace(record, key=key, doses=doses, content=content_digest(record.patient, doses, record.missing))


def _under(key: str, dose: Dose) -> Dose:
    own = {"system": systems.DOSE, "value": dose_identifier(key, dose.name)}
    others = [one for one in dose.resource["identifier"] if one.get("system") != systems.DOSE]
    return dose._replace(resource={**dose.resource, "identifier": [own, *others]})
