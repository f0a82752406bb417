from datetime import UTC, datetime, timedelta

import pytest
from joserfc.jwk import ECKey

from fhir_gateway.domain.registry import Puller
from fhir_gateway.registry import tokens
from fhir_gateway.registry.scopes import parse_scopes
from fhir_gateway.registry.tokens import TOKEN_LIFE, ProvedTokens, RefusedTokenError, SigningKey, issue

NOW = datetime(2024, 5, 1, tzinfo=UTC)
BASE = "https://gateway.example/north/fhir"


def signing_key(key_id, retired=None):
    return SigningKey(key_id, ECKey.generate_key("P-384", {"kid": key_id, "use": "sig"}), NOW, retired)


KEY = signing_key("k-1")


def puller(number=1, expires=NOW + TOKEN_LIFE):
    return Puller("c-1", "north", parse_scopes("system/Immunization.rs"), f"t-{number}", expires)


def token(number=1, key=KEY, expires=NOW + TOKEN_LIFE):
    return issue(puller(number, expires), base=BASE, key=key, now=NOW)


@pytest.fixture
def proofs(monkeypatch):
    """The tokens whose signature was proved, one entry each time."""
    made = []
    check = tokens.check_token

    def counted(text, **given):
        made.append(text)
        return check(text, **given)

    monkeypatch.setattr(tokens, "check_token", counted)
    return made


def test_a_token_is_proved_once(proofs):
    door, text = ProvedTokens("north"), token()
    assert [door.check(text, base=BASE, keys=(KEY,), now=NOW) for _ in range(3)] == [puller()] * 3
    assert proofs == [text]


def test_a_proved_token_expires_all_the_same():
    door, text = ProvedTokens("north"), token()
    door.check(text, base=BASE, keys=(KEY,), now=NOW + TOKEN_LIFE - timedelta(seconds=1))
    with pytest.raises(RefusedTokenError, match="expired"):
        door.check(text, base=BASE, keys=(KEY,), now=NOW + TOKEN_LIFE)


def test_a_proved_token_opens_no_other_environment():
    door, text = ProvedTokens("north"), token()
    door.check(text, base=BASE, keys=(KEY,), now=NOW)
    with pytest.raises(RefusedTokenError, match="another environment"):
        door.check(text, base="https://gateway.example/south/fhir", keys=(KEY,), now=NOW)


def test_what_one_environment_has_proved_another_does_not_believe():
    north, south = ProvedTokens("north"), ProvedTokens("south")
    north.check(token(), base=BASE, keys=(KEY,), now=NOW)
    with pytest.raises(RefusedTokenError):
        south.check(token(), base="https://gateway.example/south/fhir", keys=(signing_key("k-2"),), now=NOW)


def test_a_withdrawn_key_ends_its_proved_tokens():
    door, text = ProvedTokens("north"), token()
    door.check(text, base=BASE, keys=(KEY,), now=NOW)
    with pytest.raises(RefusedTokenError, match="withdrawn"):
        door.check(text, base=BASE, keys=(signing_key("k-2"),), now=NOW)


def test_another_key_of_the_same_name_proves_nothing():
    door, text = ProvedTokens("north"), token()
    door.check(text, base=BASE, keys=(KEY,), now=NOW)
    with pytest.raises(RefusedTokenError):
        door.check(text, base=BASE, keys=(signing_key("k-1"),), now=NOW)


def test_a_retired_key_ends_its_proved_tokens_with_its_last():
    retired = signing_key("k-0", retired=NOW - timedelta(minutes=1))
    door, text = ProvedTokens("north"), token(key=retired)
    assert door.check(text, base=BASE, keys=(retired, KEY), now=NOW) == puller()
    with pytest.raises(RefusedTokenError, match="withdrawn"):
        door.check(text, base=BASE, keys=(retired, KEY), now=NOW - timedelta(minutes=1) + TOKEN_LIFE)


def test_a_changed_token_is_none_that_was_proved():
    door, text = ProvedTokens("north"), token()
    door.check(text, base=BASE, keys=(KEY,), now=NOW)
    body, _, signature = text.rpartition(".")
    changed = f"{body}.{'B' if signature[0] != 'B' else 'C'}{signature[1:]}"
    with pytest.raises(RefusedTokenError):
        door.check(changed, base=BASE, keys=(KEY,), now=NOW)


def test_what_has_expired_makes_room(proofs):
    door = ProvedTokens("north", most=1)
    door.check(token(1, expires=NOW + timedelta(minutes=1)), base=BASE, keys=(KEY,), now=NOW)
    second, later = token(2), NOW + timedelta(minutes=2)
    for _ in range(3):
        door.check(second, base=BASE, keys=(KEY,), now=later)
    assert proofs.count(second) == 1


def test_one_too_many_is_proved_each_time(proofs):
    door, second = ProvedTokens("north", most=1), token(2)
    door.check(token(1), base=BASE, keys=(KEY,), now=NOW)
    for _ in range(3):
        assert door.check(second, base=BASE, keys=(KEY,), now=NOW) == puller(2)
    assert proofs.count(second) == 3
