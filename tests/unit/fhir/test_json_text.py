import pytest

from fhir_gateway.fhir import json_text


@pytest.mark.parametrize(
    "text", [b'{"a":0.50}', b'{"a":[1.0,-2.500]}', b'{"a":1,"b":"0.5"}', b'{"a":0.1000000000000000055}']
)
def test_digits_are_kept(text):
    assert json_text.dump(json_text.parse(text)) == text


@pytest.mark.parametrize("text", [b"", b"{", b"NaN", b'{"a":1.5,"b":NaN}', b"\xff", b'{"a":Infinity}', b"[" * 5000])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError):
        json_text.parse(text)


@pytest.mark.parametrize("text", [b'{"at":"12:30:05.512Z"}', b'{"nik":"3,30399E+15"}'])
def test_times_and_texts_are_not_taken_for_numbers_with_a_fraction(text, monkeypatch):
    monkeypatch.setattr("json.loads", None)  # what reads a text a second time, slowly, for the digits
    assert json_text.parse(text)
