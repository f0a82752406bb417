"""What lists say of people's doses: this run's rows, and what the ledger keeps of those that were loaded before."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from fhir_gateway.domain.identity import Node
from fhir_gateway.domain.runs import KnownKey, ListedRow, Run, RunKind, SpooledRecord
from fhir_gateway.flows.load.reading import WITNESSES
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.identity.given import Listed, Vial, listed, listed_again, listed_row, source_of
from fhir_gateway.identity.lots import LotCount, Received

_WHOLE_LISTS = frozenset({RunKind.LOAD, RunKind.DRY_RUN})
"""Other runs have single rows of a list: how many received what they tell is not known there."""
_BEFORE = "#run"
"""Stands between a source and the run that loaded its rows, where this run's files have their numbers."""


def listed_by(run: Run, people: Iterable[int], tools: LoadTools) -> dict[Node, Listed]:
    """Return what the run's records tell of these people's doses, also of those whose rows contradict each other."""
    found = tools.ledger.spool.records_of(run, people, waiting=WITNESSES)
    records = ((record.person, record) for record in found)
    return dict.fromkeys(people, Listed()) | _said(run, records, tools)


def listed_before(run: Run, patient_ids: Iterable[str], tools: LoadTools) -> dict[Node, Listed]:
    """Return what is told of Patients' doses: by the run's unchanged rows, and by rows of earlier loads that are not in it.

    Those stand in a list of their own, since one of them may stand in this run as well, under the name that the child got.
    """
    wanted = list(patient_ids)
    found = _said(run, tools.ledger.spool.unchanged_of(run, wanted), tools)
    for patient_id, loaded, row in tools.ledger.keys.listed(run, wanted):
        said = listed_again(f"{row.source}{_BEFORE}{loaded}", row)
        found[patient_id] = found[patient_id] | said if patient_id in found else said
    return found


def _said(run: Run, records: Iterable[tuple[Node, SpooledRecord]], tools: LoadTools) -> dict[Node, Listed]:
    """Return what records say of whom they belong to."""
    found: dict[Node, Listed] = {}
    for node, record in records:
        register = _register(run, record.clinic, record.file)
        said = listed(register, record.doses, record.missing, zone=tools.zone)
        found[node] = found[node] | said if node in found else said
    return found


def row_to_keep(run: Run, record: SpooledRecord, tools: LoadTools) -> ListedRow:
    """Return what a record says of doses, as later loads have to know it."""
    return listed_row(_source(run, record.clinic, record.file), record.doses, record.missing, zone=tools.zone)


def keep_lots(known: Sequence[KnownKey], tools: LoadTools) -> None:
    """Let the ledger know to whom lists say that lots were given."""
    tools.ledger.keys.count_lots(
        (_number(Vial(key.listed.source, dose.vaccine, dose.day, dose.lot)), key.key)
        for key in known
        if key.listed
        for dose in key.listed.doses
        if dose.lot
    )


class LoadedLots:
    """Tells of lots, vaccines and days how many people received them; goes through the run's spool at the first of its own."""

    def __init__(self, run: Run, tools: LoadTools) -> None:
        self._run = run
        self._tools = tools
        self._counted: Received | None = None

    def received(self, vial: Vial) -> int | None:
        """Return how many people the vial's list has of whom it says this, None where whole lists are not at hand."""
        if self._run.kind not in _WHOLE_LISTS:
            return None
        if _BEFORE in vial.register:
            return self._tools.ledger.keys.received(_number(vial._replace(register=source_of(vial.register))))
        if self._counted is None:
            count = LotCount()
            for person, clinic, file, doses in self._tools.ledger.spool.given(self._run):
                count.add(person, listed(_register(self._run, clinic, file), doses, (), zone=self._tools.zone))
            self._counted = count.result()
        return self._counted(vial)


def _register(run: Run, clinic: str, file: int) -> str:
    """Return the name of a clinic's list: one of its sources' files."""
    return f"{_source(run, clinic, file)}#{file}"


def _source(run: Run, clinic: str, file: int) -> str:
    """Return the name of a clinic's source: its files go on with each other."""
    return f"{clinic}/{run.files[file].mapping}" if file < len(run.files) else clinic


def _number(vial: Vial) -> int:
    """Return a vial as a signed 64-bit number, so that the ledger can count it in a few bytes."""
    return int.from_bytes(blake2b("|".join(vial).encode(), digest_size=8).digest(), signed=True)
