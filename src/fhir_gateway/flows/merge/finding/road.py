"""The road of finding: who shares a NIK, who is likely one person without, and what loads have proposed."""

from fhir_gateway.domain.finding import Finding
from fhir_gateway.flows.merge.finding.likely import find_likely
from fhir_gateway.flows.merge.finding.opinions import with_opinions
from fhir_gateway.flows.merge.finding.proposed import Proposals
from fhir_gateway.flows.merge.finding.registering import register
from fhir_gateway.flows.merge.finding.shared import find_by_niks, find_sharing
from fhir_gateway.flows.merge.finding.tools import FindRequest, FindTools
from fhir_gateway.merging.finding_groups import in_order

_MASKED_SERVER = (
    "this server hides NIKs, birth dates and genders (masked_identifiers): who shares a NIK cannot be found by reading it,"
    " nor can likely duplicates; name NIKs with --niks, each is searched by itself"
)
_MASKED_NIKS = (
    "this server hides birth dates and genders (masked_identifiers): only names can confirm a shared NIK, so nothing here"
    " is better than probable"
)

_MASKED_PATIENTS = (
    "of the Patients have a NIK that the server hides: who shares it with them cannot be seen; where all are hidden, set"
    " masked_identifiers and name NIKs with --niks"
)


async def find(request: FindRequest, tools: FindTools) -> Finding:
    """Find duplicates; nothing is written, on the server or in the ledger.

    Raises a ServerError where the server has gone or cannot be read, LedgerError where there is no room on disk.
    """
    if request.niks is not None:
        return await _find_by_niks(request, tools)
    proposals = Proposals(tools.ledger.keys.proposals())
    if tools.masked:
        found, parted = await proposals.read(tools)
        return Finding(in_order(found), 0, notes=(_MASKED_SERVER, *_told(parted)))
    return await _find_everywhere(request, proposals, tools)


async def _find_by_niks(request: FindRequest, tools: FindTools) -> Finding:
    niks = tuple(dict.fromkeys(request.niks or ()))
    found, single, parted, read = await find_by_niks(niks, tools)
    marked = Proposals(tools.ledger.keys.proposals()).marked(found)
    notes = (*([_MASKED_NIKS] if tools.masked else []), *_told(parted))
    return Finding(in_order(marked), read, single, notes)


async def _find_everywhere(request: FindRequest, proposals: Proposals, tools: FindTools) -> Finding:
    registered, notes = await register(tools, likely=request.likely, wanted=proposals.patient_ids)
    if registered.masked:
        notes = (*notes, f"{registered.masked} {_MASKED_PATIENTS}")
    found, parted = await find_sharing(registered, tools)
    if request.likely:
        likely = await find_likely(registered, tools, found)
        found = [one for one in found if one.group.patient_ids not in likely.joined] + likely.found
        parted, notes = parted + likely.parted, (*notes, *likely.notes)
    listed = proposals.marked(found)
    proposed, also_parted = await proposals.missing(listed, registered, tools)
    told, none = await with_opinions([*listed, *proposed], registered, tools)
    return Finding(in_order(told), len(registered), notes=(*notes, *none, *_told(parted + also_parted)))


def _told(parted: int) -> tuple[str, ...]:
    if not parted:
        return ()
    groups = "group is" if parted == 1 else "groups are"
    return (f"{parted} {groups} not listed: merged once and undone, or an operator said that they are two people",)
