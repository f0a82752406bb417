"""The ledger's tables. `payload` columns are compressed JSON; they are emptied when a record is settled."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("fingerprint", String(64), nullable=False, index=True),
    Column("clinic", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("started", String(40), nullable=False),
    Column("finished", String(40)),
    Column("thresholds", Text, nullable=False, server_default=""),
)

files = Table(
    "files",
    metadata,
    Column("run", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("modified", String(40), nullable=False),
    Column("mapping", Text, nullable=False),
    PrimaryKeyConstraint("run", "number"),
)

records = Table(
    "records",
    metadata,
    Column("run", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("file", Integer, nullable=False),
    Column("row", Integer, nullable=False),
    Column("key", String(32), nullable=False),
    Column("clinic", Text, nullable=False),
    Column("content", String(16), nullable=False),
    Column("person", Integer, nullable=False),
    Column("corrected", Boolean, nullable=False),
    Column("payload", LargeBinary),
    Column("outcome", String(16)),
    Column("code", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("suggestion", Text, nullable=False),
    Column("patient_id", String(64), nullable=False),
    Column("immunization_ids", Text, nullable=False),
    Column("grade", String(16), nullable=False),
    Column("written", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("run", "number"),
)
Index("records_by_person", records.c.run, records.c.person)
Index("records_by_key", records.c.key)
Index("records_by_patient", records.c.patient_id)
Index("records_written", records.c.run, records.c.number, sqlite_where=text("written != ''"))
"""Those that wrote on the server: a load of what is known already has none of them."""

persons = Table(
    "persons",
    metadata,
    Column("run", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", String(16), nullable=False),
    Column("payload", LargeBinary),
    Column("decision", Integer),
    PrimaryKeyConstraint("run", "number"),
)
Index("persons_by_digest", persons.c.run, persons.c.digest, unique=True)
Index("persons_by_decision", persons.c.run, persons.c.decision)

blocks = Table(
    "blocks",
    metadata,
    Column("run", Integer, nullable=False),
    Column("key", BigInteger, nullable=False),
    Column("person", Integer, nullable=False),
    PrimaryKeyConstraint("run", "key", "person"),
    sqlite_with_rowid=False,
)

edges = Table(
    "edges",
    metadata,
    Column("run", Integer, nullable=False),
    Column("person", Integer, nullable=False),
    Column("other", String(64), nullable=False),
    Column("other_person", Integer, nullable=False),
    Column("weight", Float, nullable=False),
    PrimaryKeyConstraint("run", "person", "other"),
    sqlite_with_rowid=False,
)

candidates = Table(
    "candidates",
    metadata,
    Column("run", Integer, nullable=False),
    Column("patient_id", String(64), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run", "patient_id"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("run", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("action", String(16), nullable=False),
    Column("patient_id", String(64), nullable=False),
    Column("identifier", String(32), nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run", "number"),
)
Index("decisions_open", decisions.c.run, decisions.c.settled, decisions.c.patient_id)

keys = Table(
    "keys",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("patient_id", String(64), nullable=False, index=True),
    Column("content", String(16), nullable=False),
    Column("earlier", Text, nullable=False),
    Column("doses", Text, nullable=False),
    Column("supplied", LargeBinary, nullable=False),
    Column("exported", String(40), nullable=False),
    Column("run", Integer, nullable=False),
    Column("listed", Text, nullable=False, server_default=""),
)

known_lots = Table(
    "known_lots",
    metadata,
    Column("lot", BigInteger, nullable=False),
    Column("key", String(32), nullable=False),
    PrimaryKeyConstraint("lot", "key"),
    sqlite_with_rowid=False,
)
"""Whose rows a list gave a lot of a vaccine on a day, so that they can be counted; `lot` is a digest of all of that."""

nik_cells = Table(
    "nik_cells",
    metadata,
    Column("key", String(32), nullable=False),
    Column("column", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("key", "column"),
)

known_blocks = Table(
    "known_blocks",
    metadata,
    Column("key", BigInteger, nullable=False),
    Column("patient_id", String(64), nullable=False),
    PrimaryKeyConstraint("key", "patient_id"),
    sqlite_with_rowid=False,
)

known_people = Table(
    "known_people",
    metadata,
    Column("digest", String(16), nullable=False),
    Column("patient_id", String(64), nullable=False),
    PrimaryKeyConstraint("digest", "patient_id"),
    sqlite_with_rowid=False,
)

unmapped = Table(
    "unmapped",
    metadata,
    Column("run", Integer, nullable=False),
    Column("concept_map", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint("run", "concept_map", "value"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("run", Integer, nullable=False),
    Column("code", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("suggestion", Text, nullable=False),
    Column("body", LargeBinary),
    Column("opened", String(40), nullable=False),
    Column("patient_id", String(64), nullable=False, server_default=""),
    Column("user", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("decided", String(40)),
)

review_records = Table(
    "review_records",
    metadata,
    Column("review", Integer, nullable=False),
    Column("key", String(32), nullable=False),
    Column("content", String(16), nullable=False),
    Column("run", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    PrimaryKeyConstraint("review", "run", "number"),
)
Index("review_records_by_key", review_records.c.key)

answers = Table(
    "answers",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("review", Integer, nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("user", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("patient_id", String(64), nullable=False),
    Column("run", Integer, nullable=False),
    Column("decided", String(40), nullable=False),
    Column("written", Text, nullable=False, server_default=""),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("digest", String(16), nullable=False),
    Column("patient_id", String(64), nullable=False),
    Column("same", Boolean, nullable=False),
    Column("review", Integer, nullable=False),
    PrimaryKeyConstraint("digest", "patient_id"),
)

rejections = Table(
    "rejections",
    metadata,
    Column("key", String(32), nullable=False),
    Column("content", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("review", Integer, nullable=False),
    PrimaryKeyConstraint("key", "content"),
)

proposals = Table(
    "proposals",
    metadata,
    Column("left", String(64), nullable=False),
    Column("right", String(64), nullable=False),
    Column("run", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("left", "right"),
)
