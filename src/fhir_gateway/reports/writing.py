"""Write a report in the format that its name asks for."""

from collections.abc import Callable, Iterator
from pathlib import Path

from fhir_gateway.domain.outcomes import RowOutcome
from fhir_gateway.ports import Source
from fhir_gateway.reports.csv_report import write_csv
from fhir_gateway.reports.ndjson_report import write_ndjson
from fhir_gateway.reports.rows import ReportRow, Restore, report_rows
from fhir_gateway.reports.targets import check_target, whole_file


def _write_xlsx(source: Source, rows: Iterator[ReportRow], path: Path) -> None:
    from fhir_gateway.reports.xlsx_report import write_xlsx  # noqa: PLC0415 - openpyxl takes 5 MiB

    write_xlsx(source, rows, path)


_WRITERS: dict[str, Callable[[Source, Iterator[ReportRow], Path], None]] = {
    ".csv": write_csv,
    ".xlsx": _write_xlsx,
    ".ndjson": write_ndjson,
}


def write_report(
    source: Source, outcomes: Iterator[RowOutcome], target: Path, *, restore: Restore | None = None
) -> None:
    """Write every row of the source, in its order, with its outcome; `outcomes` are ordered by row.

    Raises ReportError for a target that cannot be, SourceError where the input has changed meanwhile, and
    InterruptedRunError where writing failed: there is never half a report.
    """
    check_target(target, [source.path])
    with whole_file(target) as path:
        _WRITERS[target.suffix.lower()](source, report_rows(source, outcomes, restore=restore), path)
