"""Lets the server's own `Patient/$merge` do what it can; whatever it leaves undone is done the gateway's own way after it.

It is used only where nothing stands in the way that it would spoil: HAPI 8.8 rewrites old Provenance, AuditEvents and the
links of other Patients, which tell what was. Both Patients are named with their versions, so nobody is overtaken.
"""

import logging
from collections.abc import Mapping, Sequence

from fhir_gateway.domain.merges import ChangeKind, ChangeState, JournalledChange
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.searches import Search
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.merging.changes import same
from fhir_gateway.merging.elements import objects
from fhir_gateway.merging.versions import version_of

_TELL_WHAT_WAS = (
    ("Provenance", "target"),
    ("Provenance", "agent"),
    ("Provenance", "entity"),
    ("AuditEvent", "agent"),
    ("AuditEvent", "entity"),
    ("Patient", "link"),
)
"""Searches for what must not be rewritten."""
_OTHERWISE = (
    "the server's own $merge made another Patient than it was asked for; the gateway goes on by itself, but undoing cannot"
    " tell what the server added: leave [merging] use_server_merge off on this server"
)
_log = logging.getLogger(__name__)


async def merged_by_server(changes: Mapping[int, Sequence[JournalledChange]], tools: MergeTools) -> bool:
    """Ask a server that can merge, by merge's number its journalled changes; return whether anything was asked of it.

    What it did, and what it left, is found out by reading the resources again, also where it refused. Raises
    TransientServerError where the server has gone.
    """
    asked = False
    for merge, planned in changes.items():
        survivor = next((one for one in planned if one.kind is ChangeKind.SURVIVOR), None)
        replaced = [one for one in planned if one.kind is ChangeKind.REPLACED]
        if survivor is None or any(one.state is not ChangeState.PLANNED for one in (survivor, *replaced)):
            continue
        if await _spoils_something(replaced, {survivor.resource, *(one.resource for one in replaced)}, tools):
            _log.warning("merge %d: older records name the Patients, so the server's own $merge is not used", merge)
            continue
        asked = True
        await _merge(merge, survivor, replaced, tools)
    return asked


async def _spoils_something(replaced: Sequence[JournalledChange], members: set[str], tools: MergeTools) -> bool:
    """Tell whether anything refers to the replaced that must stay as it is, or nobody knows."""
    declared = await tools.server.search_parameters() or {}
    wanted = [(name, parameter) for name, parameter in _TELL_WHAT_WAS if parameter in declared.get(name, ())]
    values = [one.resource for one in replaced]
    answers = await tools.reader.search_together(
        [Search(name, {parameter: values}) for name, parameter in wanted], check=lambda _: True
    )
    return any(
        answer.problem or any(f"{one['resourceType']}/{one['id']}" not in members for one in answer.resources)
        for answer in answers
    )


async def _merge(
    merge: int, survivor: JournalledChange, replaced: Sequence[JournalledChange], tools: MergeTools
) -> None:
    """Merge the replaced into the survivor, one after the other, until the server refuses one."""
    version = survivor.before_version
    for number, one in enumerate(replaced):
        wanted = _without_links(survivor.after, {other.resource for other in replaced[number + 1 :]})
        said = await tools.server.merge((one.resource, one.before_version), (survivor.resource, version), wanted)
        if said:
            _log.warning("merge %d: the server's own $merge refused, so it is not used: %s", merge, said)
            return
        now = await tools.reader.read("Patient", survivor.resource.partition("/")[2]) or {}
        version = version_of(now)
        if not same(_content(now), _content(wanted)):
            _log.warning("merge %d: %s", merge, _OTHERWISE)
            return


def _content(patient: Resource) -> Resource:
    """Return a Patient without `meta`, of which servers write some themselves."""
    return {name: value for name, value in patient.items() if name != "meta"}


def _without_links(patient: Resource, names: set[str]) -> Resource:
    """Return the survivor without links to those that are merged later: HAPI would take them for references to move."""
    links = [link for link in objects(patient.get("link")) if (link.get("other") or {}).get("reference") not in names]
    rest = {name: value for name, value in patient.items() if name != "link"}
    return rest | ({"link": links} if links else {})
