"""A page of a history: from a place on, back in time, nothing skipped and nothing twice."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.ports.exports import FhirHistory, PastVersion
from fhir_gateway.registry.histories import HistorySearch, Place, place_of

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Versions, the newest first; `more` says whether older ones follow."""

    versions: tuple[PastVersion, ...]
    more: bool


async def history(
    asked: HistorySearch, past: FhirHistory, *, after: Place | None, until: datetime | None = None
) -> HistoryPage:
    """Return at most `asked.count` versions behind `after`; what is newer than `until` is left for the next time.

    Raises PermanentServerError where the server does not tell its history from the newest back.
    """
    kept: list[PastVersion] = []
    async for moment in _moments(_versions(asked, past)):
        if until is not None and moment[0].updated > until:
            continue
        ordered = sorted(moment, key=place_of, reverse=True)
        kept += [one for one in ordered if after is None or place_of(one) < after]
        if len(kept) > asked.count:
            break
    return HistoryPage(tuple(kept[: asked.count]), more=len(kept) > asked.count)


async def _versions(asked: HistorySearch, past: FhirHistory) -> AsyncIterator[PastVersion]:
    since = asked.since or _BEGINNING
    if not asked.resource_id:
        async for version in past.since(asked.resource_type, since):
            yield version
        return
    for version in await past.of(asked.resource_type, asked.resource_id):
        if version.updated >= since:
            yield version


async def _moments(versions: AsyncIterator[PastVersion]) -> AsyncIterator[list[PastVersion]]:
    """Yield the versions of one moment after the other: among them servers keep no order."""
    moment: list[PastVersion] = []
    async for version in versions:
        if moment and version.updated > moment[0].updated:
            raise PermanentServerError("The FHIR server does not tell its history from the newest version back")
        if moment and version.updated < moment[0].updated:
            yield moment
            moment = []
        moment.append(version)
    if moment:
        yield moment
