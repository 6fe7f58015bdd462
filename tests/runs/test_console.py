"""The line on the console: as wide as the terminal, in whole words; silent with --quiet."""

import io

import pytest

from mjxwm.runs import console, output

ROW = {
    "iteration": 3,
    "env_steps": 123456,
    "perf/env_steps_per_s": 12345.0,
    "collect/return": 123.4,
    "eval/return": 567.8,
    "model/loss": 0.1234,
}


@pytest.fixture
def quiet():
    output.be_quiet()
    yield
    output.be_quiet(False)


@pytest.mark.parametrize("width", [200, 80, 60, 40])
def test_a_line_has_whole_parts_that_the_terminal_has_room_for(width):
    parts = [("iteration 3/10", 1), ("env steps 123,456", 5), ("evaluated 567.8", 1)]
    parts += [("model loss 0.1234", 8), ("1:23 left", 3), ("steps invalid 50.0%", 2)]
    line = console.fitting(parts, width)
    assert len(line) <= width or width == 40
    said = line.split("  ")
    assert set(said) <= {text for text, _ in parts}
    assert {"iteration 3/10", "evaluated 567.8"} <= set(said)
    assert ("model loss 0.1234" in said) == (width == 200)


def test_a_terminal_of_80_columns_shows_no_cut_word(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    text = io.StringIO()
    text.isatty = lambda: True
    with console.ConsoleLine(10, file=text) as line:
        line.log(ROW)
    shown = text.getvalue()
    assert "evaluated 567.8" in shown
    assert "…" not in shown
    assert "model loss" not in shown


@pytest.mark.usefixtures("quiet")
def test_quiet_leaves_the_line_out():
    text = io.StringIO()
    with console.ConsoleLine(10, file=text) as line:
        line.log(ROW)
    assert text.getvalue() == ""
