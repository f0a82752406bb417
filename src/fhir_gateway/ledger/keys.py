"""What the environment knows: records' keys, NIKs as written, where known people may be found, merge proposals."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, delete, distinct, func, insert, or_, select, update
from sqlalchemy.engine import Row

from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.runs import (
    KnownKey,
    ListedDose,
    ListedRow,
    LoadedSince,
    Provenance,
    Run,
    RunKind,
    RunState,
)
from fhir_gateway.ledger import codec, tables
from fhir_gateway.ledger.chunks import chunks
from fhir_gateway.ledger.merges.journal import Merges
from fhir_gateway.ledger.runs.verdicts import Verdicts


class Keys:
    """The long memory of one environment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def known(self, keys: Iterable[str]) -> dict[str, KnownKey]:
        """Return key → what is known of it."""
        table = tables.keys
        found: dict[str, KnownKey] = {}
        for chunk in chunks(keys):
            for row in self._connection.execute(select(table).where(table.c.key.in_(chunk))):
                found[row.key] = _known(row)
        return found

    def of_patient(self, patient_id: str) -> dict[str, KnownKey]:
        """Return key → what is known of it, of every record that stands for this Patient."""
        table = tables.keys
        rows = self._connection.execute(select(table).where(table.c.patient_id == patient_id).order_by(table.c.key))
        return {row.key: _known(row) for row in rows}

    def doses_of(self, patient_ids: Iterable[str]) -> set[str]:
        """Return the ids of the Immunizations that rows brought which stand for these Patients."""
        table = tables.keys
        statements = (select(table.c.doses).where(table.c.patient_id.in_(chunk)) for chunk in chunks(patient_ids))
        return {
            dose
            for statement in statements
            for (doses,) in self._connection.execute(statement)
            for dose in orjson.loads(doses).values()
        }

    def wordings(self, keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return key → digests of all that its records ever said of the person, the newest last."""
        records, persons = tables.records, tables.persons
        found: dict[str, dict[str, None]] = {}
        for chunk in chunks(keys):
            statement = (
                select(records.c.key, persons.c.digest)
                .join(persons, (persons.c.run == records.c.run) & (persons.c.number == records.c.person))
                .where(records.c.key.in_(chunk))
                .order_by(records.c.run, records.c.number)
            )
            for key, digest in self._connection.execute(statement):
                said = found.setdefault(key, {})
                said.pop(digest, None)
                said[digest] = None
        return {key: tuple(said) for key, said in found.items()}

    def places(self, keys: Iterable[str]) -> dict[str, tuple[int, int, int, str]]:
        """Return key → (run, file's number, row, clinic) where its record was read last."""
        records = tables.records
        found: dict[str, tuple[int, int, int, str]] = {}
        for chunk in chunks(keys):
            statement = (
                select(records.c.key, records.c.run, records.c.file, records.c.row, records.c.clinic)
                .where(records.c.key.in_(chunk), records.c.clinic != "")
                .order_by(records.c.run, records.c.number)
            )
            found.update(
                (key, (run, file, row, clinic)) for key, run, file, row, clinic in self._connection.execute(statement)
            )
        return found

    def loaders(self, keys: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Return key → (run, its person there) of the run that loaded the record first."""
        records = tables.records
        found: dict[str, tuple[int, int]] = {}
        for chunk in chunks(keys):
            statement = (
                select(records.c.key, records.c.run, records.c.person)
                .where(records.c.key.in_(chunk), records.c.outcome == Outcome.LOADED)
                .order_by(records.c.run.desc())
            )
            found.update((key, (run, person)) for key, run, person in self._connection.execute(statement))
        return found

    def loaded_since(self, run: Run, keys: Iterable[str]) -> dict[str, list[LoadedSince]]:
        """Return key → the finished runs after this one that loaded its record again or moved it, the newest last."""
        records, runs = tables.records, tables.runs
        found: dict[str, list[LoadedSince]] = {}
        for chunk in chunks(keys):
            statement = (
                select(records.c.key, records.c.run, runs.c.kind, records.c.content, records.c.patient_id)
                .join(runs, runs.c.id == records.c.run)
                .where(
                    records.c.key.in_(chunk),
                    records.c.run > run.id,
                    records.c.outcome == Outcome.LOADED,
                    runs.c.state == RunState.FINISHED,
                )
                .order_by(records.c.run, records.c.number)
            )
            for key, number, kind, content, patient_id in self._connection.execute(statement):
                found.setdefault(key, []).append(LoadedSince(number, RunKind(kind), content, patient_id))
        return found

    def estrange(self, patient_id: str, digests: Iterable[str], blocks: Iterable[int]) -> None:
        """Forget that these words are this Patient's, and that the Patient is to be found under these keys."""
        people, places = tables.known_people, tables.known_blocks
        for chunk in chunks(digests):
            self._connection.execute(
                delete(people).where(people.c.patient_id == patient_id, people.c.digest.in_(chunk))
            )
        for chunk in chunks(blocks):
            self._connection.execute(delete(places).where(places.c.patient_id == patient_id, places.c.key.in_(chunk)))

    def learn(self, run: Run, known: Sequence[KnownKey]) -> None:
        """Write what is now known of keys."""
        for chunk in chunks([key.key for key in known]):
            self._connection.execute(delete(tables.keys).where(tables.keys.c.key.in_(chunk)))
        if known:
            self._connection.execute(
                insert(tables.keys),
                [
                    {
                        "key": key.key,
                        "patient_id": key.patient_id,
                        "content": key.content,
                        "earlier": " ".join(key.earlier),
                        "doses": orjson.dumps(dict(key.doses)).decode(),
                        "supplied": codec.pack({name: dict(fields) for name, fields in key.supplied.items()}),
                        "exported": key.exported.isoformat(),
                        "run": run.id,
                        "listed": _listed_text(key.listed),
                    }
                    for key in known
                ],
            )

    def move_doses(self, places: Mapping[tuple[str, str], str]) -> None:
        """Write under which Immunization doses (key, name) stand by now; nothing else of the keys changes."""
        table = tables.keys
        for key, known in self.known({key for key, _ in places}).items():
            now = {name: places.get((key, name), dose) for name, dose in known.doses.items()}
            text = orjson.dumps(now).decode()
            self._connection.execute(update(table).where(table.c.key == key).values(doses=text))

    def listed(self, run: Run, patient_ids: Iterable[str]) -> list[tuple[str, int, ListedRow]]:
        """Return (Patient, run that loaded it, row) of the rows of these Patients that this run has not read again."""
        table, records = tables.keys, tables.records
        read_again = select(records.c.number).where(records.c.key == table.c.key, records.c.run + 0 == run.id)
        found: list[tuple[str, int, ListedRow]] = []
        for chunk in chunks(patient_ids):
            statement = select(table.c.patient_id, table.c.run, table.c.listed).where(
                table.c.patient_id.in_(chunk), table.c.listed != "", ~read_again.exists()
            )
            rows = self._connection.execute(statement.order_by(table.c.key))
            found += ((patient_id, loaded, _read_listed(text)) for patient_id, loaded, text in rows)
        return found

    def count_lots(self, lots: Iterable[tuple[int, str]]) -> None:
        """Remember (digest of a list's lot, vaccine and day, key): to whom the list says that it was given."""
        rows = [{"lot": lot, "key": key} for lot, key in dict.fromkeys(lots)]
        if rows:
            self._connection.execute(insert(tables.known_lots).prefix_with("OR IGNORE", dialect="sqlite"), rows)

    def received(self, lot: int) -> int:
        """Return how many Patients by now have rows that were told to have got a lot."""
        keys, known = tables.keys, tables.known_lots
        statement = select(func.count(distinct(keys.c.patient_id))).join(known, known.c.key == keys.c.key)
        return self._connection.execute(statement.where(known.c.lot == lot)).scalar() or 0

    def niks(self, keys: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return key → column → the NIK's text when the key was first read."""
        table = tables.nik_cells
        found: dict[str, dict[str, str]] = {}
        for chunk in chunks(keys):
            for key, column, value in self._connection.execute(select(table).where(table.c.key.in_(chunk))):
                found.setdefault(key, {})[column] = value
        return found

    def remember_niks(self, cells: Sequence[tuple[str, str, str]]) -> None:
        """Remember (key, column, text) of cells that hold a NIK."""
        if cells:
            self._connection.execute(
                insert(tables.nik_cells).prefix_with("OR REPLACE", dialect="sqlite"),
                [
                    {"key": key, "column": column, "value": value}
                    for (key, column), value in {(k, c): v for k, c, v in cells}.items()
                ],
            )

    def locate(self, blocks: Iterable[tuple[int, str]]) -> None:
        """Remember (hashed blocking key, Patient): where the Patient may be found again."""
        rows = [{"key": key, "patient_id": patient_id} for key, patient_id in dict.fromkeys(blocks)]
        if rows:
            self._connection.execute(insert(tables.known_blocks).prefix_with("OR IGNORE", dialect="sqlite"), rows)

    def located(self, blocks: Iterable[int], *, largest_block: int) -> dict[int, tuple[str, ...]]:
        """Return (hashed) blocking key → ids of Patients; keys with more than `largest_block` say nothing."""
        table = tables.known_blocks
        found: dict[int, list[str]] = {}
        for chunk in chunks(blocks):
            for key, patient_id in self._connection.execute(select(table).where(table.c.key.in_(chunk))):
                found.setdefault(key, []).append(patient_id)
        return {key: tuple(ids) for key, ids in found.items() if len(ids) <= largest_block}

    def acquaint(self, people: Iterable[tuple[str, str]]) -> None:
        """Remember (digest, Patient): what a source says of a person, to the letter, and who that is."""
        rows = [{"digest": digest, "patient_id": patient_id} for digest, patient_id in dict.fromkeys(people)]
        if rows:
            self._connection.execute(insert(tables.known_people).prefix_with("OR IGNORE", dialect="sqlite"), rows)

    def recognise(self, digests: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return digest → Patients that were loaded from exactly this."""
        table = tables.known_people
        found: dict[str, list[str]] = {}
        for chunk in chunks(digests):
            for digest, patient_id in self._connection.execute(select(table).where(table.c.digest.in_(chunk))):
                found.setdefault(digest, []).append(patient_id)
        return {digest: tuple(ids) for digest, ids in found.items()}

    def propose(self, run: Run, pairs: Iterable[tuple[str, str]], *, reason: str) -> None:
        """Remember pairs of Patients that seem to be one person, but for those that were taken apart or merged and undone.

        A dry run proposes nothing.
        """
        wanted = dict.fromkeys(pairs)
        if run.kind is RunKind.DRY_RUN or not wanted:
            return
        parted = self.kept_apart({one for pair in wanted for one in pair})
        rows = [
            {"left": min(pair), "right": max(pair), "run": run.id, "reason": reason}
            for pair in wanted
            if frozenset(pair) not in parted
        ]
        if rows:
            self._connection.execute(insert(tables.proposals).prefix_with("OR IGNORE", dialect="sqlite"), rows)

    def kept_apart(self, patient_ids: Iterable[str]) -> set[frozenset[str]]:
        """Return the pairs among these Patients that were decided to be two people: taken apart, parted, or a merge undone.

        What was decided of a Patient that was replaced since holds for whoever stands for it.
        """
        named = set(patient_ids)
        into = Merges(self._connection).survivors(named)
        members = sorted({*named, *into})
        decided = Verdicts(self._connection).unlinked(members) | Merges(self._connection).kept_apart(members)
        apart = decided | {frozenset(into.get(one, one) for one in pair) for pair in decided}
        return {pair for pair in apart if len(pair) == 2 and pair <= named}

    def survivors(self, patient_ids: Iterable[str]) -> dict[str, str]:
        """Return replaced Patient → who stands for it now, of these Patients and all whom merges made one with them."""
        return Merges(self._connection).survivors(patient_ids)

    def proposals(self) -> list[tuple[str, str, int, str]]:
        """Return (Patient, Patient, run, reason) of all merge proposals.

        Who was replaced since is named by the survivor, so that A = B and B = C lead to A = C once B has gone; pairs that
        are one by now are left out.
        """
        rows = self._connection.execute(select(tables.proposals).order_by(tables.proposals.c.run)).all()
        named = {one for row in rows for one in (row.left, row.right)}
        apart, into = self.kept_apart(named), Merges(self._connection).survivors(named)
        found = []
        for row in rows:
            pair = (row.left, row.right)
            if frozenset(pair) not in apart:
                pair = (into.get(row.left, row.left), into.get(row.right, row.right))
            if pair[0] != pair[1]:
                found.append((*pair, row.run, row.reason))
        return found

    def widest(self) -> str:
        """Return the Patient whose rows came through most mappings, "" where nothing has been loaded."""
        records, files = tables.records, tables.files
        mappings = func.count(distinct(files.c.mapping))
        statement = (
            select(records.c.patient_id)
            .join(files, (files.c.run == records.c.run) & (files.c.number == records.c.file))
            .where(records.c.outcome == Outcome.LOADED)
            .group_by(records.c.patient_id)
            .order_by(mappings.desc(), func.count().desc(), records.c.patient_id)
        )
        return self._connection.execute(statement).scalar() or ""

    def provenance(self, patient_id: str, immunization_ids: Iterable[str]) -> list[Provenance]:
        """Return which rows a Patient and these Immunizations came from, the oldest first.

        Rows that an operator has taken apart from their Patient, or given to another, since then came to where she moved them.
        """
        records, runs, files = tables.records, tables.runs, tables.files
        doses = set(immunization_ids)
        moved, moving = tables.records.alias(), tables.runs.alias()
        moved_since = (
            select(moved.c.number)
            .join(moving, moving.c.id == moved.c.run)
            .where(
                moved.c.key == records.c.key,
                moved.c.run > records.c.run,
                or_(
                    moving.c.kind == RunKind.UNLINK,
                    (moving.c.kind == RunKind.REVIEW)
                    & (moved.c.outcome == Outcome.LOADED)
                    & (moved.c.patient_id != records.c.patient_id),
                ),
            )
        )
        statement = (
            select(records, files.c.name, files.c.mapping, runs.c.started)
            .join(runs, runs.c.id == records.c.run)
            .join(files, (files.c.run == records.c.run) & (files.c.number == records.c.file))
            .where(
                or_(records.c.outcome == Outcome.LOADED, _loaded_in_part()),
                ~moved_since.exists(),
                or_(
                    records.c.patient_id == patient_id,
                    *(records.c.immunization_ids.contains(dose) for dose in sorted(doses)),
                ),
            )
            .order_by(records.c.run, records.c.number)
        )
        return [
            Provenance(
                run=row.run,
                file=row.name,
                row=row.row,
                clinic=row.clinic,
                mapping=row.mapping,
                key=row.key,
                patient_id=row.patient_id,
                immunization_ids=tuple(row.immunization_ids.split()),
                loaded=datetime.fromisoformat(row.started),
            )
            for row in self._connection.execute(statement)
        ]


def _loaded_in_part() -> ColumnElement[bool]:
    """Rows whose outcome is the worst of their doses', and of which other doses stand; those of the first load alone."""
    records, before = tables.records, tables.records.alias()
    earlier = select(before.c.number).where(
        before.c.key == records.c.key,
        before.c.run < records.c.run,
        before.c.immunization_ids == records.c.immunization_ids,
    )
    return (records.c.outcome != Outcome.UNCHANGED) & (records.c.immunization_ids != "") & ~earlier.exists()


def _known(row: Row[Any]) -> KnownKey:
    supplied: Mapping[str, Mapping[str, Sequence[str]]] = codec.unpack(row.supplied)
    return KnownKey(
        key=row.key,
        patient_id=row.patient_id,
        content=row.content,
        doses=orjson.loads(row.doses),
        supplied={part: {name: tuple(d) for name, d in fields.items()} for part, fields in supplied.items()},
        exported=datetime.fromisoformat(row.exported),
        earlier=tuple(row.earlier.split()),
        listed=_read_listed(row.listed) if row.listed else None,
    )


def _listed_text(row: ListedRow | None) -> str:
    return orjson.dumps([row.source, row.line, [list(dose) for dose in row.doses]]).decode() if row else ""


def _read_listed(text: str) -> ListedRow:
    source, line, doses = orjson.loads(text)
    return ListedRow(source, line, tuple(ListedDose(*dose) for dose in doses))
