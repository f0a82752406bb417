"""What the roads of a registry's pull work with."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fhir_gateway.ports import Clock, FhirReader
from fhir_gateway.ports.registry import FhirPuller


@dataclass(frozen=True, slots=True)
class RegistryTools:
    """One environment's FHIR server, read only.

    `settling`: how long a server may need until what it stamped with a time can be found. A pull in the order of
    lastUpdated ends that long before now, or it would pass over what is still being committed; zero on the embedded
    server, whose stamps follow the order of its commits.
    """

    reader: FhirReader
    puller: FhirPuller
    clock: Clock
    settling: timedelta = timedelta(0)

    def settled_until(self) -> datetime | None:
        """Return the moment until which nothing is still on its way, None where nothing ever is."""
        return self.clock.now() - self.settling if self.settling else None
