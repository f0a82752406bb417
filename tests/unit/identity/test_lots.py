"""What a lot, vaccine and day in common tell: by how many received it, for asking only, and nothing of siblings."""

from collections.abc import Iterable, Mapping

import pytest

from fhir_gateway.domain import systems
from fhir_gateway.domain.identity import ComparedPair, Grade, PersonAction, PersonDecision
from fhir_gateway.domain.records import Resource
from fhir_gateway.identity.clustering import Graph
from fhir_gateway.identity.comparison import DEFAULT_POLICY, compare
from fhir_gateway.identity.decision import decide
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.explain import explain_decision
from fhir_gateway.identity.given import GivenDose, Listed, Vial
from fhir_gateway.identity.lots import LOT, LotCount, raised_by_lot, share_mother_and_birth, shared_vials, weigh_lots
from fhir_gateway.identity.told_by_doses import DOSES, with_doses

_HERE = Vial("clinic:0", "04", "2024-01-16", "CD77777")
_THERE = _HERE._replace(register="clinic:1")
_WEIGHTS = DEFAULT_POLICY.parameters.lots


def _child(name: str = "Seno Wibisana", *, born: str = "2023-05-02", mother: str = "", village: str = "") -> Resource:
    patient: Resource = {"name": [{"text": name}], "gender": "male", "birthDate": born}
    if mother:
        relationship = [{"coding": [{"code": "MTH"}]}]
        patient["contact"] = [{"relationship": relationship, "name": {"text": mother}}]
    return {**patient, "address": [{"text": village}]} if village else patient


_NEAR = (_child(mother="Ratna"), _child(born="2023-05-20", mother="Tuti"))
"""Two of one name, a digit of the birth date and the mothers apart: 0.1 bits, too little to ask."""


def _received(people: int | None) -> Mapping[Vial, int | None]:
    return {_HERE: people, _THERE: people}


def _weigh(people: int | None, *, of_one_birth: bool = False, other: Vial = _THERE) -> tuple[str, float]:
    shared = shared_vials(Listed(vials=frozenset({_HERE})), Listed(vials=frozenset({other})))
    told = weigh_lots(shared, of_one_birth=of_one_birth, received=_received(people).get, weights=_WEIGHTS)
    return told.agreement, told.weight


def _decided(
    patients: Iterable[Resource], vials: Iterable[Vial] = (_HERE, _THERE), *, people: int | None = 2
) -> tuple[PersonDecision, ...]:
    nodes: dict[int, PersonEvidence] = {number: evidence_of(one) for number, one in enumerate(patients, start=1)}
    listed = {number: Listed(vials=frozenset({vial})) for number, vial in enumerate(vials, start=1)}
    pairs = [ComparedPair(1, 2, compare(nodes[1], nodes[2]))]
    return decide(nodes, {}, pairs, listed=listed, received=_received(people).get)


def test_the_fewer_received_it_the_more_it_tells() -> None:
    weights = [_weigh(people)[1] for people in (1, 4, 8, 16, 32, 100)]

    assert weights == sorted(weights, reverse=True)
    assert weights[0] == _WEIGHTS.most
    assert weights[-1] == 0.0


@pytest.mark.parametrize(
    ("told", "agreement"),
    [
        (_weigh(None), "uncounted"),
        (_weigh(2, of_one_birth=True), "siblings"),
        (_weigh(2, other=_HERE), "one_list"),
    ],
)
def test_what_cannot_tell_anything_weighs_nothing(told: tuple[str, float], agreement: str) -> None:
    assert told == (agreement, 0.0)


def test_another_lot_vaccine_or_day_is_nothing_in_common() -> None:
    mine = Listed(vials=frozenset({_HERE}))
    for other in (_THERE._replace(lot="X1"), _THERE._replace(vaccine="19"), _THERE._replace(day="2024-01-17")):
        assert not shared_vials(mine, Listed(vials=frozenset({other})))


def test_people_are_counted_once_and_by_list() -> None:
    count = LotCount()
    for person, vial in ((1, _HERE), (1, _HERE), (2, _HERE), (3, _THERE)):
        count.add(person, Listed(vials=frozenset({vial})))
    received = count.result()

    assert (received(_HERE), received(_THERE), received(_HERE._replace(lot="X1"))) == (2, 1, None)


def test_a_rare_lot_in_common_has_an_operator_asked_about_two_who_come_near() -> None:
    asked = next(one for one in _decided(_NEAR) if one.action is PersonAction.REVIEW)
    told = "\n".join(explain_decision(asked))

    assert (asked.reason, asked.grade) == ("same-lot", Grade.PROBABLE)
    assert "+4.0 the same lot, vaccine and day; 2 people received it there" in told
    assert "never for a link" in told
    assert "+0.1 in sum" in told
    assert "CD77777" not in told


def test_both_who_are_asked_about_for_their_lot_say_so() -> None:
    decisions = _decided(_NEAR)

    assert {one.action for one in decisions} == {PersonAction.CREATE, PersonAction.REVIEW}
    assert len({pair.comparison for one in decisions for pair in one.pairs}) == 1
    for one in decisions:
        assert "with the lot it is +4.1, enough to ask" in "\n".join(explain_decision(one))


@pytest.mark.parametrize("people", [None, 40])
def test_a_lot_that_many_or_nobody_knows_how_many_received_asks_nothing(people: int | None) -> None:
    decisions = _decided(_NEAR, people=people)

    assert [one.action for one in decisions] == [PersonAction.CREATE, PersonAction.CREATE]
    assert any(piece.field == LOT for one in decisions for pair in one.pairs for piece in pair.comparison.evidence)


def test_nobody_is_linked_by_help_of_a_lot() -> None:
    pair = (_child(mother="Ratna", village="Dagan"), _child(born="2023-05-20", village="Dagan"))
    weight = compare(evidence_of(pair[0]), evidence_of(pair[1])).weight
    policy = DEFAULT_POLICY

    assert policy.certain - _WEIGHTS.most < weight < policy.certain  # with the lot it would be enough
    without = _decided(pair, (_HERE, _THERE._replace(lot="X1")))
    assert [one.action for one in _decided(pair)] == [one.action for one in without]
    assert all(len(one.members) == 1 for one in _decided(pair))
    assert {one.comparison.weight for each in _decided(pair) for one in each.pairs} == {weight}


_DAYS = frozenset({GivenDose("clinic/a#0", "19", "1", "2023-06-04"), GivenDose("clinic/a#0", "89", "1", "2023-07-09")})


def _by_days(
    patients: Iterable[Resource], theirs: Iterable[GivenDose], *, people: int | None = 2
) -> tuple[PersonDecision, ...]:
    nodes: dict[int, PersonEvidence] = {number: evidence_of(one) for number, one in enumerate(patients, start=1)}
    listed = {1: Listed(_DAYS), 2: Listed(frozenset(theirs))}
    pairs = [ComparedPair(1, 2, compare(nodes[1], nodes[2]))]
    return decide(nodes, {}, pairs, listed=listed, received=lambda _vial: people)


def _elsewhere(register: str = "clinic/b#1", *, polio: str = "178", day: str = "2023-06-04") -> list[GivenDose]:
    return [GivenDose(register, "19", "", day), GivenDose(register, polio, "1", "2023-07-09")]


@pytest.mark.parametrize(
    ("theirs", "people", "asked"),
    [
        (_elsewhere(), 2, True),
        (_elsewhere(), 60, False),
        (_elsewhere(), None, False),
        (_elsewhere("clinic/a#1"), 2, False),
        (_elsewhere(day="2023-06-24"), 2, False),
        (_elsewhere(polio="03", day="2023-06-05"), 2, False),
    ],
    ids=["two sources", "a whole village", "uncounted", "the source's next file", "contradicted", "nothing the same"],
)
def test_doses_of_the_same_days_in_two_sources_have_an_operator_asked(
    theirs: list[GivenDose], people: int | None, *, asked: bool
) -> None:
    decisions = _by_days(_NEAR, theirs, people=people)
    waiting = [one for one in decisions if one.action is PersonAction.REVIEW]

    assert [one.reason for one in waiting] == ["same-days"] * asked
    assert all(len(one.members) == 1 for one in decisions)
    if asked:
        told = "\n".join(explain_decision(waiting[0]))
        assert "+4.0 two lists tell of the same doses on 2 days" in told
        assert "with the doses of the same days it is +4.1, enough to ask" in told


def test_doses_of_the_same_days_tell_nothing_of_children_who_share_mother_and_birth_date() -> None:
    twins = (_child(mother="Ratna"), _child("Seto Wibisana", mother="Ratna"))
    assert not any(
        piece.field == LOT
        for one in _by_days(twins, _elsewhere())
        for pair in one.pairs
        for piece in pair.comparison.evidence
    )


def test_two_niks_are_asked_about_where_the_days_of_doses_tell_what_the_family_does_not() -> None:
    def child(nik: str, *, mother: str = "") -> Resource:
        return {**_child(mother=mother), "identifier": [{"system": systems.NIK, "value": nik}]}

    two = (child("3303050205230001", mother="Ratna"), child("3303050205230101", mother="Tuti"))
    assert compare(*map(evidence_of, two)).grade is Grade.POSSIBLE
    asked = [one for one in _by_days(two, _elsewhere()) if one.action is PersonAction.REVIEW]
    assert [one.reason for one in asked] == ["nik-different"]
    assert not any(one.action is PersonAction.REVIEW for one in _by_days(two, _elsewhere(), people=60))


def test_a_lot_never_raises_what_is_vetoed_or_asked_about_anyhow() -> None:
    lot = weigh_lots([(_HERE, _THERE)], of_one_birth=False, received=_received(2).get, weights=_WEIGHTS)
    far = compare(evidence_of(_child()), evidence_of(_child("Tono Hartanto", born="2019-01-01")))
    sure = compare(evidence_of(_child(mother="Ratna")), evidence_of(_child(mother="Ratna")))

    assert raised_by_lot(far, lot, DEFAULT_POLICY) is None
    assert raised_by_lot(sure, lot, DEFAULT_POLICY) is None


def test_twins_share_mother_and_birth_and_namesakes_do_not() -> None:
    one = evidence_of(_child("Rizki", mother="Ratna Dewi"))

    assert share_mother_and_birth(one, evidence_of(_child("Rizka", mother="Ratna")))
    assert not share_mother_and_birth(one, evidence_of(_child("Rizki", mother="Ratna Dewi", born="2021-09-14")))
    assert not share_mother_and_birth(one, evidence_of(_child("Rizki")))


def test_a_dose_on_two_days_of_one_list_is_told_beside_the_comparison() -> None:
    nodes = {1: evidence_of(_child("Budi Setyawan")), 2: evidence_of(_child("Budi Setyawen"))}
    comparison = compare(nodes[1], nodes[2])
    days = {1: "2023-06-01", 2: "2023-07-20"}
    listed = {n: Listed(frozenset({GivenDose("clinic:0", "19", "1", day)})) for n, day in days.items()}
    graph = Graph({**nodes}, [ComparedPair(1, 2, comparison)], policy=DEFAULT_POLICY, listed=listed)
    (told,) = [one for one in with_doses(graph, 1, 2, comparison).evidence if one.field == DOSES]

    assert told.words.startswith("the doses speak for two people: one list has the same dose of both on days a week")
