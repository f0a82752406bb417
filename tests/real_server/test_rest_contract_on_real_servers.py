"""The contract that the embedded server keeps, on other people's servers: it is no invention of ours.

Where one of them does otherwise on purpose stands in OTHERWISE, each with its reason; what it does instead is held in
test_real_servers_answer.py.
"""

import pytest
from tests.contract.test_fhir_rest_contract import *  # noqa: F403 - its tests, on our fhir_base_url

pytestmark = pytest.mark.real_server

_UNVALIDATED = "it stores whatever it gets"
OTHERWISE = {
    "hapi": {
        "test_batch_entries_stand_each_for_itself": "it refuses the whole batch for one entry that it cannot parse",
        "test_patients_are_found_by_what_they_carry[hapi-birthdate=ge1990&birthdate=lt1991-True]": (
            "it takes a whole year as its last day for lower bounds"
        ),
        "test_every_refusal_is_an_operation_outcome": "it drops unknown elements silently",
    },
    "hapi_validating": {
        "test_batch_entries_stand_each_for_itself": "it refuses the whole batch for one invalid entry",
        "test_a_transaction_resolves_what_its_entries_say_of_each_other": (
            "it wants a full URL around every relative reference"
        ),
        "test_patients_are_found_by_what_they_carry[hapi_validating-birthdate=ge1990&birthdate=lt1991-True]": (
            "it takes a whole year as its last day for lower bounds"
        ),
    },
    "medplum": {
        "test_what_was_created_can_be_read": "its versions are no numbers",
        "test_earlier_versions_can_be_read": "its versions are no numbers",
        "test_a_stale_version_is_refused": "its versions are no numbers",
        "test_an_identical_update_makes_no_version": "it makes a version of every update",
        "test_a_patient_with_doses_cannot_be_deleted": "its memory repository keeps no referential integrity",
        "test_a_transaction_is_all_or_nothing": "its memory repository has no transactions",
        "test_batch_entries_stand_each_for_itself": _UNVALIDATED,
        "test_every_refusal_is_an_operation_outcome": _UNVALIDATED,
        "test_all_pages_together_hold_every_match_once": "it gives no next links",
    },
}


@pytest.fixture(scope="module", params=sorted(OTHERWISE))
def fhir_base_url(request: pytest.FixtureRequest) -> str:
    base_url: str = request.getfixturevalue(request.param)
    return base_url


@pytest.fixture(autouse=True)
def _agreement(request: pytest.FixtureRequest, fhir_base_url: str) -> None:
    """Skip what this server does otherwise."""
    server = request.node.callspec.params["fhir_base_url"]
    reasons = OTHERWISE[server]
    reason = reasons.get(request.node.name) or reasons.get(request.node.originalname)
    if reason:
        pytest.skip(f"{server}: {reason}")
