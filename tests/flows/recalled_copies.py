"""What a registry has copied of the embedded server, and which of it was recalled since."""

from datetime import UTC, datetime

from tests.flows.conftest import Place

from fhir_gateway.domain.registry import PulledVersion
from fhir_gateway.ledger.store import Ledger
from fhir_gateway.settings import load_environment

_CLIENT = "registry"


def _versions(home):
    place = Place(home, None)
    return {
        f"{resource_type}/{one['id']}": one["meta"]["versionId"]
        for resource_type in ("Patient", "Immunization")
        for one in place.server(resource_type).values()
    }


def _ledger(home):
    return Ledger(load_environment("embedded", home).ledger_url)


def copy_everything(home):
    """Let a registry have everything as it is now."""
    versions = [PulledVersion(name, version) for name, version in _versions(home).items()]
    with _ledger(home) as ledger, ledger.transaction():
        ledger.pulls.give(_CLIENT, versions, at=datetime.now(UTC))


def recalled(home):
    """Return (`Type/id`, reason) of what the registry has and is wrong; assert that nothing is named twice or wrongly."""
    with _ledger(home) as ledger:
        found = [(one.resource, one.version, one.reason) for one in ledger.pulls.outstanding(client=_CLIENT)]
    now = _versions(home)
    assert not [name for name, version, _ in found if now.get(name) == version]
    assert len({name for name, *_ in found}) == len(found)
    return sorted((name, reason) for name, _, reason in found)
