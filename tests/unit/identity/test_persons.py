from itertools import combinations, permutations

import pytest
from tests.fakes.invented_people import RIZKIS_NIK, TWINS_NIK, evidence, rizki

from fhir_gateway.domain.identity import ComparedPair, Grade, PersonAction
from fhir_gateway.identity.combining import combine, with_orders_of_birth
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.decision import decide
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.given import GivenDose, Listed
from fhir_gateway.identity.repeats import count_repeats, doses_part

BCG = GivenDose("clinic:0", "19", "1", "2020-05-01")
POLIO = GivenDose("clinic:0", "198", "2", "2020-07-01")
MEASLES = GivenDose("clinic:0", "04", "1", "2021-01-04")


def decided(*people, given=None, lines=(), rows=()):
    numbered = dict(enumerate(people, start=1))
    pairs = [
        ComparedPair(left, right, compare(numbered[left], numbered[right])) for left, right in combinations(numbered, 2)
    ]
    doses, told = given or {}, dict(enumerate(rows, start=1))
    said = {
        number: Listed(doses.get(number, frozenset()), frozenset(lines), rows=told.get(number, 0))
        for number in numbered
    }
    return decide(numbered, {}, pairs, listed=said if doses or lines or told else None)


def members(*people, given=None, lines=()):
    made = decided(*people, given=given, lines=lines)
    return sorted(decision.members for decision in made if decision.action is not PersonAction.REVIEW)


def waiting(*people, rows=()):
    return sorted(
        member for one in decided(*people, rows=rows) if one.action is PersonAction.REVIEW for member in one.members
    )


def newborn(**given):
    return evidence("By. Ny. Siti Aminah", **{"born": "2020-03-15", "gender": "male", "mother": "Siti Aminah", **given})


@pytest.mark.parametrize(("sabrans", "asked"), [(90, False), (400, True)])
def test_a_spelling_that_recurs_among_thousands_of_one_name_is_no_twins(sabrans, asked):
    counted = Frequencies({"zabran": 2000, "sabran": sabrans, "pratama": 4000}, people=90_000)
    one, other = rizki(name="Zabran Pratama", nik=RIZKIS_NIK), rizki(name="Sabran Pratama")
    pair = ComparedPair(1, 2, compare(one, other, frequencies=counted))
    made = decide({1: one, 2: other}, {}, [pair], frequencies=counted)
    assert any(decision.action is PersonAction.REVIEW for decision in made) is asked


def test_combined_records_tell_what_each_tells():
    both = combine([rizki(nik=RIZKIS_NIK, phone=""), rizki(name="Rizki", phone="+6289999912345")])
    assert both.niks == (RIZKIS_NIK,)
    assert set(both.own_keys) == {"rizki pratama||", "rizki||"}
    assert both.phones == ("89999912345",)


def test_combined_birth_date_is_that_of_most_records():
    wrong = rizki(born="2020-05-13")
    for order in permutations([rizki(), rizki(phone=""), wrong]):
        assert combine(order).birth_date == rizki().birth_date


def test_combining_does_not_depend_on_the_order():
    records = [rizki(nik=RIZKIS_NIK), rizki(name="Riski", gender=""), rizki(mother="", born="2020-03-16")]
    assert len({combine(order) for order in permutations(records)}) == 1


def test_record_number_of_a_labelled_twin_tells_the_order_of_birth():
    folder, other = {"record": ("rs-a", "000123")}, {"record": ("rs-a", "000124")}
    people = [newborn(order=2, **folder), rizki(**folder), rizki(**other), rizki(order=1, **folder), rizki()]
    told = with_orders_of_birth(dict(enumerate(people)))
    assert [known.birth_order for known in told.values()] == [2, -1, -1, 1, -1]
    told = with_orders_of_birth(dict(enumerate(people[:3])))
    assert [known.birth_order for known in told.values()] == [2, 2, -1]


def test_record_that_fits_no_row_for_certain_fits_the_person():
    with_phone = rizki(nik=RIZKIS_NIK, mother="", village="")
    with_mother = rizki(nik=RIZKIS_NIK, phone="", village="")
    poor = evidence("Rizki", born="2020-03-15", gender="male", mother="Siti Aminah", phone="+6281234567890")
    assert members(with_phone, with_mother, poor) == [(1, 2, 3)]


def test_slip_of_the_finger_is_one_child_where_no_twin_is():
    assert members(rizki(name="Gilang Pratama", nik=RIZKIS_NIK), rizki(name="Gilang Prtaama")) == [(1, 2)]


def test_one_sound_apart_is_asked_about():
    assert waiting(rizki(name="Rizki Pratama", nik=RIZKIS_NIK), rizki(name="Rizka Pratama")) == [2]


def test_slip_is_asked_about_where_a_twin_is():
    child = rizki(name="Hasan Pratama", nik=RIZKIS_NIK)
    twin = rizki(name="Hasim Pratama", nik=TWINS_NIK)
    assert 3 in waiting(child, twin, rizki(name="Haswn Pratama"))


def test_newborn_is_the_only_child_of_that_day():
    assert members(rizki(nik=RIZKIS_NIK), newborn(phone="+6281234567890", village="Kalimanah")) == [(1, 2)]


def test_newborn_is_asked_about_where_another_newborn_is_the_second_twin():
    first = newborn(phone="+6281234567890", village="Kalimanah")
    second = newborn(phone="+6281234567890", village="Kalimanah", order=2)
    assert 2 in waiting(rizki(nik=RIZKIS_NIK), first, second)


def test_newborn_is_asked_about_where_two_others_are_registered_as_two():
    family = {"phone": "+6281234567890", "village": "Kalimanah"}
    registered = [newborn(record=("1", number), **family) for number in ("10", "11")]
    child = rizki(mother="Siti Aminah")
    assert members(newborn(**family), child) == [(1, 2)]
    assert all(not {3, 4} <= {*one} for one in members(*registered, newborn(**family), child))


def test_newborns_of_twins_are_never_joined_with_either():
    child, twin = rizki(nik=RIZKIS_NIK), rizki(name="Agus Pambudi", nik=TWINS_NIK)
    unknown = newborn(phone="+6281234567890", village="Kalimanah")
    assert waiting(child, twin, unknown, unknown) == [3, 4]


def test_mother_is_not_her_newborn_with_her_birth_date():
    mother = evidence("Siti Aminah", nik="3303055503900001", born="1990-03-15", gender="female", phone="+6281234567890")
    child = evidence(
        "By. Siti Aminah", nik="3303055503900001", born="1990-03-15", gender="female", phone="+6281234567890"
    )
    assert (1, 2) not in members(mother, child)


def test_namesakes_with_other_mothers_are_not_joined():
    assert members(
        evidence("Rizki Pratama", born="2020-03-15", gender="male", mother="Siti Aminah", nik=RIZKIS_NIK),
        evidence("Rizki Pratama", born="2020-03-15", gender="male", mother="Dewi Lestari"),
    ) == [(1,)]


def test_brothers_of_like_name_are_two_new_people():
    brother = rizki(name="Rizal Pratama", born="2018-07-02")
    assert members(rizki(), brother) == [(1,), (2,)]


def test_namesakes_of_one_village_with_other_mothers_are_not_joined():
    one = {"born": "2020-03-15", "gender": "male", "village": "Kalimanah"}
    assert members(
        evidence("Rizki Pratama", mother="Siti Aminah", nik=RIZKIS_NIK, **one),
        evidence("Rizki Pratama", mother="Dewi Lestari", **one),
    ) == [(1,)]


def doses(first):
    """Return four doses of vaccines that nobody gets of another such four."""
    return frozenset(GivenDose("clinic:0", str(first + number), "1", "2020-05-01") for number in range(4))


def test_parts_of_a_list_that_complement_each_other_are_one_child():
    likely_twins = rizki(name="Rizki Pratama", nik=RIZKIS_NIK), rizki(name="Rizka Pratama")
    assert members(*likely_twins) == [(1,)]
    assert members(*likely_twins, given={1: doses(100), 2: doses(200)}) == [(1, 2)]
    assert members(*likely_twins, given={1: doses(100) | {POLIO}, 2: doses(200) | {POLIO}}) == [(1,)]


def test_a_twin_of_whom_a_list_has_little_yet_is_not_part_of_the_other():
    twins = rizki(name="Fahmi Pratama", nik=RIZKIS_NIK), rizki(name="Fahri Pratama")
    assert members(*twins, given={1: doses(100), 2: frozenset({POLIO})}) == [(1,)]
    assert members(*twins, given={1: doses(100), 2: frozenset({BCG, POLIO, MEASLES})}) == [(1,)]


def test_a_dose_between_those_of_the_other_is_a_part_of_one_course():
    likely_twins = rizki(name="Fahmi Pratama", nik=RIZKIS_NIK), rizki(name="Fahri Pratama")
    first, second, third = (GivenDose("clinic:0", "198", str(n), f"2020-0{n + 4}-01") for n in (1, 2, 3))
    assert members(*likely_twins, given={1: frozenset({first, third}), 2: frozenset({second})}) == [(1, 2)]
    assert members(*likely_twins, given={1: frozenset({first, second}), 2: frozenset({third})}) == [(1,)]
    assert members(*likely_twins, given={1: frozenset({first, second, third}), 2: frozenset({second})}) == [(1,)]


def test_parts_of_a_list_are_not_one_child_where_the_village_alone_agrees():
    only_village = {"mother": "", "phone": ""}
    neighbours = rizki(name="Fahmi Pratama", nik=RIZKIS_NIK), rizki(name="Fahri Pratama", **only_village)
    assert members(*neighbours, given={1: doses(100), 2: doses(200)}) == [(1,)]


def test_a_twin_whose_words_are_joined_is_asked_about():
    likely_twins = rizki(name="Zahira Kamilah", gender="female"), rizki(name="Zaharakamilah", gender="female")
    assert len(waiting(*likely_twins)) == 1


def test_what_records_of_one_person_leave_open_is_told():
    slip = decided(rizki(name="Gilang Pratama", nik=RIZKIS_NIK), rizki(name="Gilang Prtaama"))
    assert "leave open" in slip[0].text
    copy = decided(rizki(nik=RIZKIS_NIK), rizki(nik=RIZKIS_NIK, phone=""))
    assert copy[0].members == (1, 2)
    assert "leave open" not in copy[0].text


def test_parts_of_a_list_are_not_one_child_where_the_birthday_is_nobodys():
    classmates = rizki(nik=RIZKIS_NIK, born="2017-01-01"), rizki(name="Rizka Pratama", born="2017-01-01")
    assert (1, 2) not in members(*classmates, given={1: frozenset({BCG}), 2: frozenset({POLIO})})


def test_parts_of_a_list_are_not_one_child_where_a_third_may_be_the_twin():
    twin = rizki(name="Rizka Pratama", nik=TWINS_NIK)
    given = {1: frozenset({BCG}), 2: frozenset({POLIO}), 3: frozenset({BCG, POLIO})}
    assert (1, 2) not in members(rizki(nik=RIZKIS_NIK), rizki(name="Rizka Pratama"), twin, given=given)


def test_all_newborns_of_a_mothers_only_child_are_that_child():
    first_days = newborn(village="Kalimanah"), newborn(phone="+6281234567890")
    given = {1: frozenset({BCG}), 2: frozenset({BCG}), 3: frozenset({POLIO})}
    assert members(*first_days, rizki(nik=RIZKIS_NIK), given=given) == [(1, 2, 3)]


def test_newborn_is_the_child_of_its_very_day_although_its_mother_has_a_namesake_in_the_village():
    label = newborn(village="Kalimanah")
    neighbour = evidence("Hasan", born="2020-06-20", gender="male", mother="Siti Aminah", village="Kalimanah")
    assert members(rizki(nik=RIZKIS_NIK), label, neighbour) == [(1, 2), (3,)]
    assert waiting(label, neighbour) == [1]


CADRES = {"gender": "female", "phone": "+6281299998888", "village": "Grecol"}


def test_newborn_under_the_number_of_another_mothers_child_is_asked_about():
    unknown = newborn(nik=RIZKIS_NIK, village="Bojanegara")
    other = rizki(nik=RIZKIS_NIK, mother="Eka Handayani")
    (asked,) = (decision for decision in decided(unknown, other) if decision.action is PersonAction.REVIEW)
    assert asked.reason == "nik-name-disagrees"
    assert members(unknown, rizki(nik=RIZKIS_NIK)) == [(1, 2)]


def test_one_number_under_another_birth_date_and_family_is_asked_about():
    """A column of numbers that was sorted by itself gives them to others, who often have a common name."""
    number = {"nik": "3303014504210001", "gender": "female"}
    family = {"mother": "Rini Wahyuni", "phone": "+6281234511123", "village": "Grecol"}
    one = evidence("Siti Aisyah", born="2021-04-05", **number, **family)
    others = {"mother": "Yuni Astuti", "phone": "+6281234522256", "village": "Tlahab"}
    assert len(waiting(one, evidence("Siti Aisyah", born="2021-04-06", **number, **others))) == 1
    assert members(one, evidence("Siti Aisyah", born="2021-04-05", **number, **others)) == [(1, 2)]
    assert members(one, evidence("Siti Aisyah", born="2021-04-06", **number, **{**others, "village": "Grecol"})) == [
        (1, 2)
    ]


def test_two_mothers_names_are_not_outvoted_by_a_cadres_phone():
    one = evidence("Siti Aisyah", born="2025-03-18", mother="Sri Lestari", **CADRES)
    other = evidence("Siti Aisyah", born="2025-03-18", mother="Nur Hidayah", **CADRES)
    assert len(waiting(one, other)) == 1
    household = next(piece for piece in compare(one, other).evidence if piece.field == "household")
    assert household.weight == 3.0
    assert members(one, evidence("Siti Aisyah", born="2025-03-18", mother="Bambang Sutrisno", **CADRES)) == [(1, 2)]


@pytest.mark.parametrize("born", ["2025-03-19", "2024-03-18"])
def test_of_another_birth_date_an_unknown_mothers_name_is_not_taken_for_the_fathers(born):
    one = evidence("Zahwatun Nafeesa", born="2025-03-18", mother="Sri Lestari", **CADRES)
    other = evidence("Zahwatun Nafeesa", born=born, mother="Pradnya Qwerty", **CADRES)
    assert (1, 2) not in members(one, other)
    assert members(one, evidence("Zahwatun Nafeesa", born=born, mother="Sri Lestari", **CADRES)) == [(1, 2)]


def test_a_chain_of_two_mothers_children_is_cut_where_a_dose_stands_twice():
    surya = {"gender": "male", "village": "Sumingkir"}
    one = evidence("Wayan Surya", born="2021-11-15", mother="Puji Mulyaningsih", phone="+6289565603430", **surya)
    other = {**surya, "mother": "Ni Ketut Pradnya", "mother_nik": "3303045312910001", "born": "2021-11-13"}
    link = evidence("Wayan Surya", phone="+6289565603430", **other)
    twice = evidence("Wayan Surya", phone="+6281276571908", **other)
    given = {1: frozenset({BCG}), 3: frozenset({BCG})}
    assert members(one, link, twice, given=given) == [(2, 3)]


def test_newborn_is_not_the_child_who_has_a_line_of_its_own_in_the_same_list():
    mother = {"phone": "+6281234567890", "village": "Kalimanah"}
    assert members(newborn(**mother), rizki(nik=RIZKIS_NIK)) == [(1, 2)]
    assert (1, 2) not in members(newborn(**mother), rizki(nik=RIZKIS_NIK), lines=["clinic:0"])


def test_a_brothers_number_links_nobody_of_the_other_sex():
    brother = rizki(name="Rizki", nik=RIZKIS_NIK)
    sister = rizki(name="Rizki", nik=RIZKIS_NIK, gender="female", born="2021-09-11")
    assert (1, 2) not in members(brother, sister)


def test_a_brother_under_his_twins_number_is_not_joined_by_a_row_with_the_familys_name_alone():
    sister = rizki(name="Viktoria Nggae", nik=RIZKIS_NIK, gender="female")
    short = rizki(name="Nggae", nik=RIZKIS_NIK, gender="female")
    brother = rizki(name="Marselinus Nggae", nik=RIZKIS_NIK)
    assert members(sister, short) == [(1, 2)]
    together = [set(one.members) for one in decided(sister, short, brother)]
    assert not any({1, 3} <= one for one in together)


def test_of_one_number_and_name_a_wrong_birth_date_is_one_child_where_no_mother_bears_twice_so_soon():
    assert members(rizki(nik=RIZKIS_NIK), rizki(nik=RIZKIS_NIK, born="2020-07-28")) == [(1, 2)]


@pytest.mark.parametrize("other", [{"born": "2022-07-28"}, {"born": "2020-07-28", "name": "Rizki Pratam"}])
def test_a_birth_date_or_name_that_may_be_a_brothers_is_asked_about(other):
    assert waiting(rizki(nik=RIZKIS_NIK), rizki(nik=RIZKIS_NIK, **other)) != []


def test_the_same_name_and_day_of_another_year_are_one_child_of_the_whole_family():
    assert members(rizki(nik=RIZKIS_NIK), rizki(born="2021-03-15")) == [(1, 2)]
    assert waiting(rizki(nik=RIZKIS_NIK), rizki(born="2021-03-15", name="Riski Pratama")) == [2]
    elsewhere = {"mother": "Zyxo Qwertina", "phone": "", "village": ""}
    assert waiting(rizki(nik=RIZKIS_NIK, **elsewhere), rizki(born="2021-03-15", **elsewhere)) == [2]


def test_a_child_that_fits_two_newborns_of_one_hospital_does_not_make_them_one():
    first, second = (newborn(phone="+6281234567890", village="Kalimanah", record=("rsud", rm)) for rm in ("1", "2"))
    assert members(first, second) == [(1,)]
    for order in permutations([first, second, rizki(nik=RIZKIS_NIK)]):
        assert len(waiting(*order)) == 2
    assert members(first, first, rizki(nik=RIZKIS_NIK)) == [(1, 2, 3)]


def test_father_and_son_of_one_name_and_birthday_are_asked_about():
    family = {"gender": "male", "phone": "+6281234500001", "village": "Grecol"}
    father, son = (evidence("Ahmad Fauzi", born=f"{year}-02-02", **family) for year in (1985, 2003))
    (asked,) = (decision for decision in decided(father, son) if decision.action is PersonAction.REVIEW)
    assert asked.reason == "generation"
    one_number = [
        evidence("Ahmad Fauzi", born=f"{year}-02-02", nik="3303030202030001", **family) for year in (1983, 2003)
    ]
    assert members(*one_number) == [(1, 2)]


@pytest.mark.parametrize(("village", "joined"), [("Kalimanah", True), ("", False)])
def test_newborn_needs_more_than_the_name_of_its_mother(village, joined):
    named = rizki(mother="Siti Aminah", phone="", village=village)
    assert (members(newborn(village=village), named) == [(1, 2)]) is joined


def test_newborns_of_whom_a_list_has_the_same_doses_are_not_both_the_child_who_got_a_name():
    mother = {"mother_nik": "3303124502950001", "village": "Kalimanah"}
    first, second = newborn(phone="+6281234567890", **mother), newborn(phone="+6285511122233", **mother)
    child = rizki(mother_nik=mother["mother_nik"])
    same = {1: frozenset({BCG, POLIO}), 2: frozenset({BCG, POLIO})}
    assert members(first, second, child) == [(1, 2, 3)]
    assert all(len(one) < 3 for one in members(first, second, child, given=same))


@pytest.mark.parametrize(
    ("mother", "phone", "joined"),
    [
        ("Kartini Tambunan", "+6285511122233", True),
        ("Kartini", "+6285511122233", False),
        ("Kartini", "+6281234567890", True),
    ],
)
def test_newborn_of_a_village_needs_the_mothers_whole_name_or_a_number(mother, phone, joined):
    first_days = evidence(
        "By. Ny. Kartini Tambunan", born="2020-03-15", gender="male", village="Kalimanah", phone="+6281234567890"
    )
    named = rizki(mother=mother, phone=phone, village="Kalimanah")
    assert (members(first_days, named) == [(1, 2)]) is joined


def test_newborn_is_the_child_whose_day_and_month_are_exchanged():
    child = rizki(born="2020-03-05", nik="3303120503200001")
    assert members(newborn(born="2020-05-03", phone="+6281234567890", village="Kalimanah"), child) == [(1, 2)]


def test_misspelled_names_of_parts_of_a_list_are_one_child_where_several_doses_tell():
    one, other = rizki(name="Manurung Tanaya"), rizki(name="Maneorung Tanaya")
    assert members(one, other, given={1: doses(100), 2: doses(200)}) == [(1, 2)]
    assert waiting(one, other) != []


def test_numbers_that_one_patient_carries_do_not_part_its_records():
    first, second = rizki(nik=RIZKIS_NIK), rizki(nik="3303131503200001")
    both = combine([first, second])
    pairs = [
        ComparedPair(left, right, compare(one, other))
        for left, one, right, other in ((1, first, 2, second), (1, first, "a", both), (2, second, "a", both))
    ]
    (decision,) = decide({1: first, 2: second}, {"a": both}, pairs)
    assert (decision.members, decision.patient_id) == ((1, 2), "a")
    assert len(decide({1: first, 2: second}, {}, pairs[:1])) == 2


def grown_up(name, **given):
    return evidence(name, **{"born": "1988-11-22", "gender": "female", "phone": "+6281234567890", **given})


def test_mother_is_not_the_child_that_was_written_down_under_her_birth_date():
    mother = grown_up("Rumondang", nik="3303126211880006", village="Kalimanah")
    child = grown_up("Rumondang Silaban", gender="", village="Kalimanah")
    a_grown_ups = frozenset({GivenDose("clinic:0", "139", "1", "2024-02-03")})
    assert members(mother, child, given={2: a_grown_ups}) == [(1, 2)]
    assert (1, 2) not in members(mother, child, given={2: frozenset({POLIO})})


def test_child_under_its_mothers_birth_date_is_known_by_its_number():
    child = rizki(nik=RIZKIS_NIK)
    misdated = rizki(nik=RIZKIS_NIK, born="1988-11-22")
    assert (1, 2) not in members(child, misdated)
    assert members(child, misdated, given={2: frozenset({POLIO})}) == [(1, 2)]


def test_doses_that_grown_ups_get_as_well_say_nothing_of_a_birth_date():
    woman = grown_up("Rumondang Silaban", nik="3303126211880006"), grown_up("Rumondang Silaban")
    assert members(*woman, given={2: frozenset({MEASLES})}) == [(1, 2)]


def test_initial_beside_another_word_is_no_name_left_out():
    one = evidence("Tarmiyah Larasati", born="1989-06-23", gender="female", village="Kalimanah")
    other = evidence("T. Purnamaningsih Larasati", born="1989-06-23", gender="female", village="Kalimanah")
    shorter = evidence("T. Larasati", born="1989-06-23", gender="female", village="Kalimanah")
    assert (1, 2) not in members(one, other)
    assert members(one, shorter) == [(1, 2)]


def test_a_row_goes_to_the_one_of_its_name_beside_a_possible_twin():
    child, maybe_twin = rizki(nik=RIZKIS_NIK), rizki(name="Rizka Pratama")
    assert members(child, maybe_twin, rizki(born="2020-03-25")) == [(1, 3)]
    assert waiting(child, maybe_twin, rizki(born="2020-03-25")) == [2]


def test_one_dose_typed_twice_keeps_no_row_apart_from_a_person_of_its_very_name():
    known = [rizki(name="Rizki P", nik=RIZKIS_NIK), rizki(nik=RIZKIS_NIK)]
    assert members(*known, rizki(), given={1: frozenset({BCG}), 3: frozenset({BCG})}) == [(1, 2, 3)]


def test_nobody_of_its_name_and_day_is_the_mother_whom_a_newborns_row_names():
    girl = {"nik": "3303125503200001", "born": "2020-03-15", "gender": "female"}
    family = {"mother": "Muliati", "phone": "+6281234567890", "village": "Kalimanah"}
    first_days = evidence("By. Aisyah Nadira", **{**girl, **family, "nik": "", "mother": ""})
    assert members(evidence("Aisyah Nadira", **girl, **family), evidence("Aisyah Nadira", **girl), first_days) == [
        (1, 2, 3)
    ]


def test_who_has_a_mother_of_that_name_is_not_the_mother_whom_a_newborns_row_names():
    girl = {"born": "2022-12-14", "gender": "female", "phone": "+6281234567890", "village": "Kalimanah"}
    first_days = evidence("By. Ny. Weni Andeska", **girl, mother_nik="3303125708901039")
    bare = evidence("Edi Andeska", nik="3303125412220005", **girl)
    named = evidence("Edi Andeska", nik="3303125412220005", **girl, mother="Weni Andeska")
    assert members(bare, named, first_days) == [(1, 2, 3)]
    assert (1, 2) not in members(bare, first_days)


@pytest.mark.parametrize(("born", "joined"), [("2020-04-24", True), ("2021-04-24", False)])
def test_under_one_number_a_shorter_name_with_another_birth_date_is_the_childs_where_no_brother_is_born_so_soon(
    born, joined
):
    assert (members(rizki(nik=RIZKIS_NIK), rizki(name="Rizki", nik=RIZKIS_NIK, born=born)) == [(1, 2)]) is joined


@pytest.mark.parametrize(("phone", "joined"), [("", True), ("+6285511122233", False)])
def test_namesakes_of_a_village_are_one_from_five_bits_on(phone, joined):
    village = {"born": "2020-03-15", "gender": "female", "village": "Kalimanah"}
    whole, short = evidence("Kayla Putri", phone="+6281234567890", **village), evidence("Kayla", phone=phone, **village)
    assert (compare(whole, short).weight >= 5.0) is joined
    assert (members(whole, short) == [(1, 2)]) is joined


@pytest.mark.parametrize(("name", "joined"), [("Zulkarnain Abimnyu", True), ("Zulkarnain Abimanya", False)])
def test_a_rare_name_that_only_lost_a_letter_is_one_persons_without_a_family(name, joined):
    born = {"born": "2020-03-15", "gender": "male"}
    assert (members(evidence("Zulkarnain Abimanyu", **born), evidence(name, **born)) == [(1, 2)]) is joined


@pytest.mark.parametrize(("line", "joined"), [("cohort:0", True), ("", False)])
def test_namesakes_are_one_where_a_list_of_all_children_has_a_line_for_one_of_them_only(line, joined):
    people = {
        1: evidence("Gilang Ramadhan", nik=RIZKIS_NIK, born="2020-03-15", gender="male", mother="Siti Aminah"),
        2: evidence("Gilang Ramadhan", born="2020-03-15", gender="male"),
    }
    measles = GivenDose("cohort:0", "04", "1", "2021-01-04")
    said = {1: Listed(frozenset({BCG})), 2: Listed(frozenset({measles}), frozenset({line} - {""}))}
    decisions = decide(people, {}, [ComparedPair(1, 2, compare(people[1], people[2]))], listed=said)
    assert ([decision.members for decision in decisions] == [(1, 2)]) is joined


def test_namesakes_whose_own_names_stand_for_their_mothers_are_parted_by_their_doses():
    one, other = (
        evidence("By. Made Suartini", born="2020-03-15", phone=phone) for phone in ("+62811111111", "+62822222222")
    )
    twice = count_repeats(Listed(frozenset({BCG})), Listed(frozenset({BCG})))
    assert set(one.own_keys) & set(one.mother_keys)
    assert doses_part(one, other, twice)


@pytest.mark.parametrize("other", [TWINS_NIK, f"{RIZKIS_NIK[:12]}9001", f"{RIZKIS_NIK[:5]}3{RIZKIS_NIK[6:]}"])
def test_a_row_that_fits_both_of_two_who_differ_in_their_niks_alone_is_asked_about_with_both_named(other):
    for people in permutations((rizki(nik=RIZKIS_NIK), rizki(nik=other), rizki())):
        bare = next(number for number, one in enumerate(people, start=1) if not one.niks)
        (asked,) = [one for one in decided(*people) if bare in one.members]
        assert (asked.action, asked.reason) == (PersonAction.REVIEW, "fits-two-people")
        assert (asked.members, set(asked.candidates), asked.torn) == ((bare,), {1, 2, 3} - {bare}, True)


OF_ANOTHER_PLACE = f"{RIZKIS_NIK[:5]}3{RIZKIS_NIK[6:]}"
OF_ANOTHER_DAY = f"{RIZKIS_NIK[:6]}25{RIZKIS_NIK[8:]}"


@pytest.mark.parametrize("rows", [(1, 1, 1), (9, 1, 1)])
def test_a_row_that_fits_two_is_that_ones_whose_niks_birthday_is_its_own(rows):
    for people in permutations((rizki(nik=OF_ANOTHER_DAY), rizki(nik=RIZKIS_NIK), rizki())):
        own, other = (
            next(n for n, one in enumerate(people, start=1) if nik in one.niks) for nik in (RIZKIS_NIK, OF_ANOTHER_DAY)
        )
        decisions = decided(*people, rows=rows)
        (question,) = [one for one in decisions if one.action is PersonAction.REVIEW]
        assert question.reason == "nik-different"
        assert sorted(len(one.members) for one in decisions) == [1, 2]
        assert (other,) in {one.members for one in decisions}
        assert any({own} < {*one.members} for one in decisions)


def test_a_row_that_fits_two_is_that_ones_whose_nik_more_rows_tell_where_the_other_is_a_typing_error_away():
    village = {"mother": "", "phone": ""}
    one, mistyped, twins = (rizki(nik=nik, **village) for nik in (RIZKIS_NIK, OF_ANOTHER_PLACE, TWINS_NIK))
    assert waiting(one, mistyped, rizki(), rows=(3, 1, 1)) == [2]
    assert waiting(one, mistyped, rizki(), rows=(1, 3, 1)) == [1]
    assert 3 in waiting(one, mistyped, rizki(), rows=(2, 2, 1))
    assert 3 in waiting(one, twins, rizki(), rows=(3, 1, 1))


@pytest.mark.parametrize("third", [rizki(), newborn(phone="+6281234567890", village="Kalimanah")])
def test_a_row_that_fits_two_of_one_name_birthday_and_family_is_that_ones_whom_more_rows_tell(third):
    one, other = rizki(nik=RIZKIS_NIK), rizki(nik=TWINS_NIK)
    assert waiting(one, other, third, rows=(3, 1, 1)) == [2]
    assert waiting(one, other, third, rows=(1, 3, 1)) == [1]
    assert 3 in waiting(one, other, third, rows=(2, 2, 1))


def test_a_newborn_that_fits_two_whose_names_are_spelled_otherwise_is_asked_about():
    two = rizki(nik=RIZKIS_NIK), rizki(name="Rizky Pratama", nik=TWINS_NIK)
    assert 3 in waiting(*two, newborn(phone="+6281234567890", village="Kalimanah"), rows=(3, 1, 1))


def test_what_a_spreadsheet_left_of_another_nik_does_not_make_it_one_that_is_not_its_own():
    village = {"mother": "", "phone": ""}
    cut = rizki(nik=f"{OF_ANOTHER_PLACE[:12]}0000", **village)
    assert cut.damaged_niks
    assert not cut.niks
    assert 3 in waiting(rizki(nik=RIZKIS_NIK, **village), cut, rizki(), rows=(3, 1, 1))


def test_of_two_in_question_the_one_of_fewer_rows_waits_though_they_say_it_in_more_ways():
    several = rizki(nik=RIZKIS_NIK), rizki(nik=RIZKIS_NIK, phone=""), rizki(nik=TWINS_NIK)
    assert waiting(*several) == [3]
    assert waiting(*several, rows=(1, 1, 5)) == [1, 2]
    assert waiting(*several, rows=(4, 4, 5)) == [3]


def test_short_names_that_contradict_each_other_are_settled_by_the_whole_name():
    born = {"born": "2023-03-15", "gender": "female", "mother": "Maria Kristiani", "village": "Kalimanah"}
    whole, first = (evidence(name, nik="3303025503230004", **born) for name in ("Rut Widyawati", "Rut"))
    last = evidence("Widyawati", phone="+6281909073001", **born)
    assert members(whole, first, last) == [(1, 2, 3)]
    assert members(whole, first._replace(mother_keys=(), places=()), last) == [(1, 2, 3)]
    assert (1, 2) not in members(first, last)
    assert (1, 2, 3) not in members(whole, first, evidence("Widyastuti", phone="+6281909073001", **born))


def test_a_row_that_agrees_with_one_of_two_numbers_clearly_more_is_that_ones():
    one, other = rizki(nik=RIZKIS_NIK), rizki(nik=TWINS_NIK, phone="+6281299990000", village="Bukateja")
    assert 3 not in waiting(one, other, rizki())


def test_rows_that_are_one_by_a_record_number_and_fit_two_together_are_not_the_first_ones():
    two = rizki(nik=RIZKIS_NIK), rizki(nik=TWINS_NIK)
    bare = rizki(record=("1", "77")), rizki(record=("1", "77"), phone="", mother="")
    asked = [one for one in decided(*two, *bare) if {3, 4} & {*one.members}]
    assert {one.reason for one in asked} == {"fits-two-people"}
    assert all(one.torn and {1, 2} <= {*one.candidates} for one in asked)


def test_a_row_whose_fellow_row_has_the_number_of_one_of_two_is_that_ones():
    two = rizki(nik=RIZKIS_NIK), rizki(nik=TWINS_NIK)
    fellows = rizki(record=("1", "77"), nik=RIZKIS_NIK), rizki(record=("1", "77"), mother="")
    assert (1, 3, 4) in members(*two, *fellows)


def test_whom_somebody_elses_number_makes_doubtful_is_not_settled_by_an_answer_about_the_two():
    two, bare = (rizki(order=1), rizki(order=2)), rizki(nik="3303121503200005")
    other = evidence("Agus Setiawan", born="2019-01-02", gender="male", nik="3303121503200005")
    assert [one.torn for one in decided(*two, bare) if 3 in one.members] == [True]
    assert [one.torn for one in decided(*two, bare, other) if 3 in one.members] == [False]


def test_number_one_typing_error_apart_under_a_name_a_sound_apart_is_asked_about():
    elsewhere = "34" + RIZKIS_NIK[2:]
    assert waiting(rizki(name="Rizki", nik=RIZKIS_NIK), rizki(name="Rizka", nik=elsewhere))


def test_an_odd_spelling_of_a_person_does_not_keep_rows_of_her_very_name_away():
    numbered = [rizki(name="Laoode", nik=RIZKIS_NIK), rizki(name="Laode Mapiase", nik=RIZKIS_NIK)]
    joined = rizki(name="Laodemapiase", nik="", phone="")
    others = [rizki(name="Laode Mapiase", nik="", phone=""), rizki(name="Laode Mapiase", nik="", village="Bojong")]
    assert members(*numbered, joined, *others) == [(1, 2, 3, 4, 5)]
    twins = [rizki(name="Laoode", nik=TWINS_NIK), rizki(name="Laode Mapiaze", nik=TWINS_NIK)]
    assert (3, 4) not in members(*numbered, *twins)


def test_the_sex_that_a_nik_tells_settles_a_tie():
    boys = RIZKIS_NIK
    assert combine([rizki(nik=boys), rizki(gender="female")]).gender == "male"
    assert combine([rizki(), rizki(gender="female")]).gender == ""
    at_birth = newborn(phone="+6281234567890", village="Kalimanah")
    assert members(rizki(nik=boys), rizki(nik=boys, gender="female", phone=""), at_birth) == [(1, 2, 3)]


def test_who_fits_one_row_well_enough_to_ask_is_asked_about_where_the_other_rows_fall_short():
    rows = [
        evidence("Putry Nabila", born="2023-06-13", gender=gender, phone="+6285748480997", village=village)
        for gender, village in (("female", "Kutawis"), ("male", "Kutawis"), ("male", ""))
    ]
    listed_otherwise = evidence("Putri Nabila", born="2023-06-13", gender="female", parent="Tri Sutarmi")
    assert compare(rows[0], listed_otherwise).grade is Grade.PROBABLE
    assert compare(combine(rows), listed_otherwise).grade is Grade.POSSIBLE
    assert waiting(*rows, listed_otherwise) == [4]
    assert not waiting(*rows[1:], listed_otherwise)


@pytest.mark.parametrize("twin", ["Osiel Baskara", "Oziel B."], ids=["sounds-alike", "initial"])
def test_a_row_of_ones_very_name_is_not_joined_with_the_twin_whose_family_agrees_more(twin):
    born = {"born": "2020-03-15", "gender": "male"}
    family = {"mother": "Siti Aminah", "phone": "+6281234567890", "village": "Kalimanah", **born}
    other, child = evidence(twin, nik="34" + TWINS_NIK[2:], **family), evidence("Oziel Baskara", nik=RIZKIS_NIK, **born)
    row = evidence("Oziel Baskara", **family)
    assert compare(row, other).weight > compare(row, child).weight
    assert not any({1, 3} <= {*each} for each in members(other, child, row))
    assert members(other, row) == [(1, 2)]
