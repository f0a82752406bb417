"""Whom an operator means: Patients by NIK or by id, as groups that may be one person each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhir_gateway.domain import systems
from fhir_gateway.domain.errors import PermanentServerError, UsageError
from fhir_gateway.domain.merges import DuplicateGroup, GroupRule, MergeConflict
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.searches import Search
from fhir_gateway.flows.merge.fetching import read_together
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.merging.elements import own_niks
from fhir_gateway.merging.grouping import IN_TWO_GROUPS, grade_group, group_by_nik
from fhir_gateway.people.nik import read_nik

_NIKS_A_SEARCH = 200
_MASKED = (
    "this server answers with covered NIKs (masked_identifiers), so nobody can be planned by NIK on it:"
    " `fhir-gateway merge find --niks FILE` tells which Patients carry them; name two or more of those by their ids"
)


@dataclass(frozen=True, slots=True)
class Selected:
    """The groups that were found; `single` are NIKs that fewer than two active Patients carry."""

    groups: tuple[DuplicateGroup, ...]
    single: tuple[str, ...] = ()


async def select(niks: Sequence[str], patient_ids: Sequence[str], tools: MergeTools) -> Selected:
    """Return one group for each NIK with several active Patients, and one for all the named Patients together.

    Raises UsageError for a Patient that is not there or not active, for one Patient alone, and for NIKs on a server that
    covers them.
    """
    if niks and tools.masked:
        raise UsageError(_MASKED)
    wanted = list(dict.fromkeys(read_nik(nik).digits or nik for nik in niks))
    groups: list[DuplicateGroup] = []
    shared: set[str] = set()
    if wanted:
        patients = await patients_with(wanted, tools)
        parted = tools.ledger.keys.kept_apart(patients.keys())
        for group in group_by_nik(patients.values(), parted=parted, policy=tools.matching):
            common = set.intersection(*(_niks(patients[one]) for one in group.patient_ids)) & set(wanted)
            if common:
                shared |= common
                groups.append(replace(group, nik=min(common)))
    if patient_ids:
        groups.append(await _chosen(patient_ids, tools))
    return Selected(_told_of_overlaps(groups), tuple(nik for nik in wanted if nik not in shared))


def _niks(patient: Resource) -> set[str]:
    return {read_nik(value).digits for value in own_niks(patient, old=True)}


async def patients_with(niks: Sequence[str], tools: MergeTools) -> dict[str, Resource]:
    """Return the Patients that carry any of these NIKs, by id, in few searches.

    Raises PermanentServerError where the server cannot be searched by identifier.
    """
    chunks = [niks[start : start + _NIKS_A_SEARCH] for start in range(0, len(niks), _NIKS_A_SEARCH)]
    searches = [Search("Patient", {"identifier": [f"{systems.NIK}|{nik}" for nik in chunk]}) for chunk in chunks]
    found: dict[str, Resource] = {}
    for answer in await tools.reader.search_together(searches):
        if answer.problem:
            raise PermanentServerError(f"The FHIR server cannot be searched for Patients by NIK: {answer.problem}")
        found |= {str(patient["id"]): patient for patient in answer.resources}
    return found


async def _chosen(patient_ids: Sequence[str], tools: MergeTools) -> DuplicateGroup:
    ids = list(dict.fromkeys(one.removeprefix("Patient/") for one in patient_ids))
    if len(ids) < 2:
        raise UsageError("one Patient alone cannot be merged: name two or more, or a NIK")
    found = await read_together({"Patient": ids}, tools)
    missing = [one for one in ids if f"Patient/{one}" not in found]
    if missing:
        raise UsageError(f"there is no Patient {', '.join(missing)} on the server")
    idle = [one for one in ids if found[f"Patient/{one}"].get("active") is False]
    if idle:
        raise UsageError(
            f"Patient {', '.join(idle)} is not active: it may have been merged already, see `merge history`"
        )
    parted = tools.ledger.keys.kept_apart(ids)
    return grade_group(list(found.values()), rule=GroupRule.CHOSEN, parted=parted, policy=tools.matching)


def _told_of_overlaps(groups: Sequence[DuplicateGroup]) -> tuple[DuplicateGroup, ...]:
    """Give groups that share a Patient a conflict: they would merge it twice."""
    count = Counter(one for group in groups for one in group.patient_ids)
    told = []
    for group in groups:
        twice = tuple(f"Patient/{one}" for one in group.patient_ids if count[one] > 1)
        words = "this Patient stands in another group, too: merge one of them first, then find anew"
        conflict = MergeConflict(IN_TWO_GROUPS, words, twice)
        told.append(replace(group, conflicts=(*group.conflicts, conflict)) if twice else group)
    return tuple(told)
