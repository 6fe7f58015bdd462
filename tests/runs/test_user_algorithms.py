"""Algorithms of a user's own: by path, from any folder, and refused where they are none."""

import dataclasses
import sys
from pathlib import Path

import jax
import pytest
import yaml

from mjxwm import ConfigError, cli
from mjxwm.algos import user_algorithms
from mjxwm.runs import build, policies, presets, start
from mjxwm.runs.config import Config, check, entry

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SIZES = {
    "random_search": {"env_steps": 80, "worlds": 4, "unroll": 10},
    "shooting": {"env_steps": 100, "worlds": 4, "unroll": 8, "warmup": 2, "candidates": 4}
    | {"capacity": 1000, "plan": 2, "batch": 4, "horizon": 2}
    | {"model": {"latent": 8, "encoder": [8], "hidden": [8]}},
}


@pytest.fixture(autouse=True)
def nothing_imported(monkeypatch):
    """No example is imported yet, and none is afterwards."""
    monkeypatch.setattr(user_algorithms, "_entries", {})
    before = set(sys.modules)
    yield
    for module in set(sys.modules) - before:
        if module in SIZES or module.startswith("mine"):
            del sys.modules[module]


def small(name):
    """The values of an example's preset at the smallest sizes."""
    values = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    algo = values.get("algo", {}) | SIZES[name]
    return values | {"task": "pendulum-swingup", "algo": algo, "episodes": 2, "evaluations": 1}


@pytest.mark.parametrize("name", SIZES)
def test_an_example_is_an_algorithm(name, monkeypatch):
    """Its programs can be traced, and an iteration gives back a state of the same shapes."""
    monkeypatch.chdir(EXAMPLES)
    trainer = build.build(presets.from_dict(Config, small(name)))
    state = jax.eval_shape(trainer.algorithm.init, jax.random.key(0))
    after, metrics = jax.eval_shape(trainer.algorithm.iterate, state)
    shapes = [[(x.shape, x.dtype) for x in jax.tree.leaves(tree)] for tree in (state, after)]
    assert shapes[0] == shapes[1]
    assert "collect/return_sum" in metrics
    config = start.with_folders(trainer)
    assert (config.algorithm_folder, config.task_folder) == (str(EXAMPLES), None)


def test_a_run_s_configuration_is_read_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = small("random_search")
    with pytest.raises(ConfigError, match="No module named 'random_search'"):
        presets.from_dict(Config, values)
    config = presets.from_dict(Config, values | {"algorithm_folder": str(EXAMPLES)})
    assert type(config.algo) is entry("random_search:ENTRY").config
    again = presets.from_dict(Config, presets.to_dict(config))
    assert again == config


def test_fields_that_a_preset_leaves_out_are_those_of_the_example(monkeypatch):
    """Of the world model that its configuration has by default, not of any world model."""
    monkeypatch.chdir(EXAMPLES)
    algo = presets.load_preset(Config, "shooting.yaml").algo
    assert (algo.model.continuation, algo.model.latent, algo.model.hidden) == (0, 64, (128, 128))


WRONG = {
    "ENTRY = 3": "of type int; it must be a mjxwm.algos.Entry",
    "raise RuntimeError('no')": "cannot be imported: RuntimeError: no",
    "": "has no attribute 'ENTRY'",
    "from mjxwm.algos import Entry; ENTRY = Entry(dict, None, None)": "no frozen dataclass",
    "import dataclasses as d; from mjxwm.algos import Entry\n"
    "@d.dataclass(frozen=True)\nclass Config:\n    worlds: int = 1\n"
    "ENTRY = Entry(Config, None, None)": "not derived from mjxwm.algos.budget.AlgorithmConfig",
    "import dataclasses as d; from mjxwm.algos import Entry\n"
    "from mjxwm.algos.budget import AlgorithmConfig\n"
    "@d.dataclass(frozen=True)\nclass Config(AlgorithmConfig):\n    worlds: int = 1\n"
    "ENTRY = Entry(Config, None, None)": "Config lacks the fields env_steps",
}


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_is_no_algorithm_is_refused_in_one_line(number, tmp_path, monkeypatch, capsys):
    source, message = list(WRONG.items())[number]
    monkeypatch.chdir(tmp_path)
    Path(f"mine{number}.py").write_text(source, encoding="utf-8")
    Path("p.yaml").write_text(f"algorithm: mine{number}:ENTRY", encoding="utf-8")
    assert cli.main(["train", "p.yaml"]) == 2
    error = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert len(error) == 1
    assert message in error[0]


def test_an_algorithm_on_another_s_preset_says_the_way_out(monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    config = dataclasses.replace(Config(), algorithm="random_search:ENTRY")
    with pytest.raises(ConfigError, match="a YAML file with `algorithm: random_search:ENTRY`"):
        check(config)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_an_example_trains_goes_on_and_is_evaluated_elsewhere(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(EXAMPLES)
    preset = tmp_path / "small.yaml"
    preset.write_text(yaml.safe_dump(small(name) | {"video": False}), encoding="utf-8")
    run = tmp_path / "runs" / "mine"
    assert cli.main(["train", str(preset), "--run", "mine", "--folder", str(run.parent)]) == 0
    monkeypatch.chdir(tmp_path)
    assert cli.main(["eval", str(run), "--episodes", "3"]) == 0
    assert "over 3 episodes" in capsys.readouterr().out
    more = str(3 * SIZES[name]["env_steps"])
    assert cli.main(["train", "--resume", str(run), "--env-steps", more]) == 0
    assert policies.of_run(run).config.algorithm == f"{name}:ENTRY"
