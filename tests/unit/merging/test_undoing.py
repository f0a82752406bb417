import copy
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.merges import Restored
from fhir_gateway.fhir.validation import validate
from fhir_gateway.merging.survivorship import mark_replaced, merge_patients
from fhir_gateway.merging.undoing import Decision, decide, restore


def to(patient_id, **other):
    return {"reference": f"Patient/{patient_id}", **other}


def appointment(*participants, **other):
    return {"resourceType": "Appointment", "id": "x", "status": "booked", "participant": list(participants), **other}


def person(patient_id="s", **elements):
    return {"resourceType": "Patient", "id": patient_id, **elements}


def actor(patient_id, status="accepted", **other):
    return {"actor": to(patient_id), "status": status, **other}


BEFORE = appointment(actor("r"), actor("z"))
AFTER = appointment(actor("s"), actor("z"))


def test_meta_that_nobody_had_is_added_whatever_else_was_edited():
    bare = {"resourceType": "Patient", "id": "1", "gender": "male"}
    tagged = bare | {"meta": {"tag": [{"code": "golden"}]}}
    done = restore(tagged, bare, bare | {"gender": "female"})
    assert (done.resource, done.conflicts) == (tagged | {"gender": "female"}, ())


def test_what_nobody_touched_since_is_as_before():
    assert restore(BEFORE, AFTER, AFTER).resource == BEFORE


def test_the_servers_version_stays():
    current = AFTER | {"meta": {"versionId": "5", "lastUpdated": "2026-01-01T00:00:00Z"}}
    assert restore(BEFORE, AFTER, current).resource == BEFORE | {"meta": current["meta"]}


def test_what_is_undone_already_stays_as_it_is():
    current = BEFORE | {"meta": {"versionId": "5"}}
    assert restore(BEFORE, AFTER, current).resource is current


def test_edits_elsewhere_survive():
    current = AFTER | {"status": "fulfilled", "description": "new"}
    restored = restore(BEFORE, AFTER, current)
    assert restored.resource == BEFORE | {"status": "fulfilled", "description": "new"}
    assert restored.conflicts == ()


def test_a_moved_reference_returns_although_its_element_was_edited_and_the_list_reordered():
    current = appointment(actor("new"), actor("z"), actor("s", "declined", required="optional"))
    restored = restore(BEFORE, AFTER, current)
    assert restored.resource["participant"] == [actor("new"), actor("z"), actor("r", "declined", required="optional")]
    assert restored.conflicts == ()


def test_a_reference_that_was_moved_on_since_is_a_conflict_and_stays():
    before, after = {"subject": to("r")}, {"subject": to("s")}
    restored = restore(before, after, {"subject": to("other")})
    assert restored.resource == {"subject": to("other")}
    (conflict,) = restored.conflicts
    assert (conflict.path, conflict.before, conflict.now) == ("/subject/reference", "Patient/r", "Patient/other")


def test_conflicts_name_their_resource():
    before, after = person(birthDate="2020"), person(birthDate="2021")
    assert restore(before, after, person(birthDate="2022")).conflicts[0].resource == "Patient/s"


def test_what_the_merge_added_goes_and_what_was_added_since_stays():
    one, merged, since = ({"system": "urn:a", "value": value} for value in "123")
    before, after = person(identifier=[one]), person(identifier=[one, merged])
    assert restore(before, after, person(identifier=[since, merged, one])).resource["identifier"] == [since, one]


def test_a_list_that_the_merge_began_disappears_and_one_with_more_in_it_does_not():
    before, after = person(), person(identifier=[{"value": "1"}], meta={"tag": [{"code": "s"}]})
    assert restore(before, after, after | {"active": True}).resource == before | {"active": True}
    current = after | {
        "identifier": [{"value": "2"}, {"value": "1"}],
        "meta": {"tag": [{"code": "s"}], "security": [{"code": "R"}]},
    }
    assert restore(before, after, current).resource == person(
        identifier=[{"value": "2"}], meta={"security": [{"code": "R"}]}
    )


def test_what_the_merge_added_and_somebody_removed_needs_nothing():
    before, after = (
        person(maritalStatus={"text": "x"}),
        person(maritalStatus={"text": "x"}, gender="male", photo=[{"url": "1"}]),
    )
    restored = restore(before, after, before | {"active": True})
    assert restored.resource == before | {"active": True}
    assert restored.conflicts == ()


def test_what_the_merge_added_and_somebody_edited_is_a_conflict_as_a_whole():
    before, after = person(), person(address=[{"use": "old", "city": "A", "line": ["1"]}])
    current = person(address=[{"use": "old", "city": "B", "line": ["1"]}])
    restored = restore(before, after, current)
    assert restored.resource == current
    assert [(one.path, one.before, one.now) for one in restored.conflicts] == [
        ("/address/0", None, current["address"][0])
    ]


PHONE, OWN_PHONE = {"system": "phone", "value": "0811"}, {"system": "phone", "value": "0833"}
VILLAGE = {"text": "Desa Alpha"}


@pytest.mark.parametrize(
    ("field", "before", "after", "now", "at"),
    [
        ("telecom", [], [PHONE], [{"system": "phone", "value": "0822"}], 0),
        ("telecom", [OWN_PHONE], [OWN_PHONE, PHONE], [{"system": "phone", "value": "0822"}, OWN_PHONE], 0),
        ("telecom", [], [PHONE], [{"system": "email", "value": "a@b"}, {"system": "phone", "value": "0822"}], 1),
        ("address", [], [VILLAGE], [{"text": "Desa Beta"}], 0),
        ("address", [{"city": "A"}], [{"city": "A"}, VILLAGE], [{"city": "B"}, {"text": "Desa Beta"}], 1),
        ("identifier", [], [{"system": "urn:a", "value": "1"}], [{"system": "urn:a", "value": "2"}], 0),
    ],
)
def test_what_the_merge_added_and_somebody_edited_beyond_likeness_is_a_conflict(field, before, after, now, at):
    current = person(**{field: now})
    restored = restore(person(**({field: before} if before else {})), person(**{field: after}), current)
    assert restored.resource == current
    assert [(one.path, one.before, one.now) for one in restored.conflicts] == [(f"/{field}/{at}", None, now[at])]
    assert decide(restored, {f"/{field}/{at}": "keep"}).resource == current
    left = [one for one in now if one is not now[at]]
    assert decide(restored, {f"/{field}/{at}": "restore"}).resource == person(**({field: left} if left else {}))


def test_lines_that_the_merge_added_to_an_address_and_somebody_edited_are_a_conflict():
    before, after, current = (
        person(address=[{"city": "A", "use": "home", **lines}])
        for lines in ({}, {"line": ["Jl. Mawar 1"]}, {"line": ["Jl. Melati 2"]})
    )
    restored = restore(before, after, current)
    assert restored.resource == current
    assert [(one.path, one.before, one.now) for one in restored.conflicts] == [
        ("/address/0/line/0", None, "Jl. Melati 2")
    ]
    assert decide(restored, {"/address/0/line/0": "restore"}).resource == before


@pytest.mark.parametrize(
    ("field", "merged", "since"),
    [
        ("identifier", {"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "1"}),
        ("telecom", PHONE, {"system": "email", "value": "a@b"}),
        ("extension", {"url": "urn:a", "valueCode": "x"}, {"url": "urn:b", "valueCode": "x"}),
        ("address", {"id": "1", **VILLAGE}, {"id": "2", **VILLAGE}),
        ("generalPractitioner", {"reference": "Organization/1"}, {"reference": "Organization/2"}),
    ],
)
def test_what_came_since_for_something_of_another_kind_is_no_edit_of_it(field, merged, since):
    restored = restore(person(), person(**{field: [merged]}), person(**{field: [since]}))
    assert (restored.resource, restored.conflicts) == (person(**{field: [since]}), ())


def test_what_the_merge_changed_and_somebody_removed_is_a_conflict():
    before, after = (
        person(name=[{"text": "By. Ny. X", "use": "temp"}]),
        person(name=[{"text": "Y"}, {"text": "By. Ny. X", "use": "old"}]),
    )
    restored = restore(before, after, person(name=[{"text": "Y"}]))
    (conflict,) = restored.conflicts
    assert (conflict.path, conflict.place, conflict.before, conflict.now) == (
        "/name/-",
        "/name/-",
        {"text": "By. Ny. X", "use": "temp"},
        None,
    )


def test_what_the_merge_took_out_returns_to_its_place():
    one, two, three = ({"system": "urn:a", "value": value} for value in "123")
    before, after = {"identifier": [one, two, three]}, {"identifier": [one, three]}
    assert restore(before, after, {"identifier": [{"value": "new"}, one, three]}).resource["identifier"] == [
        {"value": "new"},
        one,
        two,
        three,
    ]
    assert restore({"identifier": [one]}, {}, {"identifier": [two]}).resource["identifier"] == [one, two]


def test_two_forms_of_a_choice_never_stand_side_by_side():
    before, after = person(deceasedBoolean=False), person(deceasedDateTime="2024-01-01")
    current = person(deceasedDateTime="2024-01-02")
    restored = restore(before, after, current)
    assert restored.resource == current
    assert {one.path for one in restored.conflicts} == {"/deceasedBoolean", "/deceasedDateTime"}
    decided = decide(restored, {one.path: "restore" for one in restored.conflicts})
    assert decided.resource == before


def test_conflicts_are_decided_one_by_one():
    before, after = person(birthDate="2020", gender="male"), person(birthDate="2021", gender="female")
    restored = restore(before, after, person(birthDate="2022", gender="other"))
    first = decide(restored, {"/birthDate": Decision.RESTORE})
    assert first.resource == person(birthDate="2020", gender="other")
    assert [one.path for one in first.conflicts] == ["/gender"]
    second = decide(first, {"/gender": "keep"})
    assert (second.resource, second.conflicts) == (person(birthDate="2020", gender="other"), ())


def test_decided_list_elements_are_put_in_the_right_place():
    before = person(address=[{"city": "A"}])
    after = person(
        address=[{"city": "A"}, {"city": "B", "use": "old"}, {"city": "C", "use": "old"}, {"city": "D", "use": "old"}]
    )
    current = person(
        address=[
            {"city": "A"},
            {"city": "B", "use": "old"},
            {"city": "C", "use": "home", "line": ["1"]},
            {"city": "D", "use": "home"},
        ]
    )
    restored = restore(before, after, current)
    assert [(one.path, one.place) for one in restored.conflicts] == [
        ("/address/2", "/address/1"),
        ("/address/3", "/address/2"),
    ]
    kept = decide(restored, {"/address/2": "restore", "/address/3": "keep"})
    assert kept.resource["address"] == [{"city": "A"}, {"city": "D", "use": "home"}]
    gone = decide(restored, {"/address/2": "restore", "/address/3": "restore"})
    assert gone.resource["address"] == [{"city": "A"}]


def test_removed_elements_can_be_put_back():
    before = {"list": [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"c": 0}]}
    after = {"list": [{"a": 1, "b": 9}, {"a": 2, "b": 9}, {"c": 0}]}
    restored = restore(before, after, {"list": [{"c": 0}]})
    assert [one.path for one in restored.conflicts] == ["/list/-", "/list/-1"]
    decided = decide(restored, {"/list/-": "restore", "/list/-1": "restore"})
    assert {str(one) for one in decided.resource["list"]} == {str(one) for one in before["list"]}


def test_what_is_no_decision_is_refused():
    restored = restore(person(birthDate="1"), person(birthDate="2"), person(birthDate="3"))
    with pytest.raises(UsageError, match="keep or restore"):
        decide(restored, {"/birthDate": "perhaps"})
    with pytest.raises(UsageError, match="no conflict"):
        decide(restored, {"/gender": "keep"})


def test_arguments_are_not_changed():
    current = AFTER | {"meta": {"versionId": "2"}, "participant": [actor("s", "declined"), actor("z")]}
    before = copy.deepcopy((BEFORE, AFTER, current))
    restore(BEFORE, AFTER, current)
    assert (BEFORE, AFTER, current) == before


def test_identical_references_return_to_their_own_places():
    before = {"entry": [{"item": to("r")}, {"item": to("s")}, {"item": to("r")}]}
    after = {"entry": [{"item": to("s")}] * 3}
    assert restore(before, after, after).resource == before
    added = {"entry": [*after["entry"], {"item": to("z")}]}
    assert restore(before, after, added).resource == {"entry": [*before["entry"], {"item": to("z")}]}


def test_equal_references_are_told_by_their_neighbours():
    before, after = (appointment(*map(actor, ids)) for ids in ("sxr", "sxs"))
    another_merge_undone = appointment(*map(actor, "qxs"))  # it had moved the first reference
    assert restore(before, after, another_merge_undone) == Restored(appointment(*map(actor, "qxr")))
    longer = appointment(*map(actor, "yqxs"))
    assert restore(before, after, longer) == Restored(appointment(*map(actor, "yqxr")))


@pytest.mark.parametrize("order", list(permutations(range(1, 6))))
def test_merges_with_one_survivor_give_each_place_back_in_any_order(order):
    versions = [{"entry": [{"item": to(one)} for one in "s" * number + "svwxyz"[number:]]} for number in range(1, 7)]
    current = versions[-1]
    for number in order:
        restored = restore(versions[number - 1], versions[number], current)
        assert restored.conflicts == ()
        current = restored.resource
    assert current == versions[0]


def members(patient_ids):
    return {"resourceType": "Group", "id": "g", "member": [{"entity": to(one)} for one in patient_ids]}


@given(
    before=st.lists(st.sampled_from("rsqtz"), min_size=1, max_size=6),
    first=st.sampled_from([{}, {"q": "s"}]),
    since=st.sampled_from([({"t": "y"}, []), ({"t": "y", "q": "s"}, []), ({"t": "y", "z": "x"}, ["new"])]),
)
@settings(max_examples=300, derandomize=True, deadline=None)
def test_what_was_put_back_before_an_interruption_stays_although_others_changed_the_list_since(before, first, since):
    before = [first.get(one, one) for one in before]
    after = ["s" if one == "r" else one for one in before]
    others, more = since
    now = [others.get(one, one) for one in before] + more
    done = restore(members(before), members(after), members(now))
    assert (done.resource, done.conflicts) == (members(now), ())


def test_a_list_that_loses_its_last_element_disappears():
    before, after = person(), person()
    before["link"] = [{"type": "replaces", "other": {"reference": "Patient/a"}}]
    after["link"] = [*before["link"], {"type": "replaces", "other": {"reference": "Patient/b"}}]
    now = person() | {"link": after["link"][1:]}
    assert restore(before, after, now) == Restored(person())


def test_numbers_and_truth_are_not_confused():
    before, after = {"a": True}, {"a": 2}
    assert restore({"a": 1}, {"a": True}, {"a": True}).resource == {"a": 1}
    assert restore(before, after, {"a": 1}).conflicts


def nested(depth):
    value = {"x": 1}
    for _ in range(depth):
        value = {"extension": [value]}
    return value


def test_deep_nesting_is_no_error():
    deep = nested(5000)
    restored = restore({"a": deep}, {"a": 1}, {"a": nested(5000)})
    assert restored.resource.keys() == {"a"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(
    st.sampled_from(["a", "b", "meta", "deceasedBoolean", "deceasedDateTime", "list"]), JSON, max_size=4
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(OBJECTS, OBJECTS, JSON)
def test_no_json_makes_restoring_fail(before, after, current):
    restored = restore(before, after, current)
    assert decide(restored, {one.path: "keep" for one in restored.conflicts}).resource == restored.resource
    decide(restored, {one.path: "restore" for one in restored.conflicts})


@settings(derandomize=True, deadline=None, max_examples=200)
@given(OBJECTS, OBJECTS)
def test_without_later_edits_everything_is_as_before(before, after):
    restored = restore(before, after, after)
    assert restored.resource == before
    assert restored.conflicts == ()


TEXTS = st.sampled_from(["Rizki", "Moh. Rizki", "By. Ny. Siti", "Dewi"])
IDENTIFIERS = st.lists(
    st.builds(
        lambda system, value: {"system": system, "value": value},
        st.sampled_from(["urn:a", "urn:b", "urn:fhir-gateway:person"]),
        st.sampled_from(["1", "2", "3"]),
    ),
    min_size=1,
    max_size=3,
    unique_by=str,
)
PATIENTS = st.fixed_dictionaries(
    {},
    optional={
        "identifier": IDENTIFIERS,
        "name": st.lists(st.builds(lambda text: {"text": text}, TEXTS), min_size=1, max_size=2, unique_by=str),
        "birthDate": st.sampled_from(["2020", "2020-03", "2020-03-15"]),
        "gender": st.sampled_from(["male", "unknown"]),
        "deceasedBoolean": st.booleans(),
        "address": st.lists(
            st.builds(lambda city: {"city": city}, st.sampled_from("AB")), min_size=1, max_size=2, unique_by=str
        ),
        "active": st.sampled_from([True]),
        "maritalStatus": st.just({"text": "kawin"}),
    },
)
EDITS = st.fixed_dictionaries(
    {},
    optional={
        "photo": st.just([{"url": "http://x/new"}]),
        "language": st.just("id"),
        "text": st.just({"status": "empty", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}),
    },
)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(PATIENTS, PATIENTS, EDITS, st.randoms(use_true_random=False))
def test_later_edits_of_patients_survive_an_undoing(survivor, replaced, edit, random):
    for before, after in (
        (person("s", **survivor), merge_patients(person("s", **survivor), [person("r", **replaced)]).resource),
        (person("r", **replaced), mark_replaced(person("r", **replaced), "s")),
    ):
        assert restore(before, after, after).resource == before
        added = {"system": "urn:new", "value": "new"}
        identifiers = [*after.get("identifier", []), added]
        random.shuffle(identifiers)
        current = after | edit | {"identifier": identifiers}
        restored = restore(before, after, current)
        assert restored.conflicts == ()
        expected = before | edit
        found = dict(restored.resource)
        in_order = [one for one in identifiers if one == added or one in before.get("identifier", [])]
        assert found.pop("identifier") == in_order
        expected.pop("identifier", None)
        assert found == expected
        assert validate(restored.resource) == ()
        assert restore(before, after, restored.resource).resource == restored.resource
