"""What operators' answers taught later loads: who is whom, which NIKs are nobody's, which records are refused."""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select

from fhir_gateway.domain.runs import ReviewKind, ReviewState, SpooledRecord, Verdict
from fhir_gateway.ledger import tables
from fhir_gateway.ledger.chunks import chunks

_NIK = "n:"
"""Before a NIK's digest, where people's stand."""


class Verdicts:
    """The operators' verdicts and rejections of one environment, each with the question whose answer said so."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def judge(self, number: int, verdicts: Iterable[Verdict]) -> None:
        """Remember what an operator said of people, for later loads."""
        for verdict in verdicts:
            table = tables.verdicts
            self._connection.execute(
                delete(table).where(table.c.digest == verdict.digest, table.c.patient_id == verdict.patient_id)
            )
            self._connection.execute(
                insert(table).values(
                    digest=verdict.digest, patient_id=verdict.patient_id, same=verdict.same, review=number
                )
            )

    def of(self, digests: Iterable[str], *, of_answers: bool = False) -> list[Verdict]:
        """Return what operators said of these people; with `of_answers` not what follows from taking rows apart."""
        table = tables.verdicts
        statement = select(table)
        if of_answers:
            statement = statement.join(tables.reviews, tables.reviews.c.id == table.c.review)
            statement = statement.where(tables.reviews.c.kind != ReviewKind.UNLINK)
        return [
            Verdict(row.digest, row.patient_id, row.same, row.review)
            for chunk in chunks(digests)
            for row in self._connection.execute(statement.where(table.c.digest.in_(chunk)))
        ]

    def judged(self, digest: str, patient_id: str) -> tuple[bool, int] | None:
        """Return whether an operator said that a person is a Patient, and by which question's answer; None where nobody did."""
        table = tables.verdicts
        row = self._connection.execute(
            select(table.c.same, table.c.review).where(table.c.digest == digest, table.c.patient_id == patient_id)
        ).first()
        return (row.same, row.review) if row else None

    def unlinked(self, patient_ids: Iterable[str]) -> set[frozenset[str]]:
        """Return the pairs among these Patients that an operator said are two: taken apart, or one created beside the other."""
        wanted = set(patient_ids)
        own, other, reviews = tables.verdicts.alias(), tables.verdicts.alias(), tables.reviews
        statement = (
            select(own.c.patient_id, other.c.patient_id)
            .join_from(own, other, (own.c.digest == other.c.digest) & (own.c.review == other.c.review))
            .join(reviews, reviews.c.id == own.c.review)
            .where(
                own.c.same.is_(True),
                other.c.same.is_(False),
                reviews.c.state.in_((ReviewState.UNLINKED, ReviewState.CREATED)),
            )
        )
        return {
            frozenset(pair)
            for chunk in chunks(wanted)
            for pair in self._connection.execute(statement.where(own.c.patient_id.in_(chunk)))
            if wanted.issuperset(pair)
        }

    def give_up_niks(self, number: int, digests: Iterable[str]) -> None:
        """Remember that an operator said of NIKs that they are nobody's: of no Patient."""
        self.judge(number, [Verdict(f"{_NIK}{digest}", "", same=False) for digest in digests])

    def nobodys_niks(self) -> frozenset[str]:
        """Return the digests of the NIKs that operators said are nobody's."""
        statement = select(tables.verdicts.c.digest).where(tables.verdicts.c.digest.startswith(_NIK))
        return frozenset(digest.removeprefix(_NIK) for digest in self._connection.execute(statement).scalars())

    def reject(self, number: int, records: Iterable[SpooledRecord], reason: str) -> None:
        """Remember that an operator rejected these very records."""
        for record in records:
            table = tables.rejections
            self._connection.execute(delete(table).where(table.c.key == record.key, table.c.content == record.content))
            self._connection.execute(
                insert(table).values(key=record.key, content=record.content, reason=reason, review=number)
            )

    def rejections(self, keys: Iterable[str]) -> dict[tuple[str, str], str]:
        """Return (key, content) → reason of records that an operator rejected."""
        table = tables.rejections
        return {
            (row.key, row.content): row.reason
            for chunk in chunks(keys)
            for row in self._connection.execute(select(table).where(table.c.key.in_(chunk)))
        }

    def take_back(self, number: int) -> None:
        """Forget what an answer to question `number` taught later loads: its verdicts and rejections."""
        for table in (tables.verdicts, tables.rejections):
            self._connection.execute(delete(table).where(table.c.review == number))
