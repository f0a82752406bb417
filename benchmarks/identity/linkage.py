"""Splink 5 over the same people, in an interpreter of its own: it is no dependency of the gateway."""

import csv
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource

THRESHOLDS = (0, 5, 10, 15, 20, 25)
"""Match weights in bits at which its clusters are scored; the best is shown, which no user without truth could pick."""

_MODEL = Path(__file__).with_name("splink_model.py")


def installed(python: str) -> bool:
    """Return whether this interpreter has Splink and DuckDB."""
    try:
        asked = subprocess.run([python, "-c", "import duckdb, splink"], capture_output=True, check=False)
    except OSError:
        return False
    return asked.returncode == 0


def labels_by_threshold(patients: Iterable[Resource], python: str, folder: Path) -> dict[str, list[str]]:
    """Return every Patient's cluster at every threshold."""
    people, clusters = folder / "people.csv", folder / "clusters.json"
    with people.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("unique_id", "name", "nik", "born", "gender", "mother", "phone", "place"))
        writer.writerows([number, *_columns(patient)] for number, patient in enumerate(patients))
    subprocess.run([python, str(_MODEL), str(people), str(clusters), *map(str, THRESHOLDS)], check=True)
    found: dict[str, list[str]] = json.loads(clusters.read_text(encoding="utf-8"))
    return found


def _columns(patient: Resource) -> list[str]:
    """Return what the model compares, read by the gateway's own mapping; a newborn's NIK is its mother's: none."""
    niks = [each["value"] for each in patient.get("identifier", []) if each.get("system") == systems.NIK]
    phones = [each["value"] for each in patient.get("telecom", []) if "value" in each]
    contacts = [each.get("name", {}).get("text", "") for each in patient.get("contact", [])]
    places = [each.get("text", "") for each in patient.get("address", [])]
    name = patient.get("name", [{}])[0].get("text", "").lower()
    found = (
        niks[:1],
        [patient.get("birthDate", "")],
        [patient.get("gender", "")],
        contacts[:1],
        phones[:1],
        places[:1],
    )
    return [name, *(each[0].lower() if each else "" for each in found)]
