"""Messages that the guide explains are messages that the code has."""

import ast
import re

import blocks
import pytest

PAGE = blocks.ROOT / "docs" / "guides" / "troubleshooting.md"


def messages() -> list[str]:
    """What stands in code quotes in the first column of the page's tables of messages."""
    found, wanted = [], False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        wanted = line.startswith("| message |") or (wanted and line.startswith("|"))
        if wanted or line.startswith(("| `compile", "| `slower", "| `is for")):
            found += re.findall(r"`([^`]+)`", line.split(" | ")[0])
    return found


@pytest.fixture(scope="module")
def said():
    """Every string in the code, parts of f-strings too."""
    strings = []
    for room in ("envs/mjxwm_envs", "mjxwm"):
        for path in sorted((blocks.ROOT / room).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            nodes = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
            strings += [value for value in nodes if isinstance(value, str)]
    return "\n".join(strings)


@pytest.mark.parametrize("message", messages())
def test_a_message_is_one_of_the_code(message, said):
    assert message in said
