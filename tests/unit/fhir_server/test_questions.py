from urllib.parse import parse_qsl

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.fhir_server.questions import cut, encoded, escaped, is_personal

VALUES = st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=60)


@given(VALUES, st.integers(50, 400), st.integers(1, 20))
@settings(derandomize=True)
def test_cut_questions_ask_everything_once_and_stay_short(values, longest, most_values):
    questions = list(cut({"identifier": values, "active": ["true"]}, longest=longest, most_values=most_values))
    assert [value for question in questions for value in question["identifier"]] == list(dict.fromkeys(values))
    for question in questions:
        assert question["active"] == ["true"]
        assert len(question["identifier"]) <= most_values
        assert len(question["identifier"]) == 1 or len(encoded(question)) <= longest


@given(st.text(max_size=30))
@settings(derandomize=True)
def test_an_escaped_value_is_one_value(value):
    text = escaped(value)
    assert "," not in text.replace("\\\\", "").replace("\\,", "")
    assert dict(parse_qsl(encoded({"identifier": [value]}), keep_blank_values=True))["identifier"] == text


def test_only_the_first_bar_separates_system_and_value():
    assert escaped("urn:x|a|b,c$d\\e") == "urn:x|a\\|b\\,c\\$d\\\\e"


def test_what_tells_of_a_person_is_personal():
    assert is_personal({"identifier": ["x"]})
    assert is_personal({"birthdate": ["2000-01-01"], "_count": ["1"]})
    assert not is_personal({"patient": ["Patient/1"], "_lastUpdated": ["gt2020"]})
