import io

import pytest

from fhir_gateway.cli.printing import print_text


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "20")


LINE = "  what to do: compare the two with `fhir-gateway review show`, then link it"


def test_a_terminal_gets_lines_that_break_between_words():
    screen = _Terminal()
    print_text(LINE, file=screen)
    lines = screen.getvalue().splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 40 for line in lines)
    assert all(line.startswith("    ") for line in lines[1:])
    assert " ".join(line.strip() for line in lines) == LINE.strip()


def test_elsewhere_a_line_stays_whole():
    file = io.StringIO()
    print_text(LINE, file=file)
    assert file.getvalue() == LINE + "\n"


@pytest.mark.parametrize("stream", [io.StringIO, _Terminal])
def test_what_others_wrote_does_not_steer_the_terminal(stream):
    screen = stream()
    print_text("refused: \x1b[2J\x07gone", file=screen)
    assert "\x1b" not in screen.getvalue()
    assert "\x07" not in screen.getvalue()
    assert "gone" in screen.getvalue()


def test_lines_stay_lines_of_their_own():
    screen = _Terminal()
    print_text("first\n  second", file=screen)
    assert screen.getvalue() == "first\n  second\n"
