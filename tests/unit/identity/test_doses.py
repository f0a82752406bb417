from zoneinfo import ZoneInfo

import pytest

from fhir_gateway.domain import systems
from fhir_gateway.identity.doses import DoseSameness, local_date, prefer, same_dose

ZONE = ZoneInfo("Asia/Jakarta")
SAME, DIFFERENT, DOUBTFUL = DoseSameness.SAME, DoseSameness.DIFFERENT, DoseSameness.DOUBTFUL


def dose(cvx="198", given="2024-05-02", number=None, lot=None, **other):
    protocol = {"doseNumberPositiveInt": number} if isinstance(number, int) else {"doseNumberString": number}
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": systems.CVX, "code": cvx}]},
        "occurrenceDateTime": given,
        **({"protocolApplied": [protocol]} if number else {}),
        **({"lotNumber": lot} if lot else {}),
        **other,
    }


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (dose(), dose(), SAME),
        (dose(), dose(given="2024-05-03"), DIFFERENT),
        (dose(number=1), dose(number="Dosis 1"), SAME),
        (dose(number=1), dose(number="dose #01"), SAME),
        (dose(number=2), dose(number="Dosis 1"), DIFFERENT),
        (dose(number=1), dose(number="Booster 1"), DIFFERENT),
        (dose(), dose(given="2024-05-01T17:30:00+00:00"), SAME),
        (dose(), dose(given="2024-05-02T17:30:00+00:00"), DIFFERENT),
        (dose(), dose(given="2024-05"), DOUBTFUL),
        (dose(), dose(given="2024-06"), DIFFERENT),
        (dose(), dose(given="some day"), DIFFERENT),
        (dose(cvx="89"), dose(cvx="178"), SAME),
        (dose(cvx="89"), dose(cvx="2"), SAME),
        (dose(cvx="02"), dose(cvx="178"), SAME),
        (dose(cvx="10"), dose(cvx="178"), DIFFERENT),
        (dose(cvx="10"), dose(cvx="89"), DIFFERENT),
        (dose(cvx="05"), dose(cvx="04"), DOUBTFUL),
        (dose(cvx="4"), dose(cvx="03"), DOUBTFUL),
        (dose(cvx="28"), dose(cvx="139"), DIFFERENT),
        (dose(cvx="35"), dose(cvx="139"), DIFFERENT),
        (dose(cvx="08"), dose(cvx="45"), SAME),
        (dose(cvx="152"), dose(cvx="133"), SAME),
        (dose(cvx="116"), dose(cvx="119"), DIFFERENT),
        (dose(cvx="213"), dose(cvx="511"), SAME),
        (dose(number=1), dose(), SAME),
        (dose(number=1), dose(number=1), SAME),
        (dose(number=1), dose(number=2), DIFFERENT),
        (dose(number="Booster"), dose(number="booster"), SAME),
        (dose(lot="AB-1234"), dose(lot="ab1234"), SAME),
        (dose(lot="AB1234"), dose(lot="AB1235"), SAME),
        (dose(lot="AB1234"), dose(lot="XY9876"), DIFFERENT),
        (dose(lot="AB1234"), dose(lot="BATCH-20240502101112"), SAME),
        (dose(status="not-done"), dose(), DIFFERENT),
        (dose(status="not-done"), dose(status="not-done"), SAME),
        (dose(status="entered-in-error"), dose(), DOUBTFUL),
        (dose(status="entered-in-error", cvx="19"), dose(), DIFFERENT),
        ({}, {}, DIFFERENT),
        ({"vaccineCode": [], "protocolApplied": "x", "occurrenceDateTime": 3}, dose(), DIFFERENT),
    ],
)
def test_sameness_of_two_doses(one, other, expected):
    assert same_dose(one, other, zone=ZONE).sameness is expected
    assert same_dose(other, one, zone=ZONE).sameness is expected


def test_doubt_is_explained():
    verdict = same_dose(dose(cvx="05"), dose(cvx="04"), zone=ZONE)
    assert verdict.reason == "dose-vaccine-doubtful"
    assert "may be the same dose" in verdict.text


def test_codes_of_systems_that_do_not_meet_are_doubtful():
    product = {"coding": [{"system": systems.KFA, "code": "93001282"}]}
    assert same_dose(dose(), dose(vaccineCode=product), zone=ZONE).sameness is DOUBTFUL


def test_same_product_is_the_same_vaccine():
    product = {"coding": [{"system": systems.KFA, "code": "93001282"}]}
    assert same_dose(dose(vaccineCode=product), dose(vaccineCode=product), zone=ZONE).sameness is SAME


def test_what_was_given_outranks_what_was_transcribed():
    given, transcribed, unknown = dose(primarySource=True), dose(primarySource=False), dose()
    assert prefer(transcribed, given) is given
    assert prefer(given, transcribed) is given
    assert prefer(unknown, transcribed) is unknown
    assert prefer(given, dose(primarySource=True)) is given


def test_date_without_time_stays_that_date():
    assert local_date(dose(given="2024-05-02"), zone=ZoneInfo("America/Lima")) == "2024-05-02"
