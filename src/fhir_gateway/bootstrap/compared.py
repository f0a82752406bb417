"""Two people compared outside of a load: rows of files or runs, Patients of the server, and what lists say of their doses."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fhir_gateway.bootstrap.gateway import Gateway
from fhir_gateway.bundling.digests import digest
from fhir_gateway.domain.errors import ServerError, UsageError
from fhir_gateway.domain.identity import ComparedPair, Comparison, Node
from fhir_gateway.domain.records import Converted, Dose, Rejected, Resource, SourceRecord, UnreadableRow
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.flows.load import LoadInput, LoadTools
from fhir_gateway.identity.clustering import Graph
from fhir_gateway.identity.comparison import compare
from fhir_gateway.identity.evidence import PersonEvidence, evidence_of
from fhir_gateway.identity.given import Listed, Vial, days_of, listed
from fhir_gateway.identity.told_by_doses import with_doses

_RUN = re.compile(r"([0-9]{1,9})(?::([0-9]{1,9}))?")
_ROW = re.compile(r"[0-9]{1,9}")
_NOT_OF_A_LOT = re.compile(r"[^A-Z0-9\n]+")


@dataclass(frozen=True, slots=True)
class ComparedTwo:
    """Two people and what their comparison says."""

    left: Resource
    right: Resource
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class _Side:
    """Who is compared, what one list (`register`) says of the doses, and how many people that list has of a lot."""

    patient: Resource
    said: Listed
    register: str
    received: Callable[[Vial], int | None] = lambda _vial: None


def compare_two(gateway: Gateway, left: str, right: str, *, mapping: str, clinic: str) -> ComparedTwo:
    """Compare two of FILE:ROW, RUN:ROW, RUN:N:ROW or Patient ids; raises UsageError that says what is wrong with one."""
    one, other = (_side(gateway, text, mapping=mapping, clinic=clinic) for text in (left, right))
    policy = gateway.environment.matching
    sides = {1: one, 2: other}
    nodes: dict[Node, PersonEvidence] = {number: evidence_of(side.patient) for number, side in sides.items()}
    comparison = compare(nodes[1], nodes[2], policy=policy)
    counting = {side.register: side.received for side in sides.values()}
    graph = Graph(
        nodes,
        [ComparedPair(1, 2, comparison)],
        policy=policy,
        listed={number: side.said for number, side in sides.items()},
        received=lambda vial: counting[vial.register](vial),
    )
    raised = graph.raised(comparison, (1,), (2,))
    return ComparedTwo(one.patient, other.patient, with_doses(graph, 1, 2, raised or comparison))


def _side(gateway: Gateway, text: str, *, mapping: str, clinic: str) -> _Side:
    place, colon, row = text.rpartition(":")
    if colon and _ROW.fullmatch(row):
        if of_run := _RUN.fullmatch(place):
            return _of_run(gateway, int(of_run[1]), int(of_run[2]) if of_run[2] else None, int(row))
        return _of_file(gateway, Path(place), int(row), mapping=mapping, clinic=clinic)
    return _on_server(gateway, text)


def _on_server(gateway: Gateway, text: str) -> _Side:
    patient_id = text.removeprefix("Patient/")

    async def read(tools: LoadTools) -> tuple[Resource | None, list[Resource]]:
        doses = [one async for one in tools.reader.search("Immunization", {"patient": [patient_id]})]
        return await tools.reader.read("Patient", patient_id), doses

    patient, doses = gateway.act(read)
    if patient is None:
        raise UsageError(f"{text}: there is no such Patient on the server; a row is told as FILE:ROW or RUN:ROW")
    register = f"Patient/{patient_id}"
    said = listed(register, [Dose("", one) for one in doses], (), zone=gateway.environment.zone)
    return _Side(patient, Listed(said.doses, vials=said.vials), register, lambda vial: _on_server_of(gateway, vial))


def _on_server_of(gateway: Gateway, vial: Vial) -> int | None:
    """Return how many Patients the server has of whom it says the same; None where it cannot be searched for that."""
    if not vial.lot:
        return None

    async def count(tools: LoadTools) -> int:
        wanted = {"lot-number": [vial.lot], "date": [vial.day]}
        people: set[str] = set()
        async for one in tools.reader.search("Immunization", wanted):
            said = listed(vial.register, [Dose("", one)], (), zone=gateway.environment.zone)
            if vial in said.vials:
                people.add(id_referred_to(one.get("patient"), "Patient"))
        return len(people)

    try:
        return gateway.act(count) or None
    except ServerError:
        return None


def _of_run(gateway: Gateway, number: int, file: int | None, row: int) -> _Side:
    run = gateway.ledger.runs.get(number)
    place = run.place_of_file(file, how=f"as {number}:FILE:{row}") if run else 0
    record = gateway.ledger.spool.record_at(run, file=place, row=row) if run else None
    if run is None or record is None:
        named = f"{number}:{file}:{row}" if file else f"{number}:{row}"
        raise UsageError(f"{named}: there is no such run or row; `fhir-gateway runs list` shows all runs")
    settled = record[2]
    parked = gateway.ledger.spool.parked_numbers([(run.id, settled.number)]) if settled else []
    if not parked:
        where = f", or its Patient {settled.patient_id}" if settled and settled.patient_id else ""
        raise UsageError(
            f"{number}:{row}: what this row said is no longer kept, it has been settled: name it as FILE:{row}{where}"
        )
    register = f"run {run.id}, {parked[0].clinic}"
    said = listed(register, parked[0].doses, parked[0].missing, zone=gateway.environment.zone)
    return _Side(parked[0].patient, said, register)


def _of_file(gateway: Gateway, path: Path, row: int, *, mapping: str, clinic: str) -> _Side:
    (entry,) = gateway.inputs([path], mapping=mapping, clinic=clinic)
    for record in entry.source.records():
        if record.ref.row != row:
            continue
        result = Rejected(record.ref, (record.problem,)) if isinstance(record, UnreadableRow) else entry.convert(record)
        if isinstance(result, Rejected):
            raise UsageError(f"{path.name}:{row} cannot be converted: {result.problems[0].text}")
        register = str(path.resolve())
        said = listed(register, result.doses, result.missing, zone=gateway.environment.zone)
        return _Side(result.patient, said, register, lambda vial: _in_file(gateway, entry, vial))
    raise UsageError(f"{path.name} has no row {row}")


def _in_file(gateway: Gateway, entry: LoadInput, vial: Vial) -> int:
    """Return how many people a file has of whom it says the same; only rows in which the lot stands, if any, are converted."""
    people: set[str] = set()
    for record in entry.source.records():
        if not isinstance(record, SourceRecord) or not _holds(record.cells, vial.lot):
            continue
        result = entry.convert(record)
        if isinstance(result, Converted):
            said = listed(vial.register, result.doses, result.missing, zone=gateway.environment.zone)
            if vial in said.vials or vial in days_of(said):
                people.add(digest(result.patient))
    return len(people)


def _holds(cells: Mapping[str, str], lot: str) -> bool:
    return lot in _NOT_OF_A_LOT.sub("", "\n".join(cells.values()).upper())
