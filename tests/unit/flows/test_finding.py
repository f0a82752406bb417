"""Finding on servers that order badly, hide identifiers, or change while they are read."""

from types import SimpleNamespace

import pytest
from tests.fakes.duplicated_people import NIK, OTHER_NIK, patient
from tests.fakes.ordered_server import OrderedServer

from fhir_gateway.domain import systems
from fhir_gateway.domain.errors import AccessRefusedError, PermanentServerError
from fhir_gateway.domain.finding import FoundKind
from fhir_gateway.domain.identity import Grade
from fhir_gateway.domain.searches import SearchAnswer
from fhir_gateway.flows.merge.finding import FindRequest, FindTools, find
from fhir_gateway.flows.merge.finding.registering import PAGE
from fhir_gateway.identity.parameters import MatchingPolicy
from fhir_gateway.ledger.finding_store import finding_store


class Server(OrderedServer):
    """A server of Patients that tells each search by NIK, too."""

    def __init__(self, patients, *, moments=None, **habits):
        super().__init__([], **habits)
        for number, one in enumerate(patients):
            self.put(one, moments[number] if moments else number)
        self.answers = {}
        self.searches = []

    def put(self, one, moment):
        self.write(one["id"], moment)
        self.resources[one["id"]] = {**one, "meta": self.resources[one["id"]]["meta"]}

    async def search(self, resource_type, parameters, *, check=None):
        for one in list(self.resources.values()):
            yield one

    async def search_together(self, searches, *, check=None, count=500):
        self.searches += searches
        return [self.answers.get(tuple(search.parameters["identifier"]), SearchAnswer(())) for search in searches]


class Progress:
    def phase(self, name, total=None): ...

    def advance(self, done, share=None): ...


class Opinion:
    """A second opinion that is sure of one pair."""

    name = "another model"

    def probabilities(self, people, pairs):
        self.people = {one["id"]: one["name"] for one in people}
        self.pairs = pairs
        return {pairs[0]: 0.25}


@pytest.fixture
def tools(tmp_path):
    with finding_store(tmp_path) as store:

        def made(server, *, masked=False, second=None, parted=(), proposed=()):
            apart = {frozenset(pair) for pair in parted}
            return FindTools(
                ledger=SimpleNamespace(
                    keys=SimpleNamespace(proposals=lambda: list(proposed), kept_apart=lambda ids: apart)
                ),
                reader=server,
                puller=server,
                store=store,
                progress=Progress(),
                matching=MatchingPolicy(),
                masked=masked,
                second=second,
            )

        yield made


def groups(finding):
    return [one.group.patient_ids for one in finding.found]


async def test_a_server_is_read_to_the_end_whatever_its_pages(tools):
    people = [patient(number, nik="") for number in range(2 * PAGE + 7)]
    for one in people:
        one["name"] = [{"text": f"Nama{one['id']}"}]
    people[3], people[-1] = patient(3), patient(2 * PAGE + 6)
    server = Server(people, moments=[number // 9 for number in range(len(people))], cap=40)
    finding = await find(FindRequest(likely=False), tools(server))
    assert (finding.read, finding.notes) == (len(people), ())
    assert groups(finding) == [(f"p{2 * PAGE + 6}", "p3")]


async def test_a_server_that_does_not_order_is_read_as_it_gives_and_that_is_told(tools):
    finding = await find(FindRequest(), tools(Server([patient(1), patient(2)], ordered=False)))
    assert groups(finding) == [("p1", "p2")]
    assert any("may be missing" in note for note in finding.notes)


async def test_a_server_that_refuses_ends_the_finding(tools):
    class Refusing(Server):
        async def page(self, resource_type, pairs):
            raise AccessRefusedError("not allowed", status=403)

    with pytest.raises(AccessRefusedError):
        await find(FindRequest(), tools(Refusing([])))


async def test_a_patient_that_is_written_again_meanwhile_is_no_duplicate_of_itself(tools):
    class Changing(Server):
        async def page(self, resource_type, pairs):
            page = await super().page(resource_type, pairs)
            if len(self.asked) == 1:
                self.put(patient(0, name=[{"text": "Rizki Pratama Putra"}]), 9_000)
            return page

    others = [patient(number, nik="", name=[{"text": f"Nama{number}"}], gender="") for number in range(1, 60)]
    finding = await find(FindRequest(), tools(Changing([patient(0), *others], cap=20)))
    assert finding.read == 61
    assert not [one for one in groups(finding) if "p0" in one]


async def test_of_two_niks_that_are_shared_there_is_one_group(tools):
    both = [patient(number) for number in (1, 2)]
    for one in both:
        one["identifier"].append({"system": systems.NIK, "value": OTHER_NIK, "use": "old"})
    finding = await find(FindRequest(), tools(Server(both)))
    assert groups(finding) == [("p1", "p2")]


async def test_pairs_that_were_parted_are_counted_and_not_listed(tools):
    people = [patient(1), patient(2), patient(3, nik=OTHER_NIK)]
    finding = await find(
        FindRequest(), tools(Server(people), parted=[("p1", "p2"), ("p1", "p3")], proposed=[("p1", "p3", 1, "why")])
    )
    assert groups(finding) == []
    assert any(note.startswith("2 groups are not listed") for note in finding.notes)


async def test_proposals_that_share_a_patient_become_one_group_unless_somebody_contradicts(tools):
    chain = [patient(1, nik=""), patient(2, nik=""), patient(3, nik=""), patient(4, nik="", gender="female")]
    proposed = [("p1", "p2", 1, "why"), ("p3", "p2", 1, "why"), ("p3", "p4", 2, "why")]
    finding = await find(FindRequest(likely=False), tools(Server(chain), proposed=proposed))
    assert [(one.kind, one.group.patient_ids) for one in finding.found] == [
        (FoundKind.PROPOSAL, ("p1", "p2", "p3")),
        (FoundKind.CONFLICT, ("p3", "p4")),
    ]
    torn = await find(FindRequest(likely=False), tools(Server(chain[:3]), proposed=proposed, parted=[("p1", "p3")]))
    assert sorted((one.kind, one.group.patient_ids) for one in torn.found) == [
        (FoundKind.CONFLICT, ("p2", "p3")),
        (FoundKind.PROPOSAL, ("p1", "p2")),
    ]


async def test_of_three_with_one_nik_two_of_whom_were_parted_a_conflict_is_listed(tools):
    finding = await find(FindRequest(), tools(Server([patient(n) for n in (1, 2, 3)]), parted=[("p1", "p2")]))
    (one,) = finding.found
    assert (one.kind, [conflict.code for conflict in one.group.conflicts]) == (FoundKind.CONFLICT, ["kept-apart"])


async def test_where_niks_are_masked_each_is_searched_alone_and_nothing_is_certain(tools):
    masked = [{"resourceType": "Patient", "id": name, "name": [{"text": "Rizki Pratama"}]} for name in ("a", "b")]
    for one in masked:
        one["identifier"] = [{"system": systems.NIK, "value": "#" * 16}]
    server = Server([])
    server.answers[(f"{systems.NIK}|{NIK}",)] = SearchAnswer(tuple(masked))
    finding = await find(FindRequest((NIK, OTHER_NIK)), tools(server, masked=True))
    assert [search.parameters["identifier"] for search in server.searches] == [
        [f"{systems.NIK}|{NIK}"],
        [f"{systems.NIK}|{OTHER_NIK}"],
    ]
    (one,) = finding.found
    assert (one.group.patient_ids, one.group.nik) == (("a", "b"), NIK)
    assert one.group.grade is not Grade.CERTAIN
    assert finding.single == (OTHER_NIK,)
    assert "hides" in finding.notes[0]


async def test_niks_that_are_hidden_on_a_server_that_was_thought_open_are_counted(tools):
    finding = await find(FindRequest(), tools(Server([patient(1), patient(2, nik="#" * 16)])))
    assert [(one.kind, one.group.grade) for one in finding.found] == [(FoundKind.LIKELY, Grade.PROBABLE)]
    assert finding.notes[0].startswith("1 of the Patients have a NIK that the server hides")


async def test_a_server_that_cannot_be_searched_by_nik_is_no_server_without_duplicates(tools):
    server = Server([])
    server.answers[(f"{systems.NIK}|{NIK}",)] = SearchAnswer((), "it ignores identifier")
    with pytest.raises(PermanentServerError, match="it ignores identifier"):
        await find(FindRequest((NIK,)), tools(server))


async def test_a_second_opinion_stands_beside_and_changes_nothing(tools):
    opinion = Opinion()
    people = [patient(1), patient(2), patient(3, nik=OTHER_NIK, name=[{"text": "Bayu Kusumo"}])]
    finding = await find(FindRequest(), tools(Server(people), second=opinion))
    (one,) = finding.found
    assert (one.second_opinion, one.group.grade) == (0.25, Grade.CERTAIN)
    assert opinion.pairs == [("p1", "p2")]
    assert set(opinion.people) == {"p1", "p2", "p3"}


async def test_where_no_model_can_be_estimated_that_is_told(tools):
    silent = Opinion()
    silent.probabilities = lambda people, pairs: {}
    finding = await find(FindRequest(), tools(Server([patient(1), patient(2)]), second=silent))
    assert finding.found[0].second_opinion is None
    assert any("too few" in note for note in finding.notes)


async def test_who_fits_two_people_is_joined_to_the_better_one_and_a_conflict_with_the_other(tools):
    mother = [
        {"relationship": [{"coding": [{"system": systems.RELATIONSHIP, "code": "MTH"}]}], "name": {"text": "Wulan"}}
    ]
    people = [patient(1), patient(2, nik="", contact=mother), patient(3, nik=OTHER_NIK, contact=mother)]
    finding = await find(FindRequest(), tools(Server(people)))
    kinds = {one.group.patient_ids: one.kind for one in finding.found}
    assert kinds["p2", "p3"] is FoundKind.LIKELY
    assert kinds["p1", "p2"] is FoundKind.CONFLICT
    torn = next(one for one in finding.found if one.group.patient_ids == ("p1", "p2"))
    assert "fits-two-people" in [conflict.code for conflict in torn.group.conflicts]
    assert torn.group.grade is not Grade.CERTAIN


FAMILY = {
    "contact": [
        {
            "relationship": [{"coding": [{"system": systems.RELATIONSHIP, "code": "MTH"}]}],
            "name": {"text": "Wulan Pertiwi"},
        }
    ]
}


async def test_who_fits_twins_equally_well_is_likely_neither(tools):
    people = [
        patient(1, name=[{"text": "Hasan Basri"}], **FAMILY),
        patient(2, nik=OTHER_NIK, name=[{"text": "Husein Basri"}], **FAMILY),
        patient(3, nik="", name=[{"text": "H. Basri"}], **FAMILY),
    ]
    finding = await find(FindRequest(), tools(Server(people)))
    assert sorted(groups(finding)) == [("p1", "p3"), ("p2", "p3")]
    for one in finding.found:
        assert one.kind is FoundKind.CONFLICT
        assert [conflict.code for conflict in one.group.conflicts] == ["fits-two-people"]
        assert one.group.grade is not Grade.CERTAIN


@pytest.mark.parametrize(("name", "grade"), [("Nadia Putri", Grade.PROBABLE), ("Nadya Putri", Grade.CERTAIN)])
async def test_a_spelling_that_twins_may_have_is_never_certain_without_a_number(tools, name, grade):
    people = [
        patient(number, nik="", name=[{"text": text}], **FAMILY)
        for number, text in enumerate(("Nadya Putri", name), start=1)
    ]
    (one,) = (await find(FindRequest(), tools(Server(people)))).found
    assert (one.kind, one.group.grade) == (FoundKind.LIKELY, grade)
    assert [conflict.code for conflict in one.group.conflicts if conflict.blocks] == (
        ["possible-twins"] if grade is Grade.PROBABLE else []
    )


async def test_one_nik_outweighs_a_spelling_that_twins_may_have(tools):
    people = [patient(1, name=[{"text": "Nadya Putri"}]), patient(2, name=[{"text": "Nadia Putri"}])]
    (one,) = (await find(FindRequest(), tools(Server(people)))).found
    assert (one.kind, one.group.grade, one.group.conflicts) == (FoundKind.SHARED_NIK, Grade.CERTAIN, ())
