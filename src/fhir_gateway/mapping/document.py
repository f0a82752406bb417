"""A YAML text as a tree that remembers where everything stands, and the collector of its faults."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import Composer

from fhir_gateway.domain.errors import ConfigurationError, ConfigurationProblem

_DEEPEST = 40
_MOST_NODES = 100_000
"""Parts of a file, each as often as aliases repeat it: a few lines of aliases of aliases would make billions."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file, 1-based."""

    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML node: `value` is a scalar, a list of Nodes, or a dict of Nodes; `text` is a scalar as it was written."""

    value: Any
    place: Place
    text: str = ""
    keys: dict[str, Place] = field(default_factory=dict)

    @property
    def is_mapping(self) -> bool:
        """Whether this is a mapping of keys to Nodes."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether this is a list of Nodes."""
        return isinstance(self.value, list)

    def plain(self) -> Any:
        """Return the value without places."""
        if self.is_mapping:
            return {key: node.plain() for key, node in self.value.items()}
        if self.is_list:
            return [node.plain() for node in self.value]
        return self.value


@dataclass(slots=True)
class Faults:
    """Collects the faults of one file, so that all of them are told at once."""

    file: str
    problems: list[ConfigurationProblem] = field(default_factory=list)

    def add(self, place: Place, message: str, suggestion: str = "") -> None:
        """Note a fault."""
        self.problems.append(ConfigurationProblem(self.file, place.line, place.column, message, suggestion))

    def unknown(self, place: Place, what: str, name: str, known: Iterable[str]) -> None:
        """Note an unknown name, with the nearest right one."""
        self.add(place, f"unknown {what} '{name}'", did_you_mean(name, known))

    def raise_if_any(self) -> None:
        """Raise a ConfigurationError with all faults, in the order of their lines."""
        if self.problems:
            raise ConfigurationError(sorted(self.problems, key=lambda problem: (problem.line, problem.column)))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return words that name the nearest right name, or all of them where none is near and they are few."""
    names = sorted(set(known))
    lowered = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    if near:
        return f"did you mean '{lowered[near[0]]}'?"
    return f"known: {', '.join(names)}" if 0 < len(names) <= 30 else ""


class _QuickLoader(Composer, yaml.CSafeLoader):
    """Reads with libyaml, several times as fast, and composes in Python, whose recursion ends before the stack does."""

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_QuickLoader)
    except (yaml.YAMLError, ValueError):
        return yaml.compose(text, Loader=yaml.SafeLoader)  # tells better what is wrong


def parse_yaml(text: str, file: str) -> Node:
    """Parse a YAML text; raises ConfigurationError with the place where it is no YAML, or holds a key twice."""
    faults = Faults(file)
    try:
        root = _compose(text)
        node = _Tree(faults).convert(root, 0) if root is not None else Node(None, Place(1, 1))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place()
        faults.add(place, f"this is not YAML: {error.problem or error.context or 'unreadable'}")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        faults.add(Place(), f"this is not YAML: {' '.join(str(error).split())[:200]}")
    faults.raise_if_any()
    return node


class _Tree:
    """Makes Nodes of YAML's; raises YAMLError where they are too many."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._left = _MOST_NODES

    def convert(self, node: yaml.Node, depth: int) -> Node:
        """Convert a node and what stands in it."""
        self._left -= 1
        if self._left < 0:
            raise yaml.YAMLError(f"it has more than {_MOST_NODES:,} parts, aliases counted")
        place = Place(node.start_mark.line + 1, node.start_mark.column + 1)
        if depth > _DEEPEST:
            self._faults.add(place, "nested too deep")
            return Node(None, place)
        if isinstance(node, yaml.MappingNode):
            return self._convert_mapping(node, place, depth)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.convert(child, depth + 1) for child in node.value], place)
        return Node(_scalar(node), place, str(node.value))

    def _convert_mapping(self, node: yaml.MappingNode, place: Place, depth: int) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for key_node, value_node in node.value:
            key_place = Place(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self._faults.add(key_place, "a key must be a plain word")
                continue
            key = str(key_node.value)
            if key in values:
                self._faults.add(key_place, f"the key '{key}' stands here twice")
            values[key] = self.convert(value_node, depth + 1)
            keys[key] = key_place
        return Node(values, place, keys=keys)


def _scalar(node: yaml.Node) -> Any:
    """Return null, true/false and whole numbers as such, everything else as the text that was written.

    A date or a number with a fraction stays text: FHIR wants both as they were written.
    """
    kind = node.tag.rpartition(":")[2]
    text = str(node.value)
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if kind == "int" and text.lstrip("+-").isdigit() and (text == "0" or not text.lstrip("+-").startswith("0")):
        return int(text)
    return text
