"""Where a report may be written, found out before the run; and written whole or not at all."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fhir_gateway.domain.errors import InterruptedRunError, ReportError

EXTENSIONS = (".csv", ".xlsx", ".ndjson")


def check_target(target: Path, inputs: Iterable[Path] = ()) -> None:
    """Raise ReportError where no report can be written to `target`, or it is one of the inputs."""
    if target.suffix.lower() not in EXTENSIONS:
        raise ReportError(f"{target}: a report ends in {', '.join(EXTENSIONS)}")
    check_writable(target, inputs)


def check_writable(target: Path, inputs: Iterable[Path] = ()) -> None:
    """Raise ReportError where no file can be written to `target`, or it is one of the inputs."""
    if any(is_same_file(target, path) for path in inputs):
        raise ReportError(f"{target}: is the input itself: name another file")
    folder = _real(target).parent
    if not folder.is_dir():
        raise ReportError(f"{target}: there is no folder {folder}: create it first")
    if target.exists() and not target.is_file():
        raise ReportError(f"{target}: is no file: name one")
    if target.exists() and not os.access(target, os.W_OK):
        raise ReportError(f"{target}: is write protected")
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".report-"):
            pass
    except OSError as error:
        raise ReportError(f"{target}: cannot be written: {error.strerror or error}") from error


def is_same_file(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to one file, be it by a link, or would where it is not there yet."""
    return _real(one) == _real(other) or (one.exists() and other.exists() and one.samefile(other))


def _real(path: Path) -> Path:
    """Return where a path leads; of links that lead in a circle Path.resolve() makes an exception."""
    return Path(os.path.realpath(path))


def unwritten(target: Path, what: str, error: OSError) -> InterruptedRunError:
    """Return what is told where writing `what` failed (disk full): it can be written when the command is run again."""
    return InterruptedRunError(
        f"{target}: {what} could not be written: {error.strerror or error}; run the command again when that is solved"
    )


@contextmanager
def whole_file(target: Path, what: str = "the report") -> Iterator[Path]:
    """Yield the path of a temporary file beside `target` that takes its place when the block ends well.

    The file is readable by its owner only: it holds patients' data. Raises InterruptedRunError where writing fails
    (disk full): what stood there before is kept.
    """
    final = _real(target)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=final.parent, prefix=".fhir-gateway-", suffix=final.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(final)
    except OSError as error:
        raise unwritten(target, what, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
