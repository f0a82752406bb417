"""What taking apart and taking back send to the server: whatever is refused ends the command, which can be said again."""

from collections.abc import Sequence

from fhir_gateway.domain.errors import PermanentServerError, TransientServerError
from fhir_gateway.domain.posting import BundleEntry, EntryKind, EntryOutcome
from fhir_gateway.domain.runs import WrittenResource
from fhir_gateway.ports import FhirWriter

_WROTE = frozenset({EntryKind.CREATED, EntryKind.EXISTED, EntryKind.UPDATED})


async def send_all(
    entries: Sequence[BundleEntry], writer: FhirWriter, told: list[WrittenResource]
) -> list[EntryOutcome]:
    """Send entries, and add to `told` what was written.

    Raises ServerError for what the server refused or where it has gone, a newer version raises nothing.
    """
    outcomes = list(await writer.send(entries))
    types = {entry.key: entry.url.partition("/")[0] for entry in entries}
    told += [
        WrittenResource(f"{types[one.key]}/{one.resource_id}", one.kind is not EntryKind.UPDATED, one.version_id)
        for one in outcomes
        if one.kind in _WROTE
    ]
    for outcome in outcomes:
        again = "; what is done is kept, run the same command again"
        if outcome.kind is EntryKind.REFUSED:
            raise PermanentServerError(outcome.message + again, status=outcome.status)
        if outcome.kind is EntryKind.UNAVAILABLE:
            raise TransientServerError(outcome.message + again)
    return outcomes
