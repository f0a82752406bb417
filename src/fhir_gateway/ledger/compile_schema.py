"""Compile the migrations into the script that makes a new SQLite ledger.

`python -m fhir_gateway.ledger.compile_schema` writes it anew; a test holds it equal to the migrations. A load in a new
environment is spared alembic by it, which takes 11 MiB and a third of a second.
"""

import sqlite3
import tempfile
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine

SCRIPT = Path(__file__).parent / "new_ledger.sql"

_STATEMENTS = """
SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'
ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, name
"""


def compiled() -> str:
    """Return the statements that make what the migrations make, with the version that they lead to."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "ledger.db"
        config = Config()
        config.set_main_option("script_location", str(files("fhir_gateway.ledger") / "migrations"))
        config.set_main_option("path_separator", "os")
        with create_engine(f"sqlite:///{database}", poolclass=NullPool).connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        reading = sqlite3.connect(database)
        try:
            statements = reading.execute(_STATEMENTS).fetchall()
            (version,) = reading.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            reading.close()
    lines = [" ".join(sql.split()) + ";" for (sql,) in statements]
    stamp = f"INSERT INTO alembic_version VALUES ('{version}');"  # noqa: S608 - a script is made, and of our own words
    return "\n".join([*lines, stamp, ""])


if __name__ == "__main__":
    SCRIPT.write_text(compiled(), encoding="utf-8")
