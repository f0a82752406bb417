"""Rows of many people under one NIK: they wait in one question, which asks about the number and not about any of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.runs import ReviewKind, Run, Settlement, SpooledRecord
from fhir_gateway.flows.load.blocks import nik_blocks
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.shared_niks import NikCount, are_many

NIK_OF_MANY = "nik-of-many"
_TEXT = "the NIK stands in the rows of many people of different names, so that it tells of nobody who he is"
_SUGGESTION = (
    "correct the rows; or `review create`: the number counts for nobody from then on, and each row is loaded by the rest"
    " of what it says"
)
_CHUNK = 100


def count_niks(count: NikCount, person: PersonEvidence) -> None:
    """Count a person's own NIKs."""
    if person.niks:
        count.add(nik_blocks(person), person)


def park_people_under_one_nik(run: Run, count: NikCount, tools: LoadTools) -> None:
    """Let everybody wait who stands under a NIK that many people of different names have, in one question for each NIK."""
    for block in count.suspects():
        people: dict[str, list[int]] = {}
        for number, person in _evidence(run, tools.ledger.spool.people_in(run, block), tools):
            for nik in person.niks:
                people.setdefault(nik, []).append(number)
        for _, numbers in sorted(people.items()):
            if are_many(person for _, person in _evidence(run, numbers, tools)):
                with tools.ledger.transaction():
                    _park(run, numbers, tools)


def _evidence(run: Run, people: Iterable[int], tools: LoadTools) -> Iterator[tuple[int, PersonEvidence]]:
    for chunk in _chunks(people):
        for number, patient in sorted(tools.ledger.spool.patients_of(run, chunk).items()):
            yield number, evidence_of(patient)


def _park(run: Run, people: Sequence[int], tools: LoadTools) -> None:
    records: list[SpooledRecord] = []
    for chunk in _chunks(people):
        found = tools.ledger.spool.records_of(run, chunk)
        tools.ledger.spool.settle(
            run, [Settlement(record.number, Outcome.REVIEW, NIK_OF_MANY, _TEXT, _SUGGESTION) for record in found]
        )
        records += [replace(record, patient={}, doses=(), missing=()) for record in found]
        tools.ledger.spool.unblock(run, chunk)
    tools.ledger.reviews.ask(
        run,
        records,
        kind=ReviewKind.NIK,
        code=NIK_OF_MANY,
        text=_TEXT,
        suggestion=_SUGGESTION,
        opened=tools.clock.now(),
    )


def _chunks(people: Iterable[int]) -> Iterator[list[int]]:
    numbers = iter(people)
    while chunk := list(islice(numbers, _CHUNK)):
        yield chunk
