"""Blocking: under which keys two people meet to be compared, and where a server is searched for them.

Each key survives some kinds of errors; together they let nearly all pairs of one person meet, while every key stays
rare enough to keep blocks small: none is a name, a date or a phone alone.
"""

from itertools import chain

from fhir_gateway.domain import systems
from fhir_gateway.domain.identity import Probe
from fhir_gateway.domain.recent import remembered
from fhir_gateway.identity.evidence import BirthDate, PersonEvidence
from fhir_gateway.people.name_sounds import joined_sound_key
from fhir_gateway.people.name_words import WEAK_WORDS
from fhir_gateway.people.names import name_keys, own_tokens_of_key, sounds_of, tokens_of_key

_WORDS_OF_A_NAME = 3
_PROBED_NAMES = 4


def blocking_keys(evidence: PersonEvidence) -> tuple[str, ...]:
    """Return the keys under which a person is compared: two people who share one may be the same.

    Keys are opaque strings that hold personal data (NIKs, dates): they belong where the evidence itself may stand.
    """
    sounds = _own_sounds(evidence)
    mothers = _sounds_of(evidence.mother_keys + evidence.parent_keys)
    keys = _number_keys(evidence)
    if evidence.birth_date.year:
        keys += _birth_date_keys(evidence, sounds, mothers)
    keys += _name_and_family_keys(evidence, sounds, mothers)
    return tuple(keys)


def earlier_keys(evidence: PersonEvidence) -> tuple[str, ...]:
    """Return the keys that blocking_keys() has told once and tells no more: a ledger of then knows people under them.

    They were of the mother's and an own name in four years of birth, under which mostly strangers met.
    """
    mothers = _sounds_of(evidence.mother_keys + evidence.parent_keys)
    if not (mothers and evidence.birth_date.year):
        return ()
    years = evidence.birth_date.year // 4
    return tuple(f"f:{mothers[0]}:{sound}:{years}" for sound in _own_sounds(evidence)[:2])


def nik_key(nik: str) -> str:
    """Return the key of a NIK, which is that of its leading digits, too, where a spreadsheet has rounded it."""
    return f"n:{nik[:15]}"


def _number_keys(evidence: PersonEvidence) -> list[str]:
    niks = evidence.niks + evidence.old_niks
    if evidence.damaged_niks:
        damaged = [nik for nik in evidence.damaged_niks if len(nik) >= 15]
        niks += (*damaged, *(f"{int(nik[:15]) - 1:015}" for nik in damaged))  # it may have been rounded up
    keys = [nik_key(nik) for nik in niks + evidence.parent_niks]
    if len(keys) > 1:  # the one kind of keys that two of a person's values may have in common
        keys = list(dict.fromkeys(keys))
    keys += [f"r:{clinic}:{number}" for clinic, number in evidence.records]
    return keys + [f"o:{person}" for person in evidence.persons] if evidence.persons else keys


def _birth_date_keys(evidence: PersonEvidence, sounds: tuple[str, ...], mothers: tuple[str, ...]) -> list[str]:
    """Keys with the birth date, day and month in either order; with the year, day or month alone, and two words of names."""
    keys: list[str] = []
    born = evidence.birth_date
    if born.whole:
        day = _day_in_any_order(born)
        keys += [f"d:{day}:{sound}" for sound in dict.fromkeys((*sounds, *_joined_sounds(evidence)))]
        keys += [f"m:{day}:{mother}" for mother in mothers[:3]]
        keys += [f"t:{day}:{number}" for number in evidence.phones]
    if len(sounds) >= 2:
        one, other = sounds[:2] if sounds[0] < sounds[1] else (sounds[1], sounds[0])
        keys.append(f"y:{born.year}:{one}:{other}")
        if born.whole:
            keys.append(f"b:{born.month}-{born.day}:{one}:{other}")
    elif sounds and mothers:
        keys.append(f"y:{born.year}:{sounds[0]}:{mothers[0]}")
    if born.month and mothers:  # a newborn without a name meets the child of its mother whose day is written otherwise
        keys.append(f"w:{born.year}-{born.month}:{':'.join(sorted(mothers[:2]))}")
    return keys


def _day_in_any_order(born: BirthDate) -> str:
    first, second = (born.day, born.month) if born.day < born.month else (born.month, born.day)
    return str((born.year * 100 + first) * 100 + second)


def _name_and_family_keys(evidence: PersonEvidence, sounds: tuple[str, ...], mothers: tuple[str, ...]) -> list[str]:
    keys = [f"p:{phone}:{sound}" for phone in evidence.phones for sound in sounds]
    if mothers and sounds:
        # A day, month or year that is written otherwise leaves the year, or the day of the year, as it is; under a whole
        # name so few meet that the years about are let in.
        born = evidence.birth_date
        dates = [str(born.year or ""), f"{born.month}-{born.day}"] if born.whole else [str(born.year or "")]
        keys += [f"f:{mothers[0]}:{sound}:{date}" for sound in sounds[:2] for date in dates]
        if born.year:
            keys.append(f"f:{mothers[0]}:{':'.join(sorted(sounds[:2]))}:{born.year // 4}")
    return keys


def _own_sounds(evidence: PersonEvidence) -> tuple[str, ...]:
    """Return the sounds of a person's own names, the joined name's first where it is two words that others join."""
    found = [name_keys(name)[:_WORDS_OF_A_NAME] for name in evidence.names if name.key]
    return found[0] if len(found) == 1 else tuple(dict.fromkeys(chain.from_iterable(found)))


def _joined_sounds(evidence: PersonEvidence) -> list[str]:
    """Return the sounds of a person's own names of several words, as they begin where the space between words is lost."""
    tokens = (name.tokens for name in evidence.names if name.key)
    return [joined_sound_key(words) for words in tokens if len(words) > 1]


def _sounds_of(keys: tuple[str, ...]) -> tuple[str, ...]:
    found = [_sounds_of_key(key) for key in keys]
    return found[0] if len(found) == 1 else tuple(dict.fromkeys(chain.from_iterable(found)))


@remembered(1024)
def _sounds_of_key(key: str) -> tuple[str, ...]:
    """Return the sounds of a mother's name: her children stand beside each other."""
    forms = own_tokens_of_key(key)
    return sounds_of([form for form in forms if len(form) > 1 and form not in WEAK_WORDS] or forms)


def probe_of(number: int, evidence: PersonEvidence) -> Probe:
    """Return where a spooled person's candidates may be found on a server.

    The person's own NIKs, earlier ones and the gateway's own identifier first, then record numbers and the parent's NIK.
    One that ends in 0 may be whole, or stand on the server as it was cut: it is looked for as it was written.
    """
    identifiers = [(systems.PERSON, person) for person in evidence.persons]
    identifiers += [(systems.NIK, nik) for nik in evidence.niks + evidence.old_niks]
    identifiers += [(systems.NIK, f"{trusted}0") for trusted in evidence.damaged_niks if len(trusted) == 15]
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
