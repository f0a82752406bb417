"""Which of a person's Patients stays: the golden record, else the one with the highest score.

The score counts what is verified and complete, so that planning twice, or after an edit that has nothing to do with it,
names the same survivor. `meta.lastUpdated` is no part of it: any edit changes it, and a master chosen by it changes with
every run. Recency is the year in which the person was last seen there. See docs/decisions/0014.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_gateway.domain import systems
from fhir_gateway.domain.merges import MergeConflict
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.references import replaced_by
from fhir_gateway.identity.evidence import evidence_of
from fhir_gateway.merging.elements import objects, own_niks, replaced_by_tag, text
from fhir_gateway.people.nik import NikStatus, read_nik

VALID_NIK = 40.0
IHS_NUMBER = 30.0
COMPLETENESS = 20.0
"""For the name, the birth date and all of the elements below; each has the same share."""
REFERRING = 8.0
"""At most; 2 points for each power of ten of resources that refer to the Patient."""
RECENCY = 2.0
"""For whoever was seen in the latest year of all."""

_ELEMENTS = ("telecom", "address", "contact", "gender", "managingOrganization", "communication", "extension")
_YEAR = re.compile(r"\d{4}")


@dataclass(frozen=True, slots=True)
class Survivor:
    """Who stays: the bare id, why in words, each Patient's score, and what a person has to look at before."""

    id: str
    words: str
    scores: Mapping[str, float]
    conflicts: tuple[MergeConflict, ...] = ()


def choose_survivor(
    patients: Sequence[Resource],
    referring_counts: Mapping[str, int],
    *,
    last_seen: Mapping[str, str] | None = None,
) -> Survivor:
    """Choose who stays among Patients (at least one).

    `referring_counts` are numbers of referring resources by bare id, `last_seen` the latest date (ISO) of anything
    that was done to the person under that id. Two golden records are a conflict: somebody has to say why there are two.
    Raises ValueError where there is no Patient.
    """
    if not patients:
        raise ValueError("there is no Patient to choose from")
    years = {
        str(patient["id"]): _last_year(patient, (last_seen or {}).get(str(patient["id"]), "")) for patient in patients
    }
    latest = max(years.values())
    scores = {
        patient_id: score(
            patient, referring_counts.get(patient_id, 0), recent=bool(latest) and years[patient_id] == latest
        )
        for patient in patients
        for patient_id in (str(patient["id"]),)
    }
    golden = [str(patient["id"]) for patient in patients if replaced_by_tag(patient) == patient["id"]]
    best = min(golden or scores, key=lambda patient_id: (-scores[patient_id], patient_id))
    conflicts = (*_two_golden(golden), *_replaced_by_another(patients))
    return Survivor(best, _words(best, golden, scores), scores, conflicts)


def score(patient: Resource, referring: int, *, recent: bool) -> float:
    """Return a Patient's score, 0 to 100: verified identifiers, completeness, referring resources, recency."""
    points = VALID_NIK * any(read_nik(value).status is NikStatus.VALID for value in own_niks(patient))
    points += IHS_NUMBER * any(
        identifier.get("system") == systems.IHS_NUMBER
        and bool(identifier.get("value"))
        and identifier.get("use") != "old"
        for identifier in objects(patient.get("identifier"))
    )
    points += COMPLETENESS * _completeness(patient)
    points += min(REFERRING, 2.0 * math.floor(math.log10(referring) + 1)) if referring > 0 else 0.0
    return round(points + RECENCY * recent, 2)


def _completeness(patient: Resource) -> float:
    """Return the share of the elements that tell something; a newborn's temporary name tells half."""
    evidence = evidence_of(patient)
    named = 1.0 if evidence.own_keys and not evidence.newborn else 0.5 * bool(objects(patient.get("name")))
    filled = named + evidence.birth_date.whole + sum(bool(patient.get(name)) for name in _ELEMENTS)
    return filled / (len(_ELEMENTS) + 2)


def _last_year(patient: Resource, seen: str) -> int:
    """Return the latest year of which the Patient's own periods or what refers to it tell, 0 where nothing does."""
    dates = [seen]
    for name in ("identifier", "name", "telecom", "address"):
        for element in objects(patient.get(name)):
            period: Any = element.get("period")
            dates.append(text(period.get("start")) if isinstance(period, dict) else "")
    return max((int(found[0]) for date in dates if (found := _YEAR.match(date))), default=0)


def _words(best: str, golden: Sequence[str], scores: Mapping[str, float]) -> str:
    if len(golden) == 1:
        return "it is the golden record already"
    others = [points for patient_id, points in scores.items() if patient_id != best]
    if golden:
        return f"of {len(golden)} golden records it has the highest score"
    if not others:
        return "there is no other"
    if max(others) == scores[best]:
        return f"score {scores[best]:g} as others, and the first id of these"
    return f"score {scores[best]:g}, the next one {max(others):g}: verified identifiers, completeness, use, recency"


def _two_golden(golden: Sequence[str]) -> tuple[MergeConflict, ...]:
    if len(golden) < 2:
        return ()
    words = "each of these is a golden record, into which others were merged: they may be two people"
    return (
        MergeConflict("two-golden-records", words, tuple(f"Patient/{patient_id}" for patient_id in sorted(golden))),
    )


def _replaced_by_another(patients: Sequence[Resource]) -> tuple[MergeConflict, ...]:
    """Return a conflict for Patients that are active but say that somebody outside the group stands for them."""
    ids = {str(patient["id"]) for patient in patients}
    strays = sorted(f"Patient/{patient['id']}" for patient in patients if _masters_of(patient) - ids)
    words = "an active Patient says that it was replaced by somebody outside this group"
    return (MergeConflict("replaced-but-active", words, tuple(strays)),) if strays else ()


def _masters_of(patient: Resource) -> set[str]:
    """Return the ids of those who are said to stand for a Patient, by its tag or by its links."""
    return {*replaced_by(patient), replaced_by_tag(patient)} - {""}
