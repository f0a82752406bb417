import asyncio
import logging

import pytest
from tests.fakes.fhir_store import FakeFhirStore

from fhir_gateway.candidates import ServerCandidates
from fhir_gateway.domain.errors import PermanentServerError, TransientServerError, UntrustedAnswerError
from fhir_gateway.domain.identity import Probe
from fhir_gateway.fhir.references import replaced_by

NIK = "https://fhir.kemkes.go.id/id/nik"


def patient(number, **changes):
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "identifier": [{"system": NIK, "value": f"nik{number}"}],
        "birthDate": f"2020-01-{number:02}",
        "gender": "female",
        "name": [{"text": f"Siti Rahmawati{number}"}],
        "telecom": [{"system": "phone", "value": f"+6281100{number:04}"}],
        **changes,
    }


def by_nik(number, **changes):
    return Probe(number=number, identifiers=((NIK, f"nik{number}"),), **changes)


def replaced(number, by, **changes):
    link = [{"type": "replaced-by", "other": {"reference": f"Patient/{by}"}}]
    return patient(number, active=False, link=link, **changes)


async def find(store, *probes):
    return (await ServerCandidates(store).find(probes)).found


async def test_many_identifiers_go_in_few_searches():
    store = FakeFhirStore(*(patient(number) for number in range(1, 301)))
    found = await find(store, *(by_nik(number) for number in range(1, 301)))
    assert found == {number: (f"p{number}",) for number in range(1, 301)}
    assert len(store.searches) == 2


async def test_who_has_no_gender_on_the_server_is_found_by_the_birth_date():
    nobodys = patient(2, birthDate="2020-01-01")
    del nobodys["gender"]
    store = FakeFhirStore(patient(1), nobodys, patient(3, gender="male", birthDate="2020-01-01"))
    probes = [Probe(number, birth_dates=("2020-01-01",), gender=sex) for number, sex in enumerate(("female", "male"))]
    assert await find(store, *probes) == {0: ("p1", "p2"), 1: ("p3", "p2")}


@pytest.mark.parametrize("ignores", [True, False])
async def test_a_server_that_does_not_search_for_who_has_no_gender_is_asked_once(ignores):
    class Poor(FakeFhirStore):
        async def search(self, resource_type, parameters):
            if not ignores and "gender:missing" in parameters:
                self.searches.append(parameters)
                raise PermanentServerError("no such modifier", status=400)
            known = {name: values for name, values in parameters.items() if name != "gender:missing"}
            async for one in super().search(resource_type, known):
                yield one

    store = Poor(patient(1), patient(2))
    candidates = ServerCandidates(store)
    for day in (1, 2):
        probe = Probe(number=day, birth_dates=(f"2020-01-{day:02}",), gender="female")
        assert (await candidates.find([probe])).found == {day: (f"p{day}",)}
    assert len(store.searches) == 3


async def test_who_has_the_identifier_is_not_searched_otherwise():
    store = FakeFhirStore(patient(1), patient(2, birthDate="2020-01-01"))
    assert await find(store, by_nik(1, birth_dates=("2020-01-01",), phones=("+628110000002",))) == {1: ("p1",)}
    assert len(store.searches) == 1


async def test_who_is_unknown_by_identifier_is_searched_by_birth_date_and_phone():
    store = FakeFhirStore(patient(1), patient(2), patient(3, gender="unknown", birthDate="2020-01-01"))
    probe = Probe(7, (), ((NIK, "other"),), ("2020-01-01",), "female", ("0811-00-0002",))
    assert set((await find(store, probe))[7]) == {"p1", "p3", "p2"}
    assert [one["gender"] for one in store.searches if "gender" in one] == [["female", "other", "unknown"]]


async def test_birth_dates_of_many_go_in_one_search_for_each_gender():
    store = FakeFhirStore(*(patient(number) for number in range(1, 9)))
    probes = [Probe(n, birth_dates=(f"2020-01-{n:02}",), gender="female" if n % 2 else "") for n in range(1, 9)]
    assert await find(store, *probes) == {number: (f"p{number}",) for number in range(1, 9)}
    assert sum("birthdate" in one for one in store.searches) == 2


async def test_a_name_is_searched_only_where_nothing_else_is_known():
    store = FakeFhirStore(patient(1), patient(2))
    assert await find(store, Probe(1, names=("siti", "rahmawati1"))) == {1: ("p1",)}
    assert await find(store, Probe(1, names=("siti", "rahmawati1"), birth_dates=("1999-01-01",))) == {1: ()}


async def test_named_patients_are_read():
    assert await find(FakeFhirStore(patient(1)), Probe(1, patient_ids=("p1", "gone"))) == {1: ("p1",)}


async def test_known_patients_are_read_together_and_only_who_is_missing_alone():
    store = FakeFhirStore(*(patient(number) for number in range(1, 301)))
    probes = [Probe(number, patient_ids=(f"p{number}",)) for number in range(1, 301)]
    assert await find(store, *probes, Probe(301, patient_ids=("gone",))) == {
        **{number: (f"p{number}",) for number in range(1, 301)},
        301: (),
    }
    assert [len(search["_id"]) for search in store.searches] == [200, 101]
    assert store.reads == ["gone"]


async def test_known_patients_are_read_one_by_one_where_ids_cannot_be_searched():
    store = FakeFhirStore(patient(1), patient(2), untrusted=["_id"])
    candidates = ServerCandidates(store)
    probes = [Probe(number, patient_ids=(f"p{number}",)) for number in (1, 2)]
    assert (await candidates.find(probes)).found == {1: ("p1",), 2: ("p2",)}
    candidates.forget_all()
    assert (await candidates.find(probes)).found == {1: ("p1",), 2: ("p2",)}
    assert (len(store.searches), store.reads) == (1, ["p1", "p2"] * 2)


async def test_answers_are_kept_whether_somebody_or_nobody_was_found():
    store = FakeFhirStore(patient(1))
    candidates = ServerCandidates(store)
    for _ in range(3):
        assert (await candidates.find([by_nik(1), by_nik(2)])).found == {1: ("p1",), 2: ()}
    assert len(store.searches) == 1


async def test_what_was_written_makes_kept_answers_stale():
    store = FakeFhirStore(patient(1))
    candidates = ServerCandidates(store)
    probes = [by_nik(1), by_nik(2), Probe(3, birth_dates=("2020-01-05",), gender="female")]
    assert (await candidates.find(probes)).found == {1: ("p1",), 2: (), 3: ()}
    moved = patient(1, birthDate="2020-01-05", identifier=[{"system": NIK, "value": "nik2"}])
    store.put(moved)
    candidates.forget([moved])
    assert (await candidates.find(probes)).found == {1: (), 2: ("p1",), 3: ("p1",)}


async def test_an_answer_on_its_way_while_a_patient_is_written_is_not_kept():
    store, reached, go_on = FakeFhirStore(), asyncio.Event(), asyncio.Event()

    class Slow(FakeFhirStore):
        async def search(self, resource_type, parameters):
            reached.set()
            found = [one async for one in store.search(resource_type, parameters)]
            await go_on.wait()
            for one in found:
                yield one

    candidates = ServerCandidates(Slow())
    early = asyncio.create_task(candidates.find([by_nik(1)]))
    await reached.wait()
    store.put(patient(1))
    candidates.forget([patient(1)])
    go_on.set()
    assert (await early).found == {1: ()}
    assert (await candidates.find([by_nik(1)])).found == {1: ("p1",)}


async def test_the_same_question_is_asked_once_at_a_time():
    class Slow(FakeFhirStore):
        async def search(self, resource_type, parameters):
            await asyncio.sleep(0)
            async for one in super().search(resource_type, parameters):
                yield one

    store = Slow(patient(1))
    candidates = ServerCandidates(store)
    several = await asyncio.gather(*(candidates.find([by_nik(1)]) for _ in range(10)))
    assert [one.found for one in several] == [{1: ("p1",)}] * 10
    assert len(store.searches) == 1


async def test_a_failed_search_is_told_to_everybody_and_not_kept():
    class Failing(FakeFhirStore):
        fails = True

        async def search(self, resource_type, parameters):
            await asyncio.sleep(0)
            if self.fails:
                raise TransientServerError("gone")
            async for one in super().search(resource_type, parameters):
                yield one

    store = Failing(patient(1))
    candidates = ServerCandidates(store)
    several = await asyncio.gather(*(candidates.find([by_nik(1)]) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in several] == [TransientServerError] * 3
    store.fails = False
    assert (await candidates.find([by_nik(1)])).found == {1: ("p1",)}


async def test_replaced_patients_lead_to_their_master_and_come_with_it():
    store = FakeFhirStore(replaced(1, "p2"), replaced(2, "p3"), patient(3, telecom=[]))
    found = await ServerCandidates(store).find([by_nik(1), Probe(number=2, phones=("+6281100 0002",))])
    assert found.found == {1: ("p3", "p1"), 2: ("p3", "p2")}
    assert [list(replaced_by(found.patients[one])) for one in ("p1", "p2")] == [["p3"], ["p3"]]


@pytest.mark.parametrize(
    "patients",
    [
        [replaced(1, "p2"), replaced(2, "p1")],
        [replaced(1, "gone")],
        [replaced(1, "p1")],
        [replaced(1, "p2"), patient(2, active=False)],
    ],
)
async def test_a_chain_that_leads_to_nobody_leaves_the_replaced_patient_to_be_decided_about(patients):
    assert await find(FakeFhirStore(*patients), by_nik(1)) == {1: ("p1",)}


async def test_an_inactive_patient_without_a_successor_is_found_as_it_is():
    assert await find(FakeFhirStore(patient(1, active=False)), by_nik(1)) == {1: ("p1",)}


NIK_IBU = f"{NIK}-ibu"
CHILD = {"identifiers": ((NIK_IBU, "mother"),), "birth_dates": ("2020-01-05",), "gender": "female"}


def carrying(number, system, value, **changes):
    return patient(number, identifier=[{"system": system, "value": value}], **changes)


@pytest.mark.parametrize("system", [NIK, NIK_IBU])
async def test_a_child_is_found_by_its_mothers_nik_however_the_server_calls_it(system):
    child = carrying(1, system, "mother", birthDate="2020-05-01")
    assert await find(FakeFhirStore(child), Probe(7, **CHILD)) == {7: ("p1",)}


async def test_siblings_and_the_mother_do_not_end_the_search_for_a_child():
    store = FakeFhirStore(
        carrying(1, NIK, "mother", birthDate="1990-01-01"),
        carrying(2, NIK_IBU, "mother", birthDate="2018-01-01"),
        patient(5),
    )
    assert set((await find(store, Probe(7, **CHILD)))[7]) == {"p1", "p2", "p5"}


async def test_a_nik_that_may_have_lost_its_last_digit_does_not_end_the_search():
    store = FakeFhirStore(carrying(1, NIK, "3303121503200010", birthDate="1990-01-01"), patient(5))
    probe = Probe(7, (), ((NIK, "3303121503200010"),), ("2020-01-05",), "female")
    assert set((await find(store, probe))[7]) == {"p1", "p5"}


async def test_whom_the_ledger_knows_to_be_near_does_not_end_the_search():
    store = FakeFhirStore(patient(1), patient(5))
    probe = Probe(7, ("p1",), ((NIK, "other"),), ("2020-01-05",), "female")
    assert set((await find(store, probe))[7]) == {"p1", "p5"}


async def test_whom_the_ledger_knows_with_the_same_number_ends_the_search():
    store = FakeFhirStore(patient(1), patient(5))
    probe = Probe(7, ("p1",), ((NIK, "nik1"),), ("2020-01-05",), "female")
    assert await find(store, probe) == {7: ("p1",)}
    assert [list(asked) for asked in store.searches] == [["identifier"]]


async def test_a_server_that_cannot_search_by_identifier_is_refused():
    with pytest.raises(PermanentServerError, match="identifier"):
        await find(FakeFhirStore(broken=["identifier"]), by_nik(1))


async def test_other_searches_that_do_not_work_are_left_out_and_told(caplog):
    caplog.set_level(logging.WARNING)
    store = FakeFhirStore(patient(1), broken=["birthdate", "gender"], untrusted=["phone"])
    candidates = ServerCandidates(store)
    probe = Probe(1, (), ((NIK, "x"),), ("2020-01-01",), "female", ("+628110000001",))
    assert (await candidates.find([probe])).found == {1: ()}
    assert set(candidates.unavailable) == {"gender", "birthdate", "phone"}
    assert "628110000001" not in caplog.text


async def test_people_are_searched_by_name_where_birth_dates_are_no_help():
    probe = Probe(1, (), ((NIK, "x"),), ("2020-01-01",), "", names=("wijayanti",))
    for broken, searched in (((), False), (("birthdate",), True)):
        store = FakeFhirStore(patient(1), broken=list(broken))
        await ServerCandidates(store).find([probe])
        assert ({"name": ["wijayanti"]} in [{k: list(v) for k, v in one.items()} for one in store.searches]) is searched


async def test_an_untrusted_identifier_search_is_never_an_answer():
    with pytest.raises(UntrustedAnswerError):
        await find(FakeFhirStore(untrusted=["identifier"]), by_nik(1))


async def test_who_does_not_carry_what_was_asked_is_no_candidate():
    class Generous(FakeFhirStore):
        async def search(self, resource_type, parameters):
            for resource in self.resources.values():
                yield resource

    assert await find(Generous(patient(1), patient(2)), by_nik(1)) == {1: ("p1",)}


async def test_a_masked_hit_counts_for_the_one_who_was_asked_for():
    masked = patient(1, identifier=[{"system": NIK, "value": "################"}])

    class Masking(FakeFhirStore):
        async def search(self, resource_type, parameters):
            self.searches.append(parameters)
            if parameters.get("identifier") == [f"{NIK}|nik1"]:
                yield masked

    store = Masking()
    candidates = ServerCandidates(store, masked_identifiers=True)
    assert (await candidates.find([by_nik(1), by_nik(2)])).found == {1: ("p1",), 2: ()}
