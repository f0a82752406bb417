"""Runs: what was asked, how far it came, and its books."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.engine import Row

from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.records import UnmappedValue
from fhir_gateway.domain.runs import InputFile, Run, RunKind, RunState, RunTotals
from fhir_gateway.ledger import tables


class Runs:
    """The runs of one environment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def start(  # noqa: PLR0913 - a run is what its columns say
        self, *, kind: RunKind, fingerprint: str, files: Sequence[InputFile], clinic: str, user: str, started: datetime
    ) -> Run:
        """Write a new run and return it."""
        state = RunState.READING
        result = self._connection.execute(
            insert(tables.runs).values(
                kind=kind, state=state, fingerprint=fingerprint, clinic=clinic, user=user, started=started.isoformat()
            )
        )
        number = int(result.inserted_primary_key[0]) if result.inserted_primary_key else 0
        if files:
            self._connection.execute(
                insert(tables.files),
                [
                    {
                        "run": number,
                        "number": n,
                        "name": file.name,
                        "sha256": file.sha256,
                        "modified": file.modified.isoformat(),
                        "mapping": file.mapping,
                    }
                    for n, file in enumerate(files)
                ],
            )
        return Run(number, kind, state, fingerprint, tuple(files), clinic, user, started)

    def unfinished(self, fingerprint: str) -> Run | None:
        """Return the newest unfinished run that did the same, if any."""
        row = self._connection.execute(
            select(tables.runs)
            .where(tables.runs.c.fingerprint == fingerprint, tables.runs.c.state != RunState.FINISHED)
            .order_by(tables.runs.c.id.desc())
        ).first()
        return self._run(row) if row else None

    def get(self, number: int) -> Run | None:
        """Return a run, None where there is no such run."""
        row = self._connection.execute(select(tables.runs).where(tables.runs.c.id == number)).first()
        return self._run(row) if row else None

    def all(self) -> list[Run]:
        """Return all runs, the newest first."""
        return [
            self._run(row) for row in self._connection.execute(select(tables.runs).order_by(tables.runs.c.id.desc()))
        ]

    def has_read(self, run: Run, sha256: str) -> bool:
        """Tell whether a run before this one read this very file."""
        files = tables.files
        earlier = select(files.c.run).where(files.c.sha256 == sha256, files.c.run < run.id).limit(1)
        return self._connection.execute(earlier).first() is not None

    def reach(self, run: Run, state: RunState) -> None:
        """Note how far the run has come."""
        self._connection.execute(update(tables.runs).where(tables.runs.c.id == run.id).values(state=state))

    def decide_by(self, run: Run, thresholds: Mapping[str, float]) -> None:
        """Note the thresholds that the run's decisions are made with."""
        told = orjson.dumps(dict(thresholds)).decode()
        self._connection.execute(update(tables.runs).where(tables.runs.c.id == run.id).values(thresholds=told))

    def finish(self, run: Run, finished: datetime) -> None:
        """Note that the run is finished."""
        self._connection.execute(
            update(tables.runs)
            .where(tables.runs.c.id == run.id)
            .values(state=RunState.FINISHED, finished=finished.isoformat())
        )

    def totals(self, run: Run) -> RunTotals:
        """Compute the run's books from its records."""
        records = tables.records
        read = 0
        outcomes: dict[Outcome, int] = {}
        reasons: dict[str, int] = {}
        texts: dict[str, str] = {}
        told = func.min(records.c.reason), func.max(records.c.reason)
        grouped = select(records.c.outcome, records.c.code, func.count(), *told).where(records.c.run == run.id)
        grouped = grouped.group_by(records.c.outcome, records.c.code)
        for outcome, code, count, text, other in self._connection.execute(grouped):
            read += count
            if outcome is None:
                continue
            outcomes[Outcome(outcome)] = outcomes.get(Outcome(outcome), 0) + count
            if code:
                reasons[code] = reasons.get(code, 0) + count
                texts.setdefault(code, text if text == other else f"such as: {text}")
        return RunTotals(read, outcomes, dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))), texts)

    def count_unmapped(self, run: Run, values: Sequence[UnmappedValue]) -> None:
        """Count values that concept maps lack."""
        table = tables.unmapped
        for value in values:
            where = (table.c.run == run.id, table.c.concept_map == value.concept_map, table.c.value == value.value)
            changed = self._connection.execute(update(table).where(*where).values(count=table.c.count + 1)).rowcount
            if not changed:
                self._connection.execute(
                    insert(table).values(
                        run=run.id, concept_map=value.concept_map, value=value.value, line=value.line, count=1
                    )
                )

    def unmapped(self, run: Run) -> list[tuple[UnmappedValue, int]]:
        """Return the values that concept maps lacked with their counts, the most frequent first."""
        table = tables.unmapped
        rows = self._connection.execute(
            select(table).where(table.c.run == run.id).order_by(table.c.count.desc(), table.c.value)
        )
        return [(UnmappedValue(row.concept_map, row.value, row.line), row[4]) for row in rows]

    def rows_of(self, run: Run, person: int) -> list[tuple[int, int]]:
        """Return (file, row) of a spooled person's records, in the order in which they were read."""
        table = tables.records
        rows = self._connection.execute(
            select(table.c.file, table.c.row)
            .where(table.c.run == run.id, table.c.person == person)
            .order_by(table.c.number)
        )
        return [(file, row) for file, row in rows]

    def clear(self, run: Run) -> None:
        """Forget everything that the run has read; for a run that is read again from its start, and for dry runs."""
        for table in (
            tables.records,
            tables.persons,
            tables.blocks,
            tables.edges,
            tables.candidates,
            tables.decisions,
            tables.unmapped,
        ):
            self._connection.execute(delete(table).where(table.c.run == run.id))

    def drop(self, run: Run) -> None:
        """Forget a run altogether (a dry run leaves nothing behind)."""
        self.clear(run)
        self._connection.execute(delete(tables.files).where(tables.files.c.run == run.id))
        self._connection.execute(delete(tables.runs).where(tables.runs.c.id == run.id))

    def _run(self, row: Row[tuple[object, ...]]) -> Run:
        files = self._connection.execute(
            select(tables.files).where(tables.files.c.run == row.id).order_by(tables.files.c.number)
        )
        return Run(
            id=row.id,
            kind=RunKind(row.kind),
            state=RunState(row.state),
            fingerprint=row.fingerprint,
            files=tuple(
                InputFile(file.name, file.sha256, datetime.fromisoformat(file.modified), file.mapping) for file in files
            ),
            clinic=row.clinic,
            user=row.user,
            started=datetime.fromisoformat(row.started),
            finished=datetime.fromisoformat(row.finished) if row.finished else None,
            thresholds=orjson.loads(row.thresholds) if row.thresholds else {},
        )
