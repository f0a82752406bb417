"""Blocking: under which keys two people meet to be compared, and where a server is searched for them.

Each key survives some kinds of errors; together they let nearly all pairs of one person meet, while every key stays
rare enough to keep blocks small: none is a name, a date or a phone alone.
"""

from collections.abc import Iterator

from fhir_gateway.domain import systems
from fhir_gateway.domain.identity import Probe
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.people.name_sounds import sound_key
from fhir_gateway.people.name_words import WEAK_WORDS
from fhir_gateway.people.names import name_keys, tokens_of_key

_WORDS_OF_A_NAME = 3
_PROBED_NAMES = 4


def blocking_keys(evidence: PersonEvidence) -> tuple[str, ...]:
    """Return the keys under which a person is compared: two people who share one may be the same.

    Keys are opaque strings that hold personal data (NIKs, dates): they belong where the evidence itself may stand.
    """
    sounds = _own_sounds(evidence)
    mothers = _sounds_of(evidence.mother_keys + evidence.parent_keys)
    keys = [
        *_number_keys(evidence),
        *_birth_date_keys(evidence, sounds, mothers),
        *_name_and_family_keys(evidence, sounds, mothers),
    ]
    return tuple(dict.fromkeys(keys))


def _number_keys(evidence: PersonEvidence) -> Iterator[str]:
    for nik in evidence.niks + evidence.old_niks:
        yield f"n:{nik[:15]}"
    for nik in evidence.damaged_niks:
        if len(nik) >= 15:
            yield f"n:{nik[:15]}"
    for number in evidence.parent_niks:
        yield f"n:{number[:15]}"
    for clinic, number in evidence.records:
        yield f"r:{clinic}:{number}"
    for person in evidence.persons:
        yield f"o:{person}"


def _birth_date_keys(evidence: PersonEvidence, sounds: tuple[str, ...], mothers: tuple[str, ...]) -> Iterator[str]:
    """Keys with the birth date, day and month in either order; without a day, year (and month) with two words."""
    born = evidence.birth_date
    if not born.year:
        return
    if born.whole:
        first, second = sorted((born.day, born.month))
        for sound in sounds:
            yield f"d:{born.year}{first:02}{second:02}:{sound}"
        for mother in mothers[:3]:
            yield f"m:{born.year}{first:02}{second:02}:{mother}"
        for number in evidence.phones:
            yield f"t:{born.year}{first:02}{second:02}:{number}"
    if len(sounds) >= 2:
        one, other = sorted(sounds[:2])
        yield f"y:{born.year}:{one}:{other}"
        if born.whole:
            yield f"b:{born.month}-{born.day}:{one}:{other}"
    elif sounds and mothers:
        yield f"y:{born.year}:{sounds[0]}:{mothers[0]}"


def _name_and_family_keys(evidence: PersonEvidence, sounds: tuple[str, ...], mothers: tuple[str, ...]) -> Iterator[str]:
    for phone in evidence.phones:
        for sound in sounds:
            yield f"p:{phone}:{sound}"
    for mother in mothers[:1]:
        for sound in sounds[:2]:
            yield f"f:{mother}:{sound}:{evidence.birth_date.year // 4 if evidence.birth_date.year else ''}"


def _own_sounds(evidence: PersonEvidence) -> tuple[str, ...]:
    """Return the sounds of a person's own names, the joined name's first where it is two words that others join."""
    sounds: dict[str, None] = {}
    for name in evidence.names:
        if name.key:
            sounds.update(dict.fromkeys(name_keys(name)[:_WORDS_OF_A_NAME]))
    return tuple(sounds)


def _sounds_of(keys: tuple[str, ...]) -> tuple[str, ...]:
    sounds: dict[str, None] = {}
    for key in keys:
        _, forms, _, _ = tokens_of_key(key)
        telling = [form for form in forms if form not in WEAK_WORDS and len(form) > 1] or list(forms)
        sounds.update(
            dict.fromkeys(sound_key(form) for form in sorted(set(telling), key=lambda form: (-len(form), form)))
        )
    return tuple(sounds)


def probe_of(number: int, evidence: PersonEvidence) -> Probe:
    """Return where a spooled person's candidates may be found on a server.

    The person's own NIKs, earlier ones and the gateway's own identifier first, then record numbers and the parent's NIK.
    """
    identifiers = [(systems.PERSON, person) for person in evidence.persons]
    identifiers += [(systems.NIK, nik) for nik in evidence.niks + evidence.old_niks]
    identifiers += [(systems.medical_record(clinic), number) for clinic, number in evidence.records]
    identifiers += [(systems.NIK_IBU, nik) for nik in evidence.parent_niks if len(nik) == 16]
    return Probe(
        number,
        identifiers=tuple(identifiers),
        birth_dates=_probed_dates(evidence),
        gender=evidence.gender,
        phones=evidence.phones,
        names=_probed_names(evidence),
    )


def _probed_dates(evidence: PersonEvidence) -> tuple[str, ...]:
    born = evidence.birth_date
    if not born.whole:
        return ()
    dates = [f"{born.year:04}-{born.month:02}-{born.day:02}"]
    if born.day <= 12 and born.day != born.month:
        dates.append(f"{born.year:04}-{born.day:02}-{born.month:02}")
    return tuple(dates)


def _probed_names(evidence: PersonEvidence) -> tuple[str, ...]:
    """Return the plain words of the person's names (the mother's for a newborn), telling ones first, longest first."""
    keys = evidence.own_keys or evidence.mother_keys
    words = {word for key in keys for word in tokens_of_key(key)[0] if len(word) > 1}
    ordered = sorted(words, key=lambda word: (word in WEAK_WORDS, -len(word), word))
    return tuple(ordered[:_PROBED_NAMES])
