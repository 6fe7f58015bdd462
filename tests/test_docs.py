"""What the documents point at exists, and nothing in them waits to be filled in."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
each = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@each
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@each
def test_nothing_waits_to_be_filled_in(page):
    assert not re.search(r"\b[A-Z]+_TABLE\b|\bTODO\b|\bTBD\b|\bFIXME\b", page.read_text())


@each
def test_scripts_that_are_named_exist(page):
    for script in re.findall(
        r"(?:python|bash)?\s(scripts/\w+\.\w+|tests/[\w/]+\.py)", page.read_text()
    ):
        assert (ROOT / script).exists(), script
