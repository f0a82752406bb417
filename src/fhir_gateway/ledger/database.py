"""Opens a ledger's database, brings it to the newest schema, and turns its errors into the gateway's."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection, Engine, ExceptionContext, NullPool, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import DatabaseError, OperationalError

from fhir_gateway.domain.errors import LedgerError

# At its chattiest it would write rows, and with them patients' data, into a log.
logging.getLogger("sqlalchemy").setLevel(logging.WARNING)

REVISION = "0008"
"""The newest schema that this version knows; a test holds it equal to the migrations."""


def open_engine(url: str) -> Engine:
    """Return an engine on the ledger at `url`, created or migrated if need be.

    Raises LedgerError where the ledger is of a newer version, damaged or out of reach.
    """
    if make_url(url).get_backend_name() == "sqlite":
        _make_private(make_url(url).database or "")
    engine = create_engine(url, hide_parameters=True, poolclass=NullPool)
    event.listen(engine, "handle_error", _tell_plainly)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune)
    try:
        with plain_errors(), engine.connect() as connection:
            _migrate(connection, url)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def second_connection(engine: Engine, *, rows: int) -> Iterator[Connection]:
    """Open another connection, for what is read `rows` rows at a time while the first one writes.

    SQLite sorts in as much memory as it keeps pages in: that is little here, since it comes on top.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA cache_size=-1000")
        yield connection.execution_options(yield_per=rows)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn the database's errors into LedgerErrors without statements or values (they hold patients' data)."""
    try:
        yield
    except DatabaseError as error:
        raise _plain(error) from None


def _tell_plainly(context: ExceptionContext) -> None:
    """Do what plain_errors does wherever a statement fails, in a transaction or not."""
    if isinstance(context.sqlalchemy_exception, DatabaseError):
        raise _plain(context.sqlalchemy_exception) from None


def _plain(error: DatabaseError) -> LedgerError:
    if isinstance(error, OperationalError):
        return LedgerError(
            f"the ledger cannot be written or read: {error.orig}; what is done is kept,"
            " run the command again when that is solved"
        )
    return LedgerError(
        f"the ledger is damaged or no ledger ({type(error.orig).__name__}): restore its file from a copy; without it"
        " a load creates nothing twice, but decisions of operators are forgotten"
    )


def _make_private(database: str) -> None:
    """Create the file for its owner alone; one that is there is never opened but by SQLite.

    Closing any descriptor of a file drops all locks that the process has on it, those of its other connections, too;
    another process then takes itself for the last one and deletes the log that they write to
    (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    path = Path(database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise LedgerError(f"the ledger {path.name} cannot be opened in {path.parent}: {error.strerror}") from error


def _tune(connection: object, _record: object) -> None:
    try:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "busy_timeout=30000",
            "cache_size=-4000",
            "temp_store=FILE",
        ):
            connection.execute(f"PRAGMA {pragma}").close()  # type: ignore[attr-defined]
    except BaseException:  # no database: the pool has not taken the connection over yet
        connection.close()  # type: ignore[attr-defined]
        raise


def _migrate(connection: Connection, url: str) -> None:
    version = _version(connection) or _made(connection)
    if version == REVISION:
        return
    if version > REVISION:
        raise LedgerError(
            f"the ledger was written by a newer fhir-gateway (schema {version}, this one knows {REVISION}): upgrade"
        )
    # Imported here: alembic takes 11 MiB, and a ledger is migrated once.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    connection.rollback()
    config = Config()
    config.set_main_option("script_location", str(files("fhir_gateway.ledger") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()


def _made(connection: Connection) -> str:
    """Make an empty database a ledger at once, as the migrations would; return its version."""
    script = (files("fhir_gateway.ledger") / "new_ledger.sql").read_text(encoding="utf-8")
    empty = not inspect(connection).get_table_names()
    if connection.dialect.name != "sqlite" or not empty or f"VALUES ('{REVISION}')" not in script:
        return ""
    connection.rollback()
    driver = connection.connection.cursor()
    try:
        driver.executescript(f"BEGIN IMMEDIATE;\n{script}\nCOMMIT;")
    except sqlite3.OperationalError:  # another process has just made it, or nothing can be written: looked at again
        connection.rollback()
    finally:
        driver.close()
    return _version(connection)


def _version(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return str(row[0]) if row else ""
