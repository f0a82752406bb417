"""Resources in SQLite: the tables, transactions over them, and the stamps that order all changes.

Safe for several threads and several processes on one folder: WAL, one writer at a time (BEGIN IMMEDIATE). A change's
stamp (microseconds) is taken inside the writing transaction and is larger than every one committed before, so whoever
pulls by `_lastUpdated` never skips a change.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fhir_gateway.domain.errors import GatewayError
from fhir_gateway.embedded_server.indexing import IndexRows

_VERSION = 1
_BUSY_SECONDS = 60
_PAGE_LIFE = 24 * 3600 * 1_000_000
_TABLES = """
CREATE TABLE clock (last INTEGER NOT NULL);
INSERT INTO clock VALUES (0);
CREATE TABLE resource (rid INTEGER PRIMARY KEY, type TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
    updated INTEGER NOT NULL, method TEXT NOT NULL, body BLOB, UNIQUE (type, id));
CREATE INDEX resource_updated ON resource (type, updated);
CREATE INDEX resource_living ON resource (type, updated) WHERE body IS NOT NULL;
CREATE TABLE history (type TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, updated INTEGER NOT NULL,
    method TEXT NOT NULL, body BLOB, PRIMARY KEY (type, id, version));
CREATE INDEX history_updated ON history (type, updated);
CREATE TABLE token (param INTEGER, value TEXT, system TEXT, rid INTEGER,
    PRIMARY KEY (param, value, system, rid)) WITHOUT ROWID;
CREATE TABLE string (param INTEGER, value TEXT, exact TEXT, rid INTEGER,
    PRIMARY KEY (param, value, exact, rid)) WITHOUT ROWID;
CREATE TABLE date (param INTEGER, low INTEGER, high INTEGER, rid INTEGER,
    PRIMARY KEY (param, low, high, rid)) WITHOUT ROWID;
CREATE TABLE reference (target TEXT, param INTEGER, rid INTEGER, PRIMARY KEY (target, param, rid)) WITHOUT ROWID;
CREATE TABLE page (token TEXT PRIMARY KEY, created INTEGER NOT NULL, query TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A version of a resource as it is stored; `body` is None where this version is a deletion."""

    rid: int
    resource_type: str
    id: str
    version: int
    updated: int
    method: str
    body: bytes | None


class Session:
    """One transaction; a writing one hands out stamps."""

    def __init__(self, connection: sqlite3.Connection, stamp: int) -> None:
        self.connection = connection
        self._stamp = stamp
        self.pages: list[tuple[str, str]] = []
        """Searches to be remembered after a reading transaction: token and query."""

    def next_stamp(self) -> int:
        """Return a stamp larger than all before."""
        self._stamp += 1
        return self._stamp

    @property
    def last_stamp(self) -> int:
        """The last stamp that was handed out."""
        return self._stamp

    def rows(self, sql: str, arguments: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        """Return all rows of a query."""
        return self.connection.execute(sql, arguments).fetchall()

    def find(self, resource_type: str, resource_id: str) -> Stored | None:
        """Return the current version of a resource, a deletion included; None where it never was."""
        row = self.connection.execute(
            "SELECT rid, type, id, version, updated, method, body FROM resource WHERE type = ? AND id = ?",
            (resource_type, resource_id),
        ).fetchone()
        return Stored(*row) if row else None

    def find_version(self, resource_type: str, resource_id: str, version: int) -> Stored | None:
        """Return an earlier version of a resource."""
        row = self.connection.execute(
            "SELECT 0, type, id, version, updated, method, body FROM history WHERE type = ? AND id = ? AND version = ?",
            (resource_type, resource_id, version),
        ).fetchone()
        return Stored(*row) if row else None

    def exists(self, resource_type: str, resource_id: str) -> bool:
        """Tell whether a resource is there and not deleted."""
        sql = "SELECT 1 FROM resource WHERE type = ? AND id = ? AND body IS NOT NULL"
        return self.connection.execute(sql, (resource_type, resource_id)).fetchone() is not None

    def insert(self, new: Stored, index: IndexRows) -> None:
        """Store the first version of a resource; its `rid` is given by the database."""
        cursor = self.connection.execute(
            "INSERT INTO resource (type, id, version, updated, method, body) VALUES (?, ?, ?, ?, ?, ?)",
            (new.resource_type, new.id, new.version, new.updated, new.method, new.body),
        )
        self._add(cursor.lastrowid or 0, index)

    def replace(self, old: Stored, new: Stored, *, old_index: IndexRows, new_index: IndexRows) -> None:
        """Store another version of a resource and keep the one before in the history."""
        self.connection.execute(
            "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?)",
            (old.resource_type, old.id, old.version, old.updated, old.method, old.body),
        )
        self.connection.execute(
            "UPDATE resource SET version = ?, updated = ?, method = ?, body = ? WHERE rid = ?",
            (new.version, new.updated, new.method, new.body, old.rid),
        )
        self._remove(old.rid, old_index)
        self._add(old.rid, new_index)

    def _add(self, rid: int, index: IndexRows) -> None:
        for table, rows in index.tables():
            if rows:
                marks = "?, " * len(rows[0])
                sql = f"INSERT OR IGNORE INTO {table} VALUES ({marks}?)"  # noqa: S608 - the tables' names are ours
                self.connection.executemany(sql, [(*row, rid) for row in rows])

    def _remove(self, rid: int, index: IndexRows) -> None:
        for table, rows in index.tables():
            columns = index.columns[table]
            condition = " AND ".join(f"{column} = ?" for column in (*columns, "rid"))
            sql = f"DELETE FROM {table} WHERE {condition}"  # noqa: S608 - tables' and columns' names are ours
            self.connection.executemany(sql, [(*row, rid) for row in rows])

    def save_page(self, token: str, query: str, now: int) -> None:
        """Remember a search whose pages follow; searches of yesterday are forgotten."""
        self.connection.execute("DELETE FROM page WHERE created < ?", (now - _PAGE_LIFE,))
        self.connection.execute("INSERT OR REPLACE INTO page VALUES (?, ?, ?)", (token, now, query))

    def load_page(self, token: str) -> str | None:
        """Return the query of a remembered search."""
        row = self.connection.execute("SELECT query FROM page WHERE token = ?", (token,)).fetchone()
        return str(row[0]) if row else None


class Store:
    """The database of one data folder; every thread has a connection of its own."""

    def __init__(self, folder: Path, now: Callable[[], int]) -> None:
        self._path = folder / "fhir.db"
        self._now = now
        self._writing = threading.Lock()
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._use = threading.Condition()
        self._users = 0
        self._closed = False
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        with _folder_lock(folder):
            if not self._path.exists():  # closing a descriptor would drop the locks of this process's other connections
                os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            try:
                self._prepare(self._connection())
            except BaseException:
                self.close()
                raise

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one state of the data."""
        with self._using() as connection:
            connection.execute("BEGIN")
            try:
                yield Session(connection, 0)
            finally:
                if connection.in_transaction:  # SQLite ends it by itself where the disk fails
                    connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session that may change the data; it is committed at the end, rolled back on any exception."""
        with self._using() as connection, self._writing:
            connection.execute("BEGIN IMMEDIATE")
            try:
                last = connection.execute("SELECT last FROM clock").fetchone()[0]
                session = Session(connection, max(last, self._now() - 1))
                yield session
                connection.execute("UPDATE clock SET last = ?", (session.last_stamp,))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close all connections once nobody uses one; the store cannot be used afterwards."""
        with self._use:
            self._closed = True
            self._use.wait_for(lambda: self._users == 0)
            while self._connections:
                self._connections.pop().close()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection and hold `close` up: SQLite crashes where one is closed while it is used."""
        with self._use:
            if self._closed:
                raise GatewayError("the embedded server was stopped")
            self._users += 1
        try:
            yield self._connection()
        finally:
            with self._use:
                self._users -= 1
                self._use.notify_all()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            # FULL: what was answered 201 has reached the disk.
            self._connections.append(connection)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -16000", "temp_store = MEMORY"):
                connection.execute(f"PRAGMA {pragma}")
            self._local.connection = connection
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise GatewayError(f"{self._path} was written by a newer fhir-gateway; use that, or another data folder")
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Let one process at a time create or open the database: going over to WAL does not wait for others."""
    descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
