import importlib


def test_the_benchmark_finds_those_who_stand_there_twice(monkeypatch, capsys):
    monkeypatch.syspath_prepend("benchmarks")
    importlib.import_module("find").main(["--patients", "400", "--read", "60", "--seed", "3"])
    said = capsys.readouterr().out
    assert "read 60 from the embedded server" in said
    assert "who shares a NIK" in said
    found, _, rest = said.partition("found ")[2].partition(" of the ")
    assert int(found) >= 0.9 * int(rest.split()[0]) > 0
