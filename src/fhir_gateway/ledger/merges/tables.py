"""The tables of merges and their history: rows are only ever added, apart from `merges`, which follows the history.

`history` holds entries as they are hashed. Everything else that an entry tells stands in rows that carry its number,
covered by salted hashes in the entry; what is personal among them can be erased. Triggers, made with the tables,
refuse what the gateway itself never does.
"""

from collections.abc import Iterator

from sqlalchemy import (
    DDL,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    event,
)

metadata = MetaData()
"""Apart from the tables of loads, since these came with a migration of their own."""

history = Table(
    "history",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("merge", Integer, nullable=False, index=True),
    Column("entry", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
)

history_details = Table(
    "history_details",
    metadata,
    Column("entry", Integer, nullable=False),
    Column("part", String(16), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("entry", "part"),
)

merges = Table(
    "merges",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("run", Integer, nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("rule", String(32), nullable=False),
    Column("grade", String(16), nullable=False),
    Column("user", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("begun", String(40), nullable=False, index=True),
    Column("finished", String(40), nullable=False),
    Column("changed", Integer, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("undo_user", Text, nullable=False),
    Column("undo_via", Text, nullable=False),
    Column("undo_begun", String(40), nullable=False),
    Column("undone", String(40), nullable=False),
    Column("erased", Boolean, nullable=False),
)

merge_changes = Table(
    "merge_changes",
    metadata,
    Column("entry", Integer, nullable=False),
    Column("merge", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("resource", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("before_version", Text, nullable=False),
    Column("bodies", LargeBinary, nullable=False),
    PrimaryKeyConstraint("entry", "number"),
)
Index("merge_changes_by_merge", merge_changes.c.merge, merge_changes.c.number)

merge_steps = Table(
    "merge_steps",
    metadata,
    Column("entry", Integer, nullable=False),
    Column("merge", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("resource", String(128), nullable=False),
    Column("after_version", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("message", Text, nullable=False),
    PrimaryKeyConstraint("entry", "number"),
)
Index("merge_steps_by_merge", merge_steps.c.merge, merge_steps.c.number)

merge_subjects = Table(
    "merge_subjects",
    metadata,
    Column("entry", Integer, nullable=False),
    Column("merge", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("value", String(64), nullable=False),
    PrimaryKeyConstraint("entry", "kind", "value"),
)
Index("merge_subjects_by_value", merge_subjects.c.value)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)

TABLES = (history, history_details, merges, merge_changes, merge_steps, merge_subjects, checkpoints)
_APPEND_ONLY = (history, checkpoints)
_NEVER_CHANGED = (history_details, merge_changes, merge_steps, merge_subjects)
"""Their rows are deleted by erasing only."""


def _guards(table: Table) -> Iterator[str]:
    """Yield the triggers that refuse what the gateway never does to a table."""

    def trigger(name: str, action: str, when: str = "") -> str:
        refusal = f"BEGIN SELECT RAISE(ABORT, '{table.name} is append-only'); END"
        return f"CREATE TRIGGER {table.name}_{name} BEFORE {action} ON {table.name} {when}{refusal}"

    if table in (*_APPEND_ONLY, *_NEVER_CHANGED):
        yield trigger("unchanged", "UPDATE")
    if table in _APPEND_ONLY:
        yield trigger("kept", "DELETE")
    if table is history_details:
        yield trigger("kept", "DELETE", "WHEN OLD.part = 'facts' ")


for _table in TABLES:
    for _statement in _guards(_table):
        event.listen(_table, "after_create", DDL(_statement))  # type: ignore[no-untyped-call]
