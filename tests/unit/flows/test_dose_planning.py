"""Of sources that count as much and share a dose, one alone does not change it for the other."""

from datetime import UTC, datetime

import pytest

from fhir_gateway.bundling.digests import supplied
from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Dose
from fhir_gateway.domain.runs import KnownKey, ListedDose, ListedRow, SpooledRecord
from fhir_gateway.flows.load.dose_planning import plan_doses
from fhir_gateway.flows.load.dose_plans import DoseAction

OLD, NEW = "2020-04-15", "2020-04-17"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def told(day, *, source=True):
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": systems.CVX, "code": "19"}]},
        "occurrenceDateTime": day,
        **({} if source is None else {"primarySource": source}),
    }


def record(number, key, resource):
    return SpooledRecord(number, 0, number, key, "c", key, 1, {}, (Dose("", resource),), ())


def known(key, resource):
    listed = ListedRow("c", line=True, doses=(ListedDose("19", "", resource["occurrenceDateTime"], ""),))
    return KnownKey(key, "p", "x", {"": "d"}, {"": supplied(resource)}, NOW, listed=listed)


def planned(*records, sources=(True, True)):
    """Return what is planned for records of a dose that rows k1 and k2 of these sources told of on the old day."""
    keys = {f"k{n}": known(f"k{n}", told(OLD, source=source)) for n, source in enumerate(sources, start=1)}
    standing = {
        **told(OLD, source=sources[0]),
        "id": "d",
        "meta": {"versionId": "2"},
        "patient": {"reference": "Patient/p"},
    }
    standing["identifier"] = [{"system": systems.DOSE, "value": "made-for-k1"}]
    plans = plan_doses(records, [standing], keys, patient={}, zone=UTC, keys=keys)
    return [(plan.action, plan.code) for plan in plans]


ASKED = [(DoseAction.REVIEW, "dose-differs")]
CHANGED = [(DoseAction.UPDATE, "")]


@pytest.mark.parametrize("source", [True, False, None])
def test_one_of_two_that_count_as_much_asks(source):
    assert planned(record(1, "k1", told(NEW, source=source)), sources=(source, source)) == ASKED


@pytest.mark.parametrize("other", [False, None])
def test_the_giver_corrects_what_was_copied(other):
    assert planned(record(1, "k1", told(NEW)), sources=(True, other)) == CHANGED


def test_both_corrected_in_one_load_change_their_dose():
    both = planned(record(1, "k1", told(NEW)), record(2, "k2", told(NEW)))
    assert both == [*CHANGED, (DoseAction.KEEP, "")]


def test_who_stands_alone_corrects_the_dose():
    assert planned(record(1, "k1", told(NEW)), sources=(True,)) == CHANGED
