import importlib

import pytest


@pytest.fixture
def benchmark(monkeypatch):
    """Return a function that gives a module of the benchmark."""
    monkeypatch.syspath_prepend("benchmarks/identity")
    return importlib.import_module


def test_the_benchmark_says_which_goals_are_reached(benchmark, monkeypatch, capsys):
    bench = benchmark("bench")
    monkeypatch.setattr(bench, "collect_seldom", lambda: None)
    monkeypatch.setattr(
        "sys.argv", ["bench.py", "--persons", "40", "--seeds", "3", "--methods", "ours", "A", "A2", "B"]
    )
    bench.main()
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said if " links: " in line] == ["ours", "A", "A2", "B"]
    goals = [line for line in said if line.startswith("  goal ")]
    assert (len(goals), all(line.endswith((": reached", ": NOT REACHED")) for line in goals)) == (7, True)


def test_the_published_rules_ask_in_their_order(benchmark):
    published = benchmark("published")
    child = published.Record("ratna dewanti", "female", "2020-03-12", "3303015203200003")
    renamed = published.Record("putri ayu", "female", "2020-03-12", "3303015203200003")
    undated = published.Record("putri ayu", "female", "", "3303015203200003")
    found = {}
    for rule in (published.rule_a, published.rule_a2, published.rule_b):
        server = published.Server()
        found[rule.__name__] = [rule(server, record) for record in (child, child, renamed, undated)]
    assert found == {"rule_a": [0, 0, 1, 0], "rule_a2": [0, 0, 0, 0], "rule_b": [0, 0, 1, 1]}
