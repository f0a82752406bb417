"""A ledger that knows people under the blocking keys of an earlier version: nobody in it is forgotten."""

import sqlite3
from hashlib import blake2b

WORDS = "Zulkhairi Wirabuana;;L;{};Marsyandira Kusumawardani;Karangtalun;"
FIRST = f"1;{WORDS.format('15/03/2020')};21/09/2021;bOPV;1;P100"
NEXT = f"1;{WORDS.format('28/07/2021')};28/10/2021;MR;1;M100"
THEN = "f:ksmrdn:slkr:505"
"""The key with the mother's name, an own one and four years of birth, as versions before wrote it; its digest was stored."""


def known_under(place, *texts):
    """Let the ledger know its one Patient under these keys alone."""
    (patient_id,) = place.content()[0]
    digests = [blake2b(text.encode(), digest_size=8).digest() for text in texts]
    with sqlite3.connect(place.home / ".fhir-gateway/embedded/ledger.db") as ledger:
        ledger.execute("DELETE FROM known_blocks")
        rows = [(int.from_bytes(each, signed=True), patient_id) for each in digests]
        ledger.executemany("INSERT INTO known_blocks (key, patient_id) VALUES (?, ?)", rows)
    ledger.close()


def test_who_is_known_under_a_key_of_before_is_asked_about(place):
    place.load(place.sheet(FIRST))
    known_under(place, THEN)
    assert place.load(place.sheet(NEXT, name="next.csv"))["review"] == 1


def test_who_is_known_under_no_key_would_not_be_met(place):
    place.load(place.sheet(FIRST))
    known_under(place)
    assert place.load(place.sheet(NEXT, name="next.csv"))["loaded"] == 1
