"""What was taken back on the FHIR server itself, looked for by `serve` now and then, and before recalls are listed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from fhir_gateway.bootstrap.gateway import Gateway, SystemClock
from fhir_gateway.domain.errors import GatewayError
from fhir_gateway.domain.registry import Correction, RecallReason
from fhir_gateway.fhir_server.client import FhirClient
from fhir_gateway.fhir_server.history import ServerHistory
from fhir_gateway.fhir_server.pulling import ServerPuller
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.flows.registry.withdrawing import note_withdrawn
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.settings import Environment

_PLACE = "recalls:Immunization"
"""What the place is called up to which doses that were taken back have been looked at."""

_PATIENCE = 5.0
"""Seconds that a command waits for a server that is down."""


class LedgerWithdrawals:
    """Fulfils ports.registry.Withdrawals on a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def position(self) -> tuple[datetime, str] | None:
        """Return the last dose that was looked at."""
        return self._ledger.groups.position(_PLACE)

    def held(self, resources: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return which versions of these resources clients have."""
        return self._ledger.pulls.held(resources)

    def note(self, corrections: Iterable[Correction], *, last: tuple[datetime, str], at: datetime) -> int:
        """Note who has what was taken back, and that everything up to `last` was looked at."""
        with self._ledger.transaction():
            found = self._ledger.pulls.recall(corrections, reason=RecallReason.WITHDRAWN, at=at)
            self._ledger.groups.move(_PLACE, *last)
        return found


async def look_for_withdrawn(settings: Environment, ledger: Ledger, client: FhirClient) -> int:
    """Note who has a dose as given that was taken back on the server; return how many copies. Raises ServerError."""
    if not ledger.pulls.anything_given():
        return 0
    reader = ServerReader(client)
    tools = RegistryTools(reader, ServerPuller(client), SystemClock(), settling=settings.settling)
    return await note_withdrawn(tools, ServerHistory(client, reader), LedgerWithdrawals(ledger))


def withdrawn_in(gateway: Gateway) -> str:
    """Look for what was taken back on an environment's server; return what hindered that, "" where nothing did."""

    async def look(client: FhirClient) -> None:
        client.limit_patience(_PATIENCE)
        await look_for_withdrawn(gateway.environment, gateway.ledger, client)

    try:
        gateway.connect(look)
    except GatewayError as error:
        return str(error)
    return ""
