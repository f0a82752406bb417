import pytest

from fhir_gateway.registry.scopes import InvalidScopeError, allows, narrow, parse_scopes


def texts(scopes):
    return [str(scope) for scope in scopes]


def test_both_syntaxes_mean_the_same():
    assert parse_scopes("system/Patient.read") == parse_scopes("system/Patient.rs")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "openid",
        "patient/Immunization.rs",
        "user/Patient.rs",
        "system/Patient.write",
        "system/Patient.cruds",
        "system/Patient.*",
        "system/*.*",
        "system/Patient.sr",
        "system/Nonsense.rs",
        "system/Patient.rs?_id=1",
        "system/Patient.rs system/Patient.d",
    ],
)
def test_unknown_and_writing_scopes_are_refused(text):
    with pytest.raises(InvalidScopeError):
        parse_scopes(text)


def test_a_wildcard_is_narrowed_to_what_is_granted():
    granted = parse_scopes("system/Immunization.rs system/Patient.r")
    assert texts(narrow(parse_scopes("system/*.rs"), granted)) == ["system/Immunization.rs", "system/Patient.r"]


def test_a_granted_wildcard_gives_what_was_asked_for():
    assert texts(narrow(parse_scopes("system/Patient.s"), parse_scopes("system/*.rs"))) == ["system/Patient.s"]


def test_what_is_not_granted_is_left_out():
    requested = parse_scopes("system/Immunization.read system/Patient.read system/Condition.read")
    assert texts(narrow(requested, parse_scopes("system/Immunization.rs"))) == ["system/Immunization.rs"]


def test_nothing_granted_of_what_was_asked_for_is_refused():
    with pytest.raises(InvalidScopeError):
        narrow(parse_scopes("system/Condition.rs"), parse_scopes("system/*.rs"))


def test_reading_is_not_searching():
    scopes = parse_scopes("system/Patient.r")
    assert allows(scopes, "Patient", "r")
    assert not allows(scopes, "Patient", "s")
    assert not allows(scopes, "Immunization", "r")
