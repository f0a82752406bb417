"""Whether a server answers the entries of a bundle in their order: else everything would stand with somebody else."""

import contextlib
import logging
from collections.abc import Mapping, Sequence

from fhir_gateway.domain.errors import ServerError
from fhir_gateway.domain.posting import BundleEntry, EntryOutcome
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir_server.dispatch import Said
from fhir_gateway.fhir_server.reader import ServerReader
from fhir_gateway.fhir_server.verdicts import Verdict, judge

_LOOKS = 4
"""How many bundles whose answers hold no resources are looked at on the server, before the order is believed."""
_MOST_READ = 20

_log = logging.getLogger(__name__)


class AnswerOrder:
    """What is known of the order of one server's answers; `masked` where it shows no whole identifiers."""

    def __init__(self, reader: ServerReader, *, masked: bool) -> None:
        self._reader = reader
        self._looks = 0 if masked else _LOOKS
        self.broken = False
        """Whether it has answered in another order."""

    async def holds(self, entries: Sequence[BundleEntry], said: Sequence[Said]) -> bool:
        """Return whether each answer is that of its own entry.

        An answer that has the resource is held against what was sent; of those without, the first few bundles' resources
        are read. What is not found, as where an index lags, contradicts nothing.
        """
        if len(entries) < 2:
            return True
        sent = {token: place for place, entry in enumerate(entries) if (token := _token(entry))}
        unseen: dict[str, dict[str, int]] = {}
        wrong = self.broken
        for place, (entry, answer) in enumerate(zip(entries, said, strict=True)):
            if isinstance(answer, EntryOutcome) or judge(answer.status) is not Verdict.SUCCESS:
                continue
            if entry.method == "PUT":
                wrong |= answer.id not in {"", entry.url.partition("/")[2]}
            elif answer.resource and answer.resource.get("resourceType") == entry.url:
                wrong |= _is_of_another(answer.resource, place, sent)
            elif answer.id and answer.resource_type in {"", entry.url}:
                unseen.setdefault(entry.url, {})[answer.id] = place
        if not wrong and self._looks > 0 and any(len(places) > 1 for places in unseen.values()):
            self._looks -= 1
            wrong = await self._look(unseen, sent)
        if wrong and not self.broken:
            self.broken = True
            _log.warning(
                "This server answers the entries of a bundle in another order than they were sent in, which FHIR forbids: "
                "what it has is looked up, and everything is sent singly from now on, which takes longer"
            )
        return not wrong

    async def _look(self, unseen: Mapping[str, Mapping[str, int]], sent: Mapping[str, int]) -> bool:
        wrong = False
        for resource_type, places in unseen.items():
            with contextlib.suppress(ServerError):
                ids = sorted(places)[:_MOST_READ]
                async for resource in self._reader.search(resource_type, {"_id": ids}):
                    wrong |= _is_of_another(resource, places.get(resource["id"], -1), sent)
        return wrong


def _token(entry: BundleEntry) -> str:
    return entry.if_none_exist.removeprefix("identifier=")


def _is_of_another(resource: Resource, place: int, sent: Mapping[str, int]) -> bool:
    """Return whether a resource carries what other entries sent, and not what the entry at this place did."""
    identifiers = resource.get("identifier")
    carried = [i for i in identifiers if isinstance(i, dict)] if isinstance(identifiers, list) else []
    found = {sent.get(f"{i.get('system', '')}|{i.get('value', '')}") for i in carried} - {None}
    return bool(found) and place not in found
