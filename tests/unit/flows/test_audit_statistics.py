"""Intervals, agreement and the score of an audit, against values worked out elsewhere."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.flows.judging import JoinedOtherwise, SealedPair, score_audit
from fhir_gateway.flows.judging.drawing import shares, stratum_of
from fhir_gateway.flows.judging.statistics import kappa, weighted, wilson


@pytest.mark.parametrize(
    ("successes", "size", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilsons_interval_has_the_published_bounds(successes, size, low, high):
    share = wilson(successes, size)
    assert (share.low, share.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@settings(derandomize=True)
@given(st.integers(1, 500), st.integers(0, 500))
def test_an_interval_holds_its_estimate(size, successes):
    share = wilson(min(successes, size), size)
    assert 0 <= share.low <= share.estimate + 1e-12
    assert share.estimate - 1e-12 <= share.high <= 1


def test_nothing_judged_says_nothing():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)


def test_kappa_of_a_known_table():
    table = [("same", "same")] * 20 + [("same", "different")] * 5 + [("different", "same")] * 10
    assert kappa([*table, *[("different", "different")] * 15]) == pytest.approx(0.4)


def test_kappa_of_judges_who_only_know_one_word_says_nothing():
    assert math.isnan(kappa([("same", "same")] * 5))


def test_equal_weights_are_no_weights():
    outcomes = [(True, 7.0)] * 8 + [(False, 7.0)] * 2
    assert weighted(outcomes).low == pytest.approx(wilson(8, 10).low)


def test_uneven_weights_make_a_sample_smaller():
    assert weighted([(True, 1.0), (True, 9.0)]).size == pytest.approx(100 / 82)


def sealed(linked, weight=20.0, represents=10.0, stratum="ordinary"):
    return SealedPair(stratum, "a", linked, weight, represents, certain=10.0)


def test_precision_and_recall_are_those_of_the_whole():
    pairs = {n: sealed(linked=True) for n in range(10)} | {n: sealed(linked=False) for n in range(10, 20)}
    words = (
        dict.fromkeys(range(9), "same") | {9: "different"} | dict.fromkeys(range(10, 20), "different") | {10: "same"}
    )
    score = score_audit(pairs, words, words)
    assert (score.precision.estimate, score.recall.estimate) == (pytest.approx(0.9), pytest.approx(90 / 100))
    assert score.recall.low < 0.9 < score.recall.high


def test_disputed_pairs_count_nowhere():
    pairs = {1: sealed(linked=True), 2: sealed(linked=True), 3: sealed(linked=True)}
    score = score_audit(pairs, {1: "same", 2: "same", 3: "unsure"}, {1: "same", 2: "different", 3: "unsure"})
    assert (score.judged, score.disputed, score.precision.size) == (3, 2, pytest.approx(1))


def test_a_stratum_that_is_hard_to_judge_counts_whole():
    pairs = {n: sealed(linked=True, represents=10) for n in range(4)}
    pairs |= {n: sealed(linked=True, represents=5, stratum="possible-twins") for n in range(4, 12)}
    words = dict.fromkeys(range(4), "same") | dict.fromkeys(range(4, 10), "unsure") | {10: "different", 11: "same"}
    assert score_audit(pairs, words, words).precision.estimate == pytest.approx(1 - 20 / 80)


def test_a_threshold_rises_above_the_strongest_wrong_link():
    pairs = {
        1: sealed(linked=True, weight=11.0),
        2: sealed(linked=True, weight=12.0),
        3: sealed(linked=True, weight=15.0),
        4: sealed(linked=True, weight=13.0, stratum="newborn"),
    }
    words = {1: "same", 2: "different", 3: "same", 4: "same"}
    (rise,) = score_audit(pairs, words, words).rises
    assert (rise.stratum, rise.weight, rise.wrong, rise.right) == ("ordinary", 12.0, 1, 1)


def test_a_wrong_link_below_the_threshold_names_none():
    pairs = {
        1: sealed(linked=True, weight=-3.0, stratum="newborn"),
        2: sealed(linked=True, weight=12.0, stratum="newborn"),
        3: sealed(linked=True, weight=4.0),
        4: sealed(linked=True, weight=12.0),
    }
    words = {1: "different", 2: "same", 3: "same", 4: "different"}
    score = score_audit(pairs, words, words)
    assert [(rise.stratum, rise.weight, rise.wrong, rise.right) for rise in score.rises] == [("ordinary", 12.0, 1, 0)]
    assert score.joined_otherwise == [JoinedOtherwise("newborn", 1)]


def test_a_stratum_that_nobody_judged_is_named():
    pairs = {1: sealed(linked=True), 2: sealed(linked=True, stratum="newborn")}
    score = score_audit(pairs, {1: "same"}, {1: "same", 2: "same"})
    assert [(one.name, one.links_right.size) for one in score.strata] == [("newborn", 0), ("ordinary", 1)]


def test_each_stratum_gives_one_pair_at_least():
    assert shares({(True, name): 5 for name in "abc"}, 1) == {(True, name): 1 for name in "abc"}


def test_what_small_strata_lack_comes_from_the_others():
    assert shares({(True, "a"): 2, (True, "b"): 50}, 20) == {(True, "a"): 2, (True, "b"): 18}


def person(name, mother="Ibu Rekaan", use="official", born="2020-01-01", nik="3303010101200001"):
    return {
        "name": [{"text": name, "use": use}],
        "birthDate": born,
        "contact": [{"name": {"text": mother}}],
        "identifier": [{"system": "https://fhir.kemkes.go.id/id/nik", "value": nik}],
    }


@pytest.mark.parametrize(
    ("left", "right", "stratum"),
    [
        (person("Rina Rekaan"), person("Rini Rekaan"), "possible-twins"),
        (person("By. Ny. Ibu", use="temp"), person("Rini Rekaan", born="2020-01-02"), "newborn"),
        (person("Rina"), person("Rina"), "mononym"),
        (person("Rina Rekaan"), {**person("Rina Rekaan"), "identifier": []}, "no-nik"),
        (person("Rina Rekaan"), person("Rina Rekaan"), "ordinary"),
    ],
)
def test_a_pair_belongs_to_the_hardest_stratum(left, right, stratum):
    assert stratum_of(left, right) == stratum
