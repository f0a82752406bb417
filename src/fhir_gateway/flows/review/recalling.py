"""What registries have pulled, and the taking apart of a link has made wrong."""

from collections.abc import Iterable

from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.registry import Correction, RecallReason
from fhir_gateway.flows.load.tools import LoadTools


def recall_changed(before: Iterable[Resource], now: Iterable[Resource], tools: LoadTools) -> None:
    """Note which registries have an earlier version of what was changed."""
    if changed := changed_since(before, now):
        tools.ledger.pulls.recall(changed, reason=RecallReason.UNLINKED, at=tools.clock.now())


def changed_since(before: Iterable[Resource], now: Iterable[Resource]) -> list[Correction]:
    """Return what was changed, with its version.

    `before` are resources as they stood when the taking apart began, `now` as they stand at its end; one that is of the
    same version still was right, and one of which it is not known how it stood counts as changed.
    """
    stood = {_name(one): _version(one) for one in before}
    return [Correction(_name(one), _version(one)) for one in now if stood.get(_name(one)) != _version(one)]


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _version(resource: Resource) -> str:
    return str(resource.get("meta", {}).get("versionId", ""))
