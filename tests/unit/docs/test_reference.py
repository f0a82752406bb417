"""The reference pages say what the code does: nothing that it has is missing, nothing that it lacks is named."""

import ast
import importlib.util
import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer

from fhir_gateway.cli.app import command_line
from fhir_gateway.domain.identity import Grade
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.fhir_server.policy import FhirServerPolicy
from fhir_gateway.flows.load.deciding import SAME_WORDS
from fhir_gateway.flows.load.failing import Failure
from fhir_gateway.flows.load.rivals_waiting import FITS_WAITING
from fhir_gateway.flows.load.shared_niks import NIK_OF_MANY
from fhir_gateway.identity.decision import _REASONS, FITS_TWO
from fhir_gateway.identity.parameters import THRESHOLDS, MatchingPolicy
from fhir_gateway.identity.vetoes import VetoCode
from fhir_gateway.mapping.compiler import FUNCTIONS, IMMUNIZATION_KEYS, SOURCE_KEYS, TOP_KEYS
from fhir_gateway.people.dates import DateFault
from fhir_gateway.people.nik import NikStatus
from fhir_gateway.reports.rows import GATEWAY_COLUMNS
from fhir_gateway.settings import load_environment
from fhir_gateway.settings.toml_tables import TomlTable

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src/fhir_gateway"
CODE = re.compile(r"[a-z]+(?:-[a-z]+)+")
ALL_AUTHS = (
    'type = "bearer"\ntoken_env = "DOCS_SECRET"',
    'type = "basic"\nusername = "u"\npassword_env = "DOCS_SECRET"',
    (
        'type = "client_credentials"\ntoken_url = "https://login.example.org"\nclient_id = "c"\n'
        'client_secret_env = "DOCS_SECRET"'
    ),
)


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def first_cells(text):
    """Return what stands in backticks in the first cells of a page's tables."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("generate_reference", DOCS / "generate_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_commands_page_is_what_the_generator_writes(generator):
    assert page("reference/commands.md") == generator.commands_page()


def test_the_functions_page_is_what_the_generator_writes(generator):
    assert page("reference/mapping-functions.md") == generator.functions_page()


def every_command(command, names=("fhir-gateway",)):
    """Return every command's words and its options, by Typer's own tree."""
    below = getattr(command, "commands", {})
    found = {} if below else {" ".join(names): [word for p in command.params for word in p.opts if word != "--help"]}
    for name, one in below.items():
        found |= every_command(one, (*names, name))
    return found


@pytest.mark.parametrize(("command", "options"), every_command(typer.main.get_command(command_line())).items())
def test_every_command_and_option_stands_in_its_section(command, options):
    section = re.split(r"^##+ ", page("reference/commands.md"), flags=re.MULTILINE)
    own = next(text for text in section if text.startswith(f"`{command}`\n"))
    missing = [option for option in options if option.startswith("--") and f"`{option}" not in own]
    assert not missing


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Return every key that reading an environment asks for, with each kind of credentials."""
    keys = set()
    read = TomlTable._get

    def noting(table, key, default):
        if not isinstance(default, dict):
            keys.add(re.sub(r"^clinics\.[^.]+", "clinics.ID", table._name(key)))
        return read(table, key, default)

    monkeypatch.setattr(TomlTable, "_get", noting)
    monkeypatch.setenv("DOCS_SECRET", "s")
    (tmp_path / "environments").mkdir()
    for auth in ALL_AUTHS:
        text = f'[fhir_server]\nbase_url = "https://fhir.example.org"\n[fhir_server.auth]\n{auth}\n[clinics.rs]\n'
        (tmp_path / "environments/pages.toml").write_text(text, encoding="utf-8")
        load_environment("pages", tmp_path)
    return keys


def test_every_environment_key_is_described_and_no_other(asked):
    assert first_cells(page("reference/environments.md")) == asked


@pytest.mark.parametrize(
    ("table", "policy"), [("fhir_server", FhirServerPolicy("")), ("matching", MatchingPolicy())], ids=str
)
def test_the_defaults_of_environments_are_the_code_s(table, policy):
    described = dict(re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", page("reference/environments.md"), re.MULTILINE))
    for field in fields(policy):
        value = getattr(policy, field.name)
        if isinstance(value, bool | int | float):
            assert described[f"{table}.{field.name}"] == (str(value).lower() if value is False else f"{value:g}")


def test_the_thresholds_on_the_identity_page_are_the_code_s():
    described = dict(re.findall(r"^\| `(\w+)` \| (-?\d+) \|", page("identity.md"), re.MULTILINE))
    assert described == {name: f"{getattr(MatchingPolicy(), name):g}" for name in THRESHOLDS}


def test_every_veto_stands_on_the_identity_page():
    assert {code.value for code in VetoCode} <= first_cells(page("identity.md"))


def test_every_nik_status_stands_on_the_identity_page():
    assert all(re.search(rf"^\| {status} \|", page("identity.md"), re.MULTILINE) for status in NikStatus)


def test_every_grade_stands_on_the_identity_page():
    assert {grade.value for grade in Grade} <= first_cells(page("identity.md"))


def test_every_report_column_and_outcome_is_described():
    assert {*GATEWAY_COLUMNS, *(outcome.value for outcome in Outcome)} <= first_cells(page("reference/report.md"))


def codes_in(tree):
    """Yield the reason codes that a module makes: of problems, settlements, doubts and verdicts on doses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and re.match(r"\(?code\b", ast.unparse(node.targets[0])):
            yield from texts_in(node.value)
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if name in {"Problem", "problem", "_Doubt", "SameDose", "Settlement", "_doubtful"}:
            yield from texts[:1]
        yield from (
            text for keyword in node.keywords if keyword.arg in {"code", "reason"} for text in texts_in(keyword.value)
        )


def texts_in(tree):
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def reason_codes():
    """Return every reason code of the code; those with a subject, as `birth-date-missing`, are made up here."""
    found = {*_REASONS, *Failure, SAME_WORDS, FITS_TWO, FITS_WAITING, NIK_OF_MANY}
    for package in ("flows/load", "identity", "mapping", "sources"):
        for file in sorted((SOURCE / package).rglob("*.py")):
            found |= {code for code in codes_in(ast.parse(file.read_text("utf-8"))) if CODE.fullmatch(code)}
    faults = {DateFault.UNREADABLE, DateFault.IMPOSSIBLE}
    found |= {f"{subject}-{fault}" for subject in ("birth-date", "dose-date", "expiry-date") for fault in faults}
    found |= {"birth-date-future", "dose-date-future", "vaccine-unmapped"}
    found |= {f"{subject}-missing" for subject in ("name", "birth-date", "dose-date", "vaccine")}
    return found - NO_REASONS_OF_ROWS


# Decisions that need no reason in a report: the row was linked or created.
NO_REASONS_OF_ROWS = {"new-person", "operator-linked", "operator-created"}


def test_the_code_s_reasons_are_found():
    found = reason_codes()
    assert {"row-quotes", "cell-formula", "key-conflict", "dose-gone", "fits-two-people", "server-refused"} <= found
    assert {"dose-vaccine-doubtful", "older-export", "operator-rejected", "correction-other-person"} <= found


def test_every_reason_code_is_described_and_no_other():
    described = {
        code
        for code in first_cells(page("reference/report.md").partition("## Reasons")[2])
        if not code.startswith("fhir-")
    }
    described |= {"vetoed"} & first_cells(page("reference/report.md"))
    missing = reason_codes() - described
    unknown = {code for code in described if CODE.fullmatch(code)} - reason_codes()
    assert (missing, unknown) == (set(), set())


def test_every_key_of_a_mapping_is_described():
    described = first_cells(page("mapping.md"))
    assert set(TOP_KEYS) - {"source"} <= described
    assert {f"source.{key}" for key in SOURCE_KEYS} <= described
    assert all(f"`{key}`" in page("mapping.md") for key in IMMUNIZATION_KEYS)


def test_every_mapping_function_is_in_the_reference():
    assert first_cells(page("reference/mapping-functions.md")) == set(FUNCTIONS)
