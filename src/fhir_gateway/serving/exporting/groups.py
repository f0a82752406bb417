"""The groups that can be exported, read anew from the FHIR server when somebody asks."""

import asyncio
from collections.abc import Mapping

from fhir_gateway.domain.errors import TransientServerError
from fhir_gateway.flows.registry.grouping import refresh_groups
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.ports.exports import FhirHistory, Stock
from fhir_gateway.serving.exporting.sources import LedgerGroups


class ServedGroups:
    """The groups of one environment; `clinics` are the names of those that have one, and it waits `within` seconds."""

    def __init__(  # noqa: PLR0913 - an environment's parts
        self,
        ledger: Ledger,
        tools: RegistryTools,
        history: FhirHistory,
        *,
        stock: Stock | None,
        clinics: Mapping[str, str],
        within: float,
    ) -> None:
        self._ledger = ledger
        self._tools = tools
        self._history = history
        self._stock = stock
        self._within = within
        self._looking: asyncio.Task[None] | None = None
        self.members = LedgerGroups(ledger)
        self.clinics = clinics

    async def all(self) -> dict[str, int]:
        """Return every group with its number of members, as the server has them now.

        Raises ServerError, TransientServerError also where looking takes longer than somebody waits (the first time all is
        read): it goes on meanwhile.
        """
        await self._refresh()
        return self._ledger.groups.all()

    async def has(self, group: str) -> bool:
        """Say whether there is such a group; the server is only asked where it is not known yet."""
        return bool(self._ledger.groups.size(group)) or group in await self.all()

    async def close(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(self._within):
                if self._looking is not None and not self._looking.done():
                    await asyncio.shield(self._looking)  # it may have passed by what was written since
                await asyncio.shield(self._look())
        except TimeoutError:
            words = (
                "everybody's groups are being read, which takes longer the first time: ask again, it goes on meanwhile"
            )
            raise TransientServerError(words, retry_after=30) from None

    def _look(self) -> asyncio.Task[None]:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_at_groups())
            self._looking.add_done_callback(lambda task: task.cancelled() or task.exception())  # who waits is told
        return self._looking

    async def _look_at_groups(self) -> None:
        until = self._tools.settled_until()
        await refresh_groups(self._tools, self.members, self._history, until=until, stock=self._stock)
