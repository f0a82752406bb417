"""How common values are: sharing a rare name, or a birth date of a year that few were born in, weighs more."""

import math
import tomllib
from array import array
from binascii import crc32, crc_hqx
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from itertools import chain
from typing import Protocol

from fhir_gateway.domain.recent import remembered
from fhir_gateway.identity.evidence import PersonEvidence
from fhir_gateway.identity.parameters import CountingWeights, default_parameters
from fhir_gateway.identity.tally import Tally
from fhir_gateway.people.name_sounds import compared_form

_SHIPPED = "name_frequencies.toml"
_SEXES = "name_sexes.toml"
_LEAST_LETTERS = 6
"""An ending tells something of words of so many letters."""
_MOST_INFORMATION = 20_000
"""Words of which it is kept how much they tell."""
_COUNTED_TOGETHER = 50_000
"""So many values are counted at once: only their distinct ones are in memory as more than eight bytes."""
_PARTS_OF_WORDS = 4
_DAY_BITS = 20
_HASH_LOST = 4
"""Bits of a hash that have no room beside a day in a number of 64."""
_MORE_BIRTHS = 12
"""So many birth dates are not those of one parent's children, be some of them mistyped."""
_YEARS = 5
"""As if people's birth dates were spread over so many years, as small children's are, until they are counted."""


class Counts(Protocol):
    """How often a word was counted."""

    def get(self, word: str, default: int, /) -> int:
        """Return the word's count, `default` where there is none."""
        ...


class HashedCounts:
    """Counts of words of which only a hash is known, be it without its last `lost` bits."""

    def __init__(self, counts: Mapping[int, int], *, lost: int = 0) -> None:
        self._counts = counts
        self._lost = lost

    def get(self, word: str, default: int, /) -> int:
        """Return the word's count, `default` where there is none."""
        return self._counts.get(_hashed(word) >> self._lost, default)


class Frequencies:
    """How common words of names and places, birth years, phones and record numbers are.

    `information` is in bits: -log2 of the share of people.
    """

    def __init__(  # noqa: PLR0913 - what was counted is named
        self,
        words: Counts | None = None,
        *,
        people: int = 0,
        phones: Mapping[str, int] | None = None,
        years: Mapping[int, int] | None = None,
        shares: Mapping[str, float] | None = None,
        women: Counts | None = None,
        men: Counts | None = None,
        crowds: frozenset[int] = frozenset(),
        places: Counts | None = None,
        records: Counts | None = None,
        counting: CountingWeights | None = None,
    ) -> None:
        """Build from how many of `people` carry a word (compared form) or a phone; `shares` replace the shipped ones.

        `years` are how many were born in a year.

        `women` and `men` are how many of either sex carry a word. `crowds` are hashed NIKs that stand as the parent's of more
        births than anybody has. `places` are how many live where a word stands in the place's name; "" counts all whose place
        is known. `records` are how many births stand under a clinic's number ("clinic:number") that is several people's.
        `counting` is how much counts say beside what is shipped.
        """
        self._counting = counting or default_parameters().counting
        self._women: Counts = women or {}
        self._men: Counts = men or {}
        self._shares_of_women: dict[str, float] = {}
        self._words: Counts = words or {}
        self._phones = phones or {}
        self._years = years or {}
        self._crowds = crowds
        self._places = places
        self._records = records
        self._people = people
        self._shares, self._unlisted = (shares, 0.0005) if shares is not None else _shipped()
        self._information: dict[str, float] = {}

    def information(self, word: str) -> float:
        """Return how much sharing this word tells, in bits."""
        known = self._information.get(word)
        if known is None:
            shipped = self._counting.shipped_people
            expected = self._shares.get(word, self._unlisted) * shipped
            share = (expected + self._words.get(word, 0)) / (shipped + self._people)
            if len(self._information) >= _MOST_INFORMATION:
                self._information.clear()
            known = self._information[word] = -math.log2(min(1.0, share))
        return known

    def rarity_of_birth_year(self, year: int) -> float:
        """Return how much more than a birth date of one of five years one of this year tells, in bits; less than 0 of a common one."""
        expected = self._counting.shipped_people / _YEARS
        share = (expected + self._years.get(year, 0)) / (self._counting.shipped_people + self._people)
        return -math.log2(_YEARS * share)

    def are_two_names(self, one: str, other: str) -> bool:
        """Say whether of two words that nearly agree both are known as common names, and neither may be a typing error of the other.

        Where many carry a name its errors recur: a word is a name of its own if it is not rare beside the other one, too.
        """
        return self._established(one, other) and self._established(other, one)

    def _established(self, word: str, beside: str) -> bool:
        least = max(self._counting.common_people, self._counting.recurring_error * self._words.get(beside, 0))
        return word in self._shares or self._words.get(word, 0) >= least

    def sex_of(self, words: Iterable[str]) -> str:
        """Return whose name these words (compared forms) are: "female", "male", or "" where that is not clear."""
        women = men = 0.0
        for word in words:
            share = self._share_of_women(word)
            women += share > self._counting.clear_share
            men += share < 1 - self._counting.clear_share
        if women and men:
            return ""
        return "female" if women else "male" if men else ""

    def _share_of_women(self, word: str) -> float:
        """Return the share of women among a word's bearers, a half where too few are known."""
        known = self._shares_of_women.get(word)
        if known is None:
            if len(self._shares_of_women) >= _MOST_INFORMATION:
                self._shares_of_women.clear()
            weights = {"word": self._counting.sex_word_people, "ending": self._counting.sex_ending_people}
            shipped_women, shipped_men = (weights.get(told, 0.0) for told in _shipped_sexes(word))
            women, men = self._women.get(word, 0) + shipped_women, self._men.get(word, 0) + shipped_men
            enough = women + men >= self._counting.sex_least_people
            known = self._shares_of_women[word] = women / (women + men) if enough else 0.5
        return known

    def without_crowds(self, person: PersonEvidence) -> PersonEvidence:
        """Return a person's evidence without a parent's NIK and record numbers that are nobody's.

        The one is a clinic's or an officer's own, with the others a column was filled down.
        """
        if self._crowds and person.parent_niks:
            niks = tuple(nik for nik in person.parent_niks if _hashed_nik(nik) not in self._crowds)
            person = person._replace(parent_niks=niks)
        if self._records is not None and person.records:
            person = person._replace(records=self.own_records(person))
        return person

    def own_records(self, person: PersonEvidence) -> tuple[tuple[str, str], ...]:
        """Return a person's record numbers without those of more births than any family has, with which a column was filled."""
        if self._records is None:
            return person.records
        return tuple(one for one in person.records if self.people_with_record(one) < _MORE_BIRTHS)

    def people_with_record(self, record: tuple[str, str]) -> int:
        """Return how many births stand under a clinic's record number, 0 where it is one person's."""
        return 0 if self._records is None else self._records.get(":".join(record), 0)

    def share_in_place(self, place: str, expected: float) -> tuple[float, float]:
        """Return the share of people who live in a place, beside that of those at hand; `expected` is that of any place.

        They live where all of its words stand in the name: at most as many as where the rarest one does. Few people known
        change little. What nobody was counted of is as expected.
        """
        if self._places is None:
            return expected, expected
        here, people = min([self._places.get(word, 0) for word in place.split()]), self._places.get("", 0)
        others = self._counting.place_people
        return (expected * others + here) / (others + people), here / (people or 1)

    def people_with_phone(self, phone: str) -> int:
        """Return how many counted people carry a phone number."""
        return self._phones.get(phone, 0)


class FrequencyCount:
    """Counts words, places and numbers over people, one after another; eight bytes a number, words as many as differ."""

    def __init__(self) -> None:
        self._words = {sex: Tally() for sex in ("female", "male", "")}
        self._places = Tally()
        self._phones = array("Q")
        self._parents = array("Q")
        self._records = array("Q")
        self._years: Counter[int] = Counter()
        self._people = 0

    def add(self, person: PersonEvidence) -> None:
        """Count a person; records of one birth date count once for a phone, so that one family's rows are no crowd."""
        self.add_all((person,))

    def add_all(self, people: Sequence[PersonEvidence]) -> None:
        """Count people as add() does, one thing of all of them at a time."""
        self._people += len(people)
        self._years.update([person.birth_date.year for person in people])
        words: dict[str, list[str]] = {sex: [] for sex in self._words}
        places: list[str] = []
        for person in people:
            if person.places:
                places += {"", *chain.from_iterable(map(str.split, person.places))}
            words[person.gender] += {word for name in person.names if name.key for word in name.tokens}
            if person.phones or person.parent_niks or person.records:
                born = person.birth_date
                day = (born.year * 372 + born.month * 31 + born.day) % (1 << _DAY_BITS)
                # 13 digits have 44 bits
                self._phones.extend([int(phone) << _DAY_BITS | day for phone in person.phones])
                self._parents.extend([_hashed_nik(nik) << _DAY_BITS | day for nik in person.parent_niks])
                self._records.extend([_hashed_record(record) << _DAY_BITS | day for record in person.records])
        for tally, found in ((self._places, places), *((self._words[sex], words[sex]) for sex in words)):
            hashes = {word: _hashed(word) for word in set(found)}
            tally.extend([hashes[word] for word in found])

    def extend(self, other: "FrequencyCount") -> None:
        """Add what another count has counted."""
        words, places, (phones, parents, records), years, people = other.parts()
        for sex, tally in self._words.items():
            tally.add(words[sex])
        self._places.add(places)
        self._phones.extend(phones)
        self._parents.extend(parents)
        self._records.extend(records)
        self._years.update(years)
        self._people += people

    def parts(self) -> "tuple[Mapping[str, Tally], Tally, tuple[array[int], ...], Counter[int], int]":
        """Return what was counted: words by the sex of their bearers, places, numbers with days, birth years, how many people.

        The numbers are phones, parents' NIKs and record numbers.
        """
        numbers = (self._phones, self._parents, self._records)
        return self._words, self._places, numbers, self._years, self._people

    def result(self, counting: CountingWeights | None = None) -> Frequencies:
        """Return what was counted; only what several share is kept. `counting`: see Frequencies."""
        counting = counting or default_parameters().counting
        least = counting.established_people
        shared = {record: births for record, births in _births(self._records) if births >= least}
        return Frequencies(
            _counted([*self._words.values()], least),
            people=self._people,
            phones={str(phone): births for phone, births in _births(self._phones) if births > least},
            years=self._years,
            women=_counted([self._words["female"]], least),
            men=_counted([self._words["male"]], least),
            crowds=frozenset(nik for nik, births in _births(self._parents) if births >= _MORE_BIRTHS),
            places=_counted([self._places], least),
            records=HashedCounts(shared, lost=_HASH_LOST) if shared else None,
            counting=counting,
        )


def _counted(tallies: Sequence[Tally], least: float) -> HashedCounts:
    """Return how often each word was counted in all, of those that so many carry."""
    counts: dict[int, int] = {}
    for part in range(_PARTS_OF_WORDS):  # most words are carried by few: they are not in memory all at once
        added: Counter[int] = Counter()
        for tally in tallies:
            for word, count in tally.items():
                if word % _PARTS_OF_WORDS == part:
                    added[word] += count
        counts.update((word, count) for word, count in added.items() if count >= least)
    return HashedCounts(counts)


def _hashed(word: str) -> int:
    """Return two checksums of other polynomials as 48 bits: a digest takes three times as long."""
    written = word.encode()
    return crc32(written) << 16 | crc_hqx(written, 0)


def _hashed_nik(nik: str) -> int:
    """Return a hash of 44 bits of the digits that a spreadsheet keeps."""
    return _hashed(nik[:15]) >> _HASH_LOST


def _hashed_record(record: tuple[str, str]) -> int:
    """Return a hash of 44 bits of a clinic and its record number."""
    return _hashed(":".join(record)) >> _HASH_LOST


def _births(numbers: "array[int]") -> Iterator[tuple[int, int]]:
    """Yield each number with how many days it was noted with; part by part, those of one number in one part."""
    parts = len(numbers) // _COUNTED_TOGETHER + 1
    for part in range(parts):
        noted = {value for value in numbers if (value >> _DAY_BITS) % parts == part}
        yield from Counter(value >> _DAY_BITS for value in noted).items()


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


@remembered(2048)
def _shipped_sexes(word: str) -> tuple[str, str]:
    """Return what the shipped lists tell for a woman and for a man: "word", "ending" or nothing."""
    found = []
    for words, endings in _sexes():
        ended = word.endswith(endings) and len(word) >= _LEAST_LETTERS
        found.append("word" if word in words else "ending" if ended else "")
    return found[0], found[1]


@lru_cache(maxsize=1)
def _sexes() -> tuple[tuple[frozenset[str], tuple[str, ...]], ...]:
    """Return the shipped words and endings of women, then those of men."""
    document = tomllib.loads(resources.files(__package__).joinpath(_SEXES).read_text("utf-8"))
    return tuple(
        (frozenset(map(compared_form, document[sex]["words"].split())), tuple(document[sex]["endings"].split()))
        for sex in ("female", "male")
    )


@lru_cache(maxsize=1)
def _shipped() -> tuple[Mapping[str, float], float]:
    document = tomllib.loads(resources.files(__package__).joinpath(_SHIPPED).read_text("utf-8"))
    shares: dict[str, float] = {}
    for per_mille, words in document["bands"].items():
        for word in words.split():
            shares.setdefault(compared_form(word), int(per_mille) / 1000)
    return shares, document["unlisted_per_mille"] / 1000
