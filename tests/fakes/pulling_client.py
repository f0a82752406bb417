"""A registry's client: keys of its own, signed assertions, pulls that follow every link."""

import asyncio
import json
import time
import uuid
from datetime import UTC, datetime

from joserfc import jwt
from joserfc.jwk import ECKey
from tests.fakes.served_gateway import served_from

from fhir_gateway.domain.posting import BundleEntry
from fhir_gateway.domain.registry import RegistryClient
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.registry.scopes import parse_scopes
from fhir_gateway.settings import load_environment

KEY = ECKey.generate_key("P-384", {"kid": "k-1", "alg": "ES384"})
JWKS = json.dumps({"keys": [KEY.as_dict(private=False)]})
EVERYTHING = "system/*.rs"
HOST = "http://gateway.test"


def signed(claims, *, key=KEY, algorithm="ES384", **header):
    """Return a JWT as a client signs it."""
    return jwt.encode({"alg": algorithm, "kid": "k-1", **header}, claims, key, algorithms=[algorithm])


class Puller:
    """A registry's client at one environment of the served gateway."""

    def __init__(self, served, environment="north", granted=EVERYTHING, client_id=""):
        self.served = served
        self.environment = environment
        self.base = f"{HOST}/{environment}/fhir"
        self.settings = load_environment(environment, served.home)
        self.id = client_id or registered(served.home, environment, granted)

    def now(self):
        return datetime.now(UTC)

    def ledger(self):
        return Ledger(self.settings.ledger_url)

    def claims(self, **changes):
        claims = {"iss": self.id, "sub": self.id, "aud": f"{self.base}/auth/token", "exp": int(time.time()) + 200}
        return {**claims, "jti": uuid.uuid4().hex, **changes}

    def assertion(self, **changes):
        return signed(self.claims(**changes))

    async def ask_token(self, scope=EVERYTHING, assertion=None, **changes):
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion or self.assertion(),
        }
        return await self.served.client.post(f"{self.base}/auth/token", data=form | changes)

    async def token(self, scope=EVERYTHING):
        answer = await self.ask_token(scope)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    async def get(self, path, token=None, **options):
        token = token or await self.token()
        return await self.served.get(path if "://" in path else f"/{self.environment}/fhir/{path}", token, **options)

    async def post(self, path, form, token=None):
        token = token or await self.token()
        return await self.served.ask("POST", f"/{self.environment}/fhir/{path}", token, data=form)

    async def pull(self, path):
        """Return what a search finds, all pages of it."""
        found, token = [], await self.token()
        while path:
            answer = await self.get(path, token)
            assert answer.status_code == 200, answer.text
            bundle = answer.json()
            found += [one["resource"] for one in bundle.get("entry", ()) if one["search"]["mode"] == "match"]
            path = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), "")
        return found

    async def fill(self, *resources):
        """Create resources on the environment's own FHIR server; return their ids."""
        environment = await self.served.app.state.serving.environment(self.environment)
        ids = []
        for resource in resources:
            one = resource["identifier"][-1]
            entry = BundleEntry(
                "1", "POST", resource["resourceType"], resource, f"identifier={one['system']}|{one['value']}"
            )
            ids += [outcome.resource_id for outcome in await environment.writer.send([entry])]
        return ids

    async def change(self, resource_type, resource_id, **elements):
        """Write some elements of a resource on the environment's own FHIR server."""
        environment = await self.served.app.state.serving.environment(self.environment)
        stored = await environment.reader.read(resource_type, resource_id)
        url = f"{resource_type}/{resource_id}"
        entry = BundleEntry("1", "PUT", url, stored | elements, if_match=stored["meta"]["versionId"])
        (outcome,) = await environment.writer.send([entry])
        assert outcome.kind == "updated", outcome


def registered(home, environment="embedded", granted=EVERYTHING, name="Registry", jwks_url=""):
    """Register a client whose key is KEY, or what it publishes at a URL, and return its id."""
    keys = {"jwks_url": jwks_url} if jwks_url else {"jwks": JWKS}
    client = RegistryClient(str(uuid.uuid4()), name, parse_scopes(granted), datetime.now(UTC), **keys)
    with Ledger(load_environment(environment, home).ledger_url) as ledger, ledger.transaction():
        ledger.registry_clients.add(client)
    return client.id


def pulled(home, client_id, path, environment="embedded"):
    """Return what a registered client gets for a search, over a gateway that is served just for that."""
    return _visited(home, client_id, environment, lambda puller: puller.pull(path))


def answered(home, client_id, path, environment="embedded"):
    """Return the answer that a registered client gets, as JSON, over a gateway that is served just for that."""
    return _visited(home, client_id, environment, lambda puller: puller.get(path)).json()


def _visited(home, client_id, environment, ask):
    async def visit():
        async with served_from(home) as served:
            return await ask(Puller(served, environment, client_id=client_id))

    return asyncio.run(visit())


def newest(resources):
    """Return the newest lastUpdated, from which a client goes on."""
    return max(one["meta"]["lastUpdated"] for one in resources)
