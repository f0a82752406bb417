"""A village in which many live and a record number that many have tell less; twins are looked for all the same."""

from datetime import date, timedelta

import pytest
from tests.fakes.invented_people import RIZKIS_NIK, TWINS_NIK, evidence, rizki

from fhir_gateway.domain import systems
from fhir_gateway.domain.identity import Grade
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.estimation import Estimation
from fhir_gateway.identity.evidence import evidence_of
from fhir_gateway.identity.explain import explain_comparison
from fhir_gateway.identity.frequencies import Frequencies, FrequencyCount, count_frequencies
from fhir_gateway.identity.parameters import MatchingPolicy, default_parameters

WEIGHTS = default_parameters().weights
BARE = {"mother": "", "phone": ""}


def said(one, other, frequencies, field):
    comparison = compare(one, other, frequencies=frequencies)
    return next((each for each in comparison.evidence if each.field == field), None)


def of_village(here, *, of=10_000_000):
    return Frequencies(places={"kalimanah": here, "": of})


EVERYBODYS = of_village(10_000_000)


def village_weight(frequencies):
    return said(rizki(**BARE), rizki(**BARE), frequencies, "household").weight


def test_a_village_tells_the_less_the_more_of_the_people_at_hand_live_there():
    bits = [
        village_weight(of_village(here)) for here in (0, 100_000, 600_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000)
    ]
    assert bits[0] == bits[1] == bits[2] == round(WEIGHTS["place.agree"], 2)
    assert bits == sorted(bits, reverse=True)
    assert len(set(bits[2:])) == 5
    assert bits[-1] == 0.0


def test_a_village_counts_as_one_of_fifteen_where_nobody_is_counted_or_few_are():
    usual = village_weight(Frequencies())
    assert usual == round(WEIGHTS["place.agree"], 2)
    assert usual - 0.1 < village_weight(of_village(60, of=60)) < usual
    assert usual - 2.5 < village_weight(of_village(10_000, of=10_000)) < usual - 1.5


def test_a_village_behind_a_street_is_as_common_as_the_village():
    street, bare = rizki(**BARE | {"village": "Jl. Mawar 3, Kalimanah"}), rizki(**BARE)
    counted = count_frequencies([street] * 100 + [bare] * 1000 + [rizki(village="Bojong")] * 1100)
    half = village_weight(of_village(1100, of=2200))
    assert said(bare, street, counted, "household").weight == said(bare, bare, counted, "household").weight == half
    assert said(street, street, counted, "household").weight > half


def test_people_without_a_village_make_none_rarer():
    known = [evidence("Budi", village="Kalimanah")] * 1000
    usual, some = (village_weight(count_frequencies(people)) for people in (known, [*known, *[evidence("Ani")] * 1000]))
    assert usual == some


def test_namesakes_are_not_joined_by_a_village_in_which_everybody_lives():
    one, other = (rizki(**BARE, record=("rsud", number)) for number in ("7", "7"))
    namesakes = compare(rizki(**BARE), rizki(**BARE), frequencies=EVERYBODYS)
    assert ("caution", "namesakes") in {(each.field, each.agreement) for each in namesakes.evidence}
    assert compare(one, other, frequencies=EVERYBODYS).grade is Grade.CERTAIN


@pytest.mark.parametrize("other", ["Dewi Kusumawardani", "Rizka Pratama"], ids=["another name", "a name a sound apart"])
@pytest.mark.parametrize("number", ["", TWINS_NIK])
def test_twins_are_told_by_a_village_in_which_everybody_lives(other, number):
    one, twin = rizki(**BARE, nik=RIZKIS_NIK), rizki(**BARE, name=other, nik=number)
    vetoes = [compare(one, twin, frequencies=counted).vetoes for counted in (None, EVERYBODYS)]
    assert vetoes[0] == vetoes[1]
    assert {"twins", "possible-twins"} & {veto.code for veto in vetoes[1]}


@pytest.mark.parametrize(
    ("here", "words"),
    [
        (5_200_000, "village agree; 52 % of the records at hand that name a village name this one"),
        (10_000_000, "village agree; 100 % of the records at hand that name a village name this one"),
        (650_000, "village agree)"),
        (3, "village agree)"),
    ],
)
def test_the_waterfall_says_how_common_a_village_is_where_it_counts(here, words):
    comparison = compare(rizki(**BARE), rizki(**BARE), frequencies=of_village(here))
    assert any(words in line for line in explain_comparison(comparison))


def test_a_village_in_which_everybody_lives_is_the_same_village_still():
    estimation = Estimation(MatchingPolicy())
    for _ in range(200):
        estimation.add_same(rizki(), rizki(), EVERYBODYS)
    (found,) = (one for one in estimation.estimates("a test's") if one.key == "place.agree")
    assert found.after.m > found.before.m


def numbered(number, *, births, source="rsud"):
    """Return people born on so many days who have one record number."""
    first = date(2020, 1, 1)
    return [
        evidence("Budi", born=(first + timedelta(days=40 * day)).isoformat(), record=(source, number))
        for day in range(births)
    ]


def record_weight(births):
    one = rizki(record=("rsud", "000123"))
    found = said(one, one, count_frequencies(numbered("123", births=births)), "record_number")
    return found.weight if found else 0.0


def test_a_record_number_tells_the_less_the_more_people_have_it():
    bits = [record_weight(births) for births in (0, 1, 2, 3, 4, 6, 11, 12, 50)]
    assert bits[0] == bits[1] == bits[2] == WEIGHTS["record_number.agree"]
    assert bits == sorted(bits, reverse=True)
    assert len(set(bits[2:8])) == 6
    assert bits[-1] == bits[-2] == 0.0


def test_a_record_number_counts_within_its_clinic_only():
    counted = count_frequencies(numbered("123", births=11, source="puskesmas"))
    one = rizki(record=("rsud", "123"))
    assert said(one, one, counted, "record_number").agreement == "agree"


def test_a_number_that_a_column_was_filled_down_with_differs_from_nobodys():
    counted = count_frequencies(numbered("123", births=12) + numbered("5", births=4))
    one, other = rizki(record=("rsud", "77")), rizki(record=("rsud", "123"))
    assert said(one, other, counted, "record_number") is None
    assert counted.without_crowds(other).records == ()
    assert said(one, rizki(record=("rsud", "5")), counted, "record_number").agreement == "different"


def test_a_familys_number_does_not_make_twins_names_one_childs():
    one, other = (rizki(name=name, record=("rsud", "5")) for name in ("Rizki Pratama", "Rizka Pratama"))
    family = compare(one, other, frequencies=count_frequencies(numbered("5", births=4)))
    assert not compare(one, other).vetoes
    assert {veto.code for veto in family.vetoes} == {"possible-twins"}
    shared = next(each for each in family.evidence if each.field == "record_number")
    assert (shared.agreement, "several people's: 4 birth dates stand under it" in shared.words) == ("shared", True)


@pytest.mark.parametrize("written", ["0", "-", "0000", " . ", "--"])
def test_what_stands_where_there_is_no_record_number_is_none(written):
    given = [{"system": systems.medical_record("rsud"), "value": written}]
    assert evidence_of({"resourceType": "Patient", "identifier": given}).records == ()


def test_counts_are_put_together():
    parts = [numbered("123", births=2), numbered("123", births=5)[2:], [evidence("Ani", village="Bojong")] * 3]
    whole = FrequencyCount()
    for part in parts:
        counted = FrequencyCount()
        counted.add_all(part)
        whole.extend(counted)
    found = whole.result()
    assert found.people_with_record(("rsud", "123")) == 5
    assert found.share_in_place("bojong", 0.06)[1] == 1.0
