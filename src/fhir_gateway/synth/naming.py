"""Names as they are given: by the custom of a region, in families, to twins, to strangers alike."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fhir_gateway.synth.dice import Dice

POPULATIONS = ("mixed", "A", "B", "C")
_MIXED = frozenset({"A", "B"})

_VOWELS = "aiueo"
_NEAR_SOUNDS = {"a": "io", "i": "eay", "u": "oi", "e": "ia", "o": "ua", "f": "vp", "v": "f", "z": "sj", "s": "zc"}
_NEAR_SOUNDS |= {"n": "m", "m": "n", "l": "r", "r": "l", "d": "t", "t": "d", "k": "g", "g": "k", "h": "", "b": "p"}


@dataclass(frozen=True, slots=True)
class Custom:
    """How a region names its people; `family` is empty where names are not inherited."""

    name: str
    modern: bool
    lead: dict[str, tuple[str, ...]]
    lead_share: float
    given: dict[str, tuple[str, ...]]
    second: dict[str, tuple[str, ...]]
    family: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GivenName:
    """A person's true name, word by word, and what she is called at home."""

    words: tuple[str, ...]
    nickname: str

    @property
    def text(self) -> str:
        """The name as one text."""
        return " ".join(self.words)


@cache
def customs(population: str) -> tuple[Custom, ...]:
    """Return the naming customs of population `A`, `B` or `C`, or of `mixed` (A and B)."""
    table = tomllib.loads(files("fhir_gateway.synth").joinpath("names.toml").read_text(encoding="utf-8"))
    wanted = _MIXED if population == "mixed" else {population}
    return tuple(_custom(name, each) for name, each in table.items() if each["population"] in wanted)


def _custom(name: str, table: dict[str, str]) -> Custom:
    def words(key: str) -> dict[str, tuple[str, ...]]:
        prefix = f"{key}_" if key else ""
        return {sex: tuple(table.get(prefix + long, "").split()) for sex, long in (("L", "male"), ("P", "female"))}

    return Custom(
        name=name,
        modern=bool(table.get("modern", False)),
        lead={"L": tuple(table.get("lead_male", ())), "P": tuple(table.get("lead_female", ()))},
        lead_share=float(table.get("lead_share", 0)),
        given=words(""),
        second=words("second"),
        family=tuple(table.get("family", "").split()),
    )


def give_name(dice: Dice, custom: Custom, *, sex: str, family_name: str, mononym: float) -> GivenName:
    """Return a name of this custom; `mononym` is the chance of one word alone."""
    given = dice.pick_common(custom.given[sex])
    words = [given]
    if custom.lead[sex] and dice.happens(custom.lead_share):
        words = [*dice.pick_common(custom.lead[sex]).split(), given]
    elif dice.happens(mononym):
        return GivenName((given,), nickname_of(dice, given))
    if custom.second[sex]:
        words.append(dice.pick_common(custom.second[sex]))
        if custom.modern and dice.happens(0.35):
            words.append(dice.pick_common(custom.second[sex]))
    if family_name:
        words.append(family_name)
    return GivenName(tuple(words), nickname_of(dice, given))


def nickname_of(dice: Dice, given: str) -> str:
    """Return what a person of this given name is called at home: the name cut, or a word for a child."""
    if dice.happens(0.2):
        return dice.pick(("Adek", "Ujang", "Neng", "Tole", "Genduk", "Ucok", "Butet", "Kacong", "Upik", "Buyung"))
    if len(given) <= 4:
        return given
    return given[:4].capitalize() if dice.happens(0.5) else given[-4:].capitalize()


def one_sound_apart(dice: Dice, name: GivenName) -> GivenName:
    """Return a name that differs from this one by one sound, as a twin's often does."""
    words = list(name.words)
    at = dice.choice([number for number, word in enumerate(words) if len(word) > 3] or [len(words) - 1])
    words[at] = _other_sound(dice, words[at])
    return GivenName(tuple(words), name.nickname)


def _other_sound(dice: Dice, word: str) -> str:
    places = [place for place in range(1, len(word)) if _NEAR_SOUNDS.get(word[place])]
    if not places:
        return word + dice.pick(_VOWELS)
    place = dice.pick(places)
    return word[:place] + dice.pick(_NEAR_SOUNDS[word[place]]) + word[place + 1 :]


def named_alike(dice: Dice, name: GivenName, other: GivenName) -> GivenName:
    """Return `other` with a word of `name` in it, as brothers and sisters are named."""
    if len(name.words) == 1 or len(other.words) == 1:
        return GivenName((name.words[0], other.words[-1]), other.nickname) if name.words != other.words else other
    if dice.happens(0.5):
        return GivenName((name.words[0], *other.words[1:]), other.nickname)
    return GivenName((*other.words[:-1], name.words[-1]), other.nickname)
