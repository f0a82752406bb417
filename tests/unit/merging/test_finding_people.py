from decimal import Decimal

import pytest
from tests.fakes.invented_people import RIZKI, RIZKIS_NIK, patient

from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import evidence_of
from fhir_gateway.merging.finding_people import pack, pack_unread, person_of, unpack, words_of

CUT_NIK = "3303121503200010"


def rizki(**other):
    return patient(**{**RIZKI, "nik": RIZKIS_NIK, **other}) | {"id": "p1"}


@pytest.mark.parametrize(
    "one",
    [
        rizki(),
        rizki(name="By. Ny. Siti Aminah", order=2, mother_nik="3303125203900001"),
        rizki(record=("1", "00123"), person="abc", died="2021-01-01", nik="3303121503200"),
        {"resourceType": "Patient", "id": "p1"},
        {"id": "p1", "name": "nonsense", "identifier": [3, {}], "birthDate": 7, "telecom": {}},
    ],
)
def test_a_person_who_was_packed_compares_as_before(one):
    person = unpack(pack(person_of(one)))
    other = evidence_of(rizki(name="Rizky Pratama"))
    assert compare(person.evidence, other) == compare(evidence_of(one), other)
    assert (person.shown, person.niks) == (person_of(one).shown, person_of(one).niks)


def test_a_patient_that_is_read_later_is_the_same_person():
    one = rizki(record=("1", "00123"), mother_nik="3303125203900001", order=1, died="2021-01-01")
    one["meta"] = {"source": "urn:fhir-gateway:source:1:simrs", "versionId": "3"}
    assert unpack(pack_unread([one])) == person_of(one)
    odd = one | {"address": [{"extension": [{"valueDecimal": Decimal("1.50")}]}]}
    assert unpack(pack_unread([odd])) == person_of(odd)


def test_a_nik_brings_people_together_whole_or_ending_in_0_and_earlier_ones_too():
    assert person_of(rizki(nik=CUT_NIK, old_nik=RIZKIS_NIK)).niks == (CUT_NIK, RIZKIS_NIK)
    assert person_of(rizki(nik="0000000000000000")).niks == ()


def test_what_another_model_compares_is_one_word_a_column():
    words = words_of(person_of(rizki()))
    assert (words["id"], words["born"], words["nik"]) == ("p1", "2020-03-15", RIZKIS_NIK)
    assert words["name"].startswith(words["first"])
    assert set(words_of(person_of({"id": "p2"})).values()) == {"p2", ""}


@pytest.mark.parametrize(
    "text", ["dr. H. AHMAD FAUZI, S.Kes", "rizky  PRATAMA", "By. Ny. Siti Aminah", '=HYPERLINK("x")']
)
def test_a_name_is_shown_as_it_is_written(text):
    written = rizki() | {"name": [{"use": "old", "text": "Rizki Lama"}, {"text": text}]}
    assert unpack(pack(person_of(written))).shown.name == text
    apart = rizki() | {"name": [{"given": ["RIZKI", "B."], "family": "Pratama"}]}
    assert person_of(apart).shown.name == "RIZKI B. Pratama"
