"""People of whom nothing is decided tell of others: they part and rival, and join nobody."""

from itertools import combinations

from tests.fakes.invented_people import RIZKIS_NIK, TWINS_NIK, evidence, rizki

from fhir_gateway.domain.identity import ComparedPair, Grade, PersonAction, PersonDecision
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.decision import FITS_TWO, decide
from fhir_gateway.identity.witnesses import heeding

NEWBORN = evidence(
    "By. Ny. Siti Aminah", born="2020-03-15", gender="male", mother="Siti Aminah", phone="+6281234567890"
)
TWIN = rizki(name="Galih Pratama", nik=TWINS_NIK)


def decided(people, *, witnesses=()):
    """Return (members, action) of the decisions on numbered people beside witnesses."""
    numbered = dict(enumerate([*people, *witnesses], start=1))
    beside = frozenset(range(len(people) + 1, len(numbered) + 1))
    pairs = [
        ComparedPair(one, other, compare(numbered[one], numbered[other])) for one, other in combinations(numbered, 2)
    ]
    alone = [pair for pair in pairs if beside.isdisjoint((pair.left, pair.right))]
    without = decide({number: numbered[number] for number in numbered if number not in beside}, {}, alone)
    made = heeding(decide(numbered, {}, pairs, witnesses=beside), without, beside)
    return [(decision.members, decision.action) for decision in made]


def made(action, *members, patient_id=""):
    return PersonDecision(members, action, Grade.CERTAIN, "reason", "text", patient_id=patient_id)


def test_newborn_is_not_linked_where_a_witness_is_the_other_twin():
    people = [NEWBORN, rizki(nik=RIZKIS_NIK)]
    assert decided(people) == [((1, 2), PersonAction.CREATE)]
    assert decided(people, witnesses=[TWIN]) == [((1,), PersonAction.REVIEW), ((2,), PersonAction.CREATE)]


def test_witness_that_is_the_same_person_changes_nothing():
    people = [NEWBORN, rizki(nik=RIZKIS_NIK)]
    assert decided(people, witnesses=[rizki(phone="+6281234599999")]) == [((1, 2), PersonAction.CREATE)]


def test_witness_alone_joins_nobody():
    numbered = rizki(nik=RIZKIS_NIK, phone="", mother="", village="")
    poor = evidence("Rizki", born="2020-03-15", gender="male", mother="Siti Aminah", phone="+6281234567890")
    between, apart = rizki(nik=RIZKIS_NIK), [((1,), PersonAction.CREATE), ((2,), PersonAction.CREATE)]
    assert decided([numbered, poor, between]) == [((1, 2, 3), PersonAction.CREATE)]
    assert decided([numbered, poor]) == apart
    assert decided([numbered, poor], witnesses=[between]) == apart


def test_nobody_waits_for_who_may_be_a_witness():
    like = rizki(name="Rizka Pratama")
    assert ((2,), PersonAction.REVIEW) in decided([rizki(nik=RIZKIS_NIK), like])
    assert decided([rizki(nik=RIZKIS_NIK)], witnesses=[like]) == [((1,), PersonAction.CREATE)]


def test_what_either_asks_about_is_asked_about():
    asked = made(PersonAction.REVIEW, 1)
    linked = made(PersonAction.LINK, 1, patient_id="a")
    assert heeding([linked], [asked], ()) == (asked,)
    assert heeding([made(PersonAction.REVIEW, 1, 9)], [linked], {9}) == (asked,)


def test_nobody_is_linked_for_a_witness_or_against_it():
    linked, new = made(PersonAction.LINK, 1, patient_id="a"), made(PersonAction.CREATE, 1)
    assert heeding([made(PersonAction.LINK, 1, 9, patient_id="a")], [new], {9}) == (new,)
    assert heeding([made(PersonAction.CREATE, 1, 9)], [linked], {9}) == (new,)


def test_two_patients_by_rows_that_wait_and_by_its_own_are_asked_about():
    (asked,) = heeding(
        [made(PersonAction.LINK, 1, 9, patient_id="b")], [made(PersonAction.LINK, 1, patient_id="a")], {9}
    )
    assert (asked.action, asked.reason, asked.candidates) == (PersonAction.REVIEW, FITS_TWO, ("b", "a"))


def test_of_witnesses_nothing_is_decided():
    assert heeding([made(PersonAction.REVIEW, 8, 9), made(PersonAction.CREATE, 7)], [], {7, 8, 9}) == ()
