"""Find and read mappings: a working folder's own first, then the shipped ones, concept maps merged over each other."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

from fhir_gateway.domain.errors import ConfigurationError, ConfigurationProblem
from fhir_gateway.mapping.compiler import FUNCTIONS, compile_mapping
from fhir_gateway.mapping.concept_maps import ConceptMap, CsvText, parse_concept_map
from fhir_gateway.mapping.conversion import CompiledMapping
from fhir_gateway.mapping.document import did_you_mean
from fhir_gateway.mapping.functions import ENTRY_POINT_GROUP, MappingFunction

MAPPING_FILE = "mapping.yaml"
CASES_FILE = "cases.yaml"
CONCEPT_MAPS = "concept_maps"
_CODES = "_codes"
_PACKAGE = Path(__file__).resolve().parent.parent
_LARGEST_FILE = 5_000_000


@dataclass(frozen=True, slots=True)
class FoundMapping:
    """A mapping's folder; `own` says that it is the working folder's, `listed` that it is found by its name."""

    name: str
    file: Path
    own: bool
    listed: bool = True

    @property
    def cases(self) -> Path:
        """Where its cases stand; the file may be missing."""
        return self.file.with_name(CASES_FILE)


class _ConceptMapTexts(NamedTuple):
    """What a concept map is made of, in the order in which the files go over each other."""

    name: str
    spellings: tuple[CsvText, ...]
    codes: tuple[CsvText, ...]


def shipped_mappings() -> Path:
    """Return the folder of the shipped mappings: inside an installed package, else the repository's."""
    installed = _PACKAGE / "shipped_mappings"
    return installed if installed.is_dir() else _PACKAGE.parent.parent / "mappings"


def find_mappings(home: Path) -> tuple[FoundMapping, ...]:
    """Return all mappings by name; one of the working folder `home` hides a shipped one of the same name."""
    found: dict[str, FoundMapping] = {}
    for folder, own in ((shipped_mappings(), False), (home / "mappings", True)):
        for file in sorted(folder.glob(f"*/{MAPPING_FILE}")):
            found[file.parent.name] = FoundMapping(
                file.parent.name, file, own and not _same(folder, shipped_mappings())
            )
    return tuple(found[name] for name in sorted(found))


def find_mapping(name_or_path: str, home: Path) -> FoundMapping:
    """Return a mapping by its name, its folder or its file; raises ConfigurationError where there is none."""
    known = {mapping.name: mapping for mapping in find_mappings(home)}
    if name_or_path in known:
        return known[name_or_path]
    file = _as_file(Path(name_or_path))
    if file is not None:
        name = file.resolve().parent.name if file.name == MAPPING_FILE else file.stem
        return FoundMapping(name, file, own=True, listed=False)
    problem = ConfigurationProblem(name_or_path, 0, 0, "there is no such mapping", did_you_mean(name_or_path, known))
    raise ConfigurationError([problem])


def _as_file(path: Path) -> Path | None:
    try:
        file = path / MAPPING_FILE if path.is_dir() else path
        return file if file.is_file() else None
    except OSError:  # a name that is too long, a folder that may not be looked into
        return None


def load_found(found: FoundMapping, home: Path) -> CompiledMapping:
    """Compile a mapping with its concept maps; raises ConfigurationError with all faults of all files."""
    maps = _concept_map_texts(found, home)
    problems = [problem for texts in maps for problem in _parsed(texts)[1]]
    try:
        mapping = _compiled(read_text(found.file), str(found.file), maps).anew()
    except ConfigurationError as error:
        raise ConfigurationError([*error.problems, *problems]) from error
    if found.listed and mapping.name != found.name:
        message = f"the mapping calls itself '{mapping.name}', its folder '{found.name}'"
        problems.append(ConfigurationProblem(str(found.file), 1, 1, message, "give both the same name"))
    if problems:
        raise ConfigurationError(problems)
    return mapping


def fingerprint(found: FoundMapping, home: Path) -> str:
    """Return the SHA-256 of a mapping with its concept maps; it changes with their content."""
    texts = [read_text(file) for file in (found.file, *_concept_map_files(found, home))]
    return hashlib.sha256("\x1f".join(texts).encode()).hexdigest()


@cache
def installed_functions() -> Mapping[str, MappingFunction]:
    """Return the built-in mapping functions and those that installed packages add."""
    functions = dict(FUNCTIONS)
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        loaded = entry.load()
        if not isinstance(loaded, MappingFunction) or loaded.name in FUNCTIONS:
            reason = (
                "is no MappingFunction" if not isinstance(loaded, MappingFunction) else "has a built-in function's name"
            )
            raise ConfigurationError(
                [ConfigurationProblem(entry.value, 0, 0, f"the mapping function {entry.name} {reason}")]
            )
        functions[loaded.name] = loaded
    return functions


def read_text(file: Path) -> str:
    """Return a configuration file's text; raises ConfigurationError where it cannot be read as UTF-8."""
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise ConfigurationError([ConfigurationProblem(str(file), 0, 0, "is too large to be a mapping's file")])
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        problem = ConfigurationProblem(str(file), 0, 0, f"is not UTF-8 at byte {error.start}", "save it as UTF-8")
        raise ConfigurationError([problem]) from error
    except OSError as error:
        problem = ConfigurationProblem(str(file), 0, 0, f"cannot be read: {error.strerror or error}")
        raise ConfigurationError([problem]) from error


def _concept_map_texts(found: FoundMapping, home: Path) -> tuple[_ConceptMapTexts, ...]:
    files = _concept_map_files(found, home)
    names = sorted({file.stem for file in files if not file.stem.endswith(_CODES)})
    return tuple(
        _ConceptMapTexts(
            name,
            tuple(_csv(file) for file in files if file.stem == name),
            tuple(_csv(file) for file in files if file.stem == name + _CODES),
        )
        for name in names
    )


@lru_cache(maxsize=16)
def _parsed(texts: _ConceptMapTexts) -> tuple[ConceptMap, tuple[ConfigurationProblem, ...]]:
    """Parse a concept map once for all mappings that see the same files."""
    return parse_concept_map(*texts)


@lru_cache(maxsize=16)
def _compiled(text: str, file: str, maps: tuple[_ConceptMapTexts, ...]) -> CompiledMapping:
    """Compile a mapping once while it and its concept maps stay as they are; who uses it takes it anew."""
    concept_maps = {texts.name: _parsed(texts)[0] for texts in maps}
    return compile_mapping(text, file, concept_maps=concept_maps, functions=installed_functions())


def _concept_map_files(found: FoundMapping, home: Path) -> list[Path]:
    """Return the CSV files in the order in which they go over each other: shipped, the mapping's own, the site's."""
    folders = (shipped_mappings() / CONCEPT_MAPS, found.file.parent / CONCEPT_MAPS, home / "mappings" / CONCEPT_MAPS)
    return [file for folder in _distinct(folders) for file in sorted(folder.glob("*.csv"))]


def _distinct(folders: Iterable[Path]) -> list[Path]:
    return list({folder.resolve(): folder for folder in folders if folder.is_dir()}.values())


def _same(left: Path, right: Path) -> bool:
    return left.resolve() == right.resolve()


def _csv(file: Path) -> CsvText:
    return CsvText(str(file), read_text(file))
