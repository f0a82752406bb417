"""Opens input files, chooses the mapping whose columns fit, and binds it to clinic, environment and today."""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from fhir_gateway.domain.errors import ConfigurationError, SourceError, UsageError
from fhir_gateway.domain.records import Converted, Layout, Rejected, SourceRecord
from fhir_gateway.flows.load import LoadInput
from fhir_gateway.mapping.conversion import CompiledMapping
from fhir_gateway.mapping.functions import ConversionContext
from fhir_gateway.settings import Environment
from fhir_gateway.sources import open_source
from fhir_gateway.sources.mapping_folders import FoundMapping, find_mapping, find_mappings, fingerprint, load_found

_log = logging.getLogger(__name__)

_Compiled = tuple[FoundMapping, CompiledMapping]


class BoundMapping:
    """A mapping bound to its context (flows.load.tools.Converter)."""

    def __init__(self, mapping: CompiledMapping, context: ConversionContext) -> None:
        self._mapping = mapping
        self._context = context

    def __call__(self, record: SourceRecord) -> Converted | Rejected:
        """Convert one row."""
        return self._mapping.convert(record, self._context)

    def convert_all(self, records: Sequence[SourceRecord]) -> list[Converted | Rejected]:
        """Convert rows, leg by leg."""
        return self._mapping.convert_all(records, self._context)

    def forget(self) -> None:
        """Forget the rows that were converted lately."""
        self._mapping.forget()


def open_inputs(
    files: Sequence[Path], *, mapping: str, clinic: str, environment: Environment, now: datetime
) -> list[LoadInput]:
    """Open every file with its mapping; raises SourceError or ConfigurationError before anything is read."""
    if len({os.path.realpath(path) for path in files}) < len(files):
        raise UsageError("a file is named twice: its rows would be counted twice")
    home = environment.home
    compiled = _asked_for(mapping, home) if mapping else _faultless(home)
    context = ConversionContext(
        zone=environment.zone, today=now.astimezone(environment.zone).date(), clinic=clinic, clinics=environment.clinics
    )
    return [_open(path, compiled, context, home) for path in files]


def _asked_for(mapping: str, home: Path) -> dict[str, _Compiled]:
    found = find_mapping(mapping, home)
    return {found.name: (found, load_found(found, home))}


def _faultless(home: Path) -> dict[str, _Compiled]:
    """Compile every mapping; one with faults is named and passed over, others may be what a file needs.

    Raises ConfigurationError with the faults of all where none can be used.
    """
    compiled: dict[str, _Compiled] = {}
    faulty: dict[str, ConfigurationError] = {}
    for found in find_mappings(home):
        try:
            compiled[found.name] = (found, load_found(found, home))
        except ConfigurationError as error:
            faulty[found.name] = error
    if not compiled:
        raise ConfigurationError([problem for error in faulty.values() for problem in error.problems])
    for name, faults in faulty.items():
        words = "the mapping %s has faults and is passed over: %s (all: `fhir-gateway mapping check %s`)"
        _log.warning(words, name, faults.problems[0], name)
    return compiled


def _open(path: Path, compiled: dict[str, _Compiled], context: ConversionContext, home: Path) -> LoadInput:
    by_layout = {mapping.layout.mapping: (found, mapping) for found, mapping in compiled.values()}
    layouts = [mapping.layout for _, mapping in compiled.values()]
    try:
        source = open_source(path, layouts)
    except SourceError:
        # Only now, since it costs time: the mappings that were not asked for are named where one of them would fit.
        open_source(path, layouts, others=_other_layouts(compiled, home))
        raise
    found, mapping = by_layout[source.layout.mapping]
    return LoadInput(source, mapping.name, fingerprint(found, home), BoundMapping(mapping, context))


def _other_layouts(compiled: dict[str, _Compiled], home: Path) -> list[Layout]:
    """Return the layouts of the mappings that were not asked for; one with faults is no advice."""
    layouts = []
    for found in find_mappings(home):
        if found.name not in compiled:
            with suppress(ConfigurationError):
                layouts.append(load_found(found, home).layout)
    return layouts
