"""Checkpoints are notes that other tools can read, and no text but the signed one passes."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.audit.checkpoints import new_private_key, origin, read_signing_key
from fhir_gateway.audit.verify_history import Checkpoint, PublicKey, TreeHead

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ROOT = bytes(range(32))
SEED = base64.b64encode(bytes(32)).decode()
KEY = read_signing_key("fhir-gateway/west/00ff", SEED)
COUNTS = ROOT[::-1]
NOTE = KEY.sign(TreeHead(7, ROOT, 2, COUNTS), time=NOW)

# The example of https://c2sp.org/signed-note.
PUBLISHED_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
PUBLISHED_LINE = (
    "\u2014 example.com/foo"
    " Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
)


def test_a_checkpoint_says_what_it_vouches_for():
    read = Checkpoint.parse(NOTE)
    assert (read.origin, read.size, read.root) == ("fhir-gateway/west/00ff", 7, ROOT)
    assert read.time == "2026-03-04T05:06:07Z"
    assert read.signers([KEY.public]) == [KEY.public]
    assert (read.merges, read.counts) == (2, COUNTS)
    assert NOTE.splitlines()[1:3] == ["7", base64.b64encode(ROOT).decode()]


def test_a_checkpoint_of_before_merges_were_counted_is_read():
    read = Checkpoint.parse("a\n7\nAAAA\ntime 2026-03-04T05:06:07Z\n\n\u2014 a AAAAAAAA\n")
    assert (read.size, read.merges, read.counts) == (7, None, b"")


def test_a_key_signs_for_its_own_name_only():
    signed = Checkpoint.parse(NOTE)
    other = read_signing_key("fhir-gateway/west/ff00", SEED).public
    encoded = base64.b64encode(other.id + signed.signatures[0][2]).decode()
    relabelled = Checkpoint.parse(f"{signed.text}\n\u2014 {other.name} {encoded}\n")
    assert relabelled.signatures[0][:2] == (other.name, other.id)
    assert relabelled.signers([other]) == []


def test_the_published_key_and_signature_are_read_as_published():
    key = PublicKey.parse(PUBLISHED_KEY)
    assert (key.name, key.id.hex(), str(key)) == ("example.com/foo", "530d903a", PUBLISHED_KEY)
    encoded = PUBLISHED_LINE.rpartition(" ")[2]
    note = Checkpoint(key.name, 0, b"", "", "This is an example message.\n", ((key.name, key.id, _signature(encoded)),))
    assert note.signers([key]) == [key]


def _signature(encoded):
    return base64.b64decode(encoded)[4:]


@settings(derandomize=True, max_examples=200)
@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(1, 255))
def test_no_byte_of_a_checkpoint_can_change(place, change):
    body = bytearray(NOTE.encode())
    body[place] ^= change
    try:
        read = Checkpoint.parse(body.decode())
        signers = read.signers([KEY.public])
    except ValueError:
        return
    assert not signers or read == Checkpoint.parse(NOTE)


def test_another_key_of_the_same_name_has_not_signed():
    other = read_signing_key(KEY.public.name, new_private_key())
    assert Checkpoint.parse(NOTE).signers([other.public]) == []


@pytest.mark.parametrize(
    "text",
    ["", "x", "a\nb\nc\n\n", "a\n1\n!\n\n\u2014 a AAAA", "a\n1\nAAAA\n\n- a AAAAAAAA"]
    + [NOTE.replace("\n7\n", f"\n{size}\n") for size in ("0", "07", "-7", "7.0", "\u0667", "9" * 5000)]
    + [NOTE.replace("merges 2", f"merges {count}") for count in ("-2", "02", "x")],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(ValueError):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "text", ["", "x", "a+b+c", PUBLISHED_KEY.replace("530d", "530e"), PUBLISHED_KEY[:-4], "x" + PUBLISHED_KEY]
)
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(ValueError):
        PublicKey.parse(text)


@pytest.mark.parametrize(
    "text", ["", "secret", SEED[:-4], "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_what_is_no_private_key_is_refused_without_being_shown(text):
    with pytest.raises(ValueError, match="no Ed25519 key") as caught:
        read_signing_key("n", text)
    assert not text or text not in str(caught.value)


def test_keys_are_read_as_pem_or_as_bytes():
    pem = new_private_key()
    assert read_signing_key("n", pem).public == read_signing_key("n", pem.strip()).public
    assert read_signing_key("n", SEED).public.id != read_signing_key("n", pem).public.id


def test_an_origin_names_environment_and_ledger():
    assert origin("west", "00ff") == "fhir-gateway/west/00ff"
