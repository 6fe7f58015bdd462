"""Text is read and written as UTF-8 whatever the locale is: every call says so."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [
    p for folder in ("envs", "mjxwm", "scripts") for p in sorted((ROOT / folder).rglob("*.py"))
]


def unsaid(source: str) -> list[int]:
    """Lines of calls that read or write text in an encoding that the locale would choose."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        says = any(keyword.arg == "encoding" for keyword in node.keywords)
        if name in ("read_text", "write_text"):
            missing = not says
        elif name in ("open", "fdopen"):
            modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
            texts = [m for m in modes if isinstance(m, str) and set(m) <= set("rwaxt+")]
            binary = any(isinstance(m, str) and "b" in m for m in modes)
            # `open` of something else, such as a system call with flags, has no mode of letters.
            missing = bool(texts) and not binary and not says
        else:
            missing = any(k.arg == "text" for k in node.keywords) and not says
        if missing:
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_text_is_utf8(path):
    assert unsaid(path.read_text(encoding="utf-8")) == []


def test_what_depends_on_the_locale_is_seen():
    wrong = 'p.read_text()\np.open("a")\nopen(f, "w")\nrun(c, text=True)\nf.write_text(x)'
    assert unsaid(wrong) == [1, 2, 3, 4, 5]
    right = 'p.read_text(encoding="utf-8")\np.open("wb")\nos.open(f, flags)\nrun(c)\nself._open(x)'
    assert unsaid(right) == []
