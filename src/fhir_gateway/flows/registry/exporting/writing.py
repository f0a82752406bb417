"""Resources as lines of NDJSON, their references telling whom they lead to."""

import asyncio
from collections.abc import Sequence

from fhir_gateway.domain.exports import FileKind
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir import json_text
from fhir_gateway.flows.registry.exporting.referring import Referred
from fhir_gateway.flows.registry.exporting.tools import Work
from fhir_gateway.registry.enriching import enrich, subset
from fhir_gateway.registry.splicing import sole_patient, told_line


async def write_resources(work: Work, resource_type: str, resources: Sequence[Resource]) -> None:
    """Append resources of one type to the output."""
    if not resources:
        return
    referred = await work.references.of(resources)
    # A thread: a thousand resources at once would keep whoever searches waiting.
    await asyncio.to_thread(_write, work, resource_type, resources, referred)


async def write_stored(work: Work, resource_type: str, bodies: Sequence[bytes]) -> None:
    """Append resources of one type, whole, that a server keeps inside of this process as these bytes."""
    simple = [(body, patient) for body in bodies if (patient := sole_patient(body)) is not None]
    if len(simple) < len(bodies):
        await write_resources(work, resource_type, [json_text.parse(one) for one in bodies])
        return
    people = await work.references.people(patient for _, patient in simple)
    lines = [told_line(body, people.get(patient, b"{}")) for body, patient in simple]
    await asyncio.to_thread(work.tools.files.write, FileKind.OUTPUT, resource_type, lines)


def write_deletion(work: Work, resource_type: str, resource_id: str) -> None:
    """Append that a resource was deleted: one transaction Bundle for each, so that the count is of resources."""
    entry = {"request": {"method": "DELETE", "url": f"{resource_type}/{resource_id}"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    work.tools.files.write(FileKind.DELETED, "Bundle", [json_text.dump(bundle)])


def problem_line(severity: str, code: str, text: str) -> bytes:
    """Return an OperationOutcome as a line."""
    issue = {"severity": severity, "code": code, "diagnostics": text}
    return json_text.dump({"resourceType": "OperationOutcome", "issue": [issue]})


def _write(work: Work, resource_type: str, resources: Sequence[Resource], referred: Referred) -> None:
    elements = work.order.elements_of(resource_type)
    people, organizations = referred.people, referred.organizations
    told = (enrich(one, people=people, organizations=organizations) for one in resources)
    lines = [json_text.dump(subset(one, elements)) for one in told]
    work.tools.files.write(FileKind.OUTPUT, resource_type, lines)
