"""A newcomer's questions, written before looking, are answered by one search of the site.

The site's search finds sections that have all words, those in titles first; here it is the same
over the pages' sections, without the API's.
"""

import re
from pathlib import Path
from typing import NamedTuple

import blocks
import pytest

QUESTIONS = {
    "How do I install it for my GPU?": ("install GPU", "guides/quickstart.md"),
    "How do I train a robot from an XML of my own?": ("own robot XML", "guides/your-task.md"),
    "It stopped. How do I resume the run?": ("resume run", "commands.md"),
    "How do I use several GPUs?": ("several GPUs", "guides/clusters.md"),
    "There is NaN in my run. What now?": ("NaN", "guides/troubleshooting.md"),
    "How does the policy get onto a robot, as ONNX?": ("policy ONNX", "export.md"),
    "How do I log to wandb?": ("wandb", "commands.md"),
    "How do I do domain randomization?": ("domain randomization", "guides/your-task.md"),
    "How do I change the hyperparameters?": ("hyperparameters", "guides/quickstart.md"),
    "How many steps per second does it make?": ("steps per second", "performance.md"),
    "What differs from TD-MPC2?": ("TD-MPC2 differs", "guides/coming-from.md"),
    "It says out of memory.": ("out of memory", "guides/troubleshooting.md"),
    "How do I write my own algorithm?": ("own algorithm", "guides/your-algorithm.md"),
    "Can it learn from pixels?": ("pixels", "guides/coming-from.md"),
    "How do I watch it train, over SSH?": ("view SSH", "viewer.md"),
    "Can I use Stable-Baselines3 with it?": ("Stable-Baselines3", "guides/coming-from.md"),
    "Is there a Docker image?": ("Docker", "guides/clusters.md"),
    "What does the reward look like in a plot?": ("reward terms", "guides/your-task.md"),
}
"""Question: the words that one types, and a page that answers it."""
FIRST = 5
"""Results that are seen without scrolling."""


class Section(NamedTuple):
    """A part of a page, as the search lists it."""

    page: str
    title: str
    text: str


def sections() -> list[Section]:
    """The sections of the site's pages."""
    docs = blocks.ROOT / "docs"
    pages = [p for p in blocks.PAGES if docs in p.parents and "api" not in p.parts]
    return [section for page in pages for section in _of(page, str(page.relative_to(docs)))]


def _of(page: Path, name: str) -> list[Section]:
    parts = re.split(r"^(#+ .*)$", page.read_text(encoding="utf-8"), flags=re.M)
    return [Section(name, *both) for both in zip(parts[1::2], parts[2::2], strict=True)]


def found(words: str) -> list[Section]:
    """Sections with words that begin with each of these; those with more of them, or in the title,
    first."""
    patterns = [re.compile(rf"\b{re.escape(word)}", re.I) for word in words.split()]

    def score(section: Section) -> float:
        each = [
            10 * len(p.findall(section.title))
            + len(p.findall(section.text)) / (1 + len(section.text) / 2000)
            for p in patterns
        ]
        return 0 if min(each) == 0 else sum(each)

    hits = [section for section in sections() if score(section)]
    return sorted(hits, key=score, reverse=True)


@pytest.mark.parametrize("question", QUESTIONS)
def test_one_search_answers(question):
    words, page = QUESTIONS[question]
    results = list(dict.fromkeys(section.page for section in found(words)))
    assert page in results[:FIRST], results
