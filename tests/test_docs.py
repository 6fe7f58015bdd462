"""What the documents point at exists, their Python is right, and nothing waits to be filled in."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
import yaml
from mjxwm_envs import registry

from mjxwm.algos import pwm
from mjxwm.runs import build, presets

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
each = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def python_blocks(page: Path) -> list[str]:
    """The Python code that a page shows."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


BLOCKS = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{i}")
    for page in PAGES
    for i, code in enumerate(python_blocks(page))
]


@each
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@each
def test_nothing_waits_to_be_filled_in(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"\b[A-Z]+_TABLE\b|\bTODO\b|\bTBD\b|\bFIXME\b", text)


@each
def test_files_that_are_named_exist(page):
    """Paths from the root of the repository, such as scripts/worlds.py."""
    for path in re.findall(
        r"(?<![\w/.])((?:scripts|tests|mjxwm|envs|configs)/[\w/]+\.\w+)",
        page.read_text(encoding="utf-8"),
    ):
        assert (ROOT / path).exists(), path


@each
def test_modules_that_are_named_exist(page):
    """Such as `mjxwm.types.Algorithm`; the change log has names of before, too."""
    if page.name == "CHANGELOG.md":
        pytest.skip("has names that are gone")
    for name in re.findall(r"`(mjxwm(?:_envs)?(?:\.\w+)+)`", page.read_text("utf-8")):
        module, missing = pkgutil.resolve_name(name.partition(".")[0]), name.split(".")[1:]
        for part in missing:
            path = f"{module.__name__}.{part}"
            module = getattr(module, part, None) or importlib.import_module(path)


@each
def test_functions_are_in_the_files_that_are_named(page):
    """Such as `build` in `mjxwm/runs/build.py`."""
    text = page.read_text("utf-8")
    for name, path in re.findall(r"`(\w+)` (?:in|of) `((?:mjxwm|envs)/[\w/]+\.py)`", text):
        source = (ROOT / path).read_text("utf-8")
        assert re.search(rf"^(def |class |    def |){name}\b", source, re.M), (name, path)


@each
def test_commands_that_are_named_exist(page):
    from mjxwm import cli

    text = page.read_text(encoding="utf-8")
    for command in re.findall(r"(?:^ *|`|/bin/)mjxwm ([a-z]\w*)", text, re.M):
        assert command in cli.COMMANDS, command


def test_the_site_has_every_page():
    """Those of its navigation and no other."""
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    def pages(entry):
        if isinstance(entry, str):
            return [entry]
        values = entry.values() if isinstance(entry, dict) else entry
        return [page for value in values for page in pages(value)]

    there = [str(page.relative_to(ROOT / "docs")) for page in PAGES if page.parent != ROOT]
    assert sorted(pages(config["nav"])) == sorted(there)


@pytest.mark.parametrize("code", BLOCKS)
def test_code_names_what_exists(code):
    """Every import, and every attribute of what is imported."""
    names = {}
    tree = ast.parse(code)
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            exec(compile(ast.Module([node], []), "<page>", "exec"), names)
    names.setdefault("envs", importlib.import_module("mjxwm_envs"))  # as the page said before
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = names.get(node.value.id)
            assert owner is None or hasattr(owner, node.attr), ast.unparse(node)


def test_the_task_of_contributing_runs(monkeypatch):
    """The block that newcomers copy: a task that is registered, made and stepped."""
    (code,) = python_blocks(ROOT / "CONTRIBUTING.md")
    monkeypatch.setitem(registry.SUITES, "registered", {})  # what it registers goes with the test
    names = {"__name__": "contributed"}
    exec(code, names)
    env = names["env"]
    state = env.reset(jax.random.key(0))
    after = env.step(state, jnp.ones(env.action_size))
    assert after.obs.shape == (env.spec.obs_size,) == (3,)
    assert jnp.isfinite(after.reward)


@pytest.mark.slow
def test_the_code_of_readme_runs(monkeypatch):
    """As it stands, with the sizes of preset `debug` and two iterations."""
    (code,) = python_blocks(ROOT / "README.md")
    sizes = presets.load_preset(build.Config, "debug").algo
    monkeypatch.setattr(pwm, "Config", lambda worlds: sizes)
    assert "range(100)" in code
    names = {}
    exec(code.replace("range(100)", "range(2)"), names)
    assert names["state"].iteration == 2
    assert jnp.isfinite(names["metrics"]["model/loss"])
