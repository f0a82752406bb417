import io

import pytest
from rich.console import Console
from rich.progress import Progress

from fhir_gateway.cli import progress
from fhir_gateway.cli.progress import ProgressDisplay


class _Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    fake = _Clock()
    monkeypatch.setattr(progress, "time", fake)
    return fake


def test_a_line_tells_phase_count_share_rate_and_the_time_that_is_left(clock, capsys):
    with ProgressDisplay() as display:
        display.phase("comparing people", 400)
        clock.now += 10
        display.advance(100)
    assert capsys.readouterr().err.splitlines()[0] == "comparing people: 100 (25%), 10/s, 0:00:30 left"


def test_a_share_tells_the_time_that_is_left_where_the_total_is_not_known(clock, capsys):
    with ProgressDisplay() as display:
        display.phase("comparing people")
        clock.now += 20
        display.advance(5000, 0.5)
    assert capsys.readouterr().err.splitlines()[0] == "comparing people: 5,000 (50%), 250/s, 0:00:20 left"


def test_lines_are_some_seconds_apart(clock, capsys):
    with ProgressDisplay() as display:
        display.phase("posting", 100)
        for done in range(10):
            clock.now += 1
            display.advance(done)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "posting: 4 (4%)",
        "posting: 9 (9%)",
        "posting: 9 done in 10.0 s",
    ]


@pytest.mark.parametrize("width", [40, 79, 80])
def test_a_terminal_of_any_width_shows_share_rate_and_the_time_that_is_left(width):
    bars = Progress(*progress.columns(width))
    bars.add_task("comparing people", total=1.0, completed=0.25, done=1_234_567, rate="12,345/s", left="0:00:30 left")
    console = Console(width=width, file=io.StringIO())
    console.print(bars.get_renderable())
    shown = console.file.getvalue()
    assert all(figure in shown for figure in ("comparing", "25%", "12,345/s", "0:00:30 left"))
