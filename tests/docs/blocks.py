"""The blocks of code that pages show."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
_BLOCK = re.compile(r"(?:^<!-- file: (\S+) -->\n)?^```(\w+)\n(.*?)^```", re.M | re.S)


class Block(NamedTuple):
    """A block of a page."""

    language: str
    code: str
    file: Path | None
    """What it is a part of, word for word: the page says so in a comment before it."""


def of(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page in these languages, or all, in order."""
    found = [
        Block(language, code, page.parent / file if file else None)
        for file, language, code in _BLOCK.findall(page.read_text(encoding="utf-8"))
    ]
    return [block for block in found if not languages or block.language in languages]


def commands(page: Path) -> list[list[str]]:
    """The words of every `mjxwm ...` line of a page's shell blocks, without `mjxwm` itself."""
    text = "\n".join(block.code for block in of(page, "bash")).replace("\\\n", " ")
    pieces = [piece for line in text.splitlines() for piece in _pieces(line)]
    return [words[1:] for words in pieces if words and Path(words[0]).name == "mjxwm"]


def _pieces(line: str) -> list[list[str]]:
    """The words of the commands that `&&`, `;`, `|` and `&` separate on a line."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.commenters, reader.whitespace_split = "#", True
    pieces: list[list[str]] = [[]]
    for word in reader:
        if set(word) <= set("&|;"):
            pieces.append([])
        else:
            pieces[-1].append(word)
    return pieces


def name(page: Path) -> str:
    """A page's path in the repository."""
    return str(page.relative_to(ROOT))
