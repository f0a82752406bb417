"""Two versions of a resource side by side."""

from fhir_gateway.console.comparing import Line, compared, compared_element


def test_a_list_that_grows_is_numbered_alike_on_both_sides():
    before = {"telecom": [{"value": "1"}]}
    after = {"telecom": [{"value": "1"}, {"value": "2"}]}
    assert compared(before, after) == [Line("telecom[1].value", "1", "1"), Line("telecom[2].value", "", "2")]


def test_what_is_new_stands_with_what_is_gone():
    lines = compared({"active": True, "name": [{"text": "A"}]}, {"active": False, "link": [{"type": "replaces"}]})
    assert [(line.path, line.before, line.after, line.changed) for line in lines] == [
        ("active", "true", "false", True),
        ("name.text", "A", "", True),
        ("link.type", "", "replaces", True),
    ]


def test_an_element_of_another_kind_loses_nothing():
    assert compared({"x": {"y": 1}}, {"x": "z"}) == [Line("x.y", "1", ""), Line("x", "", "z")]


def test_the_narrative_is_shown_where_it_differs_only():
    text = {"status": "generated", "div": "<div>A</div>"}
    assert compared({"text": text}, {"text": text}) == []
    assert compared({"text": text}, {}) == [Line("text.status", "generated", ""), Line("text.div", "<div>A</div>", "")]


def test_a_resource_that_is_created_has_nothing_before():
    assert compared(None, {"resourceType": "Provenance", "id": "p", "recorded": "2026"}) == [
        Line("recorded", "", "2026")
    ]


def test_a_json_pointer_is_written_as_a_path():
    lines = compared_element("/identifier/2", None, {"system": "s", "value": "v"})
    assert [line.path for line in lines] == ["identifier[3].system", "identifier[3].value"]
