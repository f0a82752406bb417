"""Texts are read with libyaml; what they say, where, and what is wrong with them is as Python's own reader has it."""

from itertools import pairwise

import pytest
import yaml

from fhir_gateway.domain.errors import ConfigurationError
from fhir_gateway.mapping import document
from fhir_gateway.mapping.document import parse_yaml
from fhir_gateway.sources.mapping_folders import shipped_mappings

TEXTS = [
    *(path.read_text("utf-8") for path in sorted(shipped_mappings().glob("**/*.yaml"))),
    "é😀: x\nü: [1, {a: ~}]\r\nb: >\n  two\n  lines\nc: 'it''s'\nd: \"\\x41\\n\"\n",
    "a: yes\nb: 012\nc: 0x1F\nd: 1_000\ne: !!str 5\nf: 2020-01-01\n<<: {g: 1}\n=: h\n",
    "a: &x 1\nb: *x\n",
    'a: "\\uD800"',
    "\ufeffa: 1",
    "# only a remark",
    "[",
    "a: b: c",
    "\tx: 1",
    "é: 'x",
    "a:\x85b",
    "a: \x07",
    "a: \ud800",
    'a: "\\q"',
    "--- a\n--- b",
    "[" * 60 + "]" * 60,
]


def told(text):
    try:
        return parse_yaml(text, "file")
    except ConfigurationError as error:
        return str(error)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_both_readers_tell_the_same(monkeypatch, text):
    quick = told(text)
    monkeypatch.setattr(document, "_compose", lambda text: yaml.compose(text, Loader=yaml.SafeLoader))
    assert told(text) == quick


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[1,"])
def test_what_is_nested_without_end_is_told(opening):
    assert "this is not YAML" in told(opening * 20_000)


def test_a_few_lines_of_aliases_do_not_make_billions_of_parts():
    lines = [
        "a: &a [x, x]",
        *(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in pairwise("abcdefghijkl")),
    ]

    assert "more than 100,000 parts" in told("\n".join(lines))
