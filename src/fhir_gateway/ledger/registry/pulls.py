"""Who pulled what, when, and which of it was wrong: for auditors, and so that corrections reach whoever has the wrong."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Select,
    String,
    Table,
    Text,
    and_,
    bindparam,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.engine import Row

from fhir_gateway.domain.registry import (
    Answered,
    Correction,
    Disclosure,
    Pull,
    PulledVersion,
    PullFilter,
    PullKind,
    Recall,
    RecallReason,
    Request,
)
from fhir_gateway.ledger.chunks import chunks

metadata = MetaData()
"""Apart from the tables of loads, since it came with a migration of its own."""

pulls = Table(
    "pulls",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("client", String(36), nullable=False),
    Column("token", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("resource_type", String(64), nullable=False),
    Column("query", LargeBinary, nullable=False),
    Column("address", Text, nullable=False),
    Column("at", String(40), nullable=False),
    Column("resources", Integer, nullable=False),
    sqlite_autoincrement=True,
)
Index("pulls_by_client", pulls.c.client, pulls.c.at)

pulled_patients = Table(
    "pulled_patients",
    metadata,
    Column("pull", Integer, nullable=False),
    Column("patient", String(64), nullable=False),
    PrimaryKeyConstraint("pull", "patient"),
)
Index("pulled_patients_by_patient", pulled_patients.c.patient)

pulled = Table(
    "pulled",
    metadata,
    Column("client", String(36), nullable=False),
    Column("resource", String(130), nullable=False),
    Column("version", String(64), nullable=False),
    Column("at", String(40), nullable=False),
    PrimaryKeyConstraint("client", "resource"),
)
"""The newest version that each client was given of each resource."""
Index("pulled_by_resource", pulled.c.resource)

recalls = Table(
    "recalls",
    metadata,
    Column("client", String(36), nullable=False),
    Column("resource", String(130), nullable=False),
    Column("version", String(64), nullable=False),
    Column("pulled", String(40), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("noted", String(40), nullable=False),
    Column("settled", String(40)),
    PrimaryKeyConstraint("client", "resource", "noted"),
)

# What is written down of every search: building these statements anew would take longer than the database does.
_ADD_PULL = insert(pulls)
_ADD_PATIENT = insert(pulled_patients)
_KEEP_VERSION = text(
    "INSERT INTO pulled (client, resource, version, at) VALUES (:c, :r, :v, :a)"
    " ON CONFLICT (client, resource) DO UPDATE SET version = excluded.version, at = excluded.at"
)
_IS_OPEN = select(recalls.c.client).where(recalls.c.client == bindparam("c"), recalls.c.settled.is_(None)).limit(1)
_SETTLE = (
    update(recalls)
    .where(
        recalls.c.client == bindparam("c"),
        recalls.c.resource == bindparam("r"),
        recalls.c.settled.is_(None),
        recalls.c.version != bindparam("v"),
    )
    .values(settled=bindparam("a"))
)


class Pulls:
    """The pulls and recalls of one environment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(
        self, request: Request, *, count: int, versions: Sequence[PulledVersion] = (), patients: Iterable[str] = ()
    ) -> int:
        """Write a pull down with what it gave: `versions` of resources, and the `patients` (ids) whom it told of."""
        return self.record_all([Answered(request, count, tuple(versions), frozenset(patients))])[0]

    def record_all(self, answers: Sequence[Answered]) -> list[int]:
        """Write pulls down in their order, with what they gave; return their numbers."""
        numbers = [self._add(one) for one in answers]
        told = [
            {"pull": number, "patient": patient}
            for number, one in zip(numbers, answers, strict=True)
            for patient in sorted(one.patients)
        ]
        if told:
            self._connection.execute(_ADD_PATIENT, told)
        self._keep([_row(one.request.client, version, one.request.at) for one in answers for version in one.versions])
        return numbers

    def _add(self, answered: Answered) -> int:
        request = answered.request
        row = {
            "client": request.client,
            "token": request.token,
            "kind": request.kind,
            "resource_type": request.resource_type,
            "query": request.query,
            "address": request.address,
            "at": request.at.isoformat(),
            "resources": answered.count,
        }
        result = self._connection.execute(_ADD_PULL, row)
        assert result.inserted_primary_key  # noqa: S101 - it is the database that numbers them
        return int(result.inserted_primary_key[0])

    def _keep(self, rows: Sequence[dict[str, str]]) -> None:
        if not rows:
            return
        self._connection.execute(_KEEP_VERSION, rows)
        for client in {row["c"] for row in rows}:
            if self._connection.execute(_IS_OPEN, {"c": client}).first() is not None:
                self._connection.execute(_SETTLE, [row for row in rows if row["c"] == client])

    def recount(self, pull: int, count: int) -> None:
        """Say how much a pull has given so far (an export gives little by little)."""
        self._connection.execute(update(pulls).where(pulls.c.id == pull).values(resources=count))

    def give(self, client: str, versions: Sequence[PulledVersion], *, at: datetime) -> None:
        """Note which versions a client was given; what was recalled is settled by a newer one."""
        self._keep([_row(client, one, at) for one in versions])

    def recall(self, corrections: Iterable[Correction], *, reason: RecallReason, at: datetime) -> int:
        """Note for every client what it was given and is wrong; return how many resources of clients those are.

        What a client has been found to have before, and has not replaced since, stays as it was noted then.
        """
        right = {one.resource: one for one in corrections}
        noted = 0
        for names in chunks(right):
            open_ones = select(recalls.c.client, recalls.c.resource, recalls.c.version).where(
                recalls.c.settled.is_(None), recalls.c.resource.in_(names)
            )
            known = {tuple(row) for row in self._connection.execute(open_ones)}
            rows = [
                {
                    "client": row.client,
                    "resource": row.resource,
                    "version": row.version,
                    "pulled": row.at,
                    "reason": reason,
                    "noted": at.isoformat(),
                }
                for row in self._connection.execute(select(pulled).where(pulled.c.resource.in_(names)))
                if right[row.resource].takes_back(row.version) and (row.client, row.resource, row.version) not in known
            ]
            if rows:
                self._connection.execute(insert(recalls), rows)
            noted += len(rows)
        return noted

    def held(self, resources: Sequence[str]) -> dict[str, list[str]]:
        """Return which versions of these resources (`Type/id`) clients have; none of what nobody has."""
        found: dict[str, list[str]] = {}
        for names in chunks(resources):
            wanted = select(pulled.c.resource, pulled.c.version).where(pulled.c.resource.in_(names))
            for resource, version in self._connection.execute(wanted):
                found.setdefault(str(resource), []).append(str(version))
        return found

    def anything_given(self) -> bool:
        """Say whether any client has anything."""
        return self._connection.execute(select(pulled.c.client).limit(1)).first() is not None

    def outstanding(self, *, client: str = "", everything: bool = False) -> list[Recall]:
        """Return recalls that no newer pull has settled, oldest first; `everything`: the settled ones too."""
        wanted = select(recalls) if everything else _open(client)
        if everything and client:
            wanted = wanted.where(recalls.c.client == client)
        return [_recall(row) for row in self._connection.execute(wanted.order_by(recalls.c.noted, recalls.c.resource))]

    def all(self, *, client: str = "", limit: int | None = None) -> list[Pull]:
        """Return the newest pulls first."""
        wanted = select(pulls).order_by(pulls.c.id.desc()).limit(limit)
        if client:
            wanted = wanted.where(pulls.c.client == client)
        return [_pull(row) for row in self._connection.execute(wanted)]

    def get(self, number: int) -> Pull | None:
        """Return a pull."""
        row = self._connection.execute(select(pulls).where(pulls.c.id == number)).first()
        return _pull(row) if row else None

    def patients_of(self, number: int) -> Iterator[str]:
        """Yield the ids of the Patients whom a pull told of."""
        wanted = select(pulled_patients.c.patient).where(pulled_patients.c.pull == number)
        for (patient,) in self._connection.execute(wanted.order_by(pulled_patients.c.patient)):
            yield patient

    def of_patient(self, patient_id: str) -> list[Pull]:
        """Return the pulls that may have told of a Patient, newest first: exports too, which tell of a whole region."""
        numbers = select(pulled_patients.c.pull).where(pulled_patients.c.patient == patient_id)
        told = or_(pulls.c.id.in_(numbers), pulls.c.kind == PullKind.EXPORT)
        wanted = select(pulls).where(told).order_by(pulls.c.id.desc())
        return [_pull(row) for row in self._connection.execute(wanted)]

    def disclosures(
        self, wanted: PullFilter, *, after: tuple[int, str] | None = None, limit: int = 100
    ) -> list[Disclosure]:
        """Return who was told of whom, the newest pulls first, behind `after` (a pull's number and a Patient's id).

        Exports are there once each, and whomever is asked for, since they tell of a whole region.
        """
        patient = pulled_patients.c.patient
        chosen = (
            select(pulls, patient)
            .select_from(pulls.outerjoin(pulled_patients, pulled_patients.c.pull == pulls.c.id))
            .order_by(pulls.c.id.desc(), patient)
            .limit(limit)
        )
        if wanted.client:
            chosen = chosen.where(pulls.c.client == wanted.client)
        if wanted.patients:
            chosen = chosen.where(or_(patient.in_(wanted.patients), pulls.c.kind == PullKind.EXPORT))
        if wanted.since is not None:
            chosen = chosen.where(pulls.c.at >= _stamp(wanted.since))
        if wanted.until is not None:
            chosen = chosen.where(pulls.c.at <= _stamp(wanted.until))
        if after is not None:
            number, last = after
            chosen = chosen.where(or_(pulls.c.id < number, and_(pulls.c.id == number, patient > last)))
        return [Disclosure(_pull(row), row.patient or "") for row in self._connection.execute(chosen)]


def _row(client: str, version: PulledVersion, at: datetime) -> dict[str, str]:
    return {"c": client, "r": version.resource, "v": version.version, "a": at.isoformat()}


def _stamp(moment: datetime) -> str:
    """Return a moment as it compares with those that are written down."""
    return moment.astimezone(UTC).isoformat()


def _open(client: str) -> Select[tuple[object, ...]]:
    wanted = select(recalls).where(recalls.c.settled.is_(None))
    return wanted.where(recalls.c.client == client) if client else wanted


def _pull(row: Row[tuple[object, ...]]) -> Pull:
    at = datetime.fromisoformat(row.at)
    request = Request(row.client, row.token, PullKind(row.kind), row.resource_type, row.query, row.address, at)
    return Pull(row.id, request, row.resources)


def _recall(row: Row[tuple[object, ...]]) -> Recall:
    return Recall(
        client=row.client,
        resource=row.resource,
        version=row.version,
        pulled=datetime.fromisoformat(row.pulled),
        reason=RecallReason(row.reason),
        noted=datetime.fromisoformat(row.noted),
        settled=datetime.fromisoformat(row.settled) if row.settled else None,
    )
