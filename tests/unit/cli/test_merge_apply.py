from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.merge_plans import group_plan

from fhir_gateway.cli.merge_apply import planned_words
from fhir_gateway.domain.merges import MergeConflict

OPEN = replace(group_plan(), conflicts=())
TOLD = replace(group_plan(), conflicts=(MergeConflict("death-denied", "one denies it", (), blocks=False),))
BLOCKED = replace(group_plan(), conflicts=(MergeConflict("name-disagrees", "their names differ", ()),))


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([], "no group"),
        ([OPEN], "1 group planned; `fhir-gateway merge apply p.json` merges it"),
        ([OPEN, TOLD], "2 groups planned; `fhir-gateway merge apply p.json` merges them"),
        ([OPEN, BLOCKED], "2 groups planned; `fhir-gateway merge apply p.json` merges 1 of them: 1 with a CONFLICT"),
        ([BLOCKED], "1 group planned; `fhir-gateway merge apply p.json` refuses it for its CONFLICT"),
        ([BLOCKED, BLOCKED], "2 groups planned; `fhir-gateway merge apply p.json` refuses them for their CONFLICTs"),
    ],
)
def test_a_plan_ends_with_what_applying_it_does(groups, words):
    said = planned_words(groups, Path("p.json"))
    assert said.startswith(words)
    assert said.endswith("--accept-conflicts") is (BLOCKED in groups)
