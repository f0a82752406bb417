"""Opens a ledger's database, brings it to the newest schema, and turns its errors into the gateway's."""

import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection, Engine, ExceptionContext, NullPool, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import DatabaseError

from fhir_gateway.domain.errors import LedgerError, UsageError
from fhir_gateway.ledger.tables import metadata

# At its chattiest it would write rows, and with them patients' data, into a log.
logging.getLogger("sqlalchemy").setLevel(logging.WARNING)
logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)  # it logs a Ctrl-C at closing, with a traceback

REVISION = "0009"
"""The newest schema that this version knows; a test holds it equal to the migrations."""

_VERSION_TABLE = "alembic_version"
_OF_EVERY_LEDGER = frozenset({_VERSION_TABLE, "runs", "files", "records", "keys", "reviews"})
"""Tables by which a ledger of any version, a newer one too, is told from other databases that alembic keeps."""


def open_engine(url: str) -> Engine:
    """Return an engine on the ledger at `url`, created or migrated if need be.

    Raises LedgerError where the ledger is of a newer version, damaged or out of reach, UsageError where the file is
    another program's.
    """
    path = Path(make_url(url).database or "")
    _refuse_other_programs(path)
    _make_private(path)
    engine = create_engine(url, hide_parameters=True, poolclass=NullPool)
    event.listen(engine, "handle_error", _tell_plainly)
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
        connection.exec_driver_sql("PRAGMA cache_size=-1000")
        yield connection.execution_options(yield_per=rows)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn the database's errors into LedgerErrors without statements or values (they hold patients' data)."""
    try:
        yield
    except DatabaseError as error:
        raise _plain(error.orig) from None


def _tell_plainly(context: ExceptionContext) -> None:
    """Do what plain_errors does wherever a statement fails, in a transaction or not."""
    if isinstance(context.sqlalchemy_exception, DatabaseError):
        raise _plain(context.sqlalchemy_exception.orig) from None


def _plain(error: BaseException | None) -> LedgerError:
    """Return what is told of a driver's error."""
    if isinstance(error, sqlite3.OperationalError):
        return LedgerError(
            f"the ledger cannot be written or read: {error}; what is done is kept,"
            " run the command again when that is solved"
        )
    return LedgerError(
        f"the ledger is damaged or no ledger ({type(error).__name__}): restore its file from a copy; without it"
        " a load creates nothing twice, but decisions of operators are forgotten"
    )


def _refuse_other_programs(path: Path) -> None:
    """Raise UsageError for a folder or another program's database, before anything of it is changed, be it its mode."""
    try:
        found = path.stat()
    except OSError:
        return  # it is not there, or may not be looked at, which is told when it is made
    if stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{path} is a folder: name a file in [ledger] url")
    if not found.st_size:
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30)) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
            tables = {name for (name,) in names}
            marks = [database.execute(f"PRAGMA {mark}").fetchone()[0] for mark in ("application_id", "user_version")]
    except sqlite3.DatabaseError as error:
        raise _plain(error) from None
    is_new = not tables and not any(marks)
    # A disk that was full while the tables were made left some of them.
    is_half_made = _VERSION_TABLE in tables and tables <= {_VERSION_TABLE, *metadata.tables}
    if is_new or is_half_made or tables >= _OF_EVERY_LEDGER:
        return
    raise UsageError(
        f"{path} is another program's database, nothing was written to it: name a file of its own in [ledger] url"
    )


def _make_private(path: Path) -> None:
    """Create the file for its owner alone; one that is there is never opened but by SQLite.

    Closing any descriptor of a file drops all locks that the process has on it, those of its other connections, too;
    another process then takes itself for the last one and deletes the log that they write to
    (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
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
    if not empty or f"VALUES ('{REVISION}')" not in script:
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
    if not inspect(connection).has_table(_VERSION_TABLE):
        return ""
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return str(row[0]) if row else ""
