"""NIKs as they are pasted into a form."""

import pytest

from fhir_gateway.console.guarding import PageRefusedError
from fhir_gateway.console.niks import many_niks, masked, one_nik

NIK, OTHER = "3303015203200003", "3303021107190012"


@pytest.mark.parametrize(
    "text",
    [
        f"{NIK}\n{OTHER}",
        f"{NIK}\r\n\r\n {OTHER} \r\n{NIK}",
        f"{NIK}, {OTHER}",
        f"{NIK};{OTHER};",
        f"{NIK} {OTHER}",
        f"3303 0152 0320 0003\n{OTHER}",
        f"33.03.01.520320.0003\n{OTHER}",
    ],
)
def test_niks_are_read_however_they_are_parted(text):
    assert many_niks(text) == [NIK, OTHER]


@pytest.mark.parametrize("text", ["", " \n ", ",;"])
def test_nothing_is_no_nik(text):
    assert many_niks(text) == []


@pytest.mark.parametrize("text", ["12345", f"{NIK}9", "Ratna", f"{NIK}\n33030152"])
def test_what_is_no_nik_is_told_by_its_place_and_not_shown(text):
    with pytest.raises(PageRefusedError) as refused:
        many_niks(text)
    assert refused.value.status == 422
    assert not any(word in str(refused.value) for word in text.split())


def test_a_single_nik_has_sixteen_digits():
    assert one_nik(" 3303 0152 0320 0003 ") == NIK
    assert one_nik("") == ""
    with pytest.raises(PageRefusedError):
        one_nik("12345")


def test_a_masked_nik_keeps_its_ends():
    assert masked(NIK) == "33••••••••••••03"
    assert masked("") == ""
