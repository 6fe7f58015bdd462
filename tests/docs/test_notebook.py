"""The notebook is whole, and runs from top to bottom."""

import ast
import json

import blocks
import matplotlib as mpl
import pytest
from mjxwm_envs import registry

PATH = blocks.ROOT / "docs" / "examples" / "first_steps.ipynb"
NOTEBOOK = json.loads(PATH.read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_clean():
    """Form 4.5, cells with names of their own, no outputs; its code is plain Python."""
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    names = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(names)) == len(names)
    for cell in NOTEBOOK["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == (
            [],
            None,
        )
    for code in CODE:
        ast.parse(code)
    assert "pip" in CODE[0]


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch, capsys):
    """Every cell in order, with the smallest preset in the place of its own."""
    sizes = '"cartpole-swingup", 130_000'
    assert sum(sizes in code for code in CODE) == 1
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(registry.SUITES, "registered", {})
    mpl.use("Agg")
    names: dict = {"__name__": "__main__"}
    for code in CODE:
        exec(compile(code.replace(sizes, '"debug", 2_000'), str(PATH), "exec"), names)
    assert "return of 200 actions" in capsys.readouterr().out
    assert names["total"] >= 0
    assert len(names["curve"]) == 2
