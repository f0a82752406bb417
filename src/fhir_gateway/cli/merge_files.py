"""Files of the merge commands: they hold patients' data, so they are their owner's alone."""

from pathlib import Path

from fhir_gateway.reports.targets import check_writable, whole_file


def write_private(path: Path, text: str, *, what: str) -> None:
    """Write a file for its owner alone; it stands there whole or not at all.

    `what` it is, as "the plan". Raises ReportError where no file can be at `path`, InterruptedRunError where writing failed.
    """
    check_writable(path)
    with whole_file(path, what) as part:
        part.write_text(text, encoding="utf-8")
