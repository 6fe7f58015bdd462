"""The guard of a run on the host: when it stops one, what it saves, and what it says."""

import io
import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mjxwm import cli
from mjxwm.maths import finite
from mjxwm.runs import checkpoint, console, dump, folders, guard, record, symptoms
from mjxwm.runs.config import Config
from mjxwm.runs.evaluate import Evaluation
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.log import evaluation_row


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """(seeds, iterations, wait) -> a guard of runs that stops without a dump, and the runs."""
    monkeypatch.setattr(dump, "write", lambda *_: None)

    def make(seeds=None, iterations=1000, wait=lambda: None):
        algorithm = SimpleNamespace(iterations=iterations, networks=lambda state: {})
        trainer: Any = SimpleNamespace(config=Config(), seeds=seeds, algorithm=algorithm)
        runs = [RunFolder(tmp_path / str(seed)) for seed in seeds or (0,)]
        return guard.Guard(trainer, runs, 0, wait), runs

    return make


def metrics(*levels, stage="model"):
    place = np.where(np.array(levels) > 0, 1 + finite.STAGES.index(stage), 0)
    values = {finite.UNSOUND: np.array(levels, float), finite.FIRST: place}
    return {k: v if len(levels) > 1 else v[0] for k, v in values.items()}


def test_a_run_of_skips_stops_a_run_and_a_sound_iteration_forgets_them(watched):
    one, runs = watched()
    levels = [0] * 5 + [1] * 9 + [0] + [1] * 30
    stopped = [i for i, x in enumerate(levels, 1) if one.add(i, metrics(x), False)]
    assert stopped == [5 + 9 + 1 + 10 + guard.LAG], "ten in a row, read some iterations later"
    assert one.doubtful == set(runs)


def test_lost_parameters_stop_a_run_at_once(watched):
    one, _ = watched()
    assert one.add(1, metrics(0), True) == {}
    (why,) = one.add(2, metrics(2, stage="parameters"), True).values()
    assert why.startswith("parameters are not finite at iteration=2")
    assert "no checkpoint before it" in why


def test_a_checkpoint_that_is_being_written_is_the_last_good_state(watched, monkeypatch):
    saved = []
    monkeypatch.setattr(checkpoint, "latest", lambda folder: max(saved, default=None))
    one, _ = watched(wait=lambda: saved.append(7))
    (why,) = one.add(8, metrics(2), True).values()
    assert "the last good state is the checkpoint of iteration 7" in why


def test_a_dump_holds_the_configuration_that_was_trained_with(tmp_path):
    """Also where the run's own was edited meanwhile, wrongly."""
    run = RunFolder(tmp_path)
    run.config.write_text("task: [")
    trainer: Any = SimpleNamespace(config=Config(task="hopper", seed=3), seeds=None, env=None)
    row = {"model/loss": math.nan}
    dump.write(run, trainer, 0, dump.Event("the loss", 0, None, 1, 1, "model", {1: row}))
    config, event = dump.read(run)
    assert (config.task, config.seed, event.first) == ("hopper", 3, 1)


def test_half_of_a_short_run_is_enough(watched):
    assert watched(iterations=6)[0].most == 3


def test_a_seed_is_stopped_by_its_own_numbers_alone(watched):
    several, runs = watched(seeds=(3, 4))
    troubles = [several.add(i, metrics(0, 1), True) for i in range(1, 15)]
    assert [set(t) for t in troubles if t] == [{runs[1]}]
    assert several.doubtful == {runs[1]}


def test_a_checkpoint_waits_for_a_sound_iteration(watched, monkeypatch):
    one, runs = watched()
    sound = True
    monkeypatch.setattr(guard, "_sound", lambda state, algorithm: sound)
    one.add(1, metrics(1), True)
    assert one.due(runs, False, None) == []
    one.add(2, metrics(0), False)
    assert one.due((), False, None) == [], "not all is known yet"
    one.add(3, metrics(0), True)
    assert one.due((), False, None) == runs
    assert one.due((), False, None) == []
    one.add(4, metrics(1), True)
    assert one.due(runs, True, None) == runs, "a run that stops is saved while it is finite"
    sound = False
    assert one.due(runs, True, None) == []


def test_rows_are_json_and_numbers_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    row = {"iteration": 1, "a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.5, "e": None}
    record.JsonLines(path).log(row)
    strict = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert strict.pop("crc32")
    assert strict == {**row, "a": "NaN", "b": "Infinity", "c": "-Infinity"}
    path.write_text('{"iteration": 0, "a": NaN, "b": -Infinity}\n' + path.read_text())
    earlier, first = record.read(path)
    assert math.isnan(first.pop("a"))
    assert first == {k: v for k, v in row.items() if k != "a"}
    assert math.isnan(earlier["a"])
    assert earlier["b"] == -math.inf


def test_the_console_shows_what_is_not_finite():
    text = io.StringIO()
    row = {"iteration": 1, "env_steps": 16, "model/loss": math.nan, "collect/return": math.nan}
    with console.ConsoleLine(10, file=text) as line:
        line.log(row | {"guard/model": 2.0, "guard/parameters": 0.0})
    said = text.getvalue()
    assert "model loss NaN" in said
    assert "return NaN" in said
    assert "skipped: model" in said
    assert "evaluated" not in said, "there was none"


def test_an_evaluation_without_a_valid_step_has_no_return():
    arrays: Any = np.zeros(2, np.float32), np.ones(2, int), np.ones(2, bool)
    zero, one, diverged = arrays
    lost = Evaluation(zero, one, zero, None, diverged=diverged)
    row = evaluation_row(lost)
    assert math.isnan(row["eval/return"])
    assert row["eval/diverged"] == 1
    from mjxwm.cli.training import _sentence

    assert _sentence(lost, "now").startswith("no step of the 2 episodes now was valid")


def test_what_is_far_outside_of_its_history_is_shown():
    usual = symptoms.Usual()
    healthy = [{"model/loss": 1.0 + i % 3, "x": 5.0} for i in range(12)]
    assert all(usual.outliers(row) == {} for row in healthy)
    for _ in range(2):  # it does not become usual
        assert usual.outliers({"model/loss": 300.0}) == {"far/model/loss": 100.0}
    assert usual.outliers({"model/loss": math.nan}) == {}
    levels = [usual.outliers({"model/loss": 300.0}) for _ in range(60)]
    assert levels == [{"far/model/loss": 100.0}] * 48 + [{}] * 12, "after 50 in a row it does"
    said = symptoms.symptoms({"far/model/loss": 100.0, "actor/optimism": 3.0})
    assert list(said) == [
        "model/loss far outside of its history",
        "imagined returns far above real ones",
    ]
    assert not symptoms.symptoms({"actor/optimism": 1.2, "actor/saturation": 0.9})


def test_of_many_symptoms_the_worst_are_shown():
    skipped = {f"guard/{stage}": 1.0 for stage in ("model", "actor", "returns", "critic")}
    earlier = symptoms.symptoms({"collect/invalid": 0.3, **skipped})
    both = symptoms.worse(earlier, symptoms.symptoms({"guard/parameters": 1.0}))
    first, *others, more = symptoms.words(both)
    assert (first, more) == ("lost: parameters", "and 2 more")
    assert all(other.startswith("skipped: ") for other in others)
    assert list(symptoms.of_each({"seed 3": skipped | {"guard/parameters": 1.0}})) == [
        "lost: parameters in seed 3"
    ]


def test_there_is_nothing_to_replay(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("task: hopper\n")
    assert cli.main(["replay", str(tmp_path)]) == 2
    assert "has no dump: its guard has stopped nothing" in capsys.readouterr().err


TINY = ("--worlds", "2", "--unroll", "8", "--env-steps", "600", "--evaluations", "0")


@pytest.mark.slow
def test_a_rate_that_is_far_too_large_stops_a_run_and_is_replayed(tmp_path, capsys):
    args = ["train", "debug", "--run", "run", "--folder", str(tmp_path), "--no-video", *TINY]
    assert cli.main([*args, "--model-lr", "1e30"]) == 3
    run = folders.find(tmp_path / "run")
    assert "loss or gradient was not finite from iteration 1 on" in capsys.readouterr().err
    config, event = dump.read(run)
    assert event.stopped <= 20
    assert config.algo.model_lr == 1e30
    assert checkpoint.latest(run.checkpoints) is None
    assert not (run.policy / "last").exists()
    assert cli.main(["replay", str(run.path), "--json", str(tmp_path / "found.json")]) == 0
    assert "reproduced, bit by bit: in iteration 1" in capsys.readouterr().out
    assert json.loads((tmp_path / "found.json").read_text())["bitwise"]


@pytest.mark.slow
def test_a_reward_that_is_no_number_stops_a_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "nan_task.py").write_text("""
import dataclasses
import jax.numpy as jnp
from mjxwm_envs.tasks.dm_control.cartpole import Cartpole

@dataclasses.dataclass(frozen=True)
class NanReward(Cartpole):
    def reward(self, before, action, after):
        return jnp.log(-1.0 - action[0] ** 2), {}
""")
    monkeypatch.chdir(tmp_path)
    args = ["train", "debug", "--run", "run", "--no-video", *TINY, "--task", "nan_task:NanReward"]
    assert cli.main(args) == 3
    assert "rewards of the task were not finite from iteration 1 on" in capsys.readouterr().err
    assert dump.read(folders.find(tmp_path / "runs" / "run"))[1].stage == "reward"
