"""Files and functions are short enough to be read at one sitting."""

import ast
import statistics
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATHS = [p for room in ("envs/mjxwm_envs", "mjxwm") for p in sorted((ROOT / room).rglob("*.py"))]
LINES = {path: len(path.read_text().splitlines()) for path in PATHS}


def functions() -> dict[str, int]:
    """Lines of every function, signature and docstring included, by file and name."""
    lengths = {}
    for path in PATHS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.end_lineno:
                place = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                lengths[place] = node.end_lineno - node.lineno + 1
    return lengths


def test_no_file_is_longer_than_300_lines():
    assert [f"{path}: {lines}" for path, lines in LINES.items() if lines > 300] == []


def test_files_are_about_130_lines_long():
    assert statistics.median(LINES.values()) <= 140


def test_nine_of_ten_functions_are_within_40_lines():
    lengths = functions()
    long = sorted(place for place, length in lengths.items() if length > 40)
    assert len(long) <= 0.1 * len(lengths), long
