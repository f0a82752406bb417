"""`person show`: one Patient with its doses, where each came from, and what it was called before."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any
from urllib.parse import unquote

import typer

from fhir_gateway import bootstrap
from fhir_gateway.cli import options
from fhir_gateway.cli.printing import console, masked, masked_date, print_json, print_table, print_text, without_niks
from fhir_gateway.cli.progress import ProgressDisplay
from fhir_gateway.domain import systems
from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import Provenance
from fhir_gateway.fhir.human_names import name_text, texts
from fhir_gateway.fhir.outcomes import shorten
from fhir_gateway.fhir.references import replaced_by
from fhir_gateway.settings import EMBEDDED

_DOSES = ("given on", "vaccine", "dose", "lot", "status", "id", "from")
_MOST_VALUES = 20
"""So many names, numbers or addresses of one Patient are shown: another system's server may hold any number."""
_WIDE = 110
"""Columns of a terminal that hold a dose's vaccine beside its id."""

app = typer.Typer(no_args_is_help=True, help="One person with all doses, and where they came from.")


@app.command()
def show(
    patient: Annotated[str, typer.Argument(metavar="PATIENT", help="The Patient's id.")],
    environment: options.Environment = EMBEDDED,
    reveal: options.Reveal = False,
    as_json: options.Json = False,
) -> None:
    """Show a person: doses, which row of which file each came from, decisions, earlier names and numbers.

    Names, numbers and birth dates are covered unless --reveal is given; --json, for programs, holds them in full.
    """
    with ProgressDisplay() as progress, bootstrap.opened(environment, progress) as gateway:
        view = gateway.person(patient)
    if view is None:
        raise UsageError(f"there is no Patient {patient} on the server")
    if as_json:
        print_json(
            {
                "patient": view.patient,
                "immunizations": view.doses,
                "sources": [_source(provenance) for provenance in view.sources],
                "decisions": list(view.decisions),
            }
        )
        return
    print_person(view, reveal=reveal)


def print_person(view: bootstrap.PersonView, *, reveal: bool, decisions: bool = True) -> None:
    """Print a person as tables, and the decisions on the rows; masked unless `reveal`."""
    print(f"Patient {view.patient.get('id')}")
    print_table(("", ""), list(person_columns(view.patient, reveal=reveal).items()))
    _print_doses([_dose_row(dose, view) for dose in view.doses])
    print_table(
        ("run", "file", "row", "clinic", "mapping", "Immunizations"),
        [(s.run, s.file, s.row, s.clinic, s.mapping, len(s.immunization_ids)) for s in view.sources],
        title="sources",
    )
    for line in view.decisions if decisions else ():
        print_text(line)


def person_columns(patient: Resource, *, reveal: bool) -> dict[str, str]:
    """Return what a shared screen may show of a Patient, in full with `reveal`; what is too long to be read is cut off."""

    def shown(text: str) -> str:
        return shorten(text if reveal else masked(text))

    def listed(name: str, text: Any) -> str:
        return _joined(_aged(element, shown(text(element))) for element in patient.get(name, []) if text(element))

    born = str(patient.get("birthDate", ""))
    mother = [c for c in patient.get("contact", []) if c.get("name")]
    return {
        "name": listed("name", name_text),
        "born": shorten(born if reveal else masked_date(born)),
        "gender": shorten(str(patient.get("gender", ""))),
        "identifiers": _joined(
            _aged(element, f"{_identifier_label(element)} {shown(str(element['value']))}".strip())
            for element in sorted(patient.get("identifier", []), key=_identifier_rank)
            if element.get("value")
        ),
        "phone": listed("telecom", lambda t: str(t.get("value", ""))),
        "address": listed("address", lambda a: str(a.get("text", "") or " ".join(texts(a.get("line"))))),
        "mother or parent": _joined(dict.fromkeys(shown(name_text(c["name"])) for c in mother)),
        "last changed": shorten(str(patient.get("meta", {}).get("lastUpdated", ""))),
        **({"in use": standing} if (standing := out_of_use(patient)) else {}),
    }


def _joined(values: Iterable[str]) -> str:
    """Return values one after the other; of a great many the first ones."""
    every = list(values)
    more = [f"… and {len(every) - _MOST_VALUES} more"] if len(every) > _MOST_VALUES else []
    return "; ".join([*every[:_MOST_VALUES], *more])


def side_by_side(people: Sequence[Resource], *, reveal: bool) -> list[tuple[str, ...]]:
    """Return what a shared screen may show of people, line by line: what it is, and each one's."""
    columns = [person_columns(person, reveal=reveal) for person in people]
    names = dict.fromkeys(name for column in columns for name in column)
    if not reveal:
        born = [str(person.get("birthDate", "")) for person in people]
        for column, date in zip(columns, born, strict=True):
            column["born"] += _how_another(date, next(filter(None, born), ""))
    return [(name, *(column.get(name, "") for column in columns)) for name in names]


def _how_another(date: str, first: str) -> str:
    """Return how what is covered of a birth date differs from the first one that is shown, "" where it does not."""
    parts, others = date.split("-"), first.split("-")
    if parts[1:] == others[1:] or len(parts) != 3 or len(others) != 3:
        return ""
    if parts == [others[0], others[2], others[1]]:
        return " (day and month exchanged)"
    differing = [what for what, one, other in zip(("month", "day"), parts[1:], others[1:], strict=True) if one != other]
    return f" (another {' and '.join(differing)})"


def out_of_use(patient: Resource) -> str:
    """Return that a Patient is out of use and who replaced it, "" of one who is in use."""
    others = " and ".join(sorted({*replaced_by(patient)} - {""}))
    if others:
        return f"no, replaced by Patient {others}"
    return "no (active: false)" if patient.get("active") is False else ""


_LABELS = {
    systems.NIK: "NIK",
    systems.NIK_IBU: "mother's NIK",
    systems.KK: "family card",
    systems.IHS_NUMBER: "IHS number",
    systems.NIK_AS_WRITTEN: "NIK as it was written",
}
_MEDICAL_RECORD = systems.medical_record("")


def _identifier_label(identifier: Resource) -> str:
    system = str(identifier.get("system", ""))
    if system == systems.PERSON:
        return "gateway's own"
    if system.startswith(_MEDICAL_RECORD):
        return f"record number of {shorten(without_niks(unquote(system.removeprefix(_MEDICAL_RECORD))))}"
    return _LABELS.get(system) or shorten(without_niks(system.rstrip("/").rpartition("/")[2]))


def _identifier_rank(identifier: Resource) -> int:
    """Put what people know first, and the gateway's own last."""
    system = identifier.get("system", "")
    known = list(_LABELS)
    return known.index(system) if system in known else len(known) + (system == systems.PERSON)


def _aged(element: Resource, text: str) -> str:
    return f"{text} (earlier)" if element.get("use") == "old" else text


def _print_doses(doses: Sequence[dict[str, str]]) -> None:
    """Print doses; the status only where one is not just completed, the id below the vaccine where there is no room."""
    left_out = {"status"} if all(dose["status"] == "completed" for dose in doses) else set()
    heads = dict(zip(_DOSES, _DOSES, strict=True))
    if console().width < _WIDE:
        left_out.add("id")
        heads["vaccine"] = "vaccine and id"
        doses = [
            {**dose, "vaccine": f"{dose['vaccine']}\n{dose['id']}", "from": dose["from"].replace(", ", "\n")}
            for dose in doses
        ]
    kept = [name for name in _DOSES if name not in left_out]
    print_table([heads[name] for name in kept], [[dose[name] for name in kept] for dose in doses])


def _dose_row(dose: Resource, view: bootstrap.PersonView) -> dict[str, str]:
    places = [f"{s.file}:{s.row}" for s in view.sources if dose["id"] in s.immunization_ids]
    cells = (*_dose_parts(dose), str(dose.get("status", "")), str(dose["id"]), ", ".join(dict.fromkeys(places)))
    return dict(zip(_DOSES, cells, strict=True))


def doses_in_words(doses: Iterable[Resource]) -> str:
    """Return doses a line each, by date: when, what, which, its lot; what is told several times stands once, with how often."""
    told = Counter(map(_dose_words, doses))
    return "\n".join(words + (f" ({times} times)" if times > 1 else "") for words, times in sorted(told.items()))


def _dose_words(dose: Resource) -> str:
    given, vaccine, number, lot = _dose_parts(dose)
    parts = (given, vaccine, number and f"dose {number}", lot and f"lot {lot}")
    status = str(dose.get("status", ""))
    return " ".join(part for part in (*parts, status if status != "completed" else "") if part)


def _dose_parts(dose: Resource) -> tuple[str, str, str, str]:
    protocol = (dose.get("protocolApplied") or [{}])[0]
    codings = dose.get("vaccineCode", {}).get("coding", [])
    vaccine = dose.get("vaccineCode", {}).get("text") or next((c.get("display", c.get("code")) for c in codings), "")
    return (
        str(dose.get("occurrenceDateTime", ""))[:16].replace("T", " "),
        shorten(str(vaccine)),
        shorten(str(protocol.get("doseNumberPositiveInt", protocol.get("doseNumberString", "")))),
        shorten(str(dose.get("lotNumber", ""))),
    )


def _source(provenance: Provenance) -> dict[str, Any]:
    return {
        "run": provenance.run,
        "file": provenance.file,
        "row": provenance.row,
        "clinic": provenance.clinic,
        "mapping": provenance.mapping,
        "key": provenance.key,
        "immunization_ids": list(provenance.immunization_ids),
        "loaded": provenance.loaded.isoformat(),
    }
