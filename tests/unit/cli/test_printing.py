import io

import pytest

from fhir_gateway.cli.printing import counted, masked, print_table, print_text


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


def test_no_number_is_cut_off_in_a_narrow_terminal(monkeypatch):
    screen = _Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    columns = ["run", "started", "files", "read", "loaded", "unchanged", "review", "rejected", "failed"]
    print_table(columns, [[1234, "2026-01-15 10:00", "sheet.csv", 987654, 1, 2, 3, 4, 5]])
    shown = screen.getvalue()
    assert [text for text in ("1234", "987654", *columns) if text not in shown] == []


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (12345, "12,345 entries")]
)
def test_a_number_of_things_is_told_in_the_singular_of_one(number, told):
    assert counted(number, "entry", "entries") == told
    assert counted(number, "row") == told.replace("entries", "rows").replace("entry", "row")


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("3303015203200003", "33••••••••••••03"),
        ("081234567890", "08••••••••90"),
        ("001204", "0••••4"),
        ("1204", "••••"),
        ("Siti Aminah", "S••• A•••••"),
    ],
)
def test_of_a_number_less_than_half_is_shown(text: str, covered: str) -> None:
    assert masked(text) == covered
