"""Which combinations of thresholds are tried."""

import pytest

from fhir_gateway.cli.identity import policies_to_try
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.identity.parameters import MatchingPolicy


def tried(**given):
    options = {"certain": "", "probable": "", "margin": "", **given}
    return [(one.certain, one.margin) for one in policies_to_try(MatchingPolicy(), **options)]


def test_another_margin_is_tried_with_the_environments_certain_as_well_as_with_those_given():
    assert tried(certain="8,12", margin="0,5") == [(10, 5), (8, 0), (8, 5), (10, 0), (12, 0), (12, 5)]
    assert tried(certain="8") == [(10, 5), (8, 5)]
    assert tried(certain="14", probable="12", margin="0") == [(10, 5), (14, 0)]


def test_what_is_given_and_is_no_policy_is_refused():
    with pytest.raises(UsageError):
        tried(certain="2", probable="9", margin="0")
