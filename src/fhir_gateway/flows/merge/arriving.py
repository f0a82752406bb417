"""What comes to refer to a replaced Patient after its merge was planned: journalled before it is moved, or as it was moved."""

import logging
from collections.abc import Mapping, Sequence

from fhir_gateway.domain.merges import ChangeKind, ChangeState, JournalledChange
from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.merge.fetching import find_referring
from fhir_gateway.flows.merge.recalling import recall_settled
from fhir_gateway.flows.merge.replanning import Group
from fhir_gateway.flows.merge.sending import Write
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.merging.repointing import references_to
from fhir_gateway.merging.versions import version_of, without_version

_NOT_TOLD = (
    "merge %d: the server's own $merge may have moved %d resources that came at that moment, and it tells no earlier"
    " versions: undoing names them as arrived since, to be moved back with --move"
)
_log = logging.getLogger(__name__)


def journalled(merge: int, arrived: Mapping[str, Resource], group: Group, tools: MergeTools) -> list[Write]:
    """Write down resources (by `Type/id`) that came to refer to a replaced Patient, and return them to be moved."""
    writes = []
    for number, (name, resource) in enumerate(sorted(arrived.items()), start=_last_number(merge, tools) + 1):
        bare = without_version(resource)
        after = group.repointed(bare)
        change = JournalledChange(number, name, ChangeKind.REFERENCE, bare, after, version_of(resource))
        writes.append(Write(merge, change, after, change.before_version))
    with tools.ledger.transaction():
        tools.journal.replace(merge, [write.change for write in writes])
    return writes


class Arrivals:
    """What comes while the server merges by itself, and is moved by it without anybody having planned that."""

    def __init__(self, groups: Mapping[int, Group], tools: MergeTools) -> None:
        self._groups = groups
        self._tools = tools
        self._before: set[str] = set()

    async def note(self) -> None:
        """Journal what has come since the merges were planned, so that the server's part of it can be undone."""
        people = {one for group in self._groups.values() for one in (group.survivor, *group.replaced)}
        found, _ = await find_referring(sorted(people), self._tools)
        self._before = set(found)
        for merge, group in self._groups.items():
            known = {change.resource for change in self._tools.journal.changes(merge)}
            arrived = {name: one for name, one in found.items() if name not in known and self._refers(one, group)}
            journalled(merge, arrived, group, self._tools)

    async def look_again(self) -> None:
        """Journal as done what came in the last moment and was moved by the server: its earlier version tells from whom."""
        survivors = {group.survivor for group in self._groups.values()}
        found, _ = await find_referring(sorted(survivors), self._tools)
        came = {name: one for name, one in found.items() if name not in self._before}
        for merge, group in self._groups.items():
            mine = {name: one for name, one in came.items() if references_to(one, {group.survivor}, base=group.base)}
            await self._note_moved(merge, group, mine)

    async def _note_moved(self, merge: int, group: Group, came: Mapping[str, Resource]) -> None:
        number, unknown = _last_number(merge, self._tools), 0
        moved: list[JournalledChange] = []
        for name, current in sorted(came.items()):
            versions = await self._tools.server.versions(name)
            unknown += versions is None
            earlier = self._before_it_was_moved(versions or (), current, group)
            if earlier is None:
                continue
            bare = without_version(earlier)
            change = JournalledChange(
                number + len(moved) + 1,
                name,
                ChangeKind.REFERENCE,
                bare,
                group.repointed(bare),
                version_of(earlier),
                after_version=version_of(current),
                state=ChangeState.DONE,
            )
            moved.append(change)
        if unknown:
            _log.warning(_NOT_TOLD, merge, unknown)
        with self._tools.ledger.transaction():
            self._tools.journal.replace(merge, moved)
            self._tools.journal.settle(merge, moved)
            recall_settled(moved, self._tools)

    def _before_it_was_moved(self, versions: Sequence[Resource], current: Resource, group: Group) -> Resource | None:
        earlier = (one for one in versions if version_of(one) != version_of(current))
        return next((one for one in earlier if self._refers(one, group)), None)

    def _refers(self, resource: Resource, group: Group) -> bool:
        return bool(references_to(resource, group.replaced, base=group.base))


def _last_number(merge: int, tools: MergeTools) -> int:
    return max(change.number for change in tools.journal.changes(merge))
