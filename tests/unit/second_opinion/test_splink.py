"""Splink is an extra: what is said where it is missing is tested everywhere, the model only where it is installed."""

import importlib
import os
import sys
from itertools import pairwise

import pytest

from fhir_gateway.domain.errors import UsageError
from fhir_gateway.merging.finding_people import person_of, words_of
from fhir_gateway.second_opinion.splink import FEWEST, SplinkOpinion


def test_a_second_opinion_without_splink_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "splink", None)
    with pytest.raises(UsageError, match=r"fhir-gateway\[linkage\]"):
        SplinkOpinion()


def test_pairs_that_are_one_person_are_told_from_others(monkeypatch, capfd):
    if not os.environ.get("FHIR_GATEWAY_REQUIRE_SPLINK"):
        pytest.importorskip("splink", reason="the extra linkage is not installed")
    monkeypatch.syspath_prepend("benchmarks")
    registered = importlib.import_module("registered")
    rows = [words_of(person_of(one)) for one in registered.patients(2_000)]
    ids = [row["id"] for row in rows]
    pairs = list(pairwise(ids))
    opinion = SplinkOpinion()
    said = opinion.probabilities(rows, pairs)
    true = [pair for pair in pairs if registered.is_one_person(*pair)]
    assert len(said) == len(pairs)
    assert sum(said[pair] > 0.9 for pair in true) > 0.8 * len(true)
    others = [said[pair] for pair in pairs if pair not in true]  # brothers and sisters, some of them twins
    assert sum(probability > 0.9 for probability in others) < 0.02 * len(others)
    assert opinion.probabilities(rows[: FEWEST - 1], pairs) == {}
    assert capfd.readouterr().out == ""
