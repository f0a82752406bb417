"""The addresses that answers name: as the client has to call them, behind a proxy, too."""

from fastapi import Request

from fhir_gateway.serving.environments import ServedEnvironment


def public_url(request: Request, environment: ServedEnvironment, path: str) -> str:
    """Return the absolute URL of a path below an environment (`merges/1`)."""
    base = environment.settings.serving.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
    return f"{base}/{environment.name}/{path}"
