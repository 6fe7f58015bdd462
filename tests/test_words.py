"""Plain words, as far as a program can tell: names that hold something, docstrings that say what.

Names such as `found` or `given` tell how a value came about, not what it is. What
the configurations of earlier runs have on disk keeps its name.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("envs/mjxwm_envs", "mjxwm")
"""Folders whose modules are checked."""

RIDDLES = {
    *("asked", "beside", "found", "given", "heat", "here", "known", "made", "none", "nothing"),
    *("own", "said", "seen", "there", "these", "those", "wanted"),
}
"""Pronouns and participles that are no names of values."""
SYNONYMS = {"cfg": "config", "settings": "config"}
"""Names that are not used, and the one name of the same thing that is."""
KEPT = {("mjxwm/algos/multitask/config.py", "settings")}
"""Fields that the configurations of earlier runs have on disk."""
PHRASES = ("None where", "none where", "is none ", "what is None", "asked for", "to be had")
"""Phrases that readers of docstrings have stumbled over."""

FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names that a module gives: of values, arguments, functions, classes, imports; and lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno


def riddles(source: str) -> list[str]:
    """Names in `source` that are pronouns, participles or synonyms."""
    refused = RIDDLES | SYNONYMS.keys()
    return [
        f"line {line}: {name}"
        for name, line in names(ast.parse(source))
        if name.strip("_").lower() in refused
    ]


def docstring_faults(source: str) -> list[str]:
    """Public modules, classes and functions without a docstring, and riddles in docstrings."""
    tree = ast.parse(source)
    faults = [] if ast.get_docstring(tree) else ["the module has no docstring"]

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.ClassDef) or child.name.startswith("_"):
                continue
            if ast.get_docstring(child) is None:
                faults.append(f"line {child.lineno}: {child.name} has no docstring")
            if isinstance(child, ast.ClassDef):
                visit(child)

    visit(tree)
    for node in ast.walk(tree):  # also strings under fields and constants
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            text = " ".join(str(node.value.value).split())
            if text.startswith("Of ") or any(phrase in text for phrase in PHRASES):
                faults.append(f"line {node.lineno}: {text}")
    return faults


KEPT_FILES = {ROOT / path: name for path, name in KEPT}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_say_what_they_hold(path):
    kept = KEPT_FILES.get(path, "")
    assert [text for text in riddles(path.read_text()) if text.split(": ")[1] != kept] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_whatever_is_public_has_a_docstring(path):
    assert docstring_faults(path.read_text()) == []


def test_the_rules_find_what_they_should():
    source = (
        '"""A module."""\nfound = 1\ndef f(known): pass\nclass Own:\n    """A class."""\n'
        '    size: int\n    """Of the world."""\n    cfg: int\n    """None where it is none."""\n'
    )
    assert set(riddles(source)) == {
        *("line 2: found", "line 3: known", "line 4: Own", "line 8: cfg"),
    }
    assert docstring_faults(source) == [
        *("line 3: f has no docstring", "line 7: Of the world.", "line 9: None where it is none."),
    ]
    assert docstring_faults("x = 1") == ["the module has no docstring"]
