import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.domain import systems
from fhir_gateway.people.addresses import AddressText, read_address


def _codes(address):
    return {part["url"]: part["valueCode"] for outer in address.get("extension", []) for part in outer["extension"]}


def test_a_whole_address_tells_its_administrative_codes():
    address = read_address(AddressText(text="Desa Gemuruh RT 02/RW 03, Kec. Padamara, Kab. Purbalingga"))
    assert address["extension"][0]["url"] == systems.ADMINISTRATIVE_CODE
    assert _codes(address) == {"province": "33", "city": "3303", "district": "330315", "rt": "2", "rw": "3"}
    assert address["text"] == "Desa Gemuruh RT 02/RW 03, Kec. Padamara, Kab. Purbalingga"


@pytest.mark.parametrize(
    ("text", "codes"),
    [("Majapura RT02/RW04", {"rt": "2", "rw": "4"}), ("RT 1000 RW 03", {}), ("RT 2 RW 1000", {"rt": "2"})],
)
def test_rt_and_rw_have_three_digits_at_most(text, codes):
    assert _codes(read_address(AddressText(text=text))) == codes


def test_columns_tell_their_codes():
    address = read_address(
        AddressText(village="Dasan Geria", district="Kec. Lingsar", regency="Kab. Lombok Barat", province="NTB")
    )
    assert _codes(address) == {"province": "52", "city": "5201", "district": "520112"}
    assert (address["line"], address["district"], address["city"]) == (["Dasan Geria"], "Lingsar", "Lombok Barat")


def test_a_district_of_a_regency_that_is_not_told_has_no_code():
    assert _codes(read_address(AddressText(text="Kec. Rembang"))) == {}


def test_a_regency_of_another_province_has_no_code():
    assert _codes(read_address(AddressText(regency="Purbalingga", province="Bali"))) == {"province": "51"}


def test_a_village_alone_is_a_line():
    assert read_address(AddressText(village="Majapura")) == {
        "use": "home",
        "text": "Majapura",
        "country": "ID",
        "line": ["Majapura"],
    }


@settings(derandomize=True)
@given(st.text(max_size=60))
def test_no_text_makes_the_reader_fail(text):
    assert read_address(AddressText(text=text))["use"] == "home"


@pytest.mark.parametrize(
    ("text", "district", "city", "codes"),
    [
        ("Kec. Gerung Kab. Lombok Barat NTB", "Gerung", "Lombok Barat", {"province": "52", "city": "5201", "district": "520101"}),
        ("Kec. Batulayar Lombok Barat", "Batulayar", "Lombok Barat", {"province": "52", "city": "5201", "district": "520114"}),
        ("Kec. Gunung Sari, Kab. Lombok Barat", "Gunung Sari", "Lombok Barat", {"province": "52", "city": "5201", "district": "520109"}),
        ("Kec. Jambi Luar Kab. Muaro Jambi", "Jambi Luar", "Muaro Jambi", {}),
    ],
)  # fmt: skip
def test_what_stands_behind_without_a_comma_is_told_apart(text, district, city, codes):
    address = read_address(AddressText(text=text))
    assert (address["district"], address["city"], _codes(address)) == (district, city, codes)
