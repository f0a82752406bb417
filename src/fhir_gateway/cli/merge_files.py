"""Files of the merge commands: they hold patients' data, so they are their owner's alone."""

import os
from pathlib import Path

from fhir_gateway.domain.errors import UsageError


def write_private(path: Path, text: str) -> None:
    """Write a file for its owner alone; it stands there whole or not at all. Raises UsageError where it cannot be."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
