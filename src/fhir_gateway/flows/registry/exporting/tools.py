"""What an export works with, and what its steps share while it runs."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from fhir_gateway.domain.exports import Checkpoint
from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.registry.exporting.referring import References
from fhir_gateway.flows.registry.tools import RegistryTools
from fhir_gateway.ports.exports import ExportFiles, FhirHistory, GroupMembers, Stock
from fhir_gateway.registry.enriching import patient_in
from fhir_gateway.registry.exports import ExportOrder, Level
from fhir_gateway.registry.matching import fits

PERSONAL = frozenset({"Patient", "Immunization"})
"""Types that are about somebody: exports of groups and of some people hold only theirs."""


@dataclass(frozen=True, slots=True)
class ExportTools:
    """One environment's server, its groups, an export's files, and where its checkpoints go.

    `save` raises what it likes (a cancelled export) to stop the work; `page` is how many resources are asked for at once.
    `stock` is what the server keeps, where it runs inside of this process.
    """

    server: RegistryTools
    history: FhirHistory
    groups: GroupMembers
    files: ExportFiles
    save: Callable[[Checkpoint], None]
    page: int = 1000
    stock: Stock | None = None


@dataclass(slots=True)
class Work:
    """An export under way; `done` is where it would go on from now."""

    order: ExportOrder
    tools: ExportTools
    done: Checkpoint
    references: References = field(init=False)
    people: tuple[str, ...] | None = None
    """Who was asked for by name, with those who stand for them now; None until that is looked up."""

    def __post_init__(self) -> None:
        """Begin with references that nobody has looked up."""
        self.references = References(self.tools.server, self.tools.stock)

    @property
    def moment(self) -> datetime:
        """The transaction time."""
        assert self.done.transaction_time is not None  # noqa: S101 - the first step has set it
        return self.done.transaction_time

    def save(self, *, cursor: tuple[str, ...], said: str = "") -> None:
        """Bring what was written to the disk and write down how far the step has come."""
        self.done = replace(self.done, files=self.tools.files.settle(), cursor=cursor, said=said or self.done.said)
        self.tools.save(self.done)

    def is_in_time(self, updated: datetime) -> bool:
        """Say whether something that was written then belongs to the export."""
        order = self.order
        early = order.since is not None and updated <= order.since
        return not early and updated <= self.moment and (order.until is None or updated < order.until)

    def is_asked_for(self, resource: Resource) -> bool:
        """Say whether a resource fits any of its type's filters; all do where there are none."""
        searches = self.order.searches(resource["resourceType"])
        return not searches or any(fits(resource, one) for one in searches)

    def is_personal(self, resource_type: str) -> bool:
        """Say whether only some people's resources of this type are wanted."""
        return resource_type in PERSONAL and self.order.level is Level.GROUP


def person_in(resource: Resource) -> str:
    """Return the id of the Patient whom a resource is about, "" where it is about nobody."""
    return str(resource["id"]) if resource["resourceType"] == "Patient" else patient_in(resource)
