"""`mjxwm export`: what it writes and says, and what it refuses in one line."""

import dataclasses
import importlib.util
import json
import re

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest

from mjxwm.algos import ALGORITHMS, pwm, tdmpc2
from mjxwm.algos.multitask.config import Extract
from mjxwm.algos.multitask.model import Card
from mjxwm.cli import main
from mjxwm.data import TaskInfo
from mjxwm.interop.export import about, numpy_format, observations
from mjxwm.models import actor_critic, world_model
from mjxwm.runs import policy_files, presets
from mjxwm.runs.config import Config
from mjxwm.types import Sizes

SIZES = Sizes(obs_size=5, action_size=1, episode_length=500)
PWM = pwm.Config(
    model=world_model.Config(latent=8, encoder=(4,), hidden=(4,)),
    policy=actor_critic.Config((4,), (4,), critics=1),
)
CONFIG = Config(task="cartpole-swingup", action_repeat=2, engine="native", algo=PWM)


def write_policy(run, config=CONFIG, iteration=5, weight=None, card=None):
    """A run's folder with a policy, whose arrays are random or all `weight`."""
    agent = ALGORITHMS[config.algorithm].agent(config.algo, SIZES, *([card] if card else []))
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(agent.init, jax.random.key(0))
    arrays = jax.tree.map(
        lambda x: np.asarray(
            rng.uniform(0.1, 0.9, x.shape) if weight is None else np.full(x.shape, weight), x.dtype
        ),
        shapes,
    )
    header = dataclasses.replace(
        policy_files.describe(config, iteration),
        task=config.task, sizes=SIZES, env_steps=320, eval_return=12.5, card=card,
    )  # fmt: skip
    policy_files.write(run / "policy" / "last", header, arrays)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_policy(tmp_path_factory.mktemp("runs") / "swing")


def refusal(capsys, *args):
    """The one line that a command ends with."""
    assert main(["export", *map(str, args)]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def test_it_says_what_the_policy_needs(run, tmp_path, capsys):
    file, result = tmp_path / "new" / "swing.npz", tmp_path / "result.json"
    assert (
        main(["export", str(run), "--to", "numpy", "--out", str(file), "--json", str(result)]) == 0
    )
    assert "an action every 0.02 s" in capsys.readouterr().out
    read = numpy_format.read(file)[1]
    assert read["task"] == "cartpole-swingup"
    assert read["obs_names"] == [
        *("qpos[slider]", "cos(qpos[hinge])", "sin(qpos[hinge])", "qvel[slider]", "qvel[hinge]"),
    ]
    assert (read["action_names"], read["ctrl_low"], read["ctrl_high"]) == (["slide"], [-1], [1])
    assert (read["ctrl_dt"], read["action_repeat"], read["action_dt"]) == (0.01, 2, 0.02)
    assert (read["iteration"], read["env_steps"], read["eval_return"]) == (5, 320, 12.5)
    assert read["trained_by"]["jax"]
    assert not read["planner"]
    written = json.loads(result.read_text())
    assert written["difference"] < 1e-5
    assert written["about"] == read
    assert [path.name for path in file.parent.iterdir()] == ["swing.npz"]  # nothing half written


def test_delayed_actions_have_names_too():
    env = envs.make_task(CONFIG.task, "native", randomise=envs.Randomisation(latency=2))
    names = observations.names(env)
    assert len(names) == env.spec.obs_size == 7
    assert names[5:] == ["action[0], 1 before", "action[0], 2 before"]


def test_a_planner_is_left_behind_and_that_is_said(tmp_path, capsys):
    networks = tdmpc2.NetworkConfig(model=PWM.model, q_hidden=(4,), num_q=2)
    config = dataclasses.replace(CONFIG, algorithm="tdmpc2", algo=tdmpc2.Config(networks=networks))
    run = write_policy(tmp_path / "run", config)
    assert main(["export", str(run), "--to", "numpy"]) == 0
    assert "evaluated with its planner" in capsys.readouterr().out
    assert numpy_format.read(run / "policy.npz")[1]["planner"] is True


def test_mistakes_are_one_line(run, tmp_path, capsys):
    out = tmp_path / "policy.npz"
    assert "export needs a format: --to" in refusal(capsys, run)
    assert "did you mean 'onnx'" in refusal(capsys, run, "--to", "onxx")
    assert "the suffix of a file of numpy is .npz" in refusal(
        capsys, run, "--to", "numpy", "--out", tmp_path / "policy.onnx"
    )
    assert "is a folder" in refusal(capsys, run, "--to", "numpy", "--out", tmp_path)
    assert "cannot be written" in refusal(capsys, run, "--to", "numpy", "--out", "/proc/x/y.npz")
    assert "policy/best is missing" in refusal(capsys, run, "--to", "numpy", "--best")
    assert "is not a run folder" in refusal(capsys, tmp_path, "--to", "numpy")
    out.write_text("mine")
    assert "is never overwritten" in refusal(capsys, run, "--to", "numpy", "--out", out)
    assert out.read_text() == "mine"


def test_missing_packages_are_named_with_their_extra(run, capsys, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else real(name)
    )
    assert "pip install 'mjxwm[onnx]'" in refusal(capsys, run, "--to", "onnx")


def test_policies_of_no_use_are_refused(run, tmp_path, capsys):
    unlearned = write_policy(tmp_path / "unlearned", iteration=0)
    assert "has learned nothing yet" in refusal(capsys, unlearned, "--to", "numpy")
    diverged = write_policy(tmp_path / "diverged", weight=np.nan)
    assert "not finite" in refusal(capsys, diverged, "--to", "numpy")
    assert not (diverged / "policy.npz").exists()
    damaged = write_policy(tmp_path / "damaged")
    (arrays,) = (damaged / "policy" / "last").glob("arrays-*.npz")
    data = bytearray(arrays.read_bytes())
    data[len(data) // 2] ^= 1
    arrays.write_bytes(data)
    assert "is damaged" in refusal(capsys, damaged, "--to", "numpy")


def test_a_file_that_cannot_be_finished_leaves_nothing(run, tmp_path, monkeypatch, capsys):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device", "policy.npz")

    monkeypatch.setattr("mjxwm.interop.export.numpy_format.np.savez", full)
    line = refusal(capsys, run, "--to", "numpy", "--out", tmp_path / "policy.npz")
    assert "No space left" in line
    assert list(tmp_path.iterdir()) == []


def test_an_extracted_policy_needs_no_model(tmp_path, capsys):
    card = Card(
        tasks=(TaskInfo("cartpole-swingup", 5, 1, 500, 2),),
        networks=tdmpc2.NetworkConfig(model=PWM.model, q_hidden=(4,), num_q=2, task_size=3),
        obs_size=5,
        action_size=1,
    )
    algo = ALGORITHMS["extract"].config(model="gone", settings=Extract(policy=PWM.policy))
    config = dataclasses.replace(CONFIG, algorithm="extract", algo=algo)
    run = write_policy(tmp_path / "run", config, card=card)
    assert main(["export", str(run), "--to", "numpy"]) == 0
    assert numpy_format.read(run / "policy.npz")[1]["algorithm"] == "extract"


def test_a_model_of_many_tasks_is_refused_with_the_way_out(tmp_path, capsys):
    run = tmp_path / "model"
    run.mkdir()
    presets.save_yaml(Config(algorithm="pretrain", algo=Card()), run / "config.yaml")
    assert "make the policy of a task with `mjxwm extract" in refusal(capsys, run, "--to", "numpy")


def test_a_foreign_environment_has_no_names_but_its_rate():
    pytest.importorskip("gymnasium")
    env = envs.make("gymnasium/Pendulum-v1")
    described = about.of_task(Config(task="gymnasium/Pendulum-v1"), env)
    assert "obs_names" not in described
    assert described["action_dt"] == env.spec.ctrl_dt
    assert "the environment's own" in described["ctrl"]


def test_what_the_file_says_is_enough_to_act():
    """C MuJoCo alone, by names, ranges and rate of the file, moves as the environment does."""
    env = envs.make_task("cartpole-swingup", "native", action_repeat=2)
    says = about.of_task(CONFIG, env)
    model = env.task.model()
    data = mujoco.MjData(model)
    state, step = jax.jit(env.reset)(jax.random.key(0)), jax.jit(env.step)
    data.qpos, data.qvel = np.asarray(state.sim.physics.qpos), np.asarray(state.sim.physics.qvel)

    def number(name):
        field, joint = re.findall(r"(\w+)\[(\w+)\]", name)[0]
        value = getattr(data.joint(joint), field)[0]
        return {"cos": np.cos, "sin": np.sin}.get(name.split("(")[0], float)(value)

    low, high = np.array(says["ctrl_low"]), np.array(says["ctrl_high"])
    for action in ([0.7], [-3.0]):
        state = step(state, jnp.asarray(action))
        data.ctrl = low + (np.clip(action, -1, 1) + 1) / 2 * (high - low)
        for _ in range(round(says["action_dt"] / model.opt.timestep)):
            mujoco.mj_step(model, data)
        obs = [number(name) for name in says["obs_names"]]
        np.testing.assert_allclose(obs, state.obs, atol=1e-5)


SMALL = ["--env-steps", "2000", "--evaluations", "0", "--episodes", "1", "--no-video"]
REAL = {
    "pwm": ["debug"],
    "shac": ["shac-cartpole"],
    "tdmpc2": ["tdmpc2-dmc-cpu", "--task", "cartpole-swingup"],
    "reppo": ["reppo-hopper-cpu", "--worlds", "4", "--unroll", "8"],
    "ppo": [
        *("ppo-cartpole", "--worlds", "16", "--batch", "16", "--minibatches", "2"),
        *("--epochs", "1"),
    ],
    "sac": [
        *("sac-hopper", "--task", "cartpole-swingup", "--worlds", "16", "--warmup", "256"),
        *("--updates-per-round", "1", "--capacity", "4096"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", REAL)
def test_real_runs_in_all_formats(algorithm, tmp_path):
    pytest.importorskip("onnx")
    place = ["--folder", str(tmp_path), "--run", "run"]
    assert main(["train", *REAL[algorithm], *SMALL, *place]) == 0
    for to, suffix in {"onnx": "onnx", "numpy": "npz", "torch": "pt2"}.items():
        result = tmp_path / f"{to}.json"
        assert main(["export", str(tmp_path / "run"), "--to", to, "--json", str(result)]) == 0
        assert (tmp_path / "run" / f"policy.{suffix}").is_file()
        assert json.loads(result.read_text())["difference"] < 1e-5
