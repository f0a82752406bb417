from zoneinfo import ZoneInfo

from fhir_gateway.bundling.digests import supplied
from fhir_gateway.domain import systems
from fhir_gateway.domain.records import dose_identifier
from fhir_gateway.flows.review.dose_moving import MovedDose, plan_moves

STAYS, GOES = ("stays", ""), ("goes", "")
OWN = {"system": systems.DOSE, "value": dose_identifier(*STAYS)}
COPIED = {"system": systems.DOSE, "value": dose_identifier(*GOES)}
SAID = {"resourceType": "Immunization", "status": "completed", "occurrenceDateTime": "2024-03-01"}
ADDED = {**SAID, "occurrenceDateTime": "2024-03-01T08:30:00+07:00", "lotNumber": "L1"}
SHARED = {**ADDED, "id": "9", "identifier": [OWN], "patient": {"reference": "Patient/wrong"}}


def planned(given, taken=()):
    moved = MovedDose("9", (GOES,), supplied(ADDED), "s", stays=True, shared_by=STAYS, others=(supplied(SAID),))
    return plan_moves([moved], {"9": SHARED}, given, right="right", zone=ZoneInfo("Asia/Jakarta"), taken=taken)


def test_a_dose_taken_apart_first_gets_its_copy_with_all_that_it_had_added():
    (copy,) = planned([]).entries
    assert (copy.method, copy.resource["lotNumber"], copy.resource["identifier"]) == ("POST", "L1", [COPIED])


def test_what_it_had_added_to_the_shared_dose_is_taken_out_then():
    plan = planned([{**ADDED, "id": "10", "identifier": [COPIED]}])
    (update,) = plan.entries
    assert update.resource == {**SAID, "id": "9", "identifier": [OWN], "patient": {"reference": "Patient/wrong"}}
    assert plan.standing == {GOES: "10"}


def test_a_copy_whose_identifier_another_persons_dose_has_gets_one_of_its_own():
    taken = {dose_identifier(*GOES)}
    (copy,) = planned([], taken).entries
    (own,) = copy.resource["identifier"]
    assert own["value"] == dose_identifier("goes", "\x1f9")
    assert planned([{**ADDED, "id": "10", "identifier": [own]}], taken).standing == {GOES: "10"}


def test_a_dose_that_the_right_patient_has_already_adds_what_that_lacks_before_it_is_entered_in_error():
    vaccine = {"vaccineCode": {"text": "BCG"}}
    copy = {**ADDED, **vaccine, "id": "10", "identifier": [COPIED], "patient": {"reference": "Patient/wrong"}}

    def move(standing):
        moved = MovedDose("10", (GOES,), supplied(ADDED), "s")
        return plan_moves([moved], {"10": copy}, [standing], right="right", zone=ZoneInfo("Asia/Jakarta")).entries

    (first,) = move({**SAID, **vaccine, "id": "9", "identifier": [OWN]})
    assert first.resource == {**ADDED, **vaccine, "id": "9", "identifier": [OWN, COPIED]}
    (second,) = move(first.resource)
    assert (second.resource["id"], second.resource["status"]) == ("10", "entered-in-error")


VACCINE = {"vaccineCode": {"text": "BCG"}}


def parted(standing):
    """Return what is sent where the right Patient has a dose already."""
    moved = MovedDose("9", (GOES,), supplied(SAID), "s", stays=True, shared_by=STAYS, others=(supplied(SAID),))
    shared = {"9": {**SHARED, **VACCINE}}
    return plan_moves([moved], shared, [standing], right="right", zone=ZoneInfo("Asia/Jakarta"))


def test_a_shared_dose_that_the_right_patient_has_already_is_not_copied():
    other = {"system": systems.DOSE, "value": "another row's"}
    standing = {**SAID, **VACCINE, "id": "10", "identifier": [other], "patient": {"reference": "Patient/right"}}
    (update,) = parted(standing).entries
    assert update.resource == {**standing, "identifier": [other, COPIED]}
    assert parted(update.resource).standing == {GOES: "10"}


def test_a_copy_of_before_counts_again():
    gone_back = {**SAID, **VACCINE, "id": "10", "identifier": [COPIED], "status": "entered-in-error"}
    (update,) = parted(gone_back).entries
    assert (update.method, update.resource["id"], update.resource["status"]) == ("PUT", "10", "completed")
    assert parted(update.resource).standing == {GOES: "10"}
