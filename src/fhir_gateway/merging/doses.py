"""Doses that stand twice as soon as two Patients are one person: the fuller one stays, the other was entered in error.

Only doses of different Patients are compared: what one record says twice was there before the merge and is not its
matter. What may be the same dose but need not be is listed, and both stay.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import combinations

from fhir_gateway.bundling.immunizations import lacking
from fhir_gateway.domain import systems
from fhir_gateway.domain.merges import DuplicateDose, MergeConflict
from fhir_gateway.domain.records import Resource
from fhir_gateway.identity.doses import DoseSameness, SameDose, local_date, prefer, same_dose
from fhir_gateway.merging.elements import objects, text

_TEXT = "the same dose was recorded under two Patients: same day, same vaccine, nothing contradicts"
_AMBIGUOUS = "one dose fits two others of that day that differ from one another: which of them it is, is open"


@dataclass(frozen=True, slots=True)
class MergedDoses:
    """The doses that change, by bare id, and why: pairs of one dose, and what is doubtful."""

    changed: Mapping[str, Resource]
    duplicates: tuple[DuplicateDose, ...] = ()
    conflicts: tuple[MergeConflict, ...] = ()


def merge_doses(immunizations: Iterable[tuple[str, Resource]], survivor_id: str, *, zone: tzinfo) -> MergedDoses:
    """Find the doses that stand twice among (Patient's bare id, Immunization) pairs and say what becomes of them.

    Of two that are one, the more reliable stays, then the fuller, then the survivor's own, then the first id. Instants
    are compared by local date in `zone`.
    """
    owned = sorted(immunizations, key=lambda pair: str(pair[1]["id"]))
    owners = {str(dose["id"]): owner for owner, dose in owned}
    doses = {str(dose["id"]): dose for _, dose in owned}
    verdicts = _verdicts(doses, owners, zone)
    same = {pair for pair, verdict in verdicts.items() if verdict.sameness is DoseSameness.SAME}
    changed: dict[str, Resource] = {}
    duplicates: list[DuplicateDose] = []
    conflicts = [
        _doubt(verdict, pair) for pair, verdict in verdicts.items() if verdict.sameness is DoseSameness.DOUBTFUL
    ]
    for members in _components(same):
        kept, others, ambiguous = _settle([doses[member] for member in members], owners, survivor_id, zone)
        if ambiguous:
            conflicts.append(_conflict("dose-fits-two", _AMBIGUOUS, members))
        if others:
            changed[str(kept["id"])] = _enriched(kept, others)
            changed |= {str(other["id"]): _in_error(other) for other in others}
            duplicates += [DuplicateDose(str(kept["id"]), str(other["id"]), _TEXT) for other in others]
    return MergedDoses(changed, tuple(duplicates), tuple(conflicts))


def _verdicts(
    doses: Mapping[str, Resource], owners: Mapping[str, str], zone: tzinfo
) -> dict[tuple[str, str], SameDose]:
    """Return the comparison of doses of different Patients that are not clearly two, by their ids in order."""
    by_year: dict[str, list[str]] = {}
    for dose_id, dose in doses.items():
        by_year.setdefault(local_date(dose, zone=zone)[:4], []).append(dose_id)
    by_year.pop("", None)
    found = {}
    for ids in by_year.values():
        for one, other in combinations(sorted(ids), 2):
            if owners[one] == owners[other] or _both_in_error(doses[one], doses[other]):
                continue
            verdict = same_dose(doses[one], doses[other], zone=zone)
            if verdict.sameness is not DoseSameness.DIFFERENT:
                found[one, other] = verdict
    return dict(sorted(found.items()))


def _both_in_error(one: Resource, other: Resource) -> bool:
    return one.get("status") == other.get("status") == "entered-in-error"


def _components(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    members: dict[str, set[str]] = {}
    for one, other in sorted(pairs):
        joined = members.get(one, {one}) | members.get(other, {other})
        members.update(dict.fromkeys(joined, joined))
    return sorted({tuple(sorted(component)) for component in members.values()})


def _settle(
    doses: Sequence[Resource], owners: Mapping[str, str], survivor_id: str, zone: tzinfo
) -> tuple[Resource, list[Resource], bool]:
    """Return which of some doses stays, which others are the same, and whether two of them contradict.

    Where two contradict, it is open to which of them a third belongs: then nothing is merged.
    """
    kept = doses[0]
    for dose in doses[1:]:
        kept = _better(kept, dose, owners, survivor_id)
    others = [dose for dose in doses if dose is not kept]
    ambiguous = any(
        same_dose(one, other, zone=zone).sameness is not DoseSameness.SAME for one, other in combinations(doses, 2)
    )
    return kept, [] if ambiguous else others, ambiguous


def _better(one: Resource, other: Resource, owners: Mapping[str, str], survivor_id: str) -> Resource:
    if prefer(one, other) is other:
        return other
    if prefer(other, one) is one:
        return one
    return min(one, other, key=lambda dose: (-_fullness(dose), owners[str(dose["id"])] != survivor_id, str(dose["id"])))


def _fullness(dose: Resource) -> int:
    code = dose.get("vaccineCode")
    coded = sum(1 for coding in objects(code.get("coding") if isinstance(code, dict) else None) if coding.get("code"))
    return len(dose) + coded + len(text(dose.get("occurrenceDateTime"))) // 10


def _enriched(kept: Resource, others: Sequence[Resource]) -> Resource:
    """Return the kept dose with the others' identifiers and with what it lacks of what they tell."""
    result = dict(kept)
    identifiers = objects(kept.get("identifier"))
    present = {(text(one.get("system")), text(one.get("value"))) for one in identifiers}
    for other in others:
        for identifier in objects(other.get("identifier")):
            key = (text(identifier.get("system")), text(identifier.get("value")))
            if key not in present:
                present.add(key)
                identifiers.append(identifier)
        result |= lacking(result, other)
    return result | {"identifier": identifiers} if identifiers else result


def _in_error(dose: Resource) -> Resource:
    """Return a dose as entered in error; the gateway's own identifier goes over to the kept one, which it means now."""
    result = dose | {"status": "entered-in-error"}
    identifiers = [one for one in objects(dose.get("identifier")) if one.get("system") != systems.DOSE]
    if identifiers:
        return result | {"identifier": identifiers}
    return {name: value for name, value in result.items() if name != "identifier"}


def _doubt(verdict: SameDose, pair: tuple[str, str]) -> MergeConflict:
    return _conflict(verdict.reason, verdict.text, pair)


def _conflict(code: str, words: str, dose_ids: Iterable[str]) -> MergeConflict:
    return MergeConflict(code, words, tuple(f"Immunization/{dose_id}" for dose_id in dose_ids), blocks=False)
