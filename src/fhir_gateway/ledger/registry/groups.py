"""Who belongs to which group of people (a district, a clinic), since when, and up to where that was read."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    Connection,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Select,
    String,
    Table,
    bindparam,
    delete,
    distinct,
    func,
    insert,
    select,
    update,
)

from fhir_gateway.domain.exports import Membership

metadata = MetaData()
"""Apart from the tables of loads, since it came with a migration of its own."""

memberships = Table(
    "group_memberships",
    metadata,
    Column("source", String(160), nullable=False),
    Column("grp", String(64), nullable=False),
    Column("patient", String(64), nullable=False),
    Column("joined", String(40), nullable=False),
    Column("gone", String(40)),
    PrimaryKeyConstraint("source", "grp"),
)
"""A person can be a member by several resources (the doses that a clinic gave): each is a row."""
Index("group_memberships_by_group", memberships.c.grp, memberships.c.patient)
Index("group_memberships_by_patient", memberships.c.patient)

positions = Table(
    "group_positions",
    metadata,
    Column("resource_type", String(64), primary_key=True),
    Column("updated", String(40), nullable=False),
    Column("id", String(64), nullable=False),
)


class Groups:
    """The members of groups; what is written counts when the ledger's transaction is committed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def position(self, resource_type: str) -> tuple[datetime, str] | None:
        """Return the last resource (lastUpdated, id) of a type that was looked at."""
        row = self._connection.execute(select(positions).where(positions.c.resource_type == resource_type)).first()
        return (datetime.fromisoformat(row.updated), row.id) if row else None

    def move(self, resource_type: str, updated: datetime, resource_id: str) -> None:
        """Write down up to where the resources of a type have been looked at."""
        self._connection.execute(delete(positions).where(positions.c.resource_type == resource_type))
        self._connection.execute(
            insert(positions).values(resource_type=resource_type, updated=_text(updated), id=resource_id)
        )

    def replace(self, sources: Sequence[str], found: Iterable[Membership]) -> None:
        """Write down all that these resources (`Type/id`) say; whoever stays in a group keeps the time of joining."""
        if not sources:
            return
        wanted = select(memberships).where(memberships.c.source.in_(bindparam("sources", expanding=True)))
        known = self._connection.execute(wanted, {"sources": list(sources)}).all()
        before = {(row.source, row.grp, row.patient): row.joined for row in known if row.gone is None}
        if known:
            own = [{"s": one} for one in sorted({row.source for row in known})]
            self._connection.execute(delete(memberships).where(memberships.c.source == bindparam("s")), own)
        rows = [
            {
                "source": one.source,
                "grp": one.group,
                "patient": one.patient,
                "joined": before.get((one.source, one.group, one.patient), _text(one.joined)),
            }
            for one in found
        ]
        if rows:
            self._connection.execute(insert(memberships), rows)

    def leave(self, sources: Sequence[str], *, at: datetime) -> None:
        """Write down that these resources were deleted; who was a member by them is still known."""
        if sources:
            gone = update(memberships).where(memberships.c.source == bindparam("s"), memberships.c.gone.is_(None))
            self._connection.execute(gone.values(gone=_text(at)), [{"s": one} for one in sources])

    def of_patient(self, patient_id: str) -> dict[str, datetime]:
        """Return a person's groups, with the time of joining each."""
        wanted = (
            select(memberships.c.grp, func.min(memberships.c.joined))
            .where(memberships.c.patient == patient_id, memberships.c.gone.is_(None))
            .group_by(memberships.c.grp)
        )
        return {str(row[0]): datetime.fromisoformat(row[1]) for row in self._connection.execute(wanted)}

    def among(self, group: str, patients: Sequence[str], *, until: datetime) -> Mapping[str, datetime]:
        """Return which of these people are members, with the time of joining."""
        wanted = _members(group, until).where(memberships.c.patient.in_(bindparam("patients", expanding=True)))
        if not patients:
            return {}
        found = self._connection.execute(wanted, {"patients": list(patients)})
        return {row.patient: datetime.fromisoformat(row.joined) for row in found}

    def ever_among(self, group: str, patients: Sequence[str]) -> frozenset[str]:
        """Return which of these people are members, or were until what made them so was deleted."""
        wanted = select(memberships.c.patient).where(
            memberships.c.grp == group, memberships.c.patient.in_(bindparam("patients", expanding=True))
        )
        if not patients:
            return frozenset()
        return frozenset(row.patient for row in self._connection.execute(wanted, {"patients": list(patients)}))

    def joined(self, group: str, *, since: datetime, until: datetime, after: str, limit: int) -> list[str]:
        """Return members who joined behind `since`, in the order of their ids, page by page."""
        wanted = (
            _members(group, until)
            .where(memberships.c.patient > after)
            .having(func.min(memberships.c.joined) > _text(since))
            .order_by(memberships.c.patient)
            .limit(limit)
        )
        return [str(row.patient) for row in self._connection.execute(wanted)]

    def all(self) -> dict[str, int]:
        """Return every group with the number of its members."""
        wanted = (
            select(memberships.c.grp, func.count(distinct(memberships.c.patient)))
            .where(memberships.c.gone.is_(None))
            .group_by(memberships.c.grp)
            .order_by(memberships.c.grp)
        )
        return {group: int(number) for group, number in self._connection.execute(wanted)}

    def size(self, group: str) -> int:
        """Return the number of a group's members."""
        wanted = select(func.count(distinct(memberships.c.patient))).where(
            memberships.c.grp == group, memberships.c.gone.is_(None)
        )
        return int(self._connection.execute(wanted).scalar_one())


def _members(group: str, until: datetime) -> Select[tuple[str, str]]:
    return (
        select(memberships.c.patient, func.min(memberships.c.joined).label("joined"))
        .where(memberships.c.grp == group, memberships.c.gone.is_(None), memberships.c.joined <= _text(until))
        .group_by(memberships.c.patient)
    )


def _text(at: datetime) -> str:
    """Return a moment so that texts are ordered as moments are."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
