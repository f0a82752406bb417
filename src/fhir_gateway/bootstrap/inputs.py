"""Opens input files, chooses the mapping whose columns fit, and binds it to clinic, environment and today."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.domain.records import Converted, Rejected, SourceRecord
from fhir_gateway.flows.load import LoadInput
from fhir_gateway.mapping.conversion import CompiledMapping
from fhir_gateway.mapping.functions import ConversionContext
from fhir_gateway.settings import Environment
from fhir_gateway.sources import open_source
from fhir_gateway.sources.mapping_folders import FoundMapping, find_mapping, find_mappings, fingerprint, load_found


class BoundMapping:
    """A mapping bound to its context (flows.load.tools.Converter)."""

    def __init__(self, mapping: CompiledMapping, context: ConversionContext) -> None:
        self._convert = mapping.convert
        self._context = context

    def __call__(self, record: SourceRecord) -> Converted | Rejected:
        """Convert one row."""
        return self._convert(record, self._context)


def open_inputs(
    files: Sequence[Path], *, mapping: str, clinic: str, environment: Environment, now: datetime
) -> list[LoadInput]:
    """Open every file with its mapping; raises SourceError or ConfigurationError before anything is read."""
    if len({path.resolve() for path in files}) < len(files):
        raise UsageError("a file is named twice: its rows would be counted twice")
    home = environment.home
    found = (find_mapping(mapping, home),) if mapping else find_mappings(home)
    compiled = {candidate.name: (candidate, load_found(candidate, home)) for candidate in found}
    context = ConversionContext(
        zone=environment.zone, today=now.astimezone(environment.zone).date(), clinic=clinic, clinics=environment.clinics
    )
    return [_open(path, compiled, context, home) for path in files]


def _open(
    path: Path, compiled: dict[str, tuple[FoundMapping, CompiledMapping]], context: ConversionContext, home: Path
) -> LoadInput:
    by_layout = {mapping.layout.mapping: (found, mapping) for found, mapping in compiled.values()}
    source = open_source(path, [mapping.layout for _, mapping in compiled.values()])
    found, mapping = by_layout[source.layout.mapping]
    return LoadInput(source, mapping.name, fingerprint(found, home), BoundMapping(mapping, context))
