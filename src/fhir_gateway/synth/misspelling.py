"""A name as a clerk writes it: spelled otherwise, shortened, mistyped, with titles."""

from dataclasses import dataclass

from fhir_gateway.synth.dice import Dice
from fhir_gateway.synth.naming import GivenName
from fhir_gateway.synth.rates import Rates

_SHORTER = {
    "muhammad": ("Muh.", "Moh.", "M.", "Mohammad", "Mohamad", "Muhamad", "Moch.", "Mochamad", "Mhd", "Md."),
    "ahmad": ("A.", "Achmad", "Akhmad", "Ahmat"),
    "abdul": ("Abd.", "Abd", "Abdoel"),
    "siti": ("St.", "St", "Sitti", "S."),
    "nur": ("Noor", "Nor", "N."),
    "lalu": ("L.", "Ll."),
    "baiq": ("Bq.", "Bq"),
    "fransiskus": ("Frans", "Frs."),
    "wayan": ("Wyn", "W."),
    "made": ("Md", "M."),
    "nyoman": ("Nym",),
    "ketut": ("Kt",),
}
_RESPELLINGS = (
    ("u", "oe"), ("j", "dj"), ("c", "tj"), ("y", "j"), ("sy", "sj"), ("kh", "ch"), ("sy", "s"), ("kh", "h"), ("dh", "d"), ("i", "y"),
    ("y", "i"), ("f", "v"), ("v", "f"), ("f", "p"), ("z", "s"), ("z", "j"), ("q", "k"), ("x", "ks"), ("th", "t"), ("ee", "i"), ("k", "q"),
    ("zz", "z"), ("aa", "a"), ("s", "sh"), ("ph", "f"), ("h", ""), ("ll", "l"), ("nn", "n"), ("ai", "ay"), ("au", "aw"), ("ia", "iya"), ("ua", "uwa"),
)  # fmt: skip
_TITLES = {"L": ("H.", "Bpk.", "Tn.", "KH.", "Ust.", "Bapak", "R."), "P": ("Hj.", "Ny.", "Ibu", "Nn.", "Hajah", "Rr.")}
_CHILD_TITLES = ("An.", "Anak", "AN", "Sdr.", "Adik")
_DEGREES = (
    "S.Pd",
    "S.Pd.",
    "SPd",
    "S.H.",
    "SE",
    "S.Kom",
    "A.Md",
    "A.Md.Keb",
    "M.Kes",
    "S.Kep., Ns",
    "ST",
    "S.Sos",
    "S.Ag",
)
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose name is written: `father` is his first word where it may be appended (bin, binti), else empty."""

    name: GivenName
    sex: str
    child: bool = False
    father: str = ""


def written_name(dice: Dice, rates: Rates, bearer: Bearer) -> tuple[str, tuple[str, ...]]:
    """Return the name as written and the tags of what happened to it."""
    tags: list[str] = []
    words = _spelled(dice, rates, list(bearer.name.words), tags)
    if dice.happens(rates.nickname):
        words = [bearer.name.nickname]
        tags.append("nickname")
    elif len(words) > 1:
        words = _rearranged(dice, rates, words, tags)
    if dice.happens(rates.typo):
        place = dice.randrange(len(words))
        right, words[place] = words[place], mistyped(dice, words[place])
        if words[place] != right:
            tags.append("name-typo")
    dressed, worn = _dressed(dice, rates, " ".join(words), bearer)
    return dressed, (*tags, *worn)


def _spelled(dice: Dice, rates: Rates, words: list[str], tags: list[str]) -> list[str]:
    spelled = []
    for word in words:
        shorter = _SHORTER.get(word.lower())
        if shorter and dice.happens(rates.abbreviated_prefix):
            spelled.append(dice.pick(shorter))
            tags.append("abbreviated")
        elif dice.happens(rates.respelled):
            spelled.append(respelled(dice, word))
            if spelled[-1] != word:
                tags.append("respelled")
        else:
            spelled.append(word)
    return spelled


def _rearranged(dice: Dice, rates: Rates, words: list[str], tags: list[str]) -> list[str]:
    if dice.happens(rates.word_dropped):
        tags.append("word-dropped")
        return words[:-1] if dice.happens(0.7) else words[1:]
    if dice.happens(rates.word_shortened):
        tags.append("initial")
        return [*words[:-1], words[-1][0] + dice.pick((".", ""))]
    if dice.happens(rates.words_swapped):
        tags.append("words-swapped")
        return [words[-1], *words[:-1]]
    if dice.happens(rates.space_lost):
        tags.append("space-lost")
        return [words[0] + words[1].lower(), *words[2:]]
    return words


def _dressed(dice: Dice, rates: Rates, text: str, bearer: Bearer) -> tuple[str, list[str]]:
    """Return the name with a title, a degree or the father's name, and the tags of these."""
    tags: list[str] = []
    if dice.happens(rates.title):
        tags.append("title")
        text = f"{dice.pick(_CHILD_TITLES if bearer.child else _TITLES[bearer.sex])} {text}"
    if not bearer.child and dice.happens(rates.degree):
        tags.append("degree")
        text += dice.pick((", ", " ")) + dice.pick(_DEGREES)
    elif bearer.father and dice.happens(rates.father_appended):
        tags.append("father-appended")
        text += f" {'bin' if bearer.sex == 'L' else 'binti'} {bearer.father}"
    return text, tags


def respelled(dice: Dice, word: str) -> str:
    """Return the word in another spelling of its sounds; the same word where it has none."""
    lower = word.lower()
    possible = [(sound, other) for sound, other in _RESPELLINGS if sound in lower[1:] or lower.startswith(sound)]
    if not possible:
        return word
    sound, other = dice.pick(possible)
    changed = lower.replace(sound, other, 1)
    return changed.capitalize() if len(changed) > 1 else word


def mistyped(dice: Dice, word: str) -> str:
    """Return the word with one slip of the finger: a neighbouring key, a letter lost, doubled or exchanged.

    The same word where it has fewer than three letters, or two of a kind change places.
    """
    if len(word) < 3:
        return word
    place = dice.randrange(1, len(word))
    slip = dice.random()
    if slip < 0.3:
        return word[:place] + _neighbour(dice, word[place]) + word[place + 1 :]
    if slip < 0.55:
        return word[:place] + word[place + 1 :]
    if slip < 0.75:
        return word[:place] + word[place] + word[place:]
    return word[: place - 1] + word[place] + word[place - 1].lower() + word[place + 1 :]


def _neighbour(dice: Dice, letter: str) -> str:
    for row in _KEYS:
        at = row.find(letter)
        if at >= 0:
            return row[at + 1] if at + 1 < len(row) and dice.happens(0.5) else row[max(at - 1, 0)]
    return letter


def newborn_name(dice: Dice, mother: str, birth_order: int) -> str:
    """Return the name under which a child without a name stands: its mother's, and for a twin sometimes its number."""
    start = dice.pick(("By. Ny. ", "By Ny ", "BY. NY. ", "By.Ny.", "Bayi Ny. ", "Bayi Ny ", "By. ", "Bayi Ibu "))
    if not birth_order:
        return start + mother
    number = dice.pick((("I", "II"), ("1", "2"), ("A", "B"), ("(kembar 1)", "(kembar 2)"), ("Gemelli 1", "Gemelli 2")))
    return f"{start}{mother} {number[birth_order - 1]}"
