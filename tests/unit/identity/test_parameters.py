import math
import pickle
import re
from dataclasses import replace
from importlib import resources

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
        ("not toml", "it is no TOML"),
        ("nik = 3", "nik: it must be a table"),
        ("[nik]\nagree = 3", "nik.agree: it must be a table"),
        ("[nik.agree]\nm = 2.0\norigin = 'x'", "nik.agree: m and u must be probabilities"),
        ("[nik.agree]\nm = nan\norigin = 'x'", "nik.agree: m and u must be probabilities"),
        ("[nik.agree]\nm = 0.5\nu = 0.1", "nik.agree: its origin is missing"),
        ("[nik.agre]\nm = 0.5\norigin = 'x'", "nik.agre: there is no such parameter (did you mean nik.agree?)"),
        ("[nik.agree]\nvalue = 3.0\norigin = 'x'", "nik.agree.value: unknown, it holds m, origin, u"),
        ("[name.near]\nu = 0.5\norigin = 'x'", "name.near.u: it comes from how common the words are"),
        ("[names.initial]\nvalue = 'much'\norigin = 'x'", "names.initial: value must be a number"),
        ("[names.initals]\nvalue = 2.0\norigin = 'x'", "(did you mean names.initial?)"),
        ("[phone.different]\nm = 0.9\nu = 0.1\norigin = 'x'", "phone.different: a disagreement must not weigh more"),
        ("[birth_date.exact]\nm = 0.1\nu = 0.9\norigin = 'x'", "birth_date.exact: an agreement must not weigh less"),
    ],
)
def test_faulty_parameters_are_refused_with_file_key_and_reason(text, said):
    with pytest.raises(ConfigurationError, match=r"site\.toml") as refused:
        load_parameters(text, file="site.toml", base=default_parameters())
    assert said in str(refused.value)


def shipped_text():
    return resources.files("fhir_gateway.identity").joinpath("parameters.toml").read_text("utf-8")


@pytest.mark.parametrize("key", ["nik.odd_near", "mother.different", "household.supporting", "rivals.newborn"])
def test_whole_parameters_lack_nothing(key):
    without = re.sub(rf"\[{re.escape(key)}\]\n(.+\n)+", "", shipped_text())
    with pytest.raises(ConfigurationError, match=f"{re.escape(key)}: it is missing"):
        load_parameters(without)


def test_environment_s_parameters_stand_in_the_place_of_the_shipped_ones_and_leave_the_others():
    text = "[phone.agree]\nm = 0.7\norigin = 'counted here'\n[rivals.nobody]\nvalue = 3\norigin = 'tried here'\n"
    shipped, own = default_parameters(), load_parameters(text, base=default_parameters())
    assert own.probabilities["phone.agree"] == replace(shipped.probabilities["phone.agree"], m=0.7)
    assert own.weights["phone.agree"] == pytest.approx(math.log2(0.7 / 5e-5))
    assert own.rivals == replace(shipped.rivals, nobody=3.0)
    assert (own.origins["phone.agree"], own.origins["nik.agree"]) == ("counted here", shipped.origins["nik.agree"])
    assert {key for key, weight in own.weights.items() if weight != shipped.weights[key]} == {"phone.agree"}


def test_comparison_weighs_by_the_policy_s_parameters():
    text = "[gender.agree]\nm = 0.985\nu = 0.25\norigin = 'an invented region of women'\n"
    policy = MatchingPolicy(parameters=load_parameters(text, base=default_parameters()))
    shipped, own = compare(rizki(), rizki()), compare(rizki(), rizki(), policy=policy)
    assert own.weight == pytest.approx(shipped.weight + 1, abs=0.02)


def test_parameters_reach_other_processes_unchanged():
    assert pickle.loads(pickle.dumps(MatchingPolicy())) == MatchingPolicy()


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


@pytest.mark.parametrize(
    ("carry", "are_two"),
    [
        ({"zabran": 2000, "sabran": 99}, False),
        ({"zabran": 2000, "sabran": 100}, True),
        ({"zabran": 300, "sabran": 19}, False),
        ({"zabran": 300, "sabran": 20}, True),
        ({"sabran": 20}, False),
    ],
)
def test_an_error_that_recurs_where_many_carry_a_name_is_no_name_of_its_own(carry, are_two):
    frequencies = Frequencies(carry, people=40_000)
    assert frequencies.are_two_names("zabran", "sabran") is are_two
    assert frequencies.are_two_names("sabran", "zabran") is are_two


def test_shipped_names_are_names_however_rare_they_are_among_the_people_at_hand():
    assert Frequencies({"wahyu": 5000}, people=40_000).are_two_names("wahyu", "bayu")


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
    assert lines[-1].endswith("enough to ask an operator, not to link without asking")


@pytest.mark.parametrize(
    "other", [{}, {"born": "2020-03-16"}, {"village": ""}, {"mother": ""}, {"phone": ""}, {"nik": "-"}]
)
def test_waterfall_adds_up_to_the_last_digit(other):
    lines = explain_comparison(compare(rizki(), rizki(**other)))
    values = [round(10 * float(line.split()[0])) for line in lines if line.lstrip()[:1] in "+-"]
    assert values[-1] == sum(values[:-1])


def test_birth_dates_that_differ_speak_for_one_person_only_where_a_nik_says_why():
    cut = {"nik": "", "written_nik": "3.30312150320000E+15"}
    told = explain_comparison(compare(rizki(**cut), rizki(**cut, born="2021-08-27")))
    (line,) = (line for line in told if "different birth dates" in line)
    assert line.lstrip().startswith("+")
    assert "what is left of the NIK tells one birth date of both" in line


def test_decision_is_explained_without_values():
    people = {1: rizki(nik=RIZKIS_NIK)}
    patients = {"a": rizki(name="Agus Setiawan", nik=RIZKIS_NIK)}
    (decision,) = decide(people, patients, [ComparedPair(1, "a", compare(people[1], patients["a"]))])
    text = "\n".join(explain_decision(decision))
    assert "left to an operator" in text
    assert "Patient/a" in text
    assert "Rizki" not in text
    assert RIZKIS_NIK not in text
