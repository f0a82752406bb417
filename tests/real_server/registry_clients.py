"""Other people's FHIR clients, each a program of its own that pulls from the registry's endpoint."""

import gzip
import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey
from tests.real_server.servers import HERE, Software

CLIENTS = HERE / "clients"
PYTHON = CLIENTS / "venv/bin/python"
PATIENCE = 600
"""Seconds after which a client that hangs is given up."""

IN_PYTHON = Software("smart-fetch, fhirclient, fhirpy", CLIENTS, ("python3",), (CLIENTS / "venv/bin/smart-fetch",))
IN_JAVASCRIPT = Software(
    "fhir-kit-client", CLIENTS, ("node",), (CLIENTS / "node_modules/fhir-kit-client/package.json",)
)
SCOPE = "system/*.rs"
TYPES = ("Patient", "Immunization")

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a client got: `resources` by `Type/id`, and which it was told are deleted (None: it does not ask)."""

    resources: Mapping[str, Resource]
    deleted: frozenset[str] | None


class Registry:
    """A registry: its keys, its id at the gateway, and a folder that its clients write to."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.key = ECKey.generate_key("P-384", {"kid": "registry-1", "alg": "ES384"})
        self.public = folder / "public.jwks"
        self.public.write_text(json.dumps({"keys": [self.key.as_dict(private=False)]}))
        private = self.key.as_dict(private=True) | {"key_ops": ["sign"]}
        self.private = folder / "private.jwks"
        self.private.write_text(json.dumps({"keys": [private]}))
        self.id = ""
        self.secrets: list[str] = []

    def assertion(self, base: str) -> str:
        """Return a new signed assertion."""
        claims = {
            "iss": self.id,
            "sub": self.id,
            "aud": f"{base}/auth/token",
            "exp": int(time.time()) + 240,
            "jti": uuid.uuid4().hex,
        }
        text = jwt.encode({"alg": "ES384", "kid": "registry-1"}, claims, self.key, algorithms=["ES384"])
        self.secrets.append(text)
        return text

    def token(self, base: str) -> str:
        """Return an access token."""
        form = {
            "grant_type": "client_credentials",
            "scope": SCOPE,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self.assertion(base),
        }
        answer = httpx.post(f"{base}/auth/token", data=form, trust_env=False, timeout=60).raise_for_status()
        token: str = answer.json()["access_token"]
        self.secrets.append(token)
        return token


def with_fhirclient(registry: Registry, base: str, since: str) -> Pulled:
    """SMART's Python client gets its token itself, with an assertion that it is handed."""
    words = [str(PYTHON), "pull_with_fhirclient.py", base, registry.id, SCOPE, *([since] if since else [])]
    return _printed(words, ASSERTION=registry.assertion(base))


def with_fhirpy(registry: Registry, base: str, since: str) -> Pulled:
    """fhirpy is handed an access token."""
    words = [str(PYTHON), "pull_with_fhirpy.py", base, *([since] if since else [])]
    return _printed(words, TOKEN=registry.token(base))


def with_fhir_kit(registry: Registry, base: str, since: str) -> Pulled:
    """fhir-kit-client is handed an access token."""
    words = ["node", "pull_with_fhir_kit.mjs", base, *([since] if since else [])]
    return _printed(words, TOKEN=registry.token(base))


def with_smart_fetch_bulk(registry: Registry, base: str, since: str) -> Pulled:
    """smart-fetch exports in bulk and does all of SMART Backend Services itself."""
    folder = registry.folder / f"bulk-{uuid.uuid4().hex}"
    _smart_fetch(registry, base, "bulk", ",".join(TYPES), folder, since)
    deleted = [
        entry["request"]["url"]
        for bundle in _lines(folder / "deleted")
        for entry in bundle["entry"]
        if entry["request"]["method"] == "DELETE"
    ]
    return Pulled(_by_name(_lines(folder)), frozenset(deleted))


def with_smart_fetch_crawl(registry: Registry, base: str, since: str) -> Pulled:
    """smart-fetch crawls person by person; whom it asks about it takes from a whole list of Patients each time.

    It asks for a replaced Patient's doses, too, and is told the survivor's then: those come once more, the same.
    """
    people, doses = (registry.folder / f"{name}-{uuid.uuid4().hex}" for name in ("people", "doses"))
    _smart_fetch(registry, base, "crawl", "Patient", people, "")
    _smart_fetch(registry, base, "crawl", "Immunization", doses, since, "--source-dir", str(people))
    listed = _by_name(_lines(people))
    if since:
        listed = {name: one for name, one in listed.items() if one["meta"]["lastUpdated"] > since}
    return Pulled(listed | _by_name(_lines(doses), again=True), None)


PULLS: Mapping[str, tuple[Software, Callable[[Registry, str, str], Pulled]]] = {
    "fhirclient": (IN_PYTHON, with_fhirclient),
    "fhirpy": (IN_PYTHON, with_fhirpy),
    "fhir-kit-client": (IN_JAVASCRIPT, with_fhir_kit),
    "smart-fetch bulk": (IN_PYTHON, with_smart_fetch_bulk),
    "smart-fetch crawl": (IN_PYTHON, with_smart_fetch_crawl),
}


def _printed(words: list[str], **environment: str) -> Pulled:
    said = json.loads(_run(words, **environment))
    return Pulled(_by_name(said["resources"]), frozenset(said["deleted"]))


def _smart_fetch(registry: Registry, base: str, how: str, types: str, folder: Path, since: str, *more: str) -> None:
    words = [str(CLIENTS / "venv/bin/smart-fetch"), how, "--fhir-url", base, "--type", types, *more]
    words += ["--smart-client-id", registry.id, "--smart-key", str(registry.private)]
    _run([*words, *(["--since", since] if since else []), str(folder)])


def _run(words: list[str], **environment: str) -> str:
    own = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "NO_PROXY": "127.0.0.1", **environment}
    done = subprocess.run(words, cwd=CLIENTS, env=own, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, f"{words[1]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def _lines(folder: Path) -> list[Resource]:
    files = [one for one in sorted(folder.glob("*.ndjson*")) if one.name != "log.ndjson"]
    found = []
    for file in files:
        with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
            found += [json.loads(line) for line in lines if line.strip()]
    return found


def _by_name(resources: list[Resource], *, again: bool = False) -> dict[str, Resource]:
    """Return resources by name; only where they may come `again`, the same, is one there twice."""
    named: dict[str, Resource] = {}
    for one in resources:
        name = f"{one['resourceType']}/{one['id']}"
        assert name not in named or (again and named[name] == one), "a resource came twice"
        named[name] = one
    return named
