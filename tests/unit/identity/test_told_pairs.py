"""A decision keeps, and is told with, whose evidence it is: that of two rows by themselves, or of all rows of a person."""

from itertools import combinations

from tests.fakes.invented_people import RIZKIS_NIK, rizki

from fhir_gateway.domain.identity import ComparedPair, PersonAction
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.decision import decide
from fhir_gateway.identity.explain import explain_decision
from fhir_gateway.ledger.codec import pack_decision, unpack_decision

WITH_PHONE = rizki(nik=RIZKIS_NIK, mother="", village="")
WITH_MOTHER = rizki(nik=RIZKIS_NIK, phone="", village="")
FITS_BOTH = rizki(name="Rizki Prata", nik="", village="")
"""The one has its phone, the other its mother: all is told of both together."""
DOUBTFUL = rizki(nik="", mother="", village="", phone="")
"""Name and birth date alone, whichever of the rows it is compared with."""


def decided(*people):
    numbered = dict(enumerate(people, start=1))
    return decide(
        numbered, {}, [ComparedPair(a, b, compare(numbered[a], numbered[b])) for a, b in combinations(numbered, 2)]
    )


def told(decision):
    return explain_decision(decision, rows=lambda person: "this row (row 3)" if person == 3 else f"row {person}")


def test_what_joined_a_row_to_a_person_is_told_as_all_rows_evidence_beside_its_own():
    (decision,) = decided(WITH_PHONE, WITH_MOTHER, FITS_BOTH)
    lines = told(decision)
    (whole,) = [pair for pair in decision.pairs if pair.of_persons]
    single = next(p for p in decision.pairs if not p.of_persons and {p.left, p.right} == {whole.left, whole.right})
    assert {whole.left, whole.right, *whole.left_with, *whole.right_with} == {1, 2, 3}
    assert whole.comparison.weight > single.comparison.weight
    (head,) = [line for line in lines if line.startswith("compared as whole persons: ")]
    assert "this row (row 3)" in head
    assert " together with row " in head
    assert head.endswith(", both this person:")
    start = lines.index(head)
    waterfall = lines[start : next(n for n in range(start, len(lines)) if "settled:" in lines[n])]
    assert [line.endswith("[told by other rows, too]") for line in waterfall if "household" in line] == [True]
    assert [line for line in waterfall if "birth date" in line and "told by" in line] == []
    assert any(line.startswith("compared by themselves: ") and "this row (row 3)" in line for line in lines)


def test_both_sides_of_a_question_name_the_whole_persons_and_that_other_rows_add_nothing():
    decisions = decided(WITH_PHONE, WITH_MOTHER, DOUBTFUL)
    assert {one.action for one in decisions} == {PersonAction.CREATE, PersonAction.REVIEW}
    for one in decisions:
        (whole,) = [pair for pair in one.pairs if pair.of_persons]
        assert {whole.left, whole.right, *whole.left_with, *whole.right_with} == {1, 2, 3}
        assert whole.left in one.members
        heads = [line for line in told(one) if line.startswith("compared")]
        (head,) = [line for line in heads if "as whole persons, which adds nothing: " in line]
        assert "this row (row 3)" in head
        assert "row 1 together with row 2" in head
        assert not any(line.endswith("row 1 with this row (row 3):") for line in heads)


def test_whose_evidence_it_is_stays_in_the_ledger():
    (decision,) = decided(WITH_PHONE, WITH_MOTHER, FITS_BOTH)
    kept = unpack_decision(pack_decision(decision))
    assert [(p.left_with, p.right_with) for p in kept.pairs] == [(p.left_with, p.right_with) for p in decision.pairs]
    heads = [[line for line in told(one) if line.startswith("compared")] for one in (kept, decision)]
    assert heads[0] == heads[1]
