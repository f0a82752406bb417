import pytest
from tests.fakes.invented_people import RIZKIS_NIK, evidence, rizki

from fhir_gateway.domain import systems
from fhir_gateway.identity.blocking import blocking_keys, earlier_keys, probe_of

MOTHERS_NIK = "3303124502950001"
BARE = {"phone": "", "village": "", "mother": ""}


@pytest.mark.parametrize(
    "other",
    [
        rizki(name="Riski Pratema"),
        rizki(name="Moh. Rizky", **BARE),
        rizki(name="Pratama Rizki", **BARE),
        rizki(name="Rizkipratama", **BARE),
        rizki(born="2020-03-16", phone=""),
        rizki(born="2019-03-15", **BARE),
        rizki(born="2020", phone=""),
        rizki(name="Rezky", born="2020-05-05"),
        rizki(name="Rezky", born="2008-03-15", phone="", village=""),
        rizki(born="2021-07-28", phone="", village=""),
        rizki(name="By. Ny. Siti Aminah", **BARE),
        rizki(name="", **BARE, nik="3303121503200000"),
    ],
)
def test_records_of_one_person_meet_in_a_key(other):
    assert set(blocking_keys(rizki(nik=RIZKIS_NIK))) & set(blocking_keys(other))


def test_day_and_month_exchanged_meet():
    one, other = rizki(born="2020-03-05", **BARE), rizki(born="2020-05-03", **BARE)
    assert set(blocking_keys(one)) & set(blocking_keys(other))


@pytest.mark.parametrize("born", ["2020-03-01", "2020-03-17"])
def test_newborn_meets_the_child_of_its_mother_whose_day_is_written_otherwise(born):
    newborn = evidence("By. Ny. Siti Aminah", born=born)
    assert set(blocking_keys(newborn)) & set(blocking_keys(rizki(nik=RIZKIS_NIK, phone="", village="")))


def test_newborn_and_mother_share_a_nik_key_so_that_a_veto_can_part_them():
    newborn = evidence("By. Ny. Siti", nik=MOTHERS_NIK, born="2024-03-05")
    assert set(blocking_keys(newborn)) & set(blocking_keys(evidence("Siti", nik=MOTHERS_NIK)))


def test_no_key_is_a_name_a_date_or_a_place_alone():
    strangers = evidence("Rizki Pratama", born="2011-07-01", village="Kalimanah")
    assert not set(blocking_keys(rizki())) & set(blocking_keys(strangers))


def test_a_word_and_the_mothers_name_are_of_many_where_year_and_day_differ():
    strangers = evidence("Rizki Hidayat", born="2021-07-28", mother="Siti Aminah")
    assert not set(blocking_keys(rizki())) & set(blocking_keys(strangers))


def test_keys_of_before_stay_as_ledgers_hold_them():
    assert set(earlier_keys(rizki())) == {"f:amn:frtm:505", "f:amn:rsk:505"}
    assert not set(earlier_keys(rizki())) & set(blocking_keys(rizki()))
    assert earlier_keys(rizki(mother="")) == earlier_keys(rizki(born="")) == ()


def test_record_numbers_meet_within_their_clinic_only():
    keys = {key for key in blocking_keys(evidence("A", record=("one", "7"))) if key.startswith("r:")}
    assert not keys & set(blocking_keys(evidence("B", record=("two", "7"))))


def test_nobody_has_no_keys():
    assert blocking_keys(evidence()) == ()


def test_probe_holds_what_a_server_can_be_searched_for():
    probe = probe_of(7, rizki(nik=RIZKIS_NIK, born="2020-03-05", record=("rs", "12"), mother_nik=MOTHERS_NIK))
    assert probe.number == 7
    assert probe.identifiers == (
        (systems.NIK, RIZKIS_NIK),
        (systems.medical_record("rs"), "12"),
        (systems.NIK_IBU, MOTHERS_NIK),
    )
    assert probe.birth_dates == ("2020-03-05", "2020-05-03")
    assert probe.names == ("pratama", "rizki")
    assert (probe.gender, probe.phones) == ("male", ("81234567890",))


def test_a_nik_that_ends_in_0_is_searched_as_it_was_written():
    assert probe_of(7, rizki(nik="3303121503200010")).identifiers == ((systems.NIK, "3303121503200010"),)
    assert probe_of(7, rizki(nik="3.3031215E+15")).identifiers == ()


def test_newborn_is_searched_under_the_mothers_name():
    assert probe_of(1, evidence("By. Ny. Siti Aminah")).names == ("aminah", "siti")
