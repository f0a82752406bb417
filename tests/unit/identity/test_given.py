"""What doses and the sexes of parents' names tell of who is who."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.domain import systems
from fhir_gateway.domain.identity import ComparedPair, PersonAction
from fhir_gateway.domain.records import Dose, Resource
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.decision import decide
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.frequencies import Frequencies
from fhir_gateway.identity.given import (
    GivenDose,
    Listed,
    in_different_lists,
    listed,
)
from fhir_gateway.identity.repeats import Repeats, count_repeats, doses_part
from fhir_gateway.identity.weighing import are_couple, may_be_couple
from fhir_gateway.people.names import read_name

_ZONE = ZoneInfo("Asia/Jakarta")
_BCG = GivenDose("clinic:0", "19", "1", "2023-02-01")
_MR = GivenDose("clinic:0", "04", "1", "2023-11-01")
_POLIO = GivenDose("clinic:0", "198", "2", "2023-04-01")


def _child(name: str, nik: str = "") -> PersonEvidence:
    patient: Resource = {
        "name": [{"text": name}],
        "gender": "female",
        "birthDate": "2023-01-01",
        "telecom": [{"system": "phone", "value": "081234567890"}],
        "contact": [
            {"relationship": [{"coding": [{"code": "MTH"}]}], "name": {"text": "Nadhifa Hasanah"}},
        ],
    }
    if nik:
        patient["identifier"] = [{"system": systems.NIK, "value": nik}]
    return evidence_of({**patient, "birthDate": "2023-01-15"})


def _repeats(left: Iterable[GivenDose], right: Iterable[GivenDose], *, lines: bool = False) -> Repeats:
    line = frozenset({"clinic:0"} if lines else ())
    return count_repeats(Listed(frozenset(left), line), Listed(frozenset(right), line))


_SOME_DOSE = st.builds(
    GivenDose,
    st.sampled_from(["clinic:0", "clinic:0#1", "hospital:0"]),
    st.sampled_from(["02", "19"]),
    st.sampled_from(["", "1", "2", "3"]),
    st.sampled_from(["2023-02-01", "2023-02-04", "2023-02-12", "2023-04-01", "2023-06-01"]),
)


@given(st.frozensets(_SOME_DOSE, max_size=5), st.frozensets(_SOME_DOSE, max_size=5))
def test_which_of_two_is_named_first_changes_no_count(left: frozenset[GivenDose], right: frozenset[GivenDose]) -> None:
    assert count_repeats(Listed(left), Listed(right)) == count_repeats(Listed(right), Listed(left))


def _decided(doses_of: dict[int, frozenset[GivenDose]]) -> list[tuple[tuple[int, ...], PersonAction]]:
    people = {1: _child("Muslimah Azzahra", "3303125501230001"), 2: _child("Mushlimah Azzahra")}
    pairs = [ComparedPair(1, 2, compare(people[1], people[2]))]
    said = {number: Listed(doses) for number, doses in doses_of.items()}
    return [(each.members, each.action) for each in decide(people, {}, pairs, listed=said)]


def test_records_with_names_spelled_otherwise_are_one_child_where_the_doses_are_silent() -> None:
    silent = {1: frozenset({_BCG, _MR}), 2: frozenset({_POLIO})}

    assert _decided(silent) == [((1, 2), PersonAction.CREATE)]


def test_the_same_doses_twice_in_one_list_keep_two_names_apart() -> None:
    twice = {1: frozenset({_BCG, _MR}), 2: frozenset({_BCG, _MR})}

    assert all(len(members) == 1 for members, _ in _decided(twice))


@pytest.mark.parametrize(("one", "other"), [("Fahri Pratama", "Fahmi Pratama"), ("Rafa Alfarizi", "Raffa Alfarizi")])
def test_several_doses_twice_under_one_nik_are_asked_about(one: str, other: str) -> None:
    nik = "3303125501230001"
    people = {1: _child(one, nik), 2: _child(other, nik)}
    pairs = [ComparedPair(1, 2, compare(people[1], people[2]))]
    twice = Listed(frozenset({_BCG, _MR}))

    decisions = decide(people, {}, pairs, listed={1: twice, 2: twice})

    assert sorted((each.action, each.reason) for each in decisions) == [
        (PersonAction.CREATE, "new-person"),
        (PersonAction.REVIEW, "doses-contradict"),
    ]


@pytest.mark.parametrize(("other", "two"), [("Fahmi Pratama", True), ("Fahri Prtama", False)])
def test_under_one_nik_a_sources_later_file_speaks_for_twins_by_names_a_sound_apart_only(
    other: str, *, two: bool
) -> None:
    """A clerk who corrects a slip exports the same doses again under the right name."""
    nik = "3303125501230001"
    before, after = (
        Listed(frozenset(replace(dose, register=f"clinic/sheet#{file}") for dose in (_BCG, _MR)))
        for file in ("run1", "0")
    )

    assert doses_part(_child("Fahri Pratama", nik), _child(other, nik), count_repeats(before, after)) is two
    assert not doses_part(_child("Fahri Pratama"), _child("Fahmi Pratama"), count_repeats(before, after))


def test_one_dose_twice_is_a_line_written_twice() -> None:
    assert _decided({1: frozenset({_BCG}), 2: frozenset({_BCG})}) == [((1, 2), PersonAction.CREATE)]


def test_doses_in_two_lists_repeat_nothing() -> None:
    elsewhere = GivenDose("other:1", _BCG.vaccine, _BCG.number, _BCG.day)

    assert _repeats({_BCG}, {elsewhere}) == Repeats(agreed=1)


def test_several_doses_of_a_list_twice_are_two_childrens() -> None:
    several = _repeats({_BCG, _MR, _POLIO}, {_BCG, _MR, GivenDose("clinic:0", "10", "1", "2023-06-01")})
    assert several == Repeats(repeated=2, compared=3)
    assert several.of_two
    assert not _repeats({_BCG, _MR, _POLIO}, {_BCG, GivenDose("clinic:0", "10", "1", "2023-06-01")}).of_two


def test_several_doses_twice_part_two_spellings_of_one_name_among_however_many_others() -> None:
    mine = {_BCG, _MR, *(GivenDose("clinic:0", vaccine, "1", "2023-06-01") for vaccine in ("10", "89", "122", "133"))}
    theirs = {_BCG, _MR, *(GivenDose("clinic:0", vaccine, "2", "2024-06-01") for vaccine in ("10", "89", "122", "133"))}
    left, right = _child("Yustina Nggae"), _child("Yustina Nggai")
    assert doses_part(left, right, _repeats(mine, theirs))
    assert not doses_part(left, right, _repeats(mine, theirs - {_MR}))


def test_doses_of_which_a_list_has_each_for_one_only_complement_each_other() -> None:
    assert _repeats({_BCG, _MR}, {_POLIO}).complement
    assert not _repeats({_BCG, _MR}, {_MR}).complement
    assert not _repeats({_BCG}, {GivenDose("other:1", "04", "1", "2023-11-01")}).complement


def test_a_dose_that_one_lacks_between_others_of_its_course_is_counted() -> None:
    first, second, third = (GivenDose("clinic:0", "198", str(number), f"2023-0{number + 3}-01") for number in (1, 2, 3))
    assert _repeats({first, third}, {second}).between == 1
    assert _repeats({second, third}, {first}).between == 1
    assert _repeats({first, second}, {third}).between == 0
    assert _repeats({first, third}, {replace(second, day="2023-08-01")}).between == 0
    assert _repeats({first, third}, {replace(second, register="other:1")}).between == 0


def test_two_courses_of_vaccination_in_two_lists_are_two_childrens() -> None:
    course = {_BCG, _MR, _POLIO}
    later = {GivenDose("other:1", dose.vaccine, dose.number, dose.day[:-2] + "25") for dose in course}
    a_day_off = {GivenDose("other:1", dose.vaccine, dose.number, dose.day[:-2] + "02") for dose in course}
    assert _repeats(course, later).contradict
    assert not _repeats(course, a_day_off).contradict


def test_a_dose_on_two_days_of_one_list_is_no_line_written_twice() -> None:
    later = GivenDose("clinic:0", "198", "2", "2023-05-01")

    assert _repeats({_POLIO, _MR}, {later}).of_two
    assert not _repeats({_POLIO, _MR}, {_POLIO}).of_two


def test_nobody_gets_a_vaccine_twice_within_two_weeks() -> None:
    unnumbered = GivenDose("clinic:0", "04", "", "2023-11-08")

    assert _repeats({_MR}, {unnumbered}).repeated == 1
    assert _repeats({_MR}, {GivenDose("clinic:0", "04", "", "2023-12-08")}).repeated == 0


def test_bcg_is_given_once_numbered_or_not() -> None:
    assert _repeats({_BCG}, {GivenDose("clinic:0", "19", "", "2023-04-01")}).repeated == 1


def test_doses_days_apart_in_two_lists_keep_names_a_letter_apart_two_children() -> None:
    elsewhere = GivenDose("other:1", "19", "1", "2023-02-09")

    assert all(len(members) == 1 for members, _ in _decided({1: frozenset({_BCG}), 2: frozenset({elsewhere})}))


@pytest.mark.parametrize(
    ("left", "right", "parted"),
    [
        ("Muslimah Azzahra", "Muslimah Azzahra", False),
        ("Muslimah Azzahra", "Mushlimah Azzahra", False),
        ("Rizka Azzahra", "Rizki Azzahra", True),
    ],
)
def test_a_twins_number_under_a_name_a_sound_apart_is_seen_by_two_days_of_one_dose(
    left: str, right: str, *, parted: bool
) -> None:
    one, other = _child(left, "3303125501230001"), _child(right, "3303125501230001")
    found = _repeats({_POLIO, _MR}, {GivenDose("clinic:0", "198", "2", "2023-05-01")})

    assert doses_part(one, other, found) is parted


@pytest.mark.parametrize("name", ["Muslimah Azzahra", "Mushlimah Azzahra"])
@pytest.mark.parametrize(("mother", "parted"), [("Halimah Harahap", True), ("Nadhifa", False), ("Mak Muslimah", False)])
def test_one_dose_twice_in_a_list_parts_children_of_two_mothers_who_share_a_phone(
    name: str, mother: str, *, parted: bool
) -> None:
    one = _child("Muslimah Azzahra")
    other = _child(name)._replace(mother_keys=(read_name(mother).key,))

    assert doses_part(one, other, _repeats({_BCG}, {_BCG})) is parted
    assert not doses_part(one, other, _repeats({_BCG}, {_MR}))


@pytest.mark.parametrize(("number", "parted"), [("000124", True), ("000123", False)])
def test_one_dose_twice_in_a_list_parts_two_spellings_that_one_clinic_numbered_both(
    number: str, *, parted: bool
) -> None:
    one = _child("Muslimah Azzahra")._replace(records=(("rsud", "000123"),))
    other = _child("Mushlimah Azzahra")._replace(records=(("rsud", number),))
    further = GivenDose("clinic:0", "10", "1", "2023-06-01"), GivenDose("clinic:0", "49", "1", "2023-05-01")

    assert doses_part(one, other, _repeats({_BCG}, {_BCG})) is parted
    assert doses_part(one, other, _repeats({_BCG, _MR, _POLIO}, {_BCG, *further})) is parted
    assert not doses_part(one, other, _repeats({_MR, _POLIO}, {_BCG, *further}))


def test_namesakes_without_a_family_in_common_are_parted_by_one_dose() -> None:
    one, other = _child("Muslimah Azzahra"), _child("Muslimah Azzahra")
    stranger = other._replace(mother_keys=("sutini||",), phones=("8777777777",))
    found = _repeats({_BCG}, {_BCG})

    assert not doses_part(one, other, found)
    assert doses_part(one, stranger, found)


@pytest.mark.parametrize(("name", "parted"), [("Naila Azzahra", True), ("Nayla Azahra", False)])
def test_one_dose_twice_in_a_list_parts_spellings_between_which_parents_choose(name: str, *, parted: bool) -> None:
    """Twins of whom the list has one line each; what a clerk spells otherwise is a line written twice."""
    one, other = _child("Nayla Azzahra"), _child(name)

    assert doses_part(one, other, _repeats({_BCG}, {_BCG})) is parted


@pytest.mark.parametrize(
    ("name", "doses", "parted"),
    [
        ("Muslimah Azzahra", {_BCG}, False),
        ("Mushlimah Azzahra", {_MR}, False),
        ("Mushlimah Azzahra", {_BCG}, True),
        ("Muslimah", set(), True),
    ],
)
def test_two_lines_of_a_list_with_one_line_for_each_child_are_two_children(
    name: str, doses: set[GivenDose], *, parted: bool
) -> None:
    one, other = _child("Muslimah Azzahra"), _child(name)

    assert doses_part(one, other, _repeats({_BCG}, doses, lines=True)) is parted
    assert not doses_part(one, other, _repeats({_BCG}, doses - {_BCG}))


def test_parts_of_a_list_with_one_line_for_each_child_are_no_parts_of_one() -> None:
    assert not _repeats({_BCG}, {_MR}, lines=True).complement


def test_sisters_of_one_name_born_a_year_apart_to_the_day_are_seen_by_their_doses() -> None:
    one = _child("Muslimah Azzahra")
    sister = one._replace(birth_date=one.birth_date._replace(year=2024))
    a_year_later = {replace(dose, day=dose.day.replace("2023", "2024")) for dose in (_BCG, _MR)}

    assert doses_part(one, sister, _repeats({_BCG, _MR}, a_year_later))
    assert not doses_part(one, sister, _repeats({_BCG}, {_MR}))


@pytest.mark.parametrize(("names", "of_its_own"), [(["BCG", "HB0"], True), ([], True), ([""], False)])
def test_a_row_of_named_doses_is_a_childs_line_in_a_list(names: list[str], *, of_its_own: bool) -> None:
    doses = [Dose(name, {"status": "not-done"}) for name in names]

    assert listed("clinic:0", doses, (), zone=_ZONE) == Listed(
        lines=frozenset({"clinic:0"} if of_its_own else ()), rows=1
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {GivenDose("clinic:0", "19", "1", "2023-02-01")}),
        ({"status": "not-done"}, set()),
        ({"occurrenceDateTime": "2023-02"}, set()),
        ({"vaccineCode": {"text": "BCG"}}, set()),
    ],
)
def test_a_dose_is_evidence_where_vaccine_and_day_are_known(changes: Resource, expected: set[GivenDose]) -> None:
    immunization: Resource = {
        "status": "completed",
        "vaccineCode": {"coding": [{"system": systems.CVX, "code": "19"}]},
        "occurrenceDateTime": "2023-02-01",
        "protocolApplied": [{"doseNumberPositiveInt": 1}],
        **changes,
    }

    assert listed("clinic:0", [Dose("", immunization)], (), zone=_ZONE).doses == expected


def test_one_source_in_two_files_tells_of_two_people_on_other_days_only() -> None:
    """On the same day it is the same row, under the name that the child has got since."""
    january, february = (frozenset({replace(_BCG, register=f"clinic/sheet#{file}")}) for file in ("run1", "0"))
    later = frozenset({replace(dose, day="2023-03-20") for dose in february})

    assert count_repeats(Listed(january), Listed(february)) == Repeats(agreed=1, later=1)
    assert count_repeats(Listed(january), Listed(later)) == Repeats(
        repeated=1, compared=1, again=1, contradicted=1, later=1
    )
    assert count_repeats(
        Listed(january), Listed(frozenset({replace(one, register="other#0") for one in later}))
    ) == Repeats(contradicted=1)


def test_later_states_of_one_register_say_the_same_once() -> None:
    """However many files tell it, it is one dose of two, on two days."""

    def in_files(days: Mapping[str, str], files: int) -> Listed:
        course = {
            GivenDose(f"sheet#{file}", "133", number, day) for number, day in days.items() for file in range(files)
        }
        return Listed(frozenset(course))

    one, other = {"1": "2023-04-01", "2": "2023-06-01"}, {"1": "2023-04-20", "3": "2023-08-01"}
    once = count_repeats(in_files(one, 1), in_files(other, 1))
    assert (once.repeated, once.compared, once.again) == (1, 2, 1)

    thrice = count_repeats(in_files(one, 3), in_files(other, 3))
    assert (thrice.repeated, thrice.compared, thrice.again, thrice.later) == (1, 2, 1, 1)


def test_two_courses_in_each_state_of_a_register_are_two_peoples() -> None:
    """What other files have on the same day says nothing, and does not make it less."""
    days = {"1": "2023-04-01", "2": "2023-06-01", "3": "2023-08-01"}
    states = range(3)
    left = {GivenDose(f"sheet#{file}", "133", number, day) for number, day in days.items() for file in states}
    right = {replace(dose, day=f"{dose.day[:-1]}9") for dose in left if dose.number != "3"} | {
        replace(dose, day="2023-08-02") for dose in left if dose.number == "3"
    }

    found = count_repeats(Listed(frozenset(left)), Listed(frozenset(right)))

    assert found.half
    assert found.again == 2
    assert doses_part(_child("Fahri Pratama"), _child("Fahri Pratama"), found)


def test_a_sheets_files_are_no_different_lists() -> None:
    lines = {file: Listed(frozenset({_BCG}), frozenset({file})) for file in ("sheet#run1", "sheet#0", "other#0")}

    assert not in_different_lists(lines["sheet#run1"], lines["sheet#0"])
    assert in_different_lists(lines["sheet#run1"], lines["other#0"])
    assert in_different_lists(lines["sheet#0"], Listed(frozenset({_BCG})))


@pytest.mark.parametrize(
    ("left", "right", "couple"),
    [
        ("siti aminah||", "bambang||", True),
        ("siti aminah||", "sri rahayu||", False),
        ("siti aminah||", "zyxo||", False),
        ("siti aminah||", "siti bambang||", False),
    ],
)
def test_mother_here_and_father_there_are_a_couple(left: str, right: str, *, couple: bool) -> None:
    assert are_couple((left,), (right,), Frequencies()) is couple
    assert are_couple((right,), (left,), Frequencies()) is couple


def test_the_records_at_hand_tell_whose_name_a_word_is() -> None:
    assert Frequencies(women={"zyxo": 12}, men={"zyxo": 1}, people=100).sex_of(["zyxo"]) == "female"
    assert Frequencies(women={"zyxo": 5}, men={"zyxo": 5}, people=100).sex_of(["zyxo"]) == ""


@pytest.mark.parametrize(
    ("left", "right", "may_be"),
    [
        ("siti||", "bambang||", True),
        ("siti||", "zyxo||", True),
        ("siti||", "dewi||", False),
        ("zyxo||", "xyxo||", False),
    ],
)
def test_a_parent_of_unknown_sex_may_be_the_other_one(left: str, right: str, *, may_be: bool) -> None:
    assert may_be_couple((left,), (right,), Frequencies()) is may_be


def test_two_courses_in_one_list_under_one_name_are_asked_about() -> None:
    left, right = _child("Muslimah Azzahra"), _child("Muslimah Azzahra")
    later = [replace(dose, day=f"2024{dose.day[4:]}") for dose in (_BCG, _MR, _POLIO)]
    assert doses_part(left, right, _repeats([_BCG, _MR, _POLIO], later))
    assert not doses_part(left, right, _repeats([_BCG, _MR, _POLIO], later[:1]))
