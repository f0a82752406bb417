import importlib

from fhir_gateway.bootstrap.gateway import Display


def test_the_benchmark_s_display_can_all_that_the_gateway_asks_of_one(monkeypatch):
    monkeypatch.syspath_prepend("benchmarks")
    phases = importlib.import_module("load").Phases()
    asked = {name for base in Display.__mro__ for name in vars(base) if not name.startswith("_")}
    assert {"phase", "advance", "say", "rest"} <= asked <= set(dir(phases))


def test_a_phase_that_a_command_ended_is_counted_once(monkeypatch):
    monkeypatch.syspath_prepend("benchmarks")
    phases = importlib.import_module("load").Phases()
    phases.phase("reading", 1)
    phases.rest()
    read = dict(phases.seconds)
    phases.close()
    assert phases.seconds == read
    assert set(read) == {"reading"}
