from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from fhir_gateway.domain.registry import Puller
from fhir_gateway.registry.scopes import parse_scopes
from fhir_gateway.registry.tokens import TOKEN_LIFE, RefusedTokenError, SigningKey, check_token, issue, published

NOW = datetime(2024, 5, 1, tzinfo=UTC)
BASE = "https://gateway.example/north/fhir"


def signing_key(key_id, retired=None):
    return SigningKey(key_id, ECKey.generate_key("P-384", {"kid": key_id, "use": "sig"}), NOW, retired)


KEY = signing_key("k-1")
PULLER = Puller("c-1", "north", parse_scopes("system/Immunization.rs system/Patient.r"), "t-1", NOW + TOKEN_LIFE)


def token(key=KEY, base=BASE):
    return issue(PULLER, base=base, key=key, now=NOW)


def check(text, *, environment="north", base=BASE, keys=(KEY,), now=NOW):
    return check_token(text, environment=environment, base=base, keys=keys, now=now)


def test_a_token_lets_in_whom_it_was_issued_to():
    assert check(token()) == PULLER


def test_it_lives_five_minutes():
    assert check(token(), now=NOW + timedelta(minutes=5, seconds=-1)) == PULLER
    with pytest.raises(RefusedTokenError, match="expired"):
        check(token(), now=NOW + timedelta(minutes=5))


def test_it_opens_one_environment_only():
    south = "https://gateway.example/south/fhir"
    with pytest.raises(RefusedTokenError, match="another environment"):
        check(token(), environment="south", base=south)


def test_a_forged_one_is_refused():
    with pytest.raises(RefusedTokenError):
        check(token(signing_key("k-1")))


def test_a_retired_key_is_believed_until_its_tokens_have_expired():
    retired = signing_key("k-0", retired=NOW)
    assert check(token(retired), keys=(retired, KEY)) == PULLER
    with pytest.raises(RefusedTokenError, match="withdrawn"):
        check(token(retired), keys=(retired, KEY), now=NOW + TOKEN_LIFE)


@pytest.mark.parametrize("typ", ["JWT", None, "id+jwt"])
def test_a_jwt_of_another_kind_is_no_token(typ):
    claims = {"iss": BASE, "aud": BASE, "client_id": "c-1", "scope": "system/Patient.r", "jti": "t", "exp": 2**33}
    header = {"alg": "ES384", "kid": "k-1"} | ({"typ": typ} if typ else {})
    text = jwt.encode(header, claims, KEY.key, algorithms=["ES384"], default_type=typ)
    with pytest.raises(RefusedTokenError):
        check(text)


@pytest.mark.parametrize("text", ["", "a.b.c", "fgk-00000000-x", "x" * 9000])
def test_rubbish_is_refused(text):
    with pytest.raises(RefusedTokenError):
        check(text)


def test_only_public_parts_are_published():
    assert all("d" not in one for one in published([KEY])["keys"])
    assert published([KEY])["keys"][0]["kid"] == "k-1"
