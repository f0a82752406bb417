import pytest

from fhir_gateway.people.name_slips import is_slip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("siregar", "sregar"),
        ("hotman", "ohtman"),
        ("silalahi", "silakahi"),
        ("zidan", "jidan"),
        ("hartini", "artini"),
        ("yusmaniar", "iusmaniar"),
    ],
)
def test_slip_or_spelling_is_told(one, other):
    assert is_slip(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rizki", "rizka"),
        ("raka", "rafa"),
        ("dani", "danu"),
        ("yosef", "yose"),
        ("fitri", "fitria"),
        ("hasan", "hasam"),
    ],
)
def test_names_as_twins_have_them_are_no_slips(one, other):
    assert not is_slip(one, other)


def test_slip_is_symmetric():
    assert is_slip("aurlia", "aurelia")
    assert is_slip("aurelia", "aurlia")
