"""Each attack on a client's proof of who it is, refused; and what ordinary clients send, taken."""

import base64
import hmac
import json
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from fhir_gateway.domain.registry import RegistryClient
from fhir_gateway.registry.assertions import InvalidClientError, check_assertion, claimed
from fhir_gateway.registry.client_keys import UnusableKeysError, read_keys

NOW = datetime(2024, 5, 1, tzinfo=UTC)
TOKEN_URL = "https://gateway.example/purbalingga/fhir/auth/token"
EC = ECKey.generate_key("P-384", {"kid": "ec-1", "alg": "ES384"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "alg": "RS384"})
OTHER = ECKey.generate_key("P-384", {"kid": "ec-1"})
JWKS = json.dumps({"keys": [EC.as_dict(private=False), RSA.as_dict(private=False)]})
CLIENT = RegistryClient("c-1", "Registry", (), NOW, jwks=JWKS)


def claims(**changes):
    seconds = int(NOW.timestamp())
    given = {"iss": "c-1", "sub": "c-1", "aud": TOKEN_URL, "exp": seconds + 299, "jti": "once"} | changes
    return {name: value for name, value in given.items() if value is not None}


def assertion(key=EC, algorithm="ES384", kid="ec-1", header=(), **changes):
    head = {"alg": algorithm, "typ": "JWT", **({"kid": kid} if kid else {}), **dict(header)}
    return jwt.encode(head, claims(**changes), key, algorithms=[algorithm])


def check(text, client=CLIENT, keys=JWKS):
    return check_assertion(text, client=client, keys=read_keys(keys), token_url=TOKEN_URL, now=NOW)


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(EC, "ES384", "ec-1"), (RSA, "RS384", "rsa-1")])
def test_both_algorithms_are_taken(key, algorithm, kid):
    proved = check(assertion(key, algorithm, kid))
    assert (proved.id, proved.expires) == ("once", NOW + timedelta(seconds=299))


def test_a_client_that_names_no_key_is_known_by_its_only_one():
    assert check(assertion(kid=None)).id == "once"


def test_a_client_that_names_no_key_of_several_is_refused():
    two = json.dumps({"keys": [EC.as_dict(private=False), OTHER.as_dict(private=False) | {"kid": "ec-2"}]})
    with pytest.raises(InvalidClientError, match="kid"):
        check(assertion(kid=None), keys=two)


def test_the_audience_may_be_a_list_of_one():
    assert check(assertion(aud=[TOKEN_URL])).id == "once"


def test_a_url_of_keys_is_heeded_only_where_it_is_the_registered_one():
    url = "https://registry.example/jwks"
    client = RegistryClient("c-1", "Registry", (), NOW, jwks_url=url)
    assert check(assertion(header={"jku": url}), client=client).id == "once"
    with pytest.raises(InvalidClientError, match="jku"):
        check(assertion(header={"jku": "https://attacker.example/jwks"}), client=client)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://gateway.example/lombok/fhir/auth/token"},
        {"aud": None},
        {"aud": [TOKEN_URL, "https://elsewhere.example"]},
        {"iss": "c-2"},
        {"sub": "c-2"},
        {"sub": None},
        {"exp": int(NOW.timestamp())},
        {"exp": int(NOW.timestamp()) - 1},
        {"exp": int(NOW.timestamp()) + 900},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1e300},
        {"nbf": int(NOW.timestamp()) + 60},
        {"iat": int(NOW.timestamp()) + 60},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 300},
        {"jti": "once\x00"},
    ],
)
def test_claims_that_prove_nothing_are_refused(changes):
    with pytest.raises(InvalidClientError):
        check(assertion(**changes))


def test_another_client_s_key_is_refused():
    with pytest.raises(InvalidClientError, match="signature"):
        check(assertion(OTHER))


def test_a_key_that_is_not_registered_is_refused():
    with pytest.raises(InvalidClientError, match="kid"):
        check(assertion(kid="ec-9"))


def part(content):
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def test_no_algorithm_is_refused():
    for algorithm in ("none", "None", "NONE", "", None):
        with pytest.raises(InvalidClientError, match="algorithm"):
            check(f"{part({'alg': algorithm, 'kid': 'ec-1'})}.{part(claims())}.")


@pytest.mark.parametrize("algorithm", [None, 7, ["ES384"], {"ES384": "ES384"}])
def test_an_algorithm_that_is_no_text_is_refused(algorithm):
    with pytest.raises(InvalidClientError, match="another algorithm"):
        check(".".join([part({"alg": algorithm, "kid": "ec-1"}), part(claims()), "AAAA"]))


def test_a_secret_made_of_the_public_key_is_refused():
    signed = f"{part({'alg': 'HS256', 'kid': 'rsa-1'})}.{part(claims())}"
    digest = hmac.digest(RSA.as_pem(private=False), signed.encode(), "sha256")
    forged = f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
    with pytest.raises(InvalidClientError, match="algorithm"):
        check(forged)


def test_a_key_inside_of_the_assertion_is_not_looked_at():
    with pytest.raises(InvalidClientError, match="signature"):
        check(assertion(OTHER, header={"jwk": OTHER.as_dict(private=False)}))


def test_critical_headers_are_not_passed_over():
    text = f"{part({'alg': 'ES384', 'kid': 'ec-1', 'crit': ['b64'], 'b64': False})}.{part(claims())}.AAAA"
    with pytest.raises(InvalidClientError, match="critical"):
        check(text)


def test_a_changed_byte_is_noticed():
    head, body, signature = assertion().split(".")
    with pytest.raises(InvalidClientError):
        check(".".join([head, part(claims(jti="another")), signature]))
    with pytest.raises(InvalidClientError):
        check(".".join([head, body, signature[:-4] + ("AAAA" if not signature.endswith("AAAA") else "BBBB")]))


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c", "a.b.c.d", "....", "x" * 20000, "eyJ9.e30.", "W10.W10.x"])
def test_rubbish_is_refused(text):
    with pytest.raises(InvalidClientError):
        claimed(text)


def test_a_private_key_is_never_registered():
    with pytest.raises(UnusableKeysError, match="private"):
        read_keys(json.dumps({"keys": [EC.as_dict(private=True)]}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": [1]}',
        json.dumps({"keys": [OctKey.generate_key(256).as_dict(private=False)]}),
        json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}),
        json.dumps({"keys": [EC.as_dict(private=False), OTHER.as_dict(private=False)]}),
        json.dumps({"keys": [EC.as_dict(private=False) | {"use": "enc"}]}),
        json.dumps({"keys": [EC.as_dict(private=False) | {"alg": ["ES384"]}]}),
        json.dumps({"keys": [EC.as_dict(private=False) | {"key_ops": 7}]}),
        json.dumps({"keys": [EC.as_dict(private=False) | {"key_ops": "verify"}]}),
        json.dumps({"keys": [{"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}]}),
        '{"keys": [' + "1," * 40000 + "1]}",
    ],
    ids=lambda text: str(len(text)),  # the keys differ each time
)
def test_sets_without_a_usable_key_are_refused(text):
    with pytest.raises(UnusableKeysError):
        read_keys(text)


def test_a_short_rsa_key_is_not_usable():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of short keys
        short = RSAKey.generate_key(1024, {"kid": "short"})
        with pytest.raises(UnusableKeysError):
            read_keys(json.dumps({"keys": [short.as_dict(private=False)]}))
