"""Rows of two people under one key: where a source has none, name, birth date and dose may be both people's.

Once an operator has said that a row is not the person's whose key it has, its record gets a key of its own beside it:
else either row would replace the other, or be taken for it.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from itertools import count

from fhir_gateway.bundling.digests import content_digest, digest
from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Dose, dose_identifier, key_beside
from fhir_gateway.domain.runs import KnownKey, SpooledRecord
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
    said: dict[str, dict[str, bool]] = {}
    for verdict in ledger.reviews.verdicts(set(persons.values()), of_answers=True):
        said.setdefault(verdict.digest, {})[verdict.patient_id] = verdict.same

    def own(record: SpooledRecord) -> SpooledRecord:
        verdicts = said.get(persons.get(record.number, ""), {})
        if not verdicts or verdicts.get(known[record.key].patient_id) is not False:
            return record
        return with_own_key(record, {patient_id for patient_id, same in verdicts.items() if same}, ledger)

    return [own(record) for record in records]


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
