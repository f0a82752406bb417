import pytest
from tests.fakes.invented_people import RIZKIS_NIK, evidence, rizki

from fhir_gateway.domain.errors import ConfigurationError
from fhir_gateway.domain.identity import ComparedPair
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.decision import decide
from fhir_gateway.identity.explain import explain_comparison, explain_decision
from fhir_gateway.identity.frequencies import Frequencies, count_frequencies, default_frequencies
from fhir_gateway.identity.parameters import MatchingPolicy, default_parameters, load_parameters


def test_every_shipped_parameter_says_where_it_comes_from():
    assert all(default_parameters().origins.values())


def test_agreements_speak_for_one_person_and_disagreements_against():
    weights = default_parameters().weights
    assert weights["nik.agree"] > weights["birth_date.exact"] > 0 > weights["birth_date.different"]
    assert all(weight < 0 for name, weight in weights.items() if name.endswith(".different"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not toml", "no TOML"),
        ("nik = 3", "must be a table"),
        ("[nik.agree]\nm = 2.0\norigin = 'x'", "probabilities"),
        ("[nik.agree]\nm = 0.5\nu = 0.1", "origin is missing"),
        ("[names]\norigin = 'x'", "names: it must hold the numbers"),
    ],
)
def test_faulty_parameters_are_refused_with_the_reason(text, said):
    with pytest.raises(ConfigurationError, match=said):
        load_parameters(text, file="site.toml")


@pytest.mark.parametrize(
    ("policy", "sound"),
    [
        (MatchingPolicy(), True),
        (MatchingPolicy(certain=1.0, probable=3.0), False),
        (MatchingPolicy(possible=4.0), False),
        (MatchingPolicy(margin=-1.0), False),
    ],
)
def test_policy_tells_its_contradictions(policy, sound):
    assert (not policy.problems()) is sound


def test_common_words_tell_less_than_rare_ones():
    frequencies = default_frequencies()
    assert frequencies.information("muhamad") < frequencies.information("rizki") < frequencies.information("zzz")


def test_counted_people_outweigh_the_shipped_shares():
    counted = count_frequencies([evidence("Bolanor")] * 5000 + [evidence("Rizki")] * 5000)
    assert counted.information("bolanor") < 3


def test_rows_of_one_birth_date_count_once_for_a_phone():
    children = [evidence("Budi", phone="+6281234567890", born=f"2020-03-{day:02}") for day in range(1, 21)]
    assert count_frequencies(children * 3).people_with_phone("81234567890") == 20


def test_phone_of_a_whole_village_tells_little():
    shared = Frequencies(phones={"81234567890": 60}, people=1000)
    bare = {"mother": "", "village": ""}
    assert (
        compare(rizki(**bare), rizki(**bare), frequencies=shared).weight < compare(rizki(**bare), rizki(**bare)).weight
    )


def test_waterfall_ends_in_the_sum_and_the_verdict():
    lines = explain_comparison(compare(rizki(), rizki(name="Rizka Pratama")))
    assert "before any evidence" in lines[0]
    assert any("in sum" in line for line in lines)
    assert any("possibly twins" in line for line in lines)
    assert lines[-1].endswith("an operator decides")


def test_waterfall_adds_up():
    lines = explain_comparison(compare(rizki(), rizki(born="2020-03-16")))
    values = [float(line.split()[0]) for line in lines if line.lstrip()[:1] in "+-"]
    assert values[-1] == pytest.approx(sum(values[:-1]), abs=0.4)


def test_decision_is_explained_without_values():
    people = {1: rizki(nik=RIZKIS_NIK)}
    patients = {"a": rizki(name="Agus Setiawan", nik=RIZKIS_NIK)}
    (decision,) = decide(people, patients, [ComparedPair(1, "a", compare(people[1], patients["a"]))])
    text = "\n".join(explain_decision(decision))
    assert "left to an operator" in text
    assert "Patient/a" in text
    assert "Rizki" not in text
    assert RIZKIS_NIK not in text
