"""Whether anything on the server still refers to Patients that were replaced."""

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_gateway.domain.merges import Merge
from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.merge.fetching import find_referring
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.merging.repointing import patients_referred_to

_FEW = 50
"""Matches a page: none are expected."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A resource that refers to a Patient whom this merge replaced."""

    merge: int
    resource: Resource


async def prove(merges: Sequence[Merge], tools: MergeTools, *, scan: bool = False) -> list[Finding]:
    """Search for what refers to these merges' replaced Patients, all together; nothing found is the proof.

    Provenance, AuditEvent and Patient.link may: they tell what was. References that no search of the server reaches
    stand in the plan (`unsearched`), unless `scan` reads everything.
    """
    merge_of = {patient_id: merge.id for merge in merges for patient_id in merge.replaced}
    found, _ = await find_referring(sorted(merge_of), tools, scan=scan, count=_FEW)
    return [
        Finding(merge, resource)
        for _, resource in sorted(found.items())
        for merge in sorted(
            {merge_of[one] for one in patients_referred_to(resource, base=tools.server.base) if one in merge_of}
        )
    ]
