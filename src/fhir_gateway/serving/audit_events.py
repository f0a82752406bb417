"""What registries were told and the gateway changed, as auditors see it: FHIR AuditEvents, page by page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from heapq import merge
from itertools import islice
from typing import Any

import orjson

from fhir_gateway.domain import systems
from fhir_gateway.domain.auditing import EventFilter, EventKind, EventPlaces
from fhir_gateway.domain.changes import Change, ChangeOrigin, ChangePlace
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.registry import Disclosure, PullFilter
from fhir_gateway.ledger.merges.changed import MergeChanged
from fhir_gateway.ledger.runs.answered import AnswerChanges
from fhir_gateway.ledger.runs.changed import RunChanges
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.registry.audit_events import audit_event, event_id
from fhir_gateway.registry.change_events import change_event, place_of
from fhir_gateway.serving.environments import ServedEnvironment
from fhir_gateway.serving.registry.keys import RegistryKeys

_PULLS_TOGETHER = 100
_BEHIND_EVERY_ID = "~"


class UnknownCursorError(ValueError):
    """A cursor that this environment has not given."""


@dataclass(frozen=True, slots=True)
class Page:
    """AuditEvents, the newest first; `following` is the cursor of the next page, "" on the last."""

    events: tuple[Resource, ...]
    following: str


@dataclass(frozen=True, slots=True)
class _Going:
    """What a cursor holds."""

    wanted: EventFilter
    limit: int
    places: EventPlaces


class AuditEvents:
    """The AuditEvents of an environment, made of what its ledger holds when they are asked for.

    `base` is the address of the registry endpoint. Cursors are sealed, since they hold whom was asked for.
    """

    def __init__(self, environment: ServedEnvironment, *, base: str, now: datetime) -> None:
        self._environment = environment
        self._keys = RegistryKeys(environment.settings.folder)
        self._base = base
        self._now = now

    async def page(self, wanted: EventFilter, *, limit: int) -> Page:
        """Return the first page of what is there now."""
        return await self._environment.in_thread(lambda ledger: self._page(ledger, wanted, limit, _newest(ledger)))

    async def following(self, cursor: str) -> Page:
        """Return the page that a cursor leads to; raises UnknownCursorError."""
        going = _read(self._keys.unseal(cursor, self._now))
        return await self._environment.in_thread(
            lambda ledger: self._page(ledger, going.wanted, going.limit, going.places)
        )

    async def event(self, text: str) -> Resource | None:
        """Return the event of this id, None where there is none."""
        return await self._environment.in_thread(lambda ledger: self._event(ledger, text))

    async def patients_of(self, nik: str) -> tuple[str, ...]:
        """Return the ids of the Patients who carry a NIK, replaced ones too; raises ServerError."""
        search = self._environment.reader.search("Patient", {"identifier": [f"{systems.NIK}|{nik}"]})
        return tuple(sorted([one["id"] async for one in search]))

    def _page(self, ledger: Ledger, wanted: EventFilter, limit: int, places: EventPlaces) -> Page:
        found = list(islice(_told(ledger, wanted, places), limit + 1))
        following = ""
        if len(found) > limit:
            for one in found[:limit]:
                places = _passed(places, one)
            following = self._keys.seal(_written(_Going(wanted, limit, places)), self._now)
        as_event = self._teller(ledger)
        return Page(tuple(map(as_event, found[:limit])), following)

    def _event(self, ledger: Ledger, text: str) -> Resource | None:
        place = place_of(text)
        found = _changes(ledger)[place[0]].get(place[1]) if place else _disclosure(ledger, text)
        return self._teller(ledger)(found) if found else None

    def _teller(self, ledger: Ledger) -> Callable[[Disclosure | Change], Resource]:
        """Return what makes an event of a pull or a change."""
        names = {one.id: one.name for one in ledger.registry_clients.all()}
        name, server = self._environment.name, self._environment.settings.shown_url
        gateway = self._base.removesuffix("/fhir")
        of_change = partial(change_event, base=gateway, server=server, environment=name)

        def tell(one: Disclosure | Change) -> Resource:
            if isinstance(one, Change):
                return of_change(one)
            client = names.get(one.pull.request.client, "")
            return audit_event(one, client_name=client, base=self._base, environment=name)

        return tell


def _newest(ledger: Ledger) -> EventPlaces:
    """Return the places before which all stands that there is now: what comes later is on no later page."""
    pull = next((one.id for one in ledger.pulls.all(limit=1)), 0)
    places = {origin: changes.newest() for origin, changes in _changes(ledger).items()}
    return EventPlaces((pull + 1, _BEHIND_EVERY_ID), **places)


def _changes(ledger: Ledger) -> dict[ChangeOrigin, RunChanges | MergeChanged | AnswerChanges]:
    """Return what tells changes; each stands under its name in EventPlaces."""
    return {
        ChangeOrigin.RUN: ledger.run_changes,
        ChangeOrigin.MERGE: ledger.merge_changed,
        ChangeOrigin.ANSWER: ledger.answer_changes,
    }


def _told(ledger: Ledger, wanted: EventFilter, places: EventPlaces) -> Iterator[Disclosure | Change]:
    """Yield what is told, the newest first; each kind goes on behind its own place, so none is passed over or told twice."""
    kinds: list[Iterator[Disclosure | Change]] = []
    if (pulls := wanted.pulls) is not None:
        kinds.append(_disclosures(ledger, pulls, places.pull))
    if (changes := wanted.changes) is not None:
        kinds += [told.of(changes, after=getattr(places, origin)) for origin, told in _changes(ledger).items()]
    return merge(*kinds, key=_at, reverse=True)


def _at(one: Disclosure | Change) -> datetime:
    return one.at if isinstance(one, Change) else one.pull.request.at


def _disclosures(ledger: Ledger, wanted: PullFilter, after: tuple[int, str]) -> Iterator[Disclosure]:
    while found := ledger.pulls.disclosures(wanted, after=after, limit=_PULLS_TOGETHER):
        yield from found
        after = found[-1].pull.id, found[-1].patient


def _passed(places: EventPlaces, one: Disclosure | Change) -> EventPlaces:
    if not isinstance(one, Change):
        return replace(places, pull=(one.pull.id, one.patient))
    changed: dict[str, ChangePlace] = {one.origin: one.place}
    return replace(places, **changed)  # type: ignore[arg-type]


def _disclosure(ledger: Ledger, text: str) -> Disclosure | None:
    number = text.partition("-")[0]
    is_number = number.isascii() and number.isdigit() and len(number) < 18
    pull = ledger.pulls.get(int(number)) if is_number else None
    if pull is None:
        return None
    patients = list(ledger.pulls.patients_of(pull.id)) or [""]
    return next((one for one in (Disclosure(pull, patient) for patient in patients) if event_id(one) == text), None)


def _written(going: _Going) -> bytes:
    return orjson.dumps({"of": "audit-events", "wanted": going.wanted, "limit": going.limit, "places": going.places})


def _read(content: bytes | None) -> _Going:
    said: dict[str, Any] = orjson.loads(content) if content else {}
    if said.get("of") != "audit-events" or "places" not in said:
        raise UnknownCursorError("the cursor is none that this server has given")
    wanted, places = said["wanted"], said["places"]
    pull, patient = places["pull"]
    return _Going(
        wanted=EventFilter(
            kind=EventKind(wanted["kind"]) if wanted["kind"] else None,
            client=wanted["client"],
            user=wanted["user"],
            run=wanted["run"],
            patients=tuple(wanted["patients"]),
            since=_moment(wanted["since"]),
            until=_moment(wanted["until"]),
        ),
        limit=said["limit"],
        places=EventPlaces((pull, patient), **{one: ChangePlace(**places[one]) for one in ChangeOrigin}),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
