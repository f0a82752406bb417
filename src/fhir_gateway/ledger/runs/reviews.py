"""The review queue: questions for an operator, the records that hang on them, and her answers."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, String, cast, delete, func, insert, literal, select, update
from sqlalchemy.engine import Row

from fhir_gateway.domain.identity import PersonDecision
from fhir_gateway.domain.runs import (
    ReviewAnswer,
    ReviewItem,
    ReviewKind,
    ReviewState,
    Run,
    RunKind,
    RunState,
    SpooledRecord,
    as_review,
)
from fhir_gateway.ledger import codec, tables
from fhir_gateway.ledger.chunks import chunks
from fhir_gateway.ledger.spool.rows import read_written, written_text


class Reviews:
    """The review queue of one environment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(  # noqa: PLR0913 - a question is what its columns say
        self,
        run: Run,
        records: Sequence[SpooledRecord],
        *,
        kind: ReviewKind,
        code: str,
        text: str,
        suggestion: str,
        opened: datetime,
        decision: PersonDecision | None = None,
        patient_id: str = "",
    ) -> int:
        """Put a question to the queue and return its number.

        Records that already hang on an open question of the same kind (an earlier load of the same rows) bring that
        question up to date instead of doubling it; one that this run has asked about other people stays theirs. A dry run
        asks nothing.
        """
        if run.kind is RunKind.DRY_RUN:
            return 0
        body = codec.pack_decision(decision) if decision else None
        values = {
            "run": run.id,
            "code": code,
            "text": text,
            "suggestion": suggestion,
            "body": body,
            "patient_id": patient_id,
        }
        keys = [record.key for record in records]
        waiting = self._open_among(self._hanging_on(keys), [kind])
        number = min(set(waiting) - self._taken_by_others(waiting, run, body), default=None)
        if number is None:
            result = self._connection.execute(
                insert(tables.reviews).values(kind=kind, state=ReviewState.OPEN, opened=opened.isoformat(), **values)
            )
            number = int(result.inserted_primary_key[0]) if result.inserted_primary_key else 0
        else:
            self._connection.execute(update(tables.reviews).where(tables.reviews.c.id == number).values(**values))
        self._release(keys, waiting)
        if records:
            self._connection.execute(
                insert(tables.review_records),
                [
                    {"review": number, "key": r.key, "content": r.content, "run": run.id, "number": r.number}
                    for r in records
                ],
            )
        return number

    def open_items(self, codes: Collection[str] = ()) -> list[ReviewItem]:
        """Return the questions that wait (of these codes; all where none is named), those on which most rows hang first."""
        table = tables.reviews
        statement = select(table).where(table.c.state == ReviewState.OPEN).order_by(table.c.id)
        rows = self._connection.execute(statement.where(table.c.code.in_(codes)) if codes else statement)
        items = [self._item(row) for row in rows]
        return sorted((item for item in items if item.rows), key=lambda item: (-item.rows, item.id))

    def naming_patients(self) -> dict[str, list[int]]:
        """Return Patient → open questions about people who may be that Patient, or who may be somebody who became it."""
        table = tables.reviews
        statement = select(table.c.id, table.c.run, table.c.body).where(
            table.c.state == ReviewState.OPEN, table.c.kind == ReviewKind.PERSON, table.c.body.is_not(None)
        )
        found: dict[str, list[int]] = {}
        people: dict[int, dict[int, list[int]]] = {}
        for number, run, body in self._connection.execute(statement.order_by(table.c.id)):
            for candidate in codec.unpack_decision(body).candidates:
                if isinstance(candidate, str):
                    found.setdefault(candidate, []).append(number)
                else:
                    people.setdefault(run, {}).setdefault(candidate, []).append(number)
        for run, questions in people.items():
            for person, patient_id in self._became(run, questions):
                found.setdefault(patient_id, []).extend(questions[person])
        return found

    def meeting(self, run: Run, kind: ReviewKind, *, largest_block: int) -> dict[int, set[int]]:
        """Return person of a run → open questions of a kind, of other runs, about people with whom she shares a blocking key.

        A key that makes more than `largest_block` pairs says nothing.
        """
        items, hanging, records = tables.reviews, tables.review_records, tables.records
        statement = (
            select(records.c.run, records.c.person, items.c.id)
            .join_from(items, hanging, hanging.c.review == items.c.id)
            .join(records, (records.c.run == hanging.c.run) & (records.c.number == hanging.c.number))
            .where(items.c.state == ReviewState.OPEN, items.c.kind == kind, records.c.run != run.id)
        )
        asked = {(other, person): question for other, person, question in self._connection.execute(statement)}
        theirs, mine = tables.blocks.alias(), tables.blocks.alias()
        met = (
            select(theirs.c.key, theirs.c.person, mine.c.person)
            .join_from(theirs, mine, (mine.c.key == theirs.c.key) & (mine.c.run == run.id))
            .order_by(theirs.c.key)
        )
        found: dict[int, set[int]] = {}
        for other in sorted({other for other, _ in asked}):
            pairs = self._connection.execute(met.where(theirs.c.run == other))
            for _, block in groupby(pairs, key=itemgetter(0)):
                shared = list(islice(block, largest_block + 1))
                for _, person, member in shared if len(shared) <= largest_block else ():
                    if question := asked.get((other, person)):
                        found.setdefault(member, set()).add(question)
        return found

    def people_waiting(self) -> dict[int, set[str]]:
        """Return open question about people → digests of these, as they are worded."""
        found: dict[int, set[str]] = {}
        for question, digest in self._words_of_open(ReviewKind.PERSON):
            found.setdefault(question, set()).add(digest)
        return found

    def words_asked_about(self) -> set[str]:
        """Return what rows say, by its digests, that are loaded and of which it is asked whose they are."""
        return {digest for _, digest in self._words_of_open(ReviewKind.LOADED)}

    def _words_of_open(self, kind: ReviewKind) -> Iterator[tuple[int, str]]:
        """Yield (question, digest of what a row that hangs on it says of the person) of open questions of a kind."""
        items, hanging, records, persons = tables.reviews, tables.review_records, tables.records, tables.persons
        statement = (
            select(items.c.id, persons.c.digest)
            .join_from(items, hanging, hanging.c.review == items.c.id)
            .join(records, (records.c.run == hanging.c.run) & (records.c.number == hanging.c.number))
            .join(persons, (persons.c.run == records.c.run) & (persons.c.number == records.c.person))
            .where(items.c.state == ReviewState.OPEN, items.c.kind == kind)
        )
        yield from ((question, digest) for question, digest in self._connection.execute(statement))

    def _became(self, run: int, people: Iterable[int]) -> Iterator[tuple[int, str]]:
        """Yield (person of a run, Patient that it became)."""
        decided, persons = tables.decisions, tables.persons
        for chunk in chunks(people):
            rows = self._connection.execute(
                select(persons.c.number, decided.c.patient_id)
                .join(decided, (decided.c.run == persons.c.run) & (decided.c.number == persons.c.decision))
                .where(persons.c.run == run, persons.c.number.in_(chunk), decided.c.patient_id != "")
            )
            yield from ((person, patient_id) for person, patient_id in rows)

    def get(self, number: int) -> ReviewItem | None:
        """Return a question, None where there is no such one."""
        row = self._connection.execute(select(tables.reviews).where(tables.reviews.c.id == number)).first()
        return self._item(row) if row else None

    def records(self, number: int) -> list[tuple[int, int]]:
        """Return (run, record's number) of everything that hangs on a question."""
        table = tables.review_records
        rows = self._connection.execute(
            select(table.c.run, table.c.number).where(table.c.review == number).order_by(table.c.run, table.c.number)
        )
        return [(run, record) for run, record in rows]

    def of_record(self, run: Run, number: int) -> int | None:
        """Return the newest question that a record hangs on: it goes along with the record when that is read again."""
        hanging, records = tables.review_records, tables.records
        same = (hanging.c.key == records.c.key) & (hanging.c.content == records.c.content)
        return self._connection.execute(
            select(hanging.c.review)
            .join_from(records, hanging, same)
            .where(records.c.run == run.id, records.c.number == number)
            .order_by(hanging.c.review.desc())
        ).scalar()

    def of_unlinking(self, run: int) -> ReviewItem | None:
        """Return what keeps who took rows apart by this run and why, None where it was no such run."""
        table = tables.reviews
        statement = select(table).where(table.c.run == run, table.c.kind == ReviewKind.UNLINK)
        row = self._connection.execute(statement).first()
        return self._item(row) if row else None

    def answer(self, number: int, answer: ReviewAnswer) -> None:
        """Write an operator's answer; earlier ones stay in the history."""
        told = {
            "state": answer.state,
            "user": answer.user,
            "note": answer.note,
            "patient_id": answer.patient_id,
            "decided": answer.decided.isoformat(),
        }
        written = written_text(answer.written)
        self._connection.execute(insert(tables.answers).values(review=number, run=answer.run, written=written, **told))
        self._connection.execute(update(tables.reviews).where(tables.reviews.c.id == number).values(**told))

    def history(self, number: int) -> list[ReviewAnswer]:
        """Return what operators answered to a question, the oldest first."""
        table = tables.answers
        return [
            ReviewAnswer(
                ReviewState(row.state),
                row.user,
                row.note,
                row.patient_id,
                row.run,
                datetime.fromisoformat(row.decided),
                tuple(read_written(row.written)),
            )
            for row in self._connection.execute(select(table).where(table.c.review == number).order_by(table.c.id))
        ]

    def answered_as(self, number: int) -> list[int]:
        """Return the questions that were answered with this one and still are."""
        table, note = tables.reviews, as_review(number)
        same = (table.c.note == note) | table.c.note.startswith(f"{note}: ", autoescape=True)
        statement = select(table.c.id).where(table.c.state == ReviewState.LINKED, same).order_by(table.c.id)
        return list(self._connection.execute(statement).scalars())

    def reopen(self, number: int) -> None:
        """Let a question wait again."""
        self._connection.execute(
            update(tables.reviews).where(tables.reviews.c.id == number).values(state=ReviewState.OPEN)
        )

    def settled_elsewhere(self, keys: Sequence[str]) -> None:
        """Release records that have been loaded meanwhile; a question without records is superseded.

        A question about rows that are loaded for somebody waits on.
        """
        hung = self._hanging_on(keys)
        self._release(keys, self._open_among(hung, [kind for kind in ReviewKind if kind is not ReviewKind.LOADED]))
        self._supersede(hung)

    def _open_among(self, numbers: Iterable[int], kinds: Sequence[ReviewKind]) -> list[int]:
        """Return which of these questions wait and are of these kinds.

        Asked by number: among all questions that wait each look would take longer than the one before.
        """
        table = tables.reviews
        found: list[int] = []
        for chunk in chunks(sorted(numbers)):
            statement = select(table.c.id).where(table.c.id.in_(chunk), table.c.kind.in_(kinds))
            found += self._connection.execute(statement.where(table.c.state == ReviewState.OPEN)).scalars()
        return found

    def _taken_by_others(self, numbers: Iterable[int], run: Run, body: bytes | None) -> set[int]:
        """Return which of these questions the run has brought up to date with another decision: rows asked about together before."""
        table = tables.reviews
        if body is None:
            return set()
        found: set[int] = set()
        for chunk in chunks(sorted(numbers)):
            statement = select(table.c.id).where(table.c.id.in_(chunk), table.c.run == run.id, table.c.body != body)
            found.update(self._connection.execute(statement).scalars())
        return found

    def _hanging_on(self, keys: Sequence[str]) -> set[int]:
        table = tables.review_records
        return {
            number
            for chunk in chunks(keys)
            for number in self._connection.execute(select(table.c.review).where(table.c.key.in_(chunk))).scalars()
        }

    def _supersede(self, numbers: Iterable[int]) -> None:
        """Close those open questions on which nothing hangs any more; one whose answer is being posted waits for it."""
        items, records, runs = tables.reviews, tables.review_records, tables.runs
        answering = runs.c.fingerprint == literal("review:") + cast(items.c.id, String)
        for chunk in chunks(sorted(numbers)):
            self._connection.execute(
                update(items)
                .where(
                    items.c.id.in_(chunk),
                    items.c.state == ReviewState.OPEN,
                    ~select(records.c.key).where(records.c.review == items.c.id).exists(),
                    ~select(runs.c.id).where(answering, runs.c.state != RunState.FINISHED).exists(),
                )
                .values(state=ReviewState.SUPERSEDED)
            )

    def _release(self, keys: Sequence[str], questions: Sequence[int]) -> None:
        table = tables.review_records
        for numbers in chunks(questions):
            for chunk in chunks(keys):
                self._connection.execute(delete(table).where(table.c.key.in_(chunk), table.c.review.in_(numbers)))

    def _item(self, row: Row[Any]) -> ReviewItem:
        rows = self._connection.execute(
            select(func.count()).select_from(tables.review_records).where(tables.review_records.c.review == row.id)
        ).scalar()
        return ReviewItem(
            id=row.id,
            kind=ReviewKind(row.kind),
            state=ReviewState(row.state),
            run=row.run,
            code=row.code,
            text=row.text,
            suggestion=row.suggestion,
            decision=codec.unpack_decision(row.body) if row.body else None,
            rows=rows or 0,
            opened=datetime.fromisoformat(row.opened),
            patient_id=row.patient_id,
            user=row.user,
            note=row.note,
            decided=datetime.fromisoformat(row.decided) if row.decided else None,
        )
