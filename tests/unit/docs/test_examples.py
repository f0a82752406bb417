"""What the pages show is what happens: their commands are run, their mappings compiled, their cases tried."""

import re
import shutil
import subprocess
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from fhir_gateway.cli.app import run
from fhir_gateway.domain.records import Converted, Rejected, SourceRecord, SourceRef
from fhir_gateway.mapping.cases import read_cases, run_case
from fhir_gateway.mapping.functions import ConversionContext
from fhir_gateway.sources.mapping_folders import find_mapping, find_mappings, load_found
from fhir_gateway.sources.opening import open_source

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SERVER_ID = re.compile(r"\b[0-9a-f]{14}-[0-9a-f]{12}\b")
# What differs from run to run, or with every new estimate of a weight.
VARYING = re.compile(r"[0-9a-f]{14}-[0-9a-f]{12}|[+-]?\d+\.\d\b|\d+ rows/s|\d{4}-\d\d-\d\d \d\d:\d\d|─+")
TODAY_AND_LOGIN = re.compile(r"(?<=  )\d{4}-\d\d-\d\d(?=  [a-z])|(?<=\*  )\w+(?=  \w+\.csv)")
SHELL_WORDS = ("mkdir", "alias", "cp", "echo", "sed")


def blocks(page, language):
    return [text for kind, text in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")) if kind == language]


def comparable(line):
    return TODAY_AND_LOGIN.sub("*", " ".join(VARYING.sub("*", line).split()).replace(" ", "  "))


def not_shown(claimed, printed):
    """Return the lines of a page that the command did not print; `…` stands for what is left out."""
    lines = {comparable(line) for line in printed.splitlines()}
    return [line for line in claimed if line.strip() not in {"", "…"} and comparable(line) not in lines]


def commands(text):
    """Return each command of a console block with the lines that are shown below it."""
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:].split("  #")[0].strip(), []))
        elif found:
            found[-1][1].append(line)
    return found


class Tour:
    """The tutorial's reader: a folder, the commands, and the ids that her own server gives."""

    def __init__(self, folder, capsys):
        self.folder = folder
        self._capsys = capsys

    def say(self, command):
        if command.split()[0] in SHELL_WORDS:
            if not command.startswith(("alias", "mkdir tour")):
                subprocess.run(["sh", "-c", command], cwd=self.folder, check=True)
            return ""
        words = re.findall(r'"[^"]*"|\S+', command)[1:]
        run([self._own(word.strip('"'), words) for word in words])
        return self._capsys.readouterr().out

    def _own(self, word, words):
        """Replace an id of the page by what stands for it here."""
        if not SERVER_ID.fullmatch(word):
            return word
        if words[0] == "review":
            run(["review", "list", "--json"])
            return orjson.loads(self._capsys.readouterr().out)[0]["candidates"][0]
        first = (self.folder / "report.csv").read_text(encoding="utf-8-sig").splitlines()[1]
        return SERVER_ID.findall(first)[0]


@pytest.fixture
def tour(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "docs/tutorial", tmp_path / "docs/tutorial")
    folder = tmp_path / "tour"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("FHIR_GATEWAY_HOME", raising=False)
    return Tour(folder, capsys)


def test_the_tutorial_shows_what_happens(tour):
    wrong = {}
    for block in blocks("docs/tutorial.md", "console"):
        for command, shown in commands(block):
            missing = not_shown(shown, tour.say(command))
            # What the gateway says beside its results goes to stderr.
            missing = [line for line in missing if not line.endswith("read with the mapping puskesmas")]
            if missing:
                wrong[command] = missing
    assert not wrong


def test_the_readme_shows_what_the_demo_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FHIR_GATEWAY_HOME", str(tmp_path))
    assert run(["demo"]) == 0
    printed = capsys.readouterr().out
    shown = [block for block in blocks("README.md", "console") if "──" in block]
    claimed = [line for block in shown for line in block.splitlines() if not line.startswith("$ ")]
    assert len(claimed) > 30
    assert not not_shown(claimed, printed)


def loaded(text, folder):
    file = folder / "my-clinic.yaml"
    file.write_text(text, encoding="utf-8")
    return load_found(find_mapping(str(file), folder), folder)


def test_the_mapping_on_the_page_compiles_and_passes_the_cases_on_the_page(tmp_path):
    mapping_text, _, cases_text = blocks("docs/mapping.md", "yaml")
    mapping = loaded(mapping_text, tmp_path)
    cases = read_cases(cases_text, "mapping.md")
    assert [case.name for case in cases]
    assert {case.name: run_case(mapping, case).differences for case in cases} == {case.name: () for case in cases}


def test_the_wide_part_on_the_page_is_a_mapping_with_three_doses(tmp_path):
    mapping_text, wide, _ = blocks("docs/mapping.md", "yaml")
    text = (
        mapping_text.partition("immunization:")[0]
        .replace("  - Vaccine\n  - {column: Given, through: date}\n", "")
        .replace(", Given, Vaccine", "")
    )
    mapping = loaded(text + wide, tmp_path)
    assert [group.name for group in mapping.doses] == ["HB0", "BCG 1", "POLIO 1"]


def test_the_concept_map_on_the_page_is_read(tmp_path):
    folder = tmp_path / "mappings/concept_maps"
    folder.mkdir(parents=True)
    (folder / "vaccine.csv").write_text(blocks("docs/mapping.md", "csv")[0], encoding="utf-8")
    mapping = load_found(find_mapping("puskesmas", tmp_path), tmp_path)
    row = {"Nama Lengkap": "Laras", "Tgl Lahir": "2024-02-09", "Tgl Vaksin": "2024-11-20", "Vaksin": "V-0815"}
    record = SourceRecord(SourceRef("sheet.csv", 1), row)
    contexts = [ConversionContext(ZoneInfo("Asia/Jakarta"), date(2026, 1, 15), clinic) for clinic in ("rs-a", "rs-b")]
    assert [type(mapping.convert(record, context)) for context in contexts] == [Converted, Rejected]


def test_the_tutorial_s_sheets_fit_the_mapping_that_it_names(tmp_path):
    layouts = [load_found(found, tmp_path).layout for found in find_mappings(tmp_path)]
    for sheet in ("january.csv", "february.csv"):
        assert open_source(ROOT / "docs/tutorial" / sheet, layouts).layout.mapping == "puskesmas"
