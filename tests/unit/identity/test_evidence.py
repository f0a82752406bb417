import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fakes.invented_people import RIZKIS_NIK, evidence, patient

from fhir_gateway.domain import systems
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import BirthDate, evidence_of, evidence_of_all, read_birth_date
from fhir_gateway.people.phone_digits import comparable_phone

MOTHERS_NIK = "3303124502950001"


def test_everything_is_read():
    found = evidence(
        "Rizki",
        nik=RIZKIS_NIK,
        old_nik="3303051708190003",
        mother_nik=MOTHERS_NIK,
        born="2020-03-15",
        gender="male",
        mother="Siti",
        parent="Budi",
        phone="0812-3456-7890",
        village="Desa Kalimanah RT 01 RW 02",
        record=("rs", "000123"),
        person="abc",
        order=0,
        died="2021-01-01",
    )
    assert (found.niks, found.old_niks, found.parent_niks) == ((RIZKIS_NIK,), ("3303051708190003",), (MOTHERS_NIK,))
    assert (found.birth_date, found.gender, found.birth_order) == (BirthDate(2020, 3, 15), "male", 0)
    assert (found.phones, found.places) == (("81234567890",), ("kalimanah",))
    assert (found.records, found.clinics, found.persons) == ((("rs", "123"),), ("rs",), ("abc",))
    assert (found.mother_keys, found.parent_keys, found.deceased) == (("siti||",), ("budi||",), "2021-01-01")


def test_mothers_nik_in_the_childs_own_column_is_the_mothers():
    found = evidence("Rizki", nik=MOTHERS_NIK, born="2024-03-05")
    assert (found.niks, found.parent_niks) == ((), (MOTHERS_NIK,))


def test_newborns_nik_is_the_mothers_unless_it_tells_the_birth_date():
    assert evidence("By. Ny. Siti", nik=MOTHERS_NIK).parent_niks == (MOTHERS_NIK,)
    assert evidence("By. Ny. Siti", nik=RIZKIS_NIK, born="2020-03-15").niks == (RIZKIS_NIK,)


def test_newborns_name_names_the_mother():
    assert evidence("By. Ny. Siti Aminah").mother_keys == ("siti aminah||",)


def test_child_that_got_its_own_name_is_no_newborn_any_more():
    read = patient("Rizki")
    read["name"].append({"use": "old", "text": "By. Ny. Siti"})
    found = evidence_of(read)
    assert (found.newborn, found.own_keys, found.mother_keys) == (False, ("rizki||",), ("siti||",))


def test_masked_nik_is_none():
    found = evidence_of({"identifier": [{"system": systems.NIK, "value": "################"}]})
    assert (found.masked, found.niks) == (True, ())


def test_damaged_niks_are_kept_apart():
    assert evidence("Rizki", nik="3303121503200010").damaged_niks == ("330312150320001",)
    assert evidence("Rizki", written_nik="3.30312150320000E+15").damaged_niks == ("330312150320000",)
    assert evidence("Rizki", written_nik="330312150320001").odd_niks == ("330312150320001",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020", BirthDate(2020)),
        ("2020-03", BirthDate(2020, 3)),
        ("2020-03-05", BirthDate(2020, 3, 5)),
        ("2020-13-05", BirthDate()),
        ("2020-00-05", BirthDate()),
        ("0000-00-00", BirthDate()),
        ("", BirthDate()),
        ("5 March", BirthDate()),
    ],
)
def test_birth_date_is_read_as_far_as_it_goes(text, expected):
    assert read_birth_date(text) == expected


@pytest.mark.parametrize("text", ["+62 812-3456-7890", "081234567890", "0062 81234567890", "6281234567890"])
def test_phone_spellings_compare_equal(text):
    assert comparable_phone(text) == "81234567890"


@pytest.mark.parametrize("text", ["", "0", "12345", "08111111111", "-"])
def test_what_is_no_phone_is_left_out(text):
    assert comparable_phone(text) == ""


def test_who_stands_behind_by_is_the_child_where_the_mother_is_called_otherwise():
    child = evidence("By. Alya Safira", mother="Ratna Sari", born="2024-05-05")

    assert not child.newborn
    assert child.mother_keys == ("ratna sari||",)


@pytest.mark.parametrize("mother", ["", "Ratna", "Ratna Sari Dewi"])
def test_who_stands_behind_by_may_be_the_mother_where_no_other_is_named(mother):
    assert evidence("By. Ratna Sari", mother=mother, born="2024-05-05").newborn


def test_who_stands_behind_by_is_no_other_mother_than_the_parent_who_is_named():
    newborn = evidence("By. Alya Safira", parent="Ratna Sari", born="2024-05-05")

    assert newborn.newborn
    assert (newborn.mother_keys, newborn.parent_keys) == ((), ("ratna sari||", "alya safira||"))


def test_a_child_under_its_fathers_name_has_him_as_a_parent():
    assert evidence("An. Tn. Budi Santoso", mother="Ratna").parent_keys == ("budi santoso||",)


def test_a_mother_called_after_her_child_contradicts_no_mothers_name():
    one = evidence("Alya Safira", mother="Inaq Alya", born="2024-05-05")
    other = evidence("Alya Safira", mother="Ratna Sari", born="2024-05-05")

    assert "household" not in {piece.field for piece in compare(one, other).evidence}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ELEMENTS = st.sampled_from(
    ["identifier", "name", "gender", "birthDate", "contact", "telecom", "address", "meta", "multipleBirthInteger"]
)


@settings(derandomize=True, deadline=None)
@given(st.dictionaries(ELEMENTS, JSON, max_size=6))
@example({"telecom": [{"system": {}, "value": "081234567890"}]})
def test_malformed_patients_are_read_without_raising(malformed):
    found = evidence_of(malformed)
    assert list(evidence_of_all([malformed, {}])) == [found, evidence_of({})]
    assert compare(found, found).evidence is not None
