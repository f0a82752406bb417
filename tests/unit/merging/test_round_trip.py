"""A whole merge and its undoing on a server that is a dictionary."""

from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.merge_people import KINDS, dose, duplicate, record

from fhir_gateway.fhir.validation import validate
from fhir_gateway.merging.grouping import group_by_nik
from fhir_gateway.merging.planning import plan_group
from fhir_gateway.merging.repointing import references_to
from fhir_gateway.merging.undoing import restore
from fhir_gateway.merging.versions import name_of, version_of, without_version

ZONE = ZoneInfo("Asia/Jakarta")
IDS = ("a", "b", "c", "d")
OTHERS = st.fixed_dictionaries(
    {},
    optional={
        "phone": st.sampled_from(["", "+6281398765432"]),
        "village": st.sampled_from(["", "Bobotsari"]),
        "born": st.sampled_from(["", "2020-03", "2020"]),
        "gender": st.just(""),
        "name": st.sampled_from(["Rizky Pratama", "By. Ny. Siti Aminah"]),
        "record": st.tuples(st.sampled_from(["klinik-1", "klinik-2"]), st.sampled_from(["001", "002"])),
        "person": st.sampled_from(["p1", "p2"]),
        "order": st.just(0),
    },
)
RECORDS = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(IDS), st.sampled_from(IDS)), max_size=8)
DOSES = st.lists(
    st.tuples(
        st.sampled_from(IDS), st.sampled_from(["2024-01-02", "2024-03-02"]), st.sampled_from(["LOT-1", "LOT-2222"])
    ),
    max_size=6,
)
SETTINGS = settings(derandomize=True, deadline=None, max_examples=60)


def server_of(others, records, doses):
    """Return a server's content: resources by `Type/id`."""
    patients = [duplicate(patient_id, **other) for patient_id, other in zip(IDS, others, strict=False)]
    referring = [record(kind, number, one, other) for number, (kind, one, other) in enumerate(records)]
    given_doses = [
        dose(f"d{number}", patient_id, occurrenceDateTime=day, lotNumber=lot)
        | {"identifier": [{"system": "urn:dose", "value": str(number)}]}
        for number, (patient_id, day, lot) in enumerate(doses)
    ]
    return {name_of(resource): resource for resource in (*patients, *referring, *given_doses)}


def plan_on(server):
    patients = [resource for resource in server.values() if resource["resourceType"] == "Patient"]
    (group,) = group_by_nik(patients)
    return plan_group(group, patients, list(server.values()), zone=ZONE)


def put(server, resource):
    """Write a resource as a server does: with the next version."""
    name = name_of(resource)
    version = str(int(version_of(server[name])) + 1)
    meta = resource.get("meta", {}) | {"versionId": version, "lastUpdated": f"2026-01-01T00:00:{version:0>2}Z"}
    server[name] = resource | {"meta": meta}


def named_in(value):
    """Yield whom references name, wherever they stand: known from the JSON alone."""
    if isinstance(value, list):
        for one in value:
            yield from named_in(one)
    elif isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"].partition("/_history/")[0]
        for one in value.values():
            yield from named_in(one)


def bare(server):
    return {name: without_version(resource) for name, resource in server.items()}


@SETTINGS
@given(st.lists(OTHERS, min_size=2, max_size=4), RECORDS, DOSES)
def test_a_merge_and_its_undoing_end_where_they_began(others, records, doses):
    server = server_of(others, records, doses)
    begun = bare(server)
    plan = plan_on(server)
    for change in plan.changes:
        put(server, change.after)
    for resource in server.values():
        assert validate(resource) == ()
        assert not references_to(resource, plan.replaced)
        if resource["resourceType"] not in {"Provenance", "Patient"}:
            assert not {f"Patient/{one}" for one in plan.replaced} & set(named_in(resource))
    for change in reversed(plan.changes):
        restored = restore(change.before, change.after, server[change.resource])
        assert restored.conflicts == ()
        put(server, restored.resource)
    assert bare(server) == begun


@SETTINGS
@given(st.lists(OTHERS, min_size=2, max_size=4), RECORDS, DOSES, st.integers(0, 20))
def test_an_undoing_that_was_interrupted_ends_the_same_when_it_is_repeated(others, records, doses, done):
    server = server_of(others, records, doses)
    begun = bare(server)
    plan = plan_on(server)
    for change in plan.changes:
        put(server, change.after)
    for change in (*plan.changes[:done], *plan.changes):
        put(server, restore(change.before, change.after, server[change.resource]).resource)
    assert bare(server) == begun


@SETTINGS
@given(st.lists(OTHERS, min_size=2, max_size=4), RECORDS, DOSES)
def test_edits_of_any_resource_survive_the_undoing(others, records, doses):
    server = server_of(others, records, doses)
    begun = bare(server)
    plan = plan_on(server)
    for change in plan.changes:
        put(server, change.after)
    mark = {"url": "urn:edited", "valueString": "since"}
    for name in server:
        put(server, server[name] | {"extension": [mark, *server[name].get("extension", [])]})
    for change in plan.changes:
        restored = restore(change.before, change.after, server[change.resource])
        assert restored.conflicts == ()
        put(server, restored.resource)
    edited = {name: one | {"extension": [mark, *one.get("extension", [])]} for name, one in begun.items()}
    assert bare(server) == edited


@SETTINGS
@given(st.lists(OTHERS, min_size=2, max_size=4), RECORDS, DOSES)
def test_a_second_plan_after_the_merge_finds_nobody_and_keeps_the_master(others, records, doses):
    server = server_of(others, records, doses)
    plan = plan_on(server)
    for change in plan.changes:
        put(server, change.after)
    patients = [resource for resource in server.values() if resource["resourceType"] == "Patient"]
    assert group_by_nik(patients) == []
    again = plan_group(plan.group, patients, list(server.values()), zone=ZONE)
    assert (again.survivor, again.changes) == (plan.survivor, ())


@SETTINGS
@given(st.lists(OTHERS, min_size=2, max_size=4), RECORDS, DOSES)
def test_a_merge_that_was_interrupted_keeps_its_master(others, records, doses):
    server = server_of(others, records, doses)
    plan = plan_on(server)
    put(server, plan.changes[0].after)
    assert plan_on(server).survivor == plan.survivor
