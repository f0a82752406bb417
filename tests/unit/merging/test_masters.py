import pytest
from tests.fakes.fhir_samples import sample_patient
from tests.fakes.invented_people import RIZKI, RIZKIS_NIK, patient

from fhir_gateway.domain import systems
from fhir_gateway.merging.masters import choose_survivor


def rizki(patient_id, **other):
    return patient(**{**RIZKI, "nik": RIZKIS_NIK, **other}) | {"id": patient_id}


def golden(patient_id, of=""):
    tag = {"system": systems.REPLACED_BY_TAG, "code": of or patient_id}
    return rizki(patient_id) | {"meta": {"tag": [tag]}}


def test_the_golden_record_survives_whatever_the_scores_say():
    survivor = choose_survivor([rizki("a"), golden("z", "z") | {"identifier": []}], {"a": 1000})
    assert survivor.id == "z"
    assert survivor.scores["a"] > survivor.scores["z"]
    assert not survivor.conflicts


def test_two_golden_records_are_a_conflict():
    survivor = choose_survivor([golden("a"), golden("b")], {})
    assert [conflict.code for conflict in survivor.conflicts] == ["two-golden-records"]
    assert survivor.conflicts[0].blocks


def test_an_active_patient_that_an_outsider_replaced_is_a_conflict():
    survivor = choose_survivor([rizki("a"), golden("b", "elsewhere")], {})
    assert [conflict.code for conflict in survivor.conflicts] == ["replaced-but-active"]


def test_a_link_replaced_by_an_outsider_is_a_conflict_too():
    linked = rizki("b") | {"link": [{"other": {"reference": "Patient/x"}, "type": "replaced-by"}]}
    assert [conflict.code for conflict in choose_survivor([rizki("a"), linked], {}).conflicts] == [
        "replaced-but-active"
    ]


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        (rizki("a", nik=""), rizki("b")),
        (rizki("a", nik="", written_nik="123"), rizki("b")),
        (rizki("a", gender="", phone="", village=""), rizki("b")),
        (rizki("a", name="By. Ny. Siti Aminah"), rizki("b")),
        (
            rizki("a"),
            sample_patient()
            | {"id": "b", "identifier": [{"system": systems.IHS_NUMBER, "value": "P1"}, *rizki("b")["identifier"]]},
        ),
    ],
    ids=["valid nik", "damaged nik", "completeness", "own name", "national number"],
)
def test_verified_and_complete_records_survive(weaker, stronger):
    assert choose_survivor([weaker, stronger], {}).id == "b"


def test_more_referring_resources_decide_between_equal_records():
    assert choose_survivor([rizki("a"), rizki("b")], {"a": 3, "b": 40}).id == "b"


def test_a_few_more_referring_resources_decide_nothing():
    assert choose_survivor([rizki("a"), rizki("b")], {"a": 3, "b": 7}).id == "a"


def test_who_was_seen_last_decides_between_equal_records():
    assert choose_survivor([rizki("a"), rizki("b")], {}, last_seen={"a": "2019-05-01", "b": "2024-01-01"}).id == "b"


def test_the_first_id_decides_where_nothing_else_does_and_says_so():
    survivor = choose_survivor([rizki("b"), rizki("a")], {})
    assert survivor.id == "a"
    assert "first id" in survivor.words


def test_an_edit_that_has_nothing_to_do_with_it_changes_no_master():
    before = [rizki("a"), rizki("b")]
    edited = rizki("b") | {"meta": {"lastUpdated": "2030-01-01T00:00:00Z", "versionId": "99"}, "active": True}
    assert choose_survivor(before, {}).id == choose_survivor([before[0], edited], {}).id
    assert choose_survivor(before, {}).scores == choose_survivor([before[0], edited], {}).scores


def test_scores_do_not_pass_a_hundred():
    full = sample_patient() | {
        "id": "a",
        "extension": [{"url": "urn:x", "valueString": "x"}],
        "identifier": [{"system": systems.IHS_NUMBER, "value": "P1"}, {"system": systems.NIK, "value": RIZKIS_NIK}],
    }
    assert choose_survivor([full], {"a": 10**9}, last_seen={"a": "2024"}).scores["a"] == 100.0


def test_nobody_survives_of_nobody():
    with pytest.raises(ValueError, match="no Patient"):
        choose_survivor([], {})
