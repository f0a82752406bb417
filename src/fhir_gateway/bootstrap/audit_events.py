"""One environment's disclosures to registries as auditors see them: FHIR AuditEvents, page by page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson

from fhir_gateway.bootstrap.registry_keys import RegistryKeys
from fhir_gateway.bootstrap.serving import ServedEnvironment
from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.registry import Disclosure, PullFilter
from fhir_gateway.registry.audit_events import audit_event, event_id


class UnknownCursorError(ValueError):
    """A cursor that this environment has not given."""


@dataclass(frozen=True, slots=True)
class Page:
    """AuditEvents, the newest first; `following` is the cursor of the next page, "" on the last."""

    events: tuple[Resource, ...]
    following: str


class AuditEvents:
    """The AuditEvents of an environment, made of its pulls when they are asked for.

    `base` is the address of the registry endpoint. Cursors are sealed, since they hold whom was asked for.
    """

    def __init__(self, environment: ServedEnvironment, *, base: str, now: datetime) -> None:
        self._environment = environment
        self._keys = RegistryKeys(environment.settings.folder)
        self._base = base
        self._now = now

    def page(self, wanted: PullFilter, *, limit: int, after: tuple[int, str] | None = None) -> Page:
        """Return a page of events behind `after` (a pull and a Patient of it)."""
        found = self._environment.ledger.pulls.disclosures(wanted, after=after, limit=limit + 1)
        told = found[:limit]
        following = self._sealed(wanted, told[-1], limit) if len(found) > limit else ""
        return Page(tuple(self._events(told)), following)

    def following(self, cursor: str) -> Page:
        """Return the page that a cursor leads to; raises UnknownCursorError."""
        content = self._keys.unseal(cursor, self._now)
        said = orjson.loads(content) if content else {}
        if said.get("of") != "audit-events":
            raise UnknownCursorError("the cursor is none that this server has given")
        wanted = PullFilter(said["client"], tuple(said["patients"]), _moment(said["since"]), _moment(said["until"]))
        return self.page(wanted, limit=said["limit"], after=(said["pull"], said["patient"]))

    def event(self, text: str) -> Resource | None:
        """Return the event of this id, None where there is none."""
        number = text.partition("-")[0]
        pull = self._environment.ledger.pulls.get(int(number)) if number.isdigit() and len(number) < 18 else None
        if pull is None:
            return None
        patients = list(self._environment.ledger.pulls.patients_of(pull.id)) or [""]
        same = [one for one in (Disclosure(pull, patient) for patient in patients) if event_id(one) == text]
        return next(iter(self._events(same)), None)

    async def patients_of(self, nik: str) -> tuple[str, ...]:
        """Return the ids of the Patients who carry a NIK, replaced ones too; raises ServerError."""
        search = self._environment.reader.search("Patient", {"identifier": [f"{systems.NIK}|{nik}"]})
        return tuple(sorted([one["id"] async for one in search]))

    def _events(self, disclosures: list[Disclosure]) -> list[Resource]:
        names: Mapping[str, str] = {one.id: one.name for one in self._environment.ledger.registry_clients.all()}
        return [
            audit_event(
                one,
                client_name=names.get(one.pull.request.client, ""),
                base=self._base,
                environment=self._environment.name,
            )
            for one in disclosures
        ]

    def _sealed(self, wanted: PullFilter, last: Disclosure, limit: int) -> str:
        content = {
            "of": "audit-events",
            "client": wanted.client,
            "patients": wanted.patients,
            "since": wanted.since,
            "until": wanted.until,
            "limit": limit,
            "pull": last.pull.id,
            "patient": last.patient,
        }
        return self._keys.seal(orjson.dumps(content), self._now)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
