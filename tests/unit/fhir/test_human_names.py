"""Names that other systems wrote."""

import pytest

from fhir_gateway.fhir.human_names import name_text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ({"text": "Wulan Sari", "given": ["W."]}, "Wulan Sari"),
        ({"given": ["Wulan"], "family": "Sari"}, "Wulan Sari"),
        ({"given": ["Wulan", None], "_given": [None, {"id": "x"}], "family": "Sari"}, "Wulan Sari"),
        ({"_text": {"id": "x"}, "family": "Sari"}, "Sari"),
        ({}, ""),
    ],
)
def test_a_name_is_its_text_or_its_parts(name, text):
    assert name_text(name) == text
