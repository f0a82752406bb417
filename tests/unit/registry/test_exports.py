"""What a kick-off asks for, taken apart; the endpoint's tests go through the whole list of what is refused."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.registry.exports import (
    Asking,
    ExportOrder,
    Level,
    NotPermittedError,
    from_json,
    pairs_in,
    parse_export,
    to_json,
)
from fhir_gateway.registry.parameters import SEARCHES, SearchProblemError

NOW = datetime(2024, 5, 1, tzinfo=UTC)


def parsed(*pairs, level=Level.SYSTEM, permitted=(*SEARCHES, "Provenance"), **changes):
    return parse_export(pairs, Asking(level, SEARCHES, permitted, NOW, **changes))


def test_nothing_asked_for_is_everything_patients_before_doses():
    assert parsed() == ExportOrder(Level.SYSTEM, ("Organization", "Patient", "Immunization"))


def test_types_out_of_scope_are_left_out_unless_they_are_named():
    assert parsed(permitted=["Patient"]).types == ("Patient",)
    with pytest.raises(NotPermittedError, match=r"system/Immunization\.rs is needed"):
        parsed(("_type", "Patient,Immunization"), permitted=["Patient"])
    with pytest.raises(NotPermittedError):
        parsed(permitted=[])


@pytest.mark.parametrize("text", ["2024-04-01T07:00:00+07:00", "2024-04-01T00:00:00Z", "2024-04-01T07:00:00 07:00"])
def test_instants_have_a_zone_and_a_plus_may_have_become_a_blank(text):
    assert parsed(("_since", text)).since == datetime(2024, 4, 1, tzinfo=UTC)


def test_plus_signs_inside_of_filters_stay():
    order = parsed(("_typeFilter", "Immunization?date=ge2024-01-31T08:00:00+07:00"))
    assert order.searches("Immunization")[0].values("date") == ("ge2024-01-31T08:00:00+07:00",)


def test_commas_part_filters_only_where_another_type_begins():
    texts = "Immunization?status=completed,not-done,Immunization?lot-number=A\\,1,Patient?_id=1"
    order = parsed(("_typeFilter", texts))
    assert [one.values("status") for one in order.searches("Immunization")] == [("completed", "not-done"), ()]
    assert order.searches("Immunization")[1].values("lot-number") == ("A,1",)
    assert len(order.searches("Patient")) == 1


def test_a_lenient_client_is_told_what_was_ignored():
    pairs = [("_type", "Patient,Nonsense"), ("x", "1"), ("_typeFilter", "Patient?x=1"), ("patient", "Patient/1")]
    order = parsed(*pairs, lenient=True)
    assert order.types == ("Patient",)
    assert order.ignored == ("the parameter x", "the parameter patient", "the type Nonsense", "a _typeFilter")


def test_no_message_repeats_what_could_name_somebody():
    for pairs in ([("3201014101900001!", "1")], [("_type", "3201014101900001")], [("_since", "3201014101900001")]):
        with pytest.raises(SearchProblemError) as refused:
            parsed(*pairs)
        assert "3201014101900001" not in str(refused.value)


def test_people_are_named_by_reference():
    order = parsed(("patient", "Patient/1"), ("patient", "2,Patient/1"), level=Level.PATIENT, by_post=True)
    assert order.patients == ("1", "2")
    with pytest.raises(SearchProblemError):
        parsed(("patient", ",".join(map(str, range(1001)))), level=Level.PATIENT, by_post=True)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+07:00", "9999-12-31T23:59:59-07:00"])
def test_an_instant_beyond_the_calendar_is_refused(text):
    with pytest.raises(SearchProblemError, match="instant"):
        parsed(("_since", text))


def test_an_order_is_kept_as_json():
    order = parsed(
        ("_type", "Immunization"),
        ("_since", "2024-01-01T00:00:00Z"),
        ("_until", "2025-01-01T00:00:00Z"),
        ("_typeFilter", "Immunization?status=completed&date=ge2024"),
        ("_elements", "status"),
        ("includeAssociatedData", "LatestProvenanceResources"),
        level=Level.GROUP,
        group="clinic-a",
    )
    assert from_json(to_json(order)) == order


@pytest.mark.parametrize(
    "content", [None, [], {"resourceType": "Bundle"}, {"resourceType": "Parameters", "parameter": [1]}]
)
def test_a_body_is_a_parameters_resource(content):
    with pytest.raises(SearchProblemError):
        pairs_in(content)
    with pytest.raises(SearchProblemError):
        pairs_in({"resourceType": "Parameters", "parameter": [{"name": "_type", "valueInteger": 1}]})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


@settings(max_examples=50)
@given(JSON, st.lists(st.tuples(st.sampled_from(["_type", "_since", "_typeFilter", "_elements", "x"]), st.text())))
def test_whatever_is_sent_is_understood_or_refused(content, pairs):
    for body in (content, {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": content}]}):
        with suppress(SearchProblemError):
            assert parsed(*pairs, *pairs_in(body)).types
