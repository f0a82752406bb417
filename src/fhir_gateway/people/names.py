"""Reading names as clinics write them: titles, degrees, bin/binti, newborns under their mother's name, nicknames.

Indonesian names have no family name; many people have one name only. What is displayed keeps the writer's spelling;
what is compared (`tokens`, `key`) is normalised further and never shown.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from fhir_gateway.domain.recent import remembered
from fhir_gateway.domain.records import maker
from fhir_gateway.people.name_sounds import sound_key
from fhir_gateway.people.name_tokens import compared_words
from fhir_gateway.people.name_words import (
    CERTAIN_DEGREES,
    DECEASED_WORDS,
    DEGREES,
    DOTTED_TITLES,
    FATHER_TITLES,
    FATHER_WORDS,
    MOTHER_WORDS,
    NEWBORN_WORDS,
    NO_NAMES,
    ROMAN_ORDER,
    SEX_WORDS,
    TITLES,
    WEAK_WORDS,
)

_LONGEST_KEPT = 40
"""SIMRS Khanza cuts names at 40 characters (pasien.nm_pasien)."""
_SHORTER_COLUMNS = frozenset({20, 25, 30})
"""Where other sheets and systems cut names."""

_BLANKS = re.compile(r"\s+")
_PARENTHESIS = re.compile(r"[(\[{][^)\]}]*[)\]}]?")
_ALIAS = re.compile(r"\s(?:alias|als\.?|a\.?k\.?a\.?)\s.*$|\s*(?:\b[dc](?=/[ao]\b))?/.*$", re.IGNORECASE)
"""Another name behind the name, or where she can be found ("d/a", "c/o")."""
_TWIN = re.compile(
    r"\b(?:kembar|kmbr|twin|gemell?[iy])[\s.\-]*(?:ke[\s.\-]*)?(pertama|kedua|ketiga|iii|ii|iv|i|[1-4]|a|b)\b|\banak ke[\s.\-]*([1-4])\b",
    re.IGNORECASE,
)
_NUMBER_BEHIND = re.compile(
    r"(?:[(\[]\s*|/\s*|,\s*(?:bayi|by)\b[\s.\-]*(?:ke[\s.\-]*)?)(iii|ii|iv|i|[1-4]|a|b)\s*[)\]]?\s*$"
    r"|(?:\s*-\s*|\bke[\s.\-]*)(iii|ii|iv|[1-4])\s*$",
    re.IGNORECASE,
)
"""The number of a twin behind its mother's name: "By. Ny. Siti (2)", "By. Ny. Siti/II", "By. Ny. Siti ke-2". (G2 counts pregnancies.)"""
_TWIN_SIGNS = ("kembar", "kmbr", "twin", "gemel")
_NUMBER_SIGNS = frozenset("([/,-")
"""One of these, or "ke", stands before the number."""
_ALIAS_SIGNS = (" alias ", " als ", " als. ", " aka ", " aka. ", " a.k", " ak.a")
"""One of the signs stands in every name without _REMARK_CHARACTERS that _TWIN or _ALIAS finds something in."""
_REMARK_CHARACTERS = frozenset("([{/0123456789")

_CHILD_WORDS = NEWBORN_WORDS | {"an", "anak"}
_TELLING_WORDS = TITLES | DEGREES | CERTAIN_DEGREES | FATHER_WORDS | _CHILD_WORDS | {"alias", "als", "aka"}
"""A name of letters without any of them, and without _TWIN_SIGNS, is all given names."""

_BEHIND_COMMA = DEGREES | TITLES | NEWBORN_WORDS
_DOT_INSIDE = re.compile(r"\.(?=\w)")
_NOT_A_LETTER = re.compile(r"[^a-z]+")
_LETTER_DIGITS = str.maketrans("01345", "oieas")
_UNDIVIDED = str.maketrans(
    {"đ": "d", "ð": "d", "ł": "l", "ø": "o", "ħ": "h", "\u0131": "i", "ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}
)
"""Letters that Unicode does not take apart into a plain one and a mark."""

_QUOTES = "'\u2018\u2019`\u00b4\"\u02bc"
_WITHOUT_QUOTES = str.maketrans(dict.fromkeys(_QUOTES, ""))


class PersonName(NamedTuple):
    """A person's name, read.

    `text` is the name as it may be displayed: without titles, degrees and remarks, in capitals and small letters; a
    newborn's temporary name keeps its "By. Ny." (or "By. Tn.": the father's). `prefix` and `suffix` are the titles and degrees as written, `given`
    the words of the person's own name (none in a temporary one), `father` the father's name after bin/binti.
    `newborn_of` is the mother's name in a newborn's temporary name, `newborn` says that it is one; its `words` are the
    mother's (or the father's, who is `father` then) and its `key` is empty. "By. X" without "Ny." may as well name the child itself: there `key` holds X. `birth_order` is 1 for the first of twins, 0
    where the name tells none. `words` (plain small letters), `tokens` and `key` are for comparing only; `truncated` says
    that the source may have cut the name's end off.
    """

    original: str
    text: str
    prefix: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    father: str = ""
    newborn: bool = False
    newborn_of: str = ""
    birth_order: int = 0
    truncated: bool = False
    key: str = ""

    @property
    def tokens(self) -> tuple[str, ...]:
        """The compared forms of the words; worked out where they are asked for, which is not where names are displayed."""
        return compared_words(self.words)

    @property
    def mononym(self) -> bool:
        """Whether the person has one name only."""
        return len(self.given) == 1


_person_name = maker(PersonName)


@remembered(4096)
def read_name(text: str) -> PersonName:
    """Read a name as it was written; never raises, an unreadable one, and words for none, have no words and the text ""."""
    cleaned = _clean(text)
    return _read_plain(text, cleaned) or _read_any(text, cleaned)


def says_none(text: str) -> bool:
    """Whether a cell says in words that there is no name."""
    return text.lower().replace(".", "") in NO_NAMES


def _read_plain(original: str, cleaned: str) -> PersonName | None:
    """Read a name of plain letters alone none of whose words may mean more than itself: what most names are.

    Returns what _read_any would, in a third of the time; None for every other name.
    """
    if not cleaned.isascii() or not cleaned.replace(" ", "").isalpha():
        return None
    lowered = cleaned.lower()
    words = tuple(lowered.split())
    if not _TELLING_WORDS.isdisjoint(words) or _holds_one(lowered, _TWIN_SIGNS):
        return None
    if lowered in NO_NAMES:
        return PersonName(original, "")
    text = cleaned.title() if cleaned == lowered or cleaned.isupper() else cleaned
    truncated = _may_be_cut(original)
    key = f"{lowered}||{'cut' if truncated else ''}" if words else ""
    return _person_name((original, text, (), (), tuple(text.split()), words, "", False, "", 0, truncated, key))


def _read_any(text: str, cleaned: str) -> PersonName:
    order, bare = _split_remarks(cleaned)
    if says_none(bare):
        return PersonName(text, "")
    truncated = _may_be_cut(text)
    all_words = _spaced(bare)
    newborn = _read_newborn(text, all_words, order)
    if newborn is not None:
        return newborn
    prefix, words = _split_titles(all_words)
    words, suffix = _split_degrees(words)
    own, father = _split_father(words)
    capitals = _casing(" ".join(own + father))
    given = tuple([capitals(word.strip(",;")) for word in own if _has_letters(word)])
    father_text = " ".join([capitals(word.strip(",;")) for word in father])
    own_words = _plain_words(given)
    shown = _with_father(words, capitals) if father else " ".join(given)
    father_words = _plain_words(_split_titles(father)[1]) if father else ()
    key = _key(own_words, father_words, truncated=truncated)
    return _person_name((text, shown, prefix, suffix, given, own_words, father_text, False, "", order, truncated, key))


@remembered(2048)
def tokens_of_key(key: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], bool]:
    """Return what a name's `key` holds: its plain words, their compared forms, the father's compared forms, cut off."""
    own, father, cut = key.split("|")
    plain = tuple(own.split())
    return plain, compared_words(plain), compared_words(tuple(father.split())), bool(cut)


def own_tokens_of_key(key: str) -> tuple[str, ...]:
    """Return the compared forms of a name's own words, as tokens_of_key() does, but of names that few ask for again."""
    return compared_words(tuple(key.partition("|")[0].split()))


def name_keys(name: PersonName) -> tuple[str, ...]:
    """Return the sound keys of the name's telling words, of all where none is telling; longest words first."""
    tokens = name.tokens
    telling = [token for token in tokens if len(token) > 1 and token not in WEAK_WORDS]
    return sounds_of(telling or [token for token in tokens if len(token) > 1] or tokens)


def sounds_of(forms: Sequence[str]) -> tuple[str, ...]:
    """Return the sound keys of compared forms, each once, those of the longest words first."""
    if len(forms) == 1:
        return (sound_key(forms[0]),)
    ordered = sorted(sorted(forms), key=len, reverse=True)
    return tuple(dict.fromkeys(map(sound_key, ordered)))


def _clean(text: str) -> str:
    if text.isascii() and text.isprintable():
        return " ".join(text.split()).lstrip("'").strip(" ,;-_*#")
    visible = "".join(
        character if character.isprintable() else " " for character in unicodedata.normalize("NFKC", text)
    )
    return _BLANKS.sub(" ", visible).strip().lstrip("'").strip(" ,;-_*#")


def _may_be_cut(original: str) -> bool:
    length = len(original.strip())
    return length >= _LONGEST_KEPT - 1 or length in _SHORTER_COLUMNS


def _split_remarks(cleaned: str) -> tuple[int, str]:
    """Return a twin's number and the name without it, without brackets and without other names."""
    if cleaned.isascii() and _REMARK_CHARACTERS.isdisjoint(cleaned):
        lowered = cleaned.lower()
        if not (_holds_one(lowered, _TWIN_SIGNS) or (" a" in lowered and _holds_one(lowered, _ALIAS_SIGNS))):
            return 0, cleaned
    found = _TWIN.search(cleaned)
    bare = _BLANKS.sub(" ", _ALIAS.sub("", _TWIN.sub(" ", _PARENTHESIS.sub(" ", cleaned)))).strip(" ,;-")
    # A dotted or dotless Turkish i passes for an i in the pattern, but counts nobody.
    return ROMAN_ORDER.get((found[1] or found[2]).lower(), 0) if found else 0, bare


def _holds_one(lowered: str, signs: tuple[str, ...]) -> bool:
    """Say whether a name holds one of the signs; cheaper than looking for what they are signs of."""
    for sign in signs:  # noqa: SIM110 - a third quicker than any()
        if sign in lowered:
            return True
    return False


def _read_newborn(original: str, words: list[str], order: int) -> PersonName | None:
    """Read "By. Ny. X", "X, By Ny", "An. Tn. X", "By X 2", "Bayi"; None where it is no child's temporary name."""
    newborn_at_end = len(words) > 2 and words[-3].endswith(",") and _bare_word(words[-2]) in NEWBORN_WORDS
    child_first = bool(words) and _bare_word(words[0]) in _CHILD_WORDS
    if not (newborn_at_end or child_first):
        return None
    may_be_numbered = not _NUMBER_SIGNS.isdisjoint(original) or "ke" in original.lower()
    behind = _NUMBER_BEHIND.search(original) if may_be_numbered else None
    if behind and child_first:
        words = _spaced(_split_remarks(_clean(original[: behind.start()]))[1]) or words
    if len(words) > 2 and words[-3].endswith(",") and _bare_word(words[-2]) in NEWBORN_WORDS:
        words = words[-2:] + words[:-2]
    first = _bare_word(words[0]) if words else ""
    number = ROMAN_ORDER.get(_bare_word(words[1]), 0) if len(words) > 2 else 0
    if number and first in NEWBORN_WORDS and _bare_word(words[2]) in MOTHER_WORDS:  # "By. II Ny. Siti"
        order, words = order or number, [words[0], *words[2:]]
    second = _bare_word(words[1]) if len(words) > 1 else ""
    if (
        first in NEWBORN_WORDS
        and (len(words) < 2 or second in SEX_WORDS)
        and SEX_WORDS.issuperset(map(_bare_word, words[1:]))
    ):
        return PersonName(original, "By.", newborn=True, birth_order=order)
    for_mother, for_father = second in MOTHER_WORDS, second in FATHER_TITLES
    for_parent = (for_mother or for_father) and first in _CHILD_WORDS
    if len(words) < 2 or not (for_parent or first in NEWBORN_WORDS):
        return None
    rest = words[2:] if for_parent else words[1:]
    if behind:
        order = order or ROMAN_ORDER[(behind[1] or behind[2]).lower()]
    if len(rest) > 1 and _bare_word(rest[-1]) in ROMAN_ORDER and not _is_initial(rest[-1]):
        order = order or ROMAN_ORDER[_bare_word(rest[-1])]
        rest = rest[:-1]
    parent = read_name(" ".join(rest)) if rest else read_name("")
    title = "Ny. " if for_mother else "Tn. " if for_father else ""
    father, mother = (parent.text, "") if for_father else ("", parent.text)
    shown, key = f"By. {title}{parent.text}".strip(), "" if for_parent else parent.key
    return _person_name((original, shown, (), (), (), parent.words, father, True, mother, order, False, key))


def _is_initial(word: str) -> bool:
    """Say whether a letter abbreviates the mother's last name ("Florida B."), and does not count the twins."""
    return word.endswith(".") and word[:-1].lower() in {"a", "b"}


def _split_titles(all_words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """Take titles off the front, as long as a name remains."""
    words = list(all_words)
    prefix: list[str] = []
    while len(words) > 1 and _is_title(words[0], words[1]):
        prefix.append(words.pop(0))
    return tuple(prefix), words


def _is_title(word: str, following: str) -> bool:
    bare = _bare_word(word)
    if bare not in TITLES or not _has_letters(following):
        return False
    if bare not in DOTTED_TITLES or word.endswith("."):
        return True
    if bare == "anak":
        return _bare_word(following) != "agung"  # Anak Agung is a Balinese name
    return bare in {"h", "r"} or (bare == "an" and not following.lower().startswith("n"))


def _split_degrees(words: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Take degrees and titles ("Budi, Tn") off the end, as long as a name remains: all behind a comma, and degrees."""
    rest, suffix = list(words), []
    commas = [index for index, word in enumerate(rest) if word[-1:] == ","]
    comma = commas[0] if commas else None
    if comma is not None and any(_bare_word(word) in _BEHIND_COMMA or "." in word for word in rest[comma + 1 :]):
        suffix = [word.strip(",") for word in rest[comma + 1 :] if word.strip(",")]
        rest = rest[: comma + 1]
    while len(rest) > 1 and (_is_degree(rest) or _bare_word(rest[-1]) in DECEASED_WORDS):
        suffix.insert(0, rest.pop().strip(","))
    return rest, tuple(suffix)


def _is_degree(words: list[str]) -> bool:
    word = words[-1].strip(",;")
    bare = _bare_word(word)
    if bare in CERTAIN_DEGREES:
        return True
    if bare not in DEGREES:
        return False
    in_capitals = word.isupper() and not words[0].isupper()
    return "." in word.rstrip(".") or in_capitals or words[-2].endswith(",")


def _split_father(words: list[str]) -> tuple[list[str], list[str]]:
    for index in range(1, len(words) - 1):
        if _bare_word(words[index]) in FATHER_WORDS:
            return words[:index], words[index + 1 :]
    return words, []


def _casing(name: str) -> Callable[[str], str]:
    """Return what writes a word in capitals and small letters where the whole name stands in one case."""
    return _in_capitals_and_small if name.isupper() or name.islower() else str


def _in_capitals_and_small(word: str) -> str:
    return word[:1].upper() + word[1:].lower()


def _with_father(words: list[str], capitals: Callable[[str], str]) -> str:
    return " ".join(
        word.lower().rstrip(".") if _bare_word(word) in FATHER_WORDS and index else capitals(word.strip(",;"))
        for index, word in enumerate(words)
    )


def _spaced(text: str) -> list[str]:
    """Return the words, those that a dot joins ("Moh.Rizki") apart; degrees (S.Kom, A.Md.Keb) and initials stay whole."""
    if "." not in text and "," not in text:
        return text.split()
    parts: list[str] = []
    for word in text.replace(",", ", ").split():
        if "." not in word[:-1]:
            parts.append(word)
            continue
        bare = _bare_word(word)
        head = _DOT_INSIDE.split(word)[0]
        keep = bare in DEGREES or bare in TITLES or (len(head) == 1 and len(word) <= 5)
        parts += [word] if keep else _DOT_INSIDE.sub(". ", word).split()
    return parts


def _bare_word(word: str) -> str:
    if word.isalpha():
        return word.lower()
    return word.lower().replace(".", "").strip(",;")


def _has_letters(word: str) -> bool:
    return word.isalpha() or any(map(str.isalpha, word))


def _plain_words(words: Iterable[str]) -> tuple[str, ...]:
    """Return words in plain small letters: no accents, quotes or dots; digits inside words are letters mistyped."""
    plain: list[str] = []
    for word in words:
        lowered = word.lower()
        bare = lowered.rstrip(".")
        if bare.isascii() and bare.isalpha():
            plain.append(bare)
            continue
        lowered = lowered.translate(_WITHOUT_QUOTES)
        if not lowered.isascii():
            lowered = lowered.translate(_UNDIVIDED)
            lowered = "".join(c for c in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(c))
        if not lowered.isalpha() and any(c.isalpha() for c in lowered) and any(c.isdigit() for c in lowered):
            lowered = lowered.translate(_LETTER_DIGITS)
        plain.extend(part for part in _NOT_A_LETTER.sub(" ", lowered).split() if part)
    return tuple(plain)


def _key(own: tuple[str, ...], father: tuple[str, ...], *, truncated: bool) -> str:
    return f"{' '.join(own)}|{' '.join(father)}|{'cut' if truncated else ''}" if own else ""
