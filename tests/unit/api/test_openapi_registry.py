"""What registries and auditors are answered has the shape that the OpenAPI document tells."""

import re

import pytest
from tests.fakes.fhir_samples import sample_immunization, sample_patient
from tests.fakes.openapi_schemas import Schemas
from tests.fakes.pulling_client import Puller

from fhir_gateway.domain.access import Role

FHIR = "/{environment}/fhir"
ASYNC = {"Accept": "application/fhir+json", "Prefer": "respond-async"}


@pytest.fixture
def schemas(served):
    return Schemas(served.app.openapi())


async def test_what_a_registry_pulls_has_the_documented_shape(served, schemas):
    puller = Puller(served)
    (person,) = await puller.fill(sample_patient(1))
    await puller.fill(sample_immunization(f"Patient/{person}", 1))
    token = await puller.token()
    for path, documented in (
        ("metadata", "metadata"),
        (".well-known/smart-configuration", ".well-known/smart-configuration"),
        (".well-known/jwks.json", ".well-known/jwks.json"),
        ("Immunization?_count=1&_include=Immunization:patient", "{resource_type}"),
        (f"Patient/{person}", "{resource_type}/{resource_id}"),
        ("Patient/_history", "{resource_type}/_history"),
        (f"Patient/{person}/_history", "{resource_type}/{resource_id}/_history"),
        ("Group", "Group"),
    ):
        schemas.check(await puller.get(path, token), ("get", f"{FHIR}/{documented}"))
    schemas.check(await puller.ask_token(), ("post", f"{FHIR}/auth/token"))
    begun = await served.get("/north/fhir/$export", token, headers=ASYNC)
    assert begun.status_code == 202
    await (await served.app.state.serving.environment("north")).exports.wait()
    manifest = await puller.get(begun.headers["content-location"], token)
    assert manifest.json()["output"]
    schemas.check(manifest, ("get", f"{FHIR}/bulk-status/{{job_id}}"))


async def test_what_auditors_and_orchestrators_are_told_has_the_documented_shape(served, schemas):
    puller = Puller(served)
    (person,) = await puller.fill(sample_patient(1))
    await puller.get(f"Patient/{person}")
    key = served.key(Role.AUDITOR)[1]
    told = await served.get("/north/audit-events", key)
    schemas.check(told, ("get", "/{environment}/audit-events"))
    schemas.check(
        await served.ask("POST", "/north/audit-events/search", key, json={}),
        ("post", "/{environment}/audit-events/search"),
    )
    event = re.sub(r"^.*/", "", told.json()["entry"][0]["fullUrl"])
    schemas.check(await served.get(f"/north/audit-events/{event}", key), ("get", "/{environment}/audit-events/{event}"))
    for path in ("/health/live", "/health/ready"):
        schemas.check(await served.get(path), ("get", path))
