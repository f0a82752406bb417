"""Records' keys follow a merge: what a clinic loaded for a replaced Patient is the survivor's from then on.

What was known before is kept beside, so that undoing gives it back.
"""

from collections.abc import Mapping, Sequence
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

from fhir_gateway.ledger import tables
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

        `doses` are Immunizations that became entered-in-error → those that stand for them now. Doing it twice changes
        nothing.
        """
        keys = tables.keys
        changed = 0
        for row in self._keys_of([survivor, *replaced]):
            known = orjson.loads(row.doses)
            moved = {name: doses.get(dose, dose) for name, dose in known.items()}
            if row.patient_id == survivor and moved == known:
                continue
            self._remember(merge, row.key, row.patient_id, row.doses)
            self._connection.execute(
                update(keys)
                .where(keys.c.key == row.key)
                .values(patient_id=survivor, doses=orjson.dumps(moved).decode())
            )
            changed += 1
        return changed

    def give_back(self, merge: int, *, survivor: str, moved: Mapping[str, str]) -> int:
        """Let the keys that followed a merge lead to where they led before; return how many changed.

        A key that a load or an operator has led elsewhere since stays. `moved` are Immunizations that went over to one
        of the Patients as well → that Patient: their keys go with them.
        """
        keys, kept = tables.keys, merged_keys
        rows = self._connection.execute(
            select(kept.c.key, kept.c.patient_id, kept.c.doses, keys.c.doses.label("now"))
            .join(keys, keys.c.key == kept.c.key)
            .where(kept.c.merge == merge, keys.c.patient_id == survivor)
        ).all()
        for row in rows:
            doses = {**orjson.loads(row.now), **orjson.loads(row.doses)}
            self._connection.execute(
                update(keys)
                .where(keys.c.key == row.key)
                .values(patient_id=row.patient_id, doses=orjson.dumps(doses).decode())
            )
        self._connection.execute(delete(kept).where(kept.c.merge == merge))
        return len(rows) + self._go_with_doses(survivor, moved)

    def _go_with_doses(self, survivor: str, moved: Mapping[str, str]) -> int:
        if not moved:
            return 0
        changed = 0
        for row in self._keys_of([survivor]):
            known = set(orjson.loads(row.doses).values())
            patients = {moved[dose] for dose in known if dose in moved}
            if known and known <= moved.keys() and len(patients) == 1:
                self._connection.execute(
                    update(tables.keys).where(tables.keys.c.key == row.key).values(patient_id=patients.pop())
                )
                changed += 1
        return changed

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
