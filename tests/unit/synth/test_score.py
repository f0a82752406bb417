"""Scores of truths made by hand, whose results can be counted on fingers."""

import pytest

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.synth.reports import ReportedRow
from fhir_gateway.synth.score import Score, relation, score
from fhir_gateway.synth.score_words import score_as_json, score_as_text
from fhir_gateway.synth.truth import TrueRow

SOURCE = "puskesmas"


def scored(*rows: tuple[str, str, str, str, str], people: dict[str, dict[str, str]] | None = None) -> Score:
    """Score rows of (person, tags, doses, what was reported as `status patient`, immunizations)."""
    truth, reports = [], []
    for number, (person, tags, doses, reported, immunizations) in enumerate(rows, start=1):
        about = (people or {}).get(person, {})
        truth.append(TrueRow(SOURCE, number, person, tags=tuple(tags.split()), doses=tuple(doses.split()), **about))
        status, _, patient = reported.partition(" ")
        reports.append(ReportedRow(number, status, patient, tuple(immunizations.split()), "certain"))
    return score(truth, {SOURCE: reports})


def test_two_people_linked_rightly_score_one_everywhere():
    result = scored(
        ("ani", "", "a1", "loaded 1", "i1"),
        ("ani", "", "a2", "loaded 1", "i2"),
        ("budi", "", "b1", "loaded 2", "i3"),
    )
    assert (result.pairs.precision, result.pairs.recall) == (1, 1)
    assert (result.links.precision, result.links.recall) == (1, 1)
    assert (result.bcubed_precision, result.bcubed_recall) == (1, 1)
    assert (result.persons_whole, result.persons_split, result.persons_merged) == (2, 0, 0)
    assert (result.doses.given, result.doses.once) == (3, 3)


def test_a_merge_costs_precision_and_is_named_by_what_they_are_to_each_other():
    result = scored(
        ("ani", "", "", "loaded 1", ""),
        ("ani", "", "", "loaded 1", ""),
        ("ina", "", "", "loaded 1", ""),
        people={"ani": {"twin_of": "ina"}, "ina": {"twin_of": "ani"}},
    )
    assert result.pairs.made == 3
    assert result.pairs.right == 1
    assert result.links.precision == pytest.approx(1 / 2)
    assert result.bcubed_precision == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    assert result.merged["twins"].pairs == 1
    assert result.persons_merged == 2
    assert result.grades["certain"] == (3, 1)


def test_a_split_costs_recall_and_tells_what_stood_in_the_missed_row():
    result = scored(
        ("ani", "", "", "loaded 1", ""),
        ("ani", "", "", "loaded 1", ""),
        ("ani", "name-typo nik-missing", "", "loaded 2", ""),
    )
    assert result.pairs.recall == pytest.approx(1 / 3)
    assert result.links.recall == pytest.approx(1 / 2)
    assert result.bcubed_recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    assert result.split == {"missed": 1}
    assert result.split_tags == {"name-typo": 1, "nik-missing": 1}
    assert result.persons_split == 1


def test_a_row_in_review_is_no_link_but_may_become_one():
    result = scored(
        ("ani", "", "a1", "loaded 1", "i1"),
        ("ani", "", "a2", "review", ""),
        ("ani", "", "a3", "review", ""),
    )
    assert result.links.recall == 0
    assert result.links.recall_with_review == 1
    assert result.pairs.recall_with_review == 1
    assert result.split == {"review": 2}
    assert (result.persons_in_review, result.rows_in_review) == (1, 2)
    assert (result.doses.once, result.doses.parked) == (1, 2)


def test_people_whose_rows_all_wait_need_no_link_to_the_first_of_them():
    result = scored(("ani", "", "", "review", ""), ("ani", "", "", "review", ""), ("ani", "", "", "rejected", ""))
    assert (result.links.wanted, result.links.right, result.links.right_or_parked) == (2, 0, 1)
    assert result.split == {"review": 1, "rejected": 1}


def test_broken_rows_are_wanted_by_nobody_and_may_still_be_linked_wrongly():
    result = scored(
        ("ani", "", "", "loaded 1", ""),
        ("ani", "broken-name-missing", "", "rejected", ""),
        ("budi", "no-vaccine", "", "loaded 1", ""),
    )
    assert result.links.wanted == 0
    assert result.pairs.made - result.pairs.right == 1
    assert result.loaded_broken_rows == 1
    assert result.rejected_good_rows == 0


def test_a_broken_row_linked_rightly_is_not_held_against_precision():
    result = scored(("ani", "", "", "loaded 1", ""), ("ani", "broken-given-missing", "", "loaded 1", ""))
    assert result.links.precision == 1
    assert result.pairs.precision == 1


def test_good_rows_that_were_rejected_are_counted_with_their_doses():
    result = scored(("ani", "", "a1", "rejected", ""), ("ani", "", "a2", "failed", ""))
    assert result.rejected_good_rows == 1
    assert result.doses.rejected == 2
    assert sum(result.split.values()) == result.links.wanted - result.links.right == 1


def test_who_was_split_is_named_by_reason():
    result = scored(
        ("ani", "", "", "loaded 1", ""),
        ("ani", "", "", "loaded 1", ""),
        ("ani", "", "", "loaded 2", ""),
        ("ani", "", "", "review", ""),
    )
    assert result.split_examples == {"missed": (("ani", SOURCE, 3),), "review": (("ani", SOURCE, 4),)}
    assert "missed: ani (puskesmas:3)" in score_as_text(result)


def test_a_dose_of_somebody_split_is_doubled_apart():
    result = scored(
        ("ani", "", "a1", "loaded 1", "i1"),
        ("ani", "", "a1", "loaded 2", "i2"),
        ("budi", "", "b1", "loaded 3", "i3"),
        ("budi", "", "b1", "loaded 3", "i4"),
    )
    assert (result.doses.doubled, result.doses.doubled_apart) == (2, 1)


def test_a_dose_with_two_immunizations_is_doubled():
    result = scored(("ani", "", "a1", "loaded 1", "i1"), ("ani", "", "a1", "loaded 1", "i2"))
    assert (result.doses.given, result.doses.doubled, result.doses.once) == (1, 1, 0)


def test_one_immunization_for_two_doses_is_fused():
    result = scored(("ani", "", "a1", "loaded 1", "i1"), ("ani", "", "a2", "loaded 1", "i1"))
    assert (result.doses.fused, result.doses.once) == (1, 2)


def test_a_loaded_row_that_names_no_immunization_lost_its_dose():
    result = scored(("ani", "", "a1", "loaded 1", ""))
    assert (result.doses.lost, result.doses.once) == (1, 0)


def test_a_dose_under_somebody_else_is_misplaced():
    result = scored(
        ("ani", "", "a1", "loaded 1", "i1"), ("ani", "", "a2", "loaded 1", "i2"), ("ina", "", "n1", "loaded 1", "i3")
    )
    assert result.doses.misplaced == 1


def test_a_wide_row_with_one_dose_missing_loses_exactly_that_one():
    result = scored(
        ("ani", "", "a1", "loaded 1", "i1"),
        ("ani", "", "a3", "loaded 1", "i3"),
        ("ani", "", "a1 a2 a3", "loaded 1", "i1 i3"),
    )
    assert (result.doses.given, result.doses.once, result.doses.lost) == (3, 2, 1)


def test_a_wide_row_with_more_immunizations_than_doses_doubled_one():
    result = scored(("ani", "", "a1 a2", "loaded 1", "i1 i2 i3"))
    assert (result.doses.once, result.doses.doubled) == (1, 1)


def test_the_closest_word_for_two_people_is_taken():
    def person(name: str, **about: str) -> TrueRow:
        return TrueRow(SOURCE, 1, name, **about)

    ani = person("ani", mother="siti", father="joko", household="h1", twin_of="ina", namesake="n1")
    assert relation(ani, person("ina", mother="siti", household="h1")) == "twins"
    assert relation(ani, person("siti", household="h1")) == "mother-child"
    assert relation(person("joko", household="h1"), ani) == "father-child"
    assert relation(ani, person("eko", mother="siti", household="h1")) == "siblings"
    assert relation(ani, person("mbah", household="h1")) == "household"
    assert relation(ani, person("x", household="h2", namesake="n1")) == "namesakes"
    assert relation(ani, person("x", household="h2")) == "strangers"


def test_a_row_that_the_report_lacks_is_unreported():
    truth = [TrueRow(SOURCE, 1, "ani"), TrueRow(SOURCE, 2, "ani", doses=("a1",))]
    result = score(truth, {SOURCE: [ReportedRow(1, "loaded", "1")]})
    assert result.statuses == {"loaded": 1, "unreported": 1}
    assert result.split == {"unreported": 1}
    assert result.doses.lost == 1


def test_sources_without_a_report_are_left_out():
    truth = [TrueRow(SOURCE, 1, "ani"), TrueRow("asik", 1, "ani")]
    assert score(truth, {SOURCE: [ReportedRow(1, "loaded", "1")]}).rows == 1


@pytest.mark.parametrize(
    ("numbers", "message"), [((1, 1), "row 1 twice"), ((1, 3), "row 3, which the truth does not have")]
)
def test_a_report_of_other_data_is_refused(numbers, message):
    report = [ReportedRow(number, "loaded", "1") for number in numbers]
    with pytest.raises(SourceError, match=message):
        score([TrueRow(SOURCE, 1, "ani")], {SOURCE: report})


def test_an_empty_score_divides_by_nothing():
    result = score([], {SOURCE: []})
    assert (result.pairs.precision, result.links.recall, result.bcubed_recall) == (1, 1, 1)
    assert "0 rows of 0 persons" in score_as_text(result)


def test_the_score_as_json_has_the_shares():
    table = score_as_json(scored(("ani", "", "a1", "loaded 1", "i1"), ("ani", "", "a2", "loaded 2", "i2")))
    assert table["links"]["recall"] == 0
    assert table["grades"] == {"certain": {"rows": 2, "wrong": 0}}
    assert table["doses"]["once"] == 2


def test_the_score_as_text_names_who_was_merged_and_what_was_missed():
    text = score_as_text(
        scored(
            ("ani", "", "", "loaded 1", ""),
            ("ina", "", "", "loaded 1", ""),
            ("ina", "nickname", "", "loaded 2", ""),
            people={"ani": {"mother": "ina"}},
        )
    )
    assert "mother-child" in text
    assert "missed" in text
    assert "nickname" in text


def test_the_dose_that_a_wide_rows_reason_names_has_none_of_its_immunizations():
    truth = [
        TrueRow("asik", 1, "ani", doses=("P1-HB0-0", "P1-DPT-1", "P1-SYSTEM-POLIO-1")),
        TrueRow(SOURCE, 1, "ani", doses=("P1-HB0-0",)),
    ]
    reason = "HB0: the dose lies before the birth"
    reports = {
        "asik": [ReportedRow(1, "rejected", "", ("i2", "i3"), reason=reason)],
        SOURCE: [ReportedRow(1, "loaded", "1", ("i1",))],
    }
    doses = score(truth, reports).doses
    assert (doses.given, doses.once, doses.doubled) == (3, 3, 0)
