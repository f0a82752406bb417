"""Two published rule sets, record after record in the order of arrival, first page of a search only.

A (demographics first): gender and birth date given: the first of the first page whose name scores 85 or more. Else a
NIK: the first hit, its name unseen. Else a new patient. The text leaves open whether the NIK is asked only where gender or birth
date is missing (A) or also where nobody of the page is alike (A2): both are measured.
B (NIK first): one hit by NIK is linked at 85 or more, of several the best at 85 or more. No link so far and gender and
birth date given: the first of the first page with 85 or more. Else a new patient.

The name's score is rapidfuzz's token_sort_ratio over lower-case names, which is kind to them: so are the names, dates
and NIKs, read by the gateway's own mappings.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rapidfuzz.fuzz import token_sort_ratio

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource

_PAGE = 100
_ENOUGH = 85


@dataclass(frozen=True, slots=True)
class Record:
    """What the rules look at."""

    name: str
    gender: str
    born: str
    nik: str


@dataclass(slots=True)
class Server:
    """The patients created so far, and the two searches that the rules use."""

    patients: list[Record] = field(default_factory=list)
    by_nik: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    by_birth: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))

    def create(self, record: Record) -> int:
        """Keep a new patient and return its number."""
        number = len(self.patients)
        self.patients.append(record)
        if record.nik:
            self.by_nik[record.nik].append(number)
        if record.gender and record.born:
            self.by_birth[record.gender, record.born].append(number)
        return number

    def alike_by_birth(self, record: Record) -> int | None:
        """Return the first of the first page by gender and birth date whose name is alike."""
        if not (record.gender and record.born):
            return None
        page = self.by_birth.get((record.gender, record.born), [])[:_PAGE]
        return next((number for number in page if self.score(record, number) >= _ENOUGH), None)

    def hits(self, record: Record) -> list[int]:
        """Return the first page by NIK."""
        return self.by_nik.get(record.nik, [])[:_PAGE] if record.nik else []

    def score(self, record: Record, number: int) -> float:
        """Return how alike two names are, 0 to 100."""
        return float(token_sort_ratio(record.name, self.patients[number].name))


def rule_a(server: Server, record: Record) -> int:
    """Demographics first; the NIK where they are not given."""
    found = server.alike_by_birth(record)
    if found is not None:
        return found
    return server.create(record) if record.gender and record.born else _first_by_nik(server, record)


def rule_a2(server: Server, record: Record) -> int:
    """Demographics first; the NIK where they find nobody."""
    found = server.alike_by_birth(record)
    return _first_by_nik(server, record) if found is None else found


def _first_by_nik(server: Server, record: Record) -> int:
    hits = server.hits(record)
    return hits[0] if hits else server.create(record)


def rule_b(server: Server, record: Record) -> int:
    """NIK first."""
    hits = server.hits(record)
    best = max(hits, key=lambda number: server.score(record, number), default=None)
    if best is not None and server.score(record, best) >= _ENOUGH:
        return best
    found = server.alike_by_birth(record)
    return server.create(record) if found is None else found


def record_of(patient: Resource) -> Record:
    """Return what the rules look at of a converted Patient."""
    name = (patient.get("name") or [{}])[0]
    text = name.get("text") or " ".join([*name.get("given", []), name.get("family", "")])
    niks = [each["value"] for each in patient.get("identifier", []) if each.get("system") == systems.NIK]
    return Record(text.lower(), patient.get("gender", ""), patient.get("birthDate", ""), niks[0] if niks else "")


def labels(patients: Iterable[Resource], rule: Callable[[Server, Record], int]) -> list[str]:
    """Return each distinct Patient's label; one that comes again is found as it was found first."""
    server = Server()
    return [str(rule(server, record_of(patient))) for patient in patients]
