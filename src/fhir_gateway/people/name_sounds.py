"""Spellings of one sound: the forms in which the words of names are compared and blocked. For comparing only.

Old spelling (until 1972: oe/u, dj/j, tj/c, sj/sy, ch/kh, j/y) and Arabic names written by ear (kh/h, dh/d, final h,
y/i, double letters) make one name many words. `j` for today's `y` is an alternative and no rewriting: Jusuf is Yusuf,
yet Panji and Anjani keep their j.
"""

import re
from collections.abc import Iterable, Sequence
from string import ascii_lowercase

from fhir_gateway.domain.recent import remembered
from fhir_gateway.people.name_words import ABBREVIATIONS

_SPELLINGS = (
    ("oe", "u"),
    ("dj", "j"),
    ("tj", "c"),
    ("sj", "s"),
    ("sy", "s"),
    ("sh", "s"),
    ("kh", "k"),
    ("ch", "k"),
    ("ph", "f"),
    ("th", "t"),
    ("dh", "d"),
    ("dz", "z"),
    ("ts", "s"),
    ("gh", "g"),
    ("bh", "b"),
    ("ck", "k"),
    ("q", "k"),
    ("x", "ks"),
    ("ee", "i"),
    ("ie", "i"),
    ("oo", "u"),
    ("ae", "ai"),
)
_VOWEL_Y = re.compile(r"(?<=[b-df-hj-np-tv-xz])y(?=[b-df-hj-np-tv-xz])")
"""Between consonants y is i, and no part of sy or ny: Symon, Anyta."""
_DOUBLED = re.compile(r"(.)(?=\1)")
"""All but the last of the same letters: to take them out is four times as quick as to put one for all."""
_GLIDES = (
    ("y", re.compile(r"iy(?=[aeou])"), "i"),
    ("w", re.compile(r"uw(?=[aeio])"), "u"),
    ("y", re.compile(r"(?<=.)y(?![aeiou])"), "i"),
    ("w", re.compile(r"(?<=a)w(?![aeiou])"), "u"),
    ("h", re.compile(r"(?<=[aeiou])h$"), ""),
)
"""The letter that is none, as it is found; its pattern; what it is instead."""
_BEFORE = {old[-1]: "".join(each[:-1] for each, _ in _SPELLINGS if each[-1] == old[-1]) for old, _ in _SPELLINGS}
_MAY_CHANGE = re.compile(
    "|".join(
        ("y", *(f"[{firsts}]{last}" if firsts else last for last, firsts in _BEFORE.items()), "[ua]w", "h$", r"(.)\1")
    )
)
"""Matches every word that one of the rules above changes; in classes of letters, which are looked for in half of the time."""
_BY_EAR = bytes.maketrans(b"vpzjcweo", b"ffsykuiu")
"""Compared forms are plain letters, whose bytes are translated in half of the time."""
_FIRST_SOUNDS = {letter: letter.translate(_BY_EAR) for letter in ascii_lowercase}
_SILENT, _VOWELS = b"h", b"aeiou"
_FINAL = bytes.maketrans(b"dbg", b"tfk")
_DOUBLED_BYTE = re.compile(rb"(.)(?=\1)")


@remembered(4096)
def compared_form(word: str) -> str:
    """Return a lower-case word with abbreviation and spelling resolved: equal forms are one name."""
    word = ABBREVIATIONS.get(word, word)
    if len(word) <= 2:
        return "ai" if word == "ay" else word
    if not _MAY_CHANGE.search(word):  # half of all words; the rules one by one take three times as long
        return word
    if "y" in word:
        word = _VOWEL_Y.sub("i", word)
    for old, new in _SPELLINGS:
        if old in word:
            word = word.replace(old, new)
    word = _DOUBLED.sub("", word)
    for letter, pattern, replacement in _GLIDES:
        if letter in word:
            word = pattern.sub(replacement, word)
    return _DOUBLED.sub("", word)


_BITS = {letter: 1 << ord(heard) - ord("a") for letter, heard in _FIRST_SOUNDS.items()} | {"h": 0}
LASTING = _BITS["a"] | _BITS["b"] | _BITS["g"] | _BITS["l"] | _BITS["m"] | _BITS["n"] | _BITS["r"]
"""Of the letters that are heard (see heard_letters) those that no spelling changes."""


@remembered(4096)
def heard_letters(word: str) -> int:
    """Return the letters of a word that are heard, one bit for each sound: quicker to compare than sets are."""
    letters = 0
    for letter in word:
        letters |= _BITS[letter]
    return letters


def lasting_letters(words: Sequence[str]) -> int:
    """Return those letters of words written as one that no spelling changes: compared forms with other ones are two."""
    full = ABBREVIATIONS.get("".join(words))
    if full:
        return heard_letters(full) & LASTING
    letters = 0
    for word in words:
        letters |= heard_letters(word)
    return letters & LASTING


def spelled_alike(left: Sequence[str], right: Sequence[str]) -> bool:
    """Say whether words of two names, those of each written as one, are one in another spelling."""
    if lasting_letters(left) != lasting_letters(right):
        return False
    return compared_form("".join(left)) == compared_form("".join(right))


@remembered(4096)
def sound_form(form: str) -> str:
    """Return a compared form as it may be heard: f/p/v, s/z, y/j, e/i, o/u, silent h, final d/t are one."""
    return _DOUBLED_BYTE.sub(b"", _heard(form)).decode()


def _heard(form: str) -> bytes:
    heard = form.encode().translate(_BY_EAR, _SILENT)
    return heard[:-1] + heard[-1:].translate(_FINAL) if len(heard) > 3 else heard


def sound_alike(one: str, other: str) -> bool:
    """Say whether two compared forms have the same sound form; most begin so that they cannot."""
    first, second = one[:1], other[:1]
    if first != second and first != "h" != second and _FIRST_SOUNDS.get(first) != _FIRST_SOUNDS.get(second):
        return False
    return sound_form(one) == sound_form(other)


@remembered(2048)
def sound_key(form: str) -> str:
    """Return a compared form's key for blocking: its first sound and its consonants, at most six."""
    heard = _heard(form)
    return _DOUBLED_BYTE.sub(b"", heard[:1] + heard[1:].translate(None, _VOWELS))[:6].decode()


def joined_sound_key(words: Iterable[str]) -> str:
    """Return the sound_key() of words written as one: few names have it, and it would crowd out those of words."""
    return sound_key.__wrapped__("".join(words))


_UNHEARD = str.maketrans({"v": "f", "p": "f", "z": "s", "y": "i", "j": "i", "h": None})


@remembered(2048)
def same_sound(one: str, other: str) -> bool:
    """Say whether two compared forms are pronounced alike: nobody could call two children by them."""
    return _pronounced(one) == _pronounced(other)


def _pronounced(form: str) -> str:
    heard = form.translate(_UNHEARD)
    heard = _DOUBLED.sub("", heard)
    return heard[:-1] + heard[-1:].translate(_FINAL)
