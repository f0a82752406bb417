"""Records' keys follow a merge: what a clinic loaded for a replaced Patient is the survivor's from then on.

What was known before is kept beside, so that undoing gives it back.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Row

from fhir_gateway.domain.merges import KeySince, RowAfter
from fhir_gateway.ledger import codec, tables
from fhir_gateway.ledger.chunks import chunks

metadata = MetaData()
"""Apart from the tables of loads, since it came with a migration of its own."""

merged_keys = Table(
    "merged_keys",
    metadata,
    Column("merge", Integer, nullable=False),
    Column("key", String(32), nullable=False),
    Column("patient_id", String(64), nullable=False),
    Column("doses", Text, nullable=False),
    PrimaryKeyConstraint("merge", "key"),
)


class MergedKeys:
    """What merges made of the keys of one environment; it counts when the ledger's transaction is committed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def follow(self, merge: int, *, survivor: str, replaced: Sequence[str], doses: Mapping[str, str]) -> int:
        """Let the keys of replaced Patients lead to the survivor; return how many changed.

        `doses` are Immunizations that became entered-in-error → those that stand for them now; whose rows these are is
        remembered as well. Doing it twice changes nothing.
        """
        keys = tables.keys
        kept = set(doses.values())
        changed = 0
        for row in self._keys_of([survivor, *replaced]):
            known = orjson.loads(row.doses)
            moved = {name: doses.get(dose, dose) for name, dose in known.items()}
            if row.patient_id == survivor and moved == known and not kept.intersection(known.values()):
                continue
            self._remember(merge, row.key, row.patient_id, row.doses)
            if row.patient_id == survivor and moved == known:
                continue
            self._connection.execute(
                update(keys)
                .where(keys.c.key == row.key)
                .values(patient_id=survivor, doses=orjson.dumps(moved).decode())
            )
            changed += 1
        return changed

    def since(self, merge: int, patient_ids: Sequence[str]) -> list[KeySince]:
        """Return the keys that followed a merge, wherever they stand now, and all others of these Patients."""
        keys, kept = tables.keys, merged_keys
        rows = self._connection.execute(
            select(kept, keys.c.patient_id.label("now"), keys.c.doses.label("doses_now"))
            .join(keys, keys.c.key == kept.c.key)
            .where(kept.c.merge == merge)
            .order_by(kept.c.key)
        ).all()
        found = {
            row.key: KeySince(row.key, row.now, orjson.loads(row.doses_now), row.patient_id, orjson.loads(row.doses))
            for row in rows
        }
        for row in self._keys_of(patient_ids):
            found.setdefault(row.key, KeySince(row.key, row.patient_id, orjson.loads(row.doses)))
        return list(found.values())

    def give_back(self, merge: int, rows: Iterable[RowAfter]) -> None:
        """Let keys lead to where they lead once a merge is undone.

        One for which a dose was copied is completed by the next load of its file.
        """
        keys = tables.keys
        for row in rows:
            values: dict[str, Any] = {"patient_id": row.patient_id, "doses": orjson.dumps(dict(row.doses)).decode()}
            if row.supplied:
                known = self._connection.execute(select(keys.c.supplied).where(keys.c.key == row.key)).scalar_one()
                told = codec.unpack(known) | {name: dict(fields) for name, fields in row.supplied.items()}
                values |= {"content": "", "supplied": codec.pack(told)}
            self._connection.execute(update(keys).where(keys.c.key == row.key).values(**values))
        self._connection.execute(delete(merged_keys).where(merged_keys.c.merge == merge))

    def _keys_of(self, patient_ids: Sequence[str]) -> list[Row[Any]]:
        keys = tables.keys
        rows: list[Row[Any]] = []
        for chunk in chunks(patient_ids):
            statement = select(keys.c.key, keys.c.patient_id, keys.c.doses).where(keys.c.patient_id.in_(chunk))
            rows.extend(self._connection.execute(statement))
        return rows

    def _remember(self, merge: int, key: str, patient_id: str, doses: str) -> None:
        known = merged_keys
        again = select(known.c.key).where(known.c.merge == merge, known.c.key == key)
        if self._connection.execute(again).first() is None:  # a merge that is closed again has kept it already
            self._connection.execute(insert(known).values(merge=merge, key=key, patient_id=patient_id, doses=doses))
