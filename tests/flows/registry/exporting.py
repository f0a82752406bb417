"""A registry's client that exports, and the people of a region for it."""

import json

from tests.fakes.fhir_samples import sample_immunization, sample_patient
from tests.fakes.pulling_client import Puller

ASYNC = {"Accept": "application/fhir+json", "Prefer": "respond-async"}

LEVELS = ["$export", "Patient/$export", "Group/clinic-pkm-1/$export"]

SOURCE = "urn:fhir-gateway:source"

BOBOTSARI, KUTASARI = "330309", "330307"


class Exporter(Puller):
    """A client that exports."""

    async def kick_off(self, path="$export", token=None, *, headers=None, body=None, **params):
        token = token or await self.token()
        own = ASYNC if headers is None else headers
        address = f"/{self.environment}/fhir/{path}"
        if body is None:
            return await self.served.ask("GET", address, token, headers=own, params=params)
        own = {"Content-Type": "application/fhir+json", **own}
        return await self.served.ask("POST", address, token, headers=own, params=params, content=json.dumps(body))

    async def manifest(self, location, token=None):
        token = token or await self.token()
        environment = await self.served.app.state.serving.environment(self.environment)
        await environment.exports.wait()
        answer = await self.get(location, token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def export(self, path="$export", **options):
        answer = await self.kick_off(path, **options)
        assert answer.status_code == 202, answer.text
        return await self.manifest(answer.headers["content-location"])

    async def lines(self, listed):
        """Return the resources of files that a manifest lists."""
        found, token = [], await self.token()
        for file in listed:
            answer = await self.get(file["url"], token)
            assert answer.status_code == 200, answer.text
            read = [json.loads(line) for line in answer.text.splitlines()]
            assert len(read) == file["count"]
            assert {one["resourceType"] for one in read} == {file["type"]}
            found += read
        return found

    async def exported(self, path="$export", **options):
        """Return the ids that an export gives, by type."""
        found = await self.lines((await self.export(path, **options))["output"])
        assert len({(one["resourceType"], one["id"]) for one in found}) == len(found)
        return {one["id"] for one in found}

    async def send(self, *entries):
        environment = await self.served.app.state.serving.environment(self.environment)
        outcomes = await environment.writer.send(list(entries))
        assert all(one.kind in ("created", "updated") for one in outcomes), outcomes
        return [one.resource_id for one in outcomes]

    async def delete(self, resource_type, resource_id):
        environment = await self.served.app.state.serving.environment(self.environment)
        answer = await environment.client.send(_request("DELETE", f"{resource_type}/{resource_id}"))
        assert answer.status == 204


def _request(method, target):
    from fhir_gateway.fhir_server.client import Request  # noqa: PLC0415 - the only place that needs it

    return Request(method, target)


def person(number, district=BOBOTSARI):
    coded = {"url": "https://fhir.kemkes.go.id/r4/StructureDefinition/administrativeCode"}
    home = {"use": "home", "extension": [coded | {"extension": [{"url": "district", "valueCode": district}]}]}
    return sample_patient(number) | {"address": [home]}


def dose(patient, number, clinic="pkm-1"):
    return sample_immunization(f"Patient/{patient}", number) | {"meta": {"source": f"{SOURCE}:{clinic}:puskesmas"}}


def parameters(**values):
    kinds = {"_since": "valueInstant", "patient": "valueReference"}
    entries = [
        {"name": name, kinds.get(name, "valueString"): {"reference": one} if name == "patient" else one}
        for name, value in values.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    return {"resourceType": "Parameters", "parameter": entries}
