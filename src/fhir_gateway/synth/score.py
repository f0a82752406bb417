"""How well reports agree with the truth: who was merged or split, and what became of the doses.

A row is *linked* when it was loaded (or is unchanged) under a Patient; *parked* when it waits in review; *lost* when
it was rejected, failed, or is missing in the report. Rows that say themselves that they cannot be loaded (a broken
row, no vaccine) count in no recall. Three ways of counting, since each hides something:

- pairs: every two rows of one person are one pair. People with many rows weigh most.
- links: n rows of a person need n - 1 links. A link that would hold if every parked row were decided rightly is
  *made or parked*.
- B-cubed (Bagga & Baldwin 1998): the mean over rows of the share of the row's company that is right, so that every
  row weighs the same.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fhir_gateway.domain.errors import SourceError
from fhir_gateway.synth.doses_score import DoseScore, score_doses
from fhir_gateway.synth.reports import ReportedRow
from fhir_gateway.synth.truth import TrueRow

_LINKED = ("loaded", "unchanged")
_EXAMPLES = 20
_UNREPORTED = ReportedRow(0, "unreported")


@dataclass(frozen=True, slots=True)
class Measure:
    """What was made (`made`), how much of it is right, and how much right there was to make."""

    made: int
    right: int
    wanted: int
    right_or_parked: int

    @property
    def precision(self) -> float:
        """The share of what was made that is right; 1 where nothing was made."""
        return self.right / self.made if self.made else 1.0

    @property
    def recall(self) -> float:
        """The share of what was wanted that was made; 1 where nothing was wanted."""
        return self.right / self.wanted if self.wanted else 1.0

    @property
    def recall_with_review(self) -> float:
        """The share of what was wanted that was made or waits in review."""
        return self.right_or_parked / self.wanted if self.wanted else 1.0


@dataclass(frozen=True, slots=True)
class Merged:
    """Persons who share a Patient wrongly: pairs of persons, and the first of them (persons' ids)."""

    pairs: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Score:
    """The whole score; `merged` by what the persons are to each other, `split` by why a link is missing.

    `split_tags` counts the truth's tags on rows that stand under another Patient than most of their person's rows,
    `split_examples` are the first such rows (or waiting, rejected ones) by reason: (person, source, row). `grades` has  the rows of each match grade and how many of these stand under somebody else's Patient.
    """

    rows: int
    persons: int
    statuses: dict[str, int]
    pairs: Measure
    links: Measure
    bcubed_precision: float
    bcubed_recall: float
    persons_whole: int
    persons_split: int
    persons_merged: int
    persons_in_review: int
    rows_in_review: int
    rejected_good_rows: int
    loaded_broken_rows: int
    merged: dict[str, Merged]
    split: dict[str, int]
    split_tags: dict[str, int]
    split_examples: dict[str, tuple[tuple[str, str, int], ...]]
    grades: dict[str, tuple[int, int]]
    doses: DoseScore


@dataclass(frozen=True, slots=True)
class Judged:
    """A row's truth beside what was reported of it."""

    truth: TrueRow
    report: ReportedRow

    @property
    def patient(self) -> str:
        """The Patient that the row was linked to, empty where it was not."""
        return self.report.patient if self.report.status in _LINKED else ""

    @property
    def parked(self) -> bool:
        """Whether the row waits in review."""
        return self.report.status == "review"

    @property
    def counts(self) -> bool:
        """Whether the row can be loaded at all."""
        return not any(tag.startswith("broken-") or tag == "no-vaccine" for tag in self.truth.tags)


def score(truth: Iterable[TrueRow], reports: Mapping[str, Iterable[ReportedRow]]) -> Score:
    """Return the score of the reports, keyed by source, against the truth of these sources.

    Raises SourceError where a report speaks of a row twice or of one that the truth does not have.
    """
    rows = _joined(truth, reports)
    by_person: dict[str, list[Judged]] = defaultdict(list)
    by_patient: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        by_person[row.truth.person].append(row)
        if row.patient:
            by_patient[row.patient][row.truth.person] += 1
    owners = {patient: persons.most_common(1)[0][0] for patient, persons in by_patient.items()}
    merged = _merged(by_patient, {row.truth.person: row.truth for row in rows})
    statuses = Counter(row.report.status for row in rows)
    in_review = sum(1 for group in by_person.values() if any(row.parked for row in group))
    bcubed = _bcubed(by_person, by_patient)
    split, split_tags, split_examples = _split(by_person)
    return Score(
        rows=len(rows),
        persons=len(by_person),
        statuses=dict(statuses),
        pairs=_pairs(by_person, by_patient),
        links=_links(by_person, by_patient),
        bcubed_precision=bcubed[0],
        bcubed_recall=bcubed[1],
        persons_whole=sum(1 for group in by_person.values() if _is_whole(group, by_patient)),
        persons_split=sum(1 for group in by_person.values() if len({row.patient for row in group} - {""}) > 1),
        persons_merged=len({person for persons in by_patient.values() if len(persons) > 1 for person in persons}),
        persons_in_review=in_review,
        rows_in_review=statuses["review"],
        rejected_good_rows=sum(1 for row in rows if row.counts and row.report.status == "rejected"),
        loaded_broken_rows=sum(1 for row in rows if not row.counts and row.patient),
        merged=merged,
        split=split,
        split_tags=split_tags,
        split_examples=split_examples,
        grades=_grades(rows, owners),
        doses=score_doses(rows, owners),
    )


def _joined(truth: Iterable[TrueRow], reports: Mapping[str, Iterable[ReportedRow]]) -> list[Judged]:
    reported: dict[tuple[str, int], ReportedRow] = {}
    for source, report in reports.items():
        for row in report:
            if reported.setdefault((source, row.row), row) is not row:
                raise SourceError(f"the report of {source} speaks of row {row.row} twice")
    joined = [Judged(row, reported.pop((row.source, row.row), _UNREPORTED)) for row in truth if row.source in reports]
    if reported:
        source, number = next(iter(reported))
        raise SourceError(f"the report of {source} speaks of row {number}, which the truth does not have: other data?")
    return joined


def _is_whole(group: list[Judged], by_patient: Mapping[str, Counter[str]]) -> bool:
    """Return whether all of a person's loadable rows stand under one Patient, alone."""
    patients = {row.patient for row in group if row.counts}
    return len(patients) == 1 and "" not in patients and len(by_patient[next(iter(patients))]) == 1


def _two(count: int) -> int:
    return count * (count - 1) // 2


def _pairs(by_person: Mapping[str, list[Judged]], by_patient: Mapping[str, Counter[str]]) -> Measure:
    wanted = parked = right = 0
    for group in by_person.values():
        counting = [row for row in group if row.counts]
        waiting = sum(1 for row in counting if row.parked)
        wanted += _two(len(counting))
        parked += waiting * sum(1 for row in counting if row.patient) + _two(waiting)
        right += sum(_two(count) for count in Counter(row.patient for row in counting if row.patient).values())
    made = sum(_two(persons.total()) for persons in by_patient.values())
    true = sum(_two(count) for persons in by_patient.values() for count in persons.values())
    # Rows that do not count for recall may be linked rightly as well: they count for precision only.
    return _measure(made=made, true=true, wanted=wanted, right=right, parked=parked)


def _links(by_person: Mapping[str, list[Judged]], by_patient: Mapping[str, Counter[str]]) -> Measure:
    wanted = parked = right = 0
    for group in by_person.values():
        counting = [row for row in group if row.counts]
        if not counting:
            continue
        linked = [row.patient for row in counting if row.patient]
        waiting = sum(1 for row in counting if row.parked)
        wanted += len(counting) - 1
        right += len(linked) - len(set(linked))
        parked += waiting if linked else max(waiting - 1, 0)
    made = sum(persons.total() - 1 for persons in by_patient.values())
    true = sum(persons.total() - len(persons) for persons in by_patient.values())
    return _measure(made=made, true=true, wanted=wanted, right=right, parked=parked)


def _measure(*, made: int, true: int, wanted: int, right: int, parked: int) -> Measure:
    """Return a measure whose wrong part is exact and whose right part counts rows that can be loaded only."""
    return Measure(made=right + made - true, right=right, wanted=wanted, right_or_parked=right + parked)


def _bcubed(by_person: Mapping[str, list[Judged]], by_patient: Mapping[str, Counter[str]]) -> tuple[float, float]:
    precision = recall = 0.0
    linked = counting = 0
    for person, group in by_person.items():
        company = Counter(row.patient for row in group if row.counts and row.patient)
        size = sum(1 for row in group if row.counts)
        for row in group:
            if row.patient:
                linked += 1
                precision += by_patient[row.patient][person] / by_patient[row.patient].total()
            if row.counts:
                counting += 1
                recall += (company[row.patient] if row.patient else 1) / size
    return (precision / linked if linked else 1.0, recall / counting if counting else 1.0)


def _merged(by_patient: Mapping[str, Counter[str]], people: Mapping[str, TrueRow]) -> dict[str, Merged]:
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for persons in by_patient.values():
        names = sorted(persons)
        for place, left in enumerate(names):
            for right in names[place + 1 :]:
                found[relation(people[left], people[right])].add((left, right))
    return {kind: Merged(len(pairs), tuple(sorted(pairs)[:_EXAMPLES])) for kind, pairs in sorted(found.items())}


def relation(left: TrueRow, right: TrueRow) -> str:
    """Return what two persons are to each other, the closest word for it."""
    if left.twin_of == right.person or right.twin_of == left.person:
        return "twins"
    if right.person == left.mother or left.person == right.mother:
        return "mother-child"
    if right.person == left.father or left.person == right.father:
        return "father-child"
    if left.mother and left.mother == right.mother:
        return "siblings"
    if left.household == right.household and left.household:
        return "household"
    return "namesakes" if left.namesake and left.namesake == right.namesake else "strangers"


def _split(
    by_person: Mapping[str, list[Judged]],
) -> tuple[dict[str, int], dict[str, int], dict[str, tuple[tuple[str, str, int], ...]]]:
    """Return how many links are missing for which reason, the tags of the rows that were missed, and the first rows."""
    why: Counter[str] = Counter()
    tags: Counter[str] = Counter()
    examples: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for group in by_person.values():
        counting = [row for row in group if row.counts]
        if len(counting) < 2:
            continue
        patients = Counter(row.patient for row in counting if row.patient)
        why["missed"] += max(len(patients) - 1, 0)
        missing = Counter(row.report.status for row in counting if not row.patient)
        if not patients:  # of n rows none of which is linked the first one needs no link
            missing["review" if "review" in missing else missing.most_common(1)[0][0]] -= 1
        why.update(missing)
        most = patients.most_common(1)[0][0] if patients else ""
        for row in counting:
            if row.patient not in {"", most}:
                tags.update(row.truth.tags or ("no-error",))
            shown = examples["missed" if row.patient else row.report.status]
            if (not row.patient or row.patient != most) and len(shown) < _EXAMPLES:
                shown.append((row.truth.person, row.truth.source, row.truth.row))
    counts = {reason: count for reason, count in sorted(why.items()) if count}
    return counts, dict(tags.most_common()), {reason: tuple(rows) for reason, rows in sorted(examples.items()) if rows}


def _grades(rows: Iterable[Judged], owners: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        if row.patient:
            counts[row.report.grade or "none"][0] += 1
            counts[row.report.grade or "none"][1] += owners[row.patient] != row.truth.person
    return {grade: (all_, wrong) for grade, (all_, wrong) in sorted(counts.items())}
