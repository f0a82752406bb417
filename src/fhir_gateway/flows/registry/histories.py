"""A page of a history: from a place on, back in time, nothing skipped and nothing twice."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from fhir_gateway.domain.errors import PageExpiredError, PermanentServerError
from fhir_gateway.ports.exports import FhirHistory, PastVersion
from fhir_gateway.registry.histories import HistorySearch, Place, place_of

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Versions, the newest first; `more` says whether older ones follow.

    `link` leads to the page of the server on which the next ones are found, "" where that is its first.
    """

    versions: tuple[PastVersion, ...]
    more: bool
    link: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    version: PastVersion
    link: str


async def history(
    asked: HistorySearch, past: FhirHistory, *, after: Place | None, link: str = "", until: datetime | None = None
) -> HistoryPage:
    """Return at most `asked.count` versions behind `after`; what is newer than `until` is left for the next time.

    `link` is what the page before said, so that the server need not tell again what stands before it; should it have
    forgotten that, it is read from its newest version on. Raises PermanentServerError where the server does not tell its
    history from the newest back.
    """
    try:
        return await _page(asked, past, after=after, link=link, until=until)
    except PageExpiredError:
        if not link:
            raise
        return await _page(asked, past, after=after, link="", until=until)


async def _page(
    asked: HistorySearch, past: FhirHistory, *, after: Place | None, link: str, until: datetime | None
) -> HistoryPage:
    kept: list[_Found] = []
    async for moment in _moments(_versions(asked, past, link)):
        if until is not None and moment[0].version.updated > until:
            continue
        ordered = sorted(moment, key=_place, reverse=True)
        # Of one moment some may stand on a later page: it is read again from the page on which it begins.
        kept += [_Found(one.version, moment[0].link) for one in ordered if after is None or _place(one) < after]
        if len(kept) > asked.count:
            break
    given = kept[: asked.count]
    return HistoryPage(tuple(one.version for one in given), len(kept) > asked.count, given[-1].link if given else "")


async def _versions(asked: HistorySearch, past: FhirHistory, link: str) -> AsyncIterator[_Found]:
    since = asked.since or _BEGINNING
    if asked.resource_id:
        for version in await past.of(asked.resource_type, asked.resource_id):
            if version.updated >= since:
                yield _Found(version, "")
        return
    async for target, versions in past.pages(asked.resource_type, since, size=asked.count + 1, link=link):
        for version in versions:
            yield _Found(version, target)


async def _moments(found: AsyncIterator[_Found]) -> AsyncIterator[list[_Found]]:
    """Yield the versions of one moment after the other: among them servers keep no order."""
    moment: list[_Found] = []
    async for one in found:
        if moment and one.version.updated > moment[0].version.updated:
            raise PermanentServerError("The FHIR server does not tell its history from the newest version back")
        if moment and one.version.updated < moment[0].version.updated:
            yield moment
            moment = []
        moment.append(one)
    if moment:
        yield moment


def _place(found: _Found) -> Place:
    return place_of(found.version)
