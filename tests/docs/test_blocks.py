"""What pages show can be typed: commands are read with all their options, guides' code runs."""

import shutil
import sys

import blocks
import pytest
import tyro
import yaml
from mjxwm_envs import registry

from mjxwm import cli

COMMANDS = [
    pytest.param(words, id=f"{blocks.name(page)}-{' '.join(words)}")
    for page in blocks.PAGES
    for words in blocks.commands(page)
    if words[0] != "extract"  # its options are those that the run of a model has
]
RUNS_CODE = [page for page in blocks.GUIDES if blocks.of(page, "python")]


class Read(BaseException):
    """A command's options are read, and nothing more is to be done."""


@pytest.fixture
def in_examples(tmp_path, monkeypatch):
    """A copy of the examples as the folder that one is in, which leaves no module behind."""
    shutil.copytree(blocks.ROOT / "docs" / "examples", tmp_path, dirs_exist_ok=True)
    shutil.copytree(tmp_path / "quadruped", tmp_path, dirs_exist_ok=True)
    debug = (blocks.ROOT / "configs" / "debug.yaml").read_text(encoding="utf-8")
    (tmp_path / "my.yaml").write_text(debug, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(registry.SUITES, "registered", {})
    before = set(sys.modules)
    yield tmp_path
    for module in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_of_a_page_is_read(words, in_examples, monkeypatch, capsys):
    real = tyro.cli

    def read(*args, **kwargs):
        real(*args, **kwargs)
        raise Read

    monkeypatch.setattr(tyro, "cli", read)
    try:
        status = cli.main(words)
    except Read:
        return
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    assert status == 0, said.out + said.err


@pytest.mark.parametrize("page", blocks.GUIDES, ids=blocks.name)
def test_what_a_guide_shows_of_a_file_is_in_the_file(page):
    for block in blocks.of(page):
        if block.file:
            assert block.code in block.file.read_text(encoding="utf-8")
        if block.language == "yaml":
            assert yaml.safe_load(block.code)


@pytest.mark.parametrize("page", RUNS_CODE, ids=blocks.name)
def test_the_code_of_a_guide_runs(page, in_examples):
    """Block after block in one namespace, in the folder of the examples."""
    names = {"__name__": page.stem, "__file__": str(in_examples / f"{page.stem}.py")}
    for block in blocks.of(page, "python"):
        exec(compile(block.code, str(page), "exec"), names)
