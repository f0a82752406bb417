import pytest
from tests.fakes.invented_people import RIZKIS_NIK, rizki

from fhir_gateway.identity.estimation import Estimation, parameters_toml
from fhir_gateway.identity.frequencies import default_frequencies
from fhir_gateway.identity.parameters import MatchingPolicy, default_parameters, load_parameters

RIZKI = rizki(nik=RIZKIS_NIK)
GIRL = rizki(nik=RIZKIS_NIK, gender="female")
SISTER = rizki(nik=RIZKIS_NIK, name="Dewi Lestari", born="2017-11-02", gender="female")
MISTYPED = rizki(nik=RIZKIS_NIK.replace("3303121", "3303131"))
WOMAN = rizki(name="Dewi Lestari", nik="3303015411880003", born="1988-11-14", gender="female", village="Bojong")
STRANGER = rizki(name="Agus Setiawan", nik="3303015406880002", born="1988-06-14", mother="Kartini", village="Bojong")


def estimation(*, same=(), unknown=(), random=()):
    found = Estimation(MatchingPolicy())
    for add, pairs in ((found.add_same, same), (found.add_unknown, unknown), (found.add_random, random)):
        for left, right in pairs:
            add(left, right, default_frequencies())
    return {one.key: one for one in found.estimates("a test's invented people")}


def test_m_is_counted_where_it_is_known_who_is_one_person():
    found = estimation(same=[(RIZKI, RIZKI)] * 270 + [(RIZKI, GIRL)] * 30)
    assert found["gender.different"].after.m == pytest.approx(0.1, abs=0.03)
    assert found["gender.agree"].after.m + found["gender.different"].after.m == pytest.approx(1.0, abs=0.01)
    assert "300 pairs of one person" in found["gender.agree"].origin


def test_few_pairs_tell_nothing():
    assert estimation(same=[(RIZKI, GIRL)] * 99, random=[(RIZKI, STRANGER)] * 49) == {}


def test_em_weighs_out_a_sister_under_the_same_number():
    """A third of the pairs with one NIK are two sisters: counting them would give a name that differs an m of 0.33."""
    pairs = [(RIZKI, RIZKI)] * 270 + [(RIZKI, GIRL)] * 30 + [(RIZKI, SISTER)] * 150
    found = estimation(unknown=pairs)
    assert found["name.different"].after.m < 0.01
    assert found["birth_date.different"].after.m < 0.01
    assert found["gender.different"].after.m == pytest.approx(0.1, abs=0.03)


def test_em_learns_of_the_nik_from_those_who_agree_in_all_else():
    found = estimation(unknown=[(RIZKI, RIZKI)] * 270 + [(RIZKI, MISTYPED)] * 30)
    assert found["nik.typo"].after.m == pytest.approx(0.1, abs=0.03)
    assert "nik.different" not in found


def test_what_nobody_can_tell_apart_is_not_looked_at():
    assert estimation(unknown=[(RIZKI, STRANGER)] * 300) == {}


def test_u_is_the_share_of_random_pairs_and_takes_none_that_may_be_one_person():
    found = estimation(random=[(RIZKI, STRANGER)] * 150 + [(RIZKI, WOMAN)] * 50 + [(RIZKI, RIZKI)] * 100)
    assert found["gender.different"].after.u == pytest.approx(0.25)
    assert found["gender.different"].after.m == found["gender.different"].before.m


def test_no_estimate_moves_a_weight_far_or_makes_a_disagreement_speak_for_one_person():
    found = estimation(same=[(RIZKI, GIRL)] * 600, random=[(RIZKI, STRANGER)] * 100)
    assert all(abs(one.after.weight - one.before.weight) <= 3.001 for one in found.values())
    assert found["gender.different"].after.weight <= 0
    assert "held" in found["gender.different"].origin


def test_estimates_make_a_file_that_an_environment_can_name():
    found = estimation(same=[(RIZKI, RIZKI)] * 270 + [(RIZKI, GIRL)] * 30, random=[(RIZKI, STRANGER)] * 100)
    own = load_parameters(parameters_toml(list(found.values())), base=default_parameters())
    for key, one in found.items():
        assert own.weights[key] == pytest.approx(one.after.weight, abs=0.02)
        assert own.origins[key] == one.origin
