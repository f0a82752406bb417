"""Every compared pair says what settled it."""

from dataclasses import replace

import pytest

from fhir_gateway.domain.identity import (
    ComparedPair,
    Comparison,
    Evidence,
    Grade,
    Node,
    PersonAction,
    PersonDecision,
    Veto,
)
from fhir_gateway.identity.comparison import DEFAULT_POLICY
from fhir_gateway.identity.fitting import CONFIRMED
from fhir_gateway.identity.settled import settled_words
from fhir_gateway.identity.told_by_doses import DOSES

_VETO = (Veto("possible-twins", "possibly twins"),)
_DOSES = (Evidence(DOSES, "two_people", 0.0, "the doses speak for two people"),)
_BORN = (Evidence("birth_date", "different", -7.0, "different birth dates"),)
_CREATED = PersonDecision((1, 2), PersonAction.CREATE, Grade.CERTAINLY_NOT, "new-person", "")
_LINKED = PersonDecision((1,), PersonAction.LINK, Grade.CERTAIN, "linked", "", patient_id="a")
_ASKED = PersonDecision((1,), PersonAction.REVIEW, Grade.PROBABLE, "probably-same", "", candidates=("a",))


def _pair(weight: float, grade: Grade, right: Node = 2, vetoes: tuple[Veto, ...] = ()) -> ComparedPair:
    return ComparedPair(1, right, Comparison((), vetoes, weight, grade))


@pytest.mark.parametrize(
    ("pair", "decision", "words"),
    [
        (_pair(CONFIRMED, Grade.CERTAIN, "a"), _LINKED, "one person, as an earlier load"),
        (_pair(-CONFIRMED, Grade.CERTAINLY_NOT, "b"), _LINKED, "two people, as an operator decided"),
        (_pair(12.0, Grade.CERTAIN), _CREATED, "one person, by the threshold: 12.0 is not less than 10"),
        (_pair(12.0, Grade.PROBABLE, vetoes=_VETO), _CREATED, "one person, by the other records"),
        (_pair(5.0, Grade.PROBABLE), _CREATED, "one person, by the other records"),
        (_pair(5.0, Grade.PROBABLE, "a"), _ASKED, "nothing yet: an operator is asked"),
        (_pair(12.0, Grade.CERTAIN), replace(_ASKED, members=(1, 2)), "one person, by the threshold: 12.0 is not less"),
        (_pair(12.0, Grade.CERTAINLY_NOT, 3, _VETO), _CREATED, "two people, by the rule above"),
        (_pair(1.0, Grade.POSSIBLE, 3), _CREATED, "not joined, by the threshold: 1.0 is below 3"),
        (_pair(5.0, Grade.POSSIBLE, 3), _CREATED, "not joined, by the threshold of that time, which is another today"),
        (_pair(8.0, Grade.CERTAIN), _CREATED, "one person, by the threshold of that time, which is another today"),
        (_pair(5.0, Grade.PROBABLE, "b"), _LINKED, "not linked, as the Patient who was leads by 5 bits"),
        (_pair(12.0, Grade.CERTAIN, 3), _CREATED, "not joined, as other records of the two forbid it"),
    ],
)
def test_a_pair_says_what_settled_it(pair: ComparedPair, decision: PersonDecision, words: str) -> None:
    assert settled_words(pair, decision, DEFAULT_POLICY).startswith(words)


def test_brothers_are_told_by_name_and_birth_date() -> None:
    pair = _pair(5.0, Grade.POSSIBLE, 3)
    pair = replace(pair, comparison=replace(pair.comparison, evidence=_BORN))

    assert settled_words(pair, _CREATED, DEFAULT_POLICY) == (
        "not joined, by the rule above: name and birth date both differ"
    )


def test_doses_that_speak_for_two_people_settle_a_pair_that_would_be_certain() -> None:
    pair = _pair(20.0, Grade.CERTAIN, 3)
    pair = replace(pair, comparison=replace(pair.comparison, evidence=_DOSES))

    assert settled_words(pair, _CREATED, DEFAULT_POLICY) == "not joined, as their doses forbid it"
