"""TOML tables read key by key: types, ranges and unknown keys are told together, each with its line."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fhir_gateway.domain.errors import ConfigurationError, ConfigurationProblem

T = TypeVar("T")

_HEADER = re.compile(r"\s*\[\[?([^\]]+)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\")(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"))*)\s*=")
_AT_LINE = re.compile(r"\(at line (\d+), column (\d+)\)")


@dataclass(slots=True)
class TomlFile:
    """A file that is being read: where its keys stand, and the problems found so far."""

    name: str
    folder: Path
    lines: Mapping[str, int] = field(default_factory=dict)
    problems: list[ConfigurationProblem] = field(default_factory=list)

    def add_problem(self, key: str, message: str, suggestion: str = "") -> None:
        """Note what is wrong with a key (dotted, from the file's top)."""
        line = 0
        while not line and key:
            line = self.lines.get(key, 0)
            key = key.rpartition(".")[0]
        self.problems.append(ConfigurationProblem(self.name, line, 1 if line else 0, message, suggestion))

    def check(self) -> None:
        """Raise ConfigurationError with all problems, if there are any."""
        if self.problems:
            raise ConfigurationError(sorted(self.problems, key=lambda problem: problem.line))


def read_toml(path: Path, *, name: str, folder: Path) -> tuple[TomlFile, "TomlTable"]:
    """Read a TOML file; `name` stands in messages, relative paths in it start at `folder`.

    Raises ConfigurationError where it cannot be read or is no TOML.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError([ConfigurationProblem(name, 0, 0, f"cannot be read: {reason}")]) from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _AT_LINE.search(str(error))
        line, column = (int(place[1]), int(place[2])) if place else (0, 0)
        message = f"is no TOML: {_AT_LINE.sub('', str(error)).strip()}"
        raise ConfigurationError([ConfigurationProblem(name, line, column, message)]) from error
    file = TomlFile(name, folder, _line_numbers(text))
    return file, TomlTable(file, "", document)


def _line_numbers(text: str) -> dict[str, int]:
    """Return the line of every key and table, as far as a look at each line tells (tomllib keeps no places)."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _dotted(header[1])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault(".".join(filter(None, (table, _dotted(key[1])))), number)
    return found


def _dotted(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


class TomlTable:
    """One table; every key is asked for by its type, and `finish` tells the keys that nobody asked for.

    Wrong values are noted in the file's problems, and the default is returned in their place.
    """

    def __init__(self, file: TomlFile, path: str, values: Mapping[str, Any]) -> None:
        self._file = file
        self._path = path
        self._values = values
        self._asked: list[str] = []

    def text(self, key: str, default: str = "") -> str:
        """Return a text."""
        value = self._get(key, default)
        return value if isinstance(value, str) else self._wrong(key, "a text in quotation marks", default)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._get(key, default)
        return value if isinstance(value, bool) else self._wrong(key, "true or false", default)

    def integer(self, key: str, default: int, *, most: int) -> int:
        """Return a whole number from 1 to `most`."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            return self._wrong(key, f"a whole number from 1 to {most}", default)
        return value

    def number(self, key: str, default: float, *, least: float, most: float) -> float:
        """Return a number within its range."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            return self._wrong(key, f"a number from {least:g} to {most:g}", default)
        return float(value)

    def choice(self, key: str, default: str, choices: Sequence[str]) -> str:
        """Return one of the choices."""
        value = self._get(key, default)
        if value in choices:
            return str(value)
        return self._wrong(key, " or ".join(f'"{each}"' for each in choices), default, _nearest(str(value), choices))

    def table(self, key: str) -> "TomlTable":
        """Return the table within, empty where there is none."""
        value = self._get(key, {})
        inner = value if isinstance(value, dict) else self._wrong(key, "a table", {})
        return TomlTable(self._file, self._name(key), inner)

    def tables(self) -> dict[str, "TomlTable"]:
        """Return every key's table: for tables whose keys are names that the user gives."""
        return {key: self.table(key) for key in self._values}

    def secret(self, name: str, *, required: bool) -> str:
        """Return what stands in the variable that `<name>_env` names, or in the file that `<name>_file` names."""
        variable, file = self.text(f"{name}_env"), self.text(f"{name}_file")
        if variable and file:
            self.add_problem(f"{name}_file", f"{name}_env and {name}_file both name it", "keep one of them")
        elif variable:
            if value := os.environ.get(variable, ""):
                return value
            self.add_problem(f"{name}_env", f"the environment variable {variable} is not set", f"export {variable}=…")
        elif file:
            return self._secret_file(name, file)
        elif required and name not in self._values:  # a secret written out is told by `finish`
            self.add_problem("", f"{self._path or 'it'} needs {name}_env or {name}_file", _name_it(name))
        return ""

    def _secret_file(self, name: str, file: str) -> str:
        try:
            value = (self._file.folder / file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            value = ""
        if not value:
            self.add_problem(f"{name}_file", f"the file {file} is empty or cannot be read", "put the secret into it")
        return value

    def add_problem(self, key: str, message: str, suggestion: str = "") -> None:
        """Note what is wrong with a key of this table ("" for the table itself)."""
        self._file.add_problem(self._name(key), message, suggestion)

    def finish(self) -> None:
        """Note every key that nobody asked for."""
        for key in self._values:
            if key in self._asked:
                continue
            if f"{key}_env" in self._asked:
                self.add_problem(key, f"{key}: a secret never stands in this file", _name_it(key))
            else:
                self.add_problem(key, f"unknown key '{self._name(key)}'", _nearest(key, self._asked))

    def _get(self, key: str, default: Any) -> Any:
        self._asked.append(key)
        return self._values.get(key, default)

    def _wrong(self, key: str, wanted: str, default: T, suggestion: str = "") -> T:
        self.add_problem(key, f"{self._name(key)} must be {wanted}", suggestion)
        return default

    def _name(self, key: str) -> str:
        return ".".join(filter(None, (self._path, key)))


def _name_it(name: str) -> str:
    return f'write {name}_env = "NAME_OF_A_VARIABLE" or {name}_file = "PATH"'


def _nearest(word: str, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(word.lower().replace("-", "_"), choices, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(dict.fromkeys(choices))}"
