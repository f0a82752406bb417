import pytest
from tests.fakes.invented_people import RIZKIS_NIK, TWINS_NIK, evidence, patient

from fhir_gateway.identity.frequencies import count_frequencies, default_frequencies
from fhir_gateway.identity.shared_niks import MANY, NikCount, are_many, nik_digest, niks_of_all, without_nik

NAMES = ("Adinda Nugroho", "Bagas Pratama", "Cahyo Santoso", "Dimas Saputra", "Erlangga Kusuma", "Fitri Wijaya")
SPELLINGS = ("Mohamad Rizky", "Muhammad Rizki", "M. Rizki", "Moh Riski", "Muhamad Rizqi", "Rizki")


def under_one_nik(names):
    return [evidence(name, nik=RIZKIS_NIK) for name in names]


@pytest.mark.parametrize(("names", "many"), [(NAMES[:MANY], True), (NAMES[: MANY - 1] * 3, False), (SPELLINGS, False)])
def test_people_are_many_whose_names_cannot_be_one(names, many):
    assert are_many(under_one_nik(names)) is many


def test_newborns_are_told_apart_by_their_mothers():
    assert are_many(under_one_nik(f"By. Ny. {name}" for name in NAMES))
    assert not are_many(under_one_nik(f"By. Ny. {NAMES[0]}" for _ in NAMES))


def test_a_key_under_which_many_names_stand_is_suspected():
    count = NikCount()
    for person in under_one_nik(NAMES):
        count.add([7], person)
    for person in under_one_nik(NAMES[:1] * 50):
        count.add([-8], person)
    assert count.suspects() == [7]


def test_a_patient_loses_only_the_nik_that_is_nobodys():
    both = patient("Adinda", nik=RIZKIS_NIK, mother_nik=TWINS_NIK, record=("1", "77"))
    digests = frozenset({nik_digest(RIZKIS_NIK)})
    values = [one["value"] for one in without_nik(both, digests)["identifier"]]
    assert values == [TWINS_NIK, "77"]
    assert "identifier" not in without_nik(patient("Adinda", nik=RIZKIS_NIK), digests)
    other = patient("Adinda", nik=TWINS_NIK)
    assert without_nik(other, digests) is other


def test_the_nik_of_all_is_what_each_has():
    people = [patient(name, nik=RIZKIS_NIK, old_nik=TWINS_NIK * (name == NAMES[0])) for name in NAMES]
    assert niks_of_all(people) == {nik_digest(RIZKIS_NIK)}


def test_a_parents_nik_beside_more_births_than_anybody_has_tells_of_no_family():
    officers, mothers = "3303016507850004", "3303124107850003"
    children = [evidence("Rizki", born=f"2020-{month:02}-15", mother_nik=officers) for month in range(1, 13)]
    siblings = [evidence("Rizki", born=f"20{year}-03-15", mother_nik=mothers) for year in range(10, 21)]
    counted = count_frequencies([*children, *siblings])
    assert counted.without_crowds(children[0]).parent_niks == ()
    assert counted.without_crowds(siblings[0]).parent_niks == (mothers,)
    assert default_frequencies().without_crowds(children[0]) is children[0]
