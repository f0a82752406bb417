"""Everything that a server has of some Patients: they themselves, and whatever refers to them, in few requests."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fhir_gateway.domain.errors import UntrustedAnswerError
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.searches import Search, SearchAnswer
from fhir_gateway.fhir.references import patient_paths
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.merging.repointing import patients_elsewhere, patients_referred_to, references_to
from fhir_gateway.merging.searching import PatientSearch, Supported, finds, search_paths, unsearchable_paths
from fhir_gateway.merging.versions import name_of


@dataclass(frozen=True, slots=True)
class Fetched:
    """Patients by id, and by `Type/id` what refers to any of them.

    `unsearched` are `Type.path` of references that no search of this server finds (empty after a scan of them).
    """

    patients: Mapping[str, Resource]
    referring: Mapping[str, Resource]
    by_patient: Mapping[str, tuple[str, ...]]
    unsearched: tuple[str, ...]

    def referring_to(self, patient_ids: Iterable[str]) -> list[Resource]:
        """Return what refers to any of these Patients, each resource once, ordered by name."""
        names = {name for patient_id in patient_ids for name in self.by_patient.get(patient_id, ())}
        return [self.referring[name] for name in sorted(names)]


async def fetch(patient_ids: Collection[str], tools: MergeTools, *, scan: bool = False) -> Fetched:
    """Fetch these Patients and what refers to them; `scan` reads all resources of types that searches do not reach.

    Raises TransientServerError when the server's patience is used up, UntrustedAnswerError where it cannot find
    Patients by `_id` or searches by nothing that refers to a Patient.
    """
    ids = sorted(patient_ids)
    patients = await read_together({"Patient": ids}, tools)
    found, unsearched = await find_referring(ids, tools, scan=scan)
    by_patient: dict[str, list[str]] = {}
    base = tools.server.base
    for name, resource in found.items():
        for patient_id in patients_referred_to(resource, base=base) | patients_elsewhere(resource, base=base):
            by_patient.setdefault(patient_id, []).append(name)
    return Fetched(
        patients={name.partition("/")[2]: patient for name, patient in patients.items()},
        referring=found,
        by_patient={patient_id: tuple(names) for patient_id, names in by_patient.items()},
        unsearched=unsearched,
    )


async def read_together(ids: Mapping[str, Sequence[str]], tools: MergeTools) -> dict[str, Resource]:
    """Return resources by `Type/id`, those that are there; `ids` are bare ids by type."""
    searches = [Search(resource_type, {"_id": sorted(set(named))}) for resource_type, named in ids.items() if named]
    found: dict[str, Resource] = {}
    for search, answer in zip(searches, await tools.reader.search_together(searches), strict=True):
        if answer.problem:
            for resource_id in search.parameters["_id"]:
                one = await tools.reader.read(search.resource_type, resource_id)
                if one is not None:
                    found[name_of(one)] = one
        found |= {name_of(one): one for one in answer.resources}
    return found


async def find_referring(
    patient_ids: Sequence[str], tools: MergeTools, *, scan: bool = False, count: int = 500
) -> tuple[dict[str, Resource], tuple[str, ...]]:
    """Return what refers to these Patients by `Type/id`, and the `Type.path`s that no search of this server finds."""
    declared = await tools.server.search_parameters()
    base, ids = tools.server.base, frozenset(patient_ids)
    values = [f"Patient/{patient_id}" for patient_id in patient_ids]
    answers: dict[PatientSearch, SearchAnswer] = {}
    found: dict[str, Resource] = {}
    failed: set[PatientSearch] = set()
    usable: Supported | None = declared
    while wanted := [one for one in search_paths(usable) if one not in answers]:
        said = await tools.reader.search_together(
            [Search(one.resource_type, {one.parameter: values}) for one in wanted],
            check=lambda resource: bool(references_to(resource, ids, base=base)),
            count=count,
        )
        answers |= zip(wanted, said, strict=True)
        found |= {name_of(resource): resource for answer in said for resource in answer.resources}
        failed |= {one for one, answer in answers.items() if answer.problem}
        failed |= _contradicted(found, answers, ids, base)
        # Where a search failed, another one that reaches the same elements is asked, if there is one.
        usable = None if declared is None else _believed(declared, failed)
    if len(failed) == len(answers):
        raise UntrustedAnswerError(
            "The FHIR server cannot be searched for what refers to a Patient, so nothing can be merged on it"
        )
    if scan:
        return found | await _scanned(ids, tools), ()
    return found, unsearchable_paths(_believed(declared, failed))


def _contradicted(
    found: Mapping[str, Resource], answers: Mapping[PatientSearch, SearchAnswer], ids: frozenset[str], base: str
) -> set[PatientSearch]:
    """Return searches that did not find what another one shows them to have missed: their "nothing" is none.

    Seen: Medplum's memory repository finds nothing by a parameter that it declares, and no versioned references.
    """
    names = {one: {name_of(resource) for resource in answer.resources} for one, answer in answers.items()}
    by_type: dict[str, list[PatientSearch]] = {}
    for one in answers:
        by_type.setdefault(one.resource_type, []).append(one)
    return {
        one
        for name, resource in found.items()
        for path in references_to(resource, ids, base=base)
        for one in by_type.get(str(resource["resourceType"]), ())
        if finds(one, path) and name not in names[one]
    }


def _believed(declared: Mapping[str, Collection[str]] | None, failed: Collection[PatientSearch]) -> dict[str, set[str]]:
    """Return the search parameters by which "nothing refers to them" may be believed.

    Those that did not work are none, and where nothing is declared none is: some servers find nothing by a parameter
    that they do not know (Medplum).
    """
    if declared is None:
        return {resource_type: set() for resource_type in patient_paths()}
    return {
        resource_type: {name for name in names if PatientSearch(resource_type, name) not in failed}
        for resource_type, names in declared.items()
    }


async def _scanned(ids: frozenset[str], tools: MergeTools) -> dict[str, Resource]:
    """Read everything that may refer to a Patient, and return what refers to these, under whatever address.

    Extensions are looked into, too.
    """
    base = tools.server.base
    declared = await tools.server.search_parameters()
    types = {one.resource_type for one in search_paths()} | {path.partition(".")[0] for path in unsearchable_paths()}
    found: dict[str, Resource] = {}
    for resource_type in sorted(types if declared is None else types & declared.keys()):
        async for resource in tools.reader.search(resource_type, {}):
            if references_to(resource, ids, base=base) or not ids.isdisjoint(patients_elsewhere(resource, base=base)):
                found[name_of(resource)] = resource
    return found
