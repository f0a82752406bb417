"""Compile which of R4's search parameters reach which references to a Patient: `patient_searches.json`.

`python -m fhir_gateway.merging.compile_searches` writes the file anew from the reference parameters of R4, as the
embedded server has them, and from the elements that may refer to a Patient (fhir.references); a test holds it equal.
"""

import json
from pathlib import Path
from typing import Any

from fhir_gateway.fhir.references import patient_paths

_PACKAGE = Path(__file__).parent
SEARCHES_FILE = _PACKAGE / "patient_searches.json"
_REGISTRY = _PACKAGE.parent / "embedded_server" / "search_parameters.json"


def compile_searches() -> dict[str, dict[str, list[str]]]:
    """Return resource type → search parameter → paths of references to a Patient which it reaches."""
    registry = json.loads(_REGISTRY.read_text(encoding="utf-8"))["reference"]
    found = {
        resource_type: {
            parameter: reached
            for parameter, elements in sorted(registry.get(resource_type, {}).items())
            if (reached := _reached(elements, paths))
        }
        for resource_type, paths in sorted(patient_paths().items())
        if resource_type != "Patient"
    }
    return {resource_type: parameters for resource_type, parameters in found.items() if parameters}


def _reached(elements: list[str], paths: tuple[str, ...]) -> list[str]:
    """Return the paths among `elements` (`path` or `path:Target`) at which a Patient may be found."""
    named = (element.partition(":") for element in elements)
    return sorted(path for path, _, target in named if target in {"", "Patient"} and path in paths)


def dump(searches: dict[str, Any]) -> str:
    """Return the file's text: one line a type."""
    text = json.dumps(searches, sort_keys=True, separators=(",", ":"))
    return text.replace('},"', '},\n"') + "\n"


def main() -> None:
    """Write the generated file."""
    SEARCHES_FILE.write_text(dump(compile_searches()), encoding="utf-8")


if __name__ == "__main__":
    main()
