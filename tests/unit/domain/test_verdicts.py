"""What operators said of people, seen from who stands for each Patient now."""

from fhir_gateway.domain.runs import Verdict, as_of_now

NOT_A, IS_B = Verdict("words", "a", same=False, review=1), Verdict("words", "b", same=True, review=1)


def test_without_merges_all_stays_as_it_was_said():
    assert as_of_now([NOT_A, IS_B], {}) == [NOT_A, IS_B]


def test_who_was_created_beside_a_patient_is_that_patient_once_both_are_merged():
    for into in ({"b": "a"}, {"a": "b"}):
        (survivor,) = into.values()
        assert as_of_now([NOT_A, IS_B], into) == [Verdict("words", survivor, same=True, review=1)]


def test_what_was_said_last_counts():
    apart = Verdict("words", "a", same=False, review=2)
    for said in ([IS_B, apart], [apart, IS_B]):
        assert as_of_now(said, {"b": "a"}) == [apart]


def test_who_is_not_somebody_is_not_who_stands_for_him_either():
    assert as_of_now([NOT_A], {"a": "c"}) == [Verdict("words", "c", same=False, review=1)]
