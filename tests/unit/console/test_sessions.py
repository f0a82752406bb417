"""Logins end: by time, by number, and what they keep with them."""

import pytest

from fhir_gateway.console import sessions as module
from fhir_gateway.console.sessions import Sessions
from fhir_gateway.domain.access import Role
from fhir_gateway.serving.access import Caller

CALLER = Caller("north", "k", "Sari", Role.AUDITOR)


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def logins(clock):
    return Sessions(clock=lambda: clock[0])


def test_a_login_lasts_as_long_as_it_is_used(logins, clock):
    login = logins.open(CALLER, seconds=60)
    for _ in range(5):
        clock[0] += 59
        assert logins.get(login.id) is login
    clock[0] += 60
    assert logins.get(login.id) is None
    clock[0] = 0
    assert logins.get(login.id) is None


def test_the_id_of_no_login_opens_nothing(logins):
    logins.open(CALLER, seconds=60)
    assert logins.get("") is None


def test_the_oldest_login_goes_where_there_are_too_many(logins, monkeypatch):
    monkeypatch.setattr(module, "_MOST_SESSIONS", 2)
    first, second, third = (logins.open(CALLER, seconds=60) for _ in range(3))
    assert [logins.get(each.id) for each in (first, second, third)] == [None, second, third]


def test_a_login_keeps_the_newest_things_under_handles_that_nobody_guesses(logins):
    login = logins.open(CALLER, seconds=60)
    handles = [login.keep(number) for number in range(60)]
    assert login.kept.get(handles[0]) is None
    assert login.kept[handles[-1]] == 59
    assert len(set(handles)) == 60
    assert min(map(len, handles)) >= 16
