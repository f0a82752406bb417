"""How many people a load's lists say were given a lot that day, counted once somebody asks."""

from fhir_gateway.domain.runs import Run, RunKind
from fhir_gateway.flows.load.tools import LoadTools
from fhir_gateway.identity.given import Vial, listed
from fhir_gateway.identity.lots import LotCount, Received

_WHOLE_LISTS = frozenset({RunKind.LOAD, RunKind.DRY_RUN})
"""Other runs have single rows of a list: how many received what they tell is not known there."""


class LoadedLots:
    """Tells of a run's lots, vaccines and days how many people received them; goes through the spool at the first one."""

    def __init__(self, run: Run, tools: LoadTools) -> None:
        self._run = run
        self._tools = tools
        self._counted: Received | None = None

    def received(self, vial: Vial) -> int | None:
        """Return how many people the vial's list has of whom it says this, None where whole lists are not at hand."""
        if self._run.kind not in _WHOLE_LISTS:
            return None
        if self._counted is None:
            count = LotCount()
            for person, clinic, file, doses in self._tools.ledger.spool.given(self._run):
                count.add(person, listed(register(clinic, file), doses, (), zone=self._tools.zone))
            self._counted = count.result()
        return self._counted(vial)


def register(clinic: str, file: int) -> str:
    """Return the name of a clinic's list: one of its sources' files."""
    return f"{clinic}:{file}"
