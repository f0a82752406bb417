"""How common values are: sharing a rare name weighs more than sharing a common one."""

import math
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources

from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.people.name_sounds import compared_form

_SHIPPED = "name_frequencies.toml"
_SHIPPED_COUNTS_AS = 3000
"""The shipped shares weigh as much as so many counted people."""
_ESTABLISHED = 3
"""A word that fewer people carry may be a typing error."""
_COMMON = 20
"""A word that so many people carry is a name."""


class Frequencies:
    """How common words of names and phones are. `information` is in bits: -log2 of the share of people."""

    def __init__(
        self,
        words: Mapping[str, int] | None = None,
        *,
        people: int = 0,
        phones: Mapping[str, int] | None = None,
        shares: Mapping[str, float] | None = None,
    ) -> None:
        """Build from how many of `people` carry a word (compared form) or a phone; `shares` replace the shipped ones."""
        self._words = words or {}
        self._phones = phones or {}
        self._people = people
        self._shares, self._unlisted = (shares, 0.0005) if shares is not None else _shipped()
        self._information: dict[str, float] = {}

    def information(self, word: str) -> float:
        """Return how much sharing this word tells, in bits."""
        known = self._information.get(word)
        if known is None:
            expected = self._shares.get(word, self._unlisted) * _SHIPPED_COUNTS_AS
            share = (expected + self._words.get(word, 0)) / (_SHIPPED_COUNTS_AS + self._people)
            known = self._information[word] = -math.log2(min(1.0, share))
        return known

    def established(self, word: str) -> bool:
        """Say whether a word is known as a common name."""
        return word in self._shares or self._words.get(word, 0) >= _COMMON

    def people_with_phone(self, phone: str) -> int:
        """Return how many counted people carry a phone number."""
        return self._phones.get(phone, 0)


class FrequencyCount:
    """Counts words and phones over people, one after another; a dozen bytes a person."""

    def __init__(self) -> None:
        self._words: Counter[str] = Counter()
        self._phones: set[tuple[str, int]] = set()
        self._people = 0

    def add(self, person: PersonEvidence) -> None:
        """Count a person; records of one birth date count once for a phone, so that one family's rows are no crowd."""
        self._people += 1
        self._words.update({word for name in person.names if name.key for word in name.tokens})
        born = person.birth_date
        day = born.year * 10_000 + born.month * 100 + born.day
        self._phones.update((phone, day) for phone in person.phones)

    def result(self) -> Frequencies:
        """Return what was counted; only what several share is kept."""
        phones = Counter(phone for phone, _ in self._phones)
        return Frequencies(
            {word: count for word, count in self._words.items() if count >= _ESTABLISHED},
            people=self._people,
            phones={phone: count for phone, count in phones.items() if count > _ESTABLISHED},
        )


def count_frequencies(people: Iterable[PersonEvidence]) -> Frequencies:
    """Count words and phones over people."""
    count = FrequencyCount()
    for person in people:
        count.add(person)
    return count.result()


@lru_cache(maxsize=1)
def default_frequencies() -> Frequencies:
    """Return the shipped frequencies, without counts."""
    return Frequencies()


@lru_cache(maxsize=1)
def _shipped() -> tuple[Mapping[str, float], float]:
    document = tomllib.loads(resources.files(__package__).joinpath(_SHIPPED).read_text("utf-8"))
    shares: dict[str, float] = {}
    for per_mille, words in document["bands"].items():
        for word in words.split():
            shares.setdefault(compared_form(word), int(per_mille) / 1000)
    return shares, document["unlisted_per_mille"] / 1000
