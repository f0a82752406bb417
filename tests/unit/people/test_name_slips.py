import pytest

from fhir_gateway.people.name_slips import is_slip, parents_choose_between


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


@pytest.mark.parametrize(
    ("one", "other"), [("nayla", "naila"), ("nadya", "nadia"), ("meisya", "meisha"), ("aisyah", "aysha")]
)
def test_spelling_that_parents_choose_is_told(one, other):
    assert parents_choose_between((one, "putri"), ("putri", other))
    assert parents_choose_between((f"{other}putri",), (one, "putri"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("syarif", "sarif"),
        ("rizki", "rizky"),
        ("nuraini", "nuraeni"),
        ("fitriani", "fitriyani"),
        ("yusuf", "jusuf"),
        ("dzaki", "zaki"),
    ],
)
def test_spelling_of_clerks_is_one_name(one, other):
    assert not parents_choose_between((one, "putri"), (other, "putri"))
