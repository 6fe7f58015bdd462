"""Several devices and several processes: the same result as on one, with few collectives."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import mjxwm_envs as envs
import pytest

from mjxwm import ConfigError
from mjxwm.algos import pwm
from mjxwm.runs import devices, folders, presets
from mjxwm.runs.config import Config as RunConfig
from mjxwm.runs.start import load

PEER = Path(__file__).parent / "spread_peer.py"


def slow(name: str):
    """TD-MPC2 takes minutes to compile."""
    return pytest.param(name, marks=pytest.mark.slow)


def start(args: list[str], **variables: str) -> subprocess.Popen:
    """A process of its own: the number of devices is fixed before JAX starts."""
    return subprocess.Popen(
        [sys.executable, *args],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err[-3000:]
    return out


@pytest.fixture(scope="module", params=["pwm", slow("shac"), slow("tdmpc2"), slow("reppo")])
def measured(request) -> dict:
    """What the peer says of an algorithm on 8 devices."""
    what = ("compare", "collectives")
    both = {each: start([str(PEER), each, request.param], JAX_NUM_CPU_DEVICES="8") for each in what}
    found = {each: json.loads(output(process)) for each, process in both.items()}
    return {"algorithm": request.param, **found}


def test_a_checkpoint_is_restored_on_fewer_devices(measured):
    """Saved on 8, restored on 2, bitwise."""
    assert measured["compare"]["restored"] == 0


def test_several_devices_learn_what_one_learns(measured):
    """Worlds, windows and noise do not depend on the devices; sums do, in their rounding."""
    for what in ("learner", "rest", "metrics"):
        assert measured["compare"][what] < 1e-9, what


def test_each_update_has_one_collective(measured):
    """Gradients are averaged once per network and update. Around the updates, in an iteration,
    there are the moments of what was collected, the masks' means and the metrics.

    PWM: model, actor and critics. TD-MPC2: model with Qs, policy, and the values whose range it
    needs before. SHAC: the critics; the actor's and the entropy's stand outside of a loop.
    REPPO: critic and policy.
    """
    inside = [name for name in measured["collectives"] if "while" in name and ":" not in name]
    assert len(inside) == {"pwm": 3, "tdmpc2": 3, "shac": 1, "reppo": 2}[measured["algorithm"]]
    assert len(measured["collectives"]) - len(inside) <= 4


@pytest.mark.slow
def test_a_checkpoint_comes_back_on_another_number_of_devices(tmp_path):
    """Two processes train over loopback; one device goes on with their run."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    args = ["-m", "mjxwm.cli", "train", "debug", "--devices", "all", "--distributed"]
    args += ["--env-steps", "600", "--evaluations", "0", "--no-video"]
    args += ["--run", "pair", "--folder", str(tmp_path)]
    address = f"localhost:{port}"

    def pair(args):
        told = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
        return [start(args, **told, JAX_PROCESS_ID=str(i)) for i in range(2)]

    out, silent = [output(process) for process in pair(args)]
    assert "of 2 processes" in out
    assert "run " not in silent
    run = folders.find(tmp_path / "pair")
    record = run.metrics.read_text()
    assert record.count("\n") >= 3

    # Again under the same name: all of them refuse, none waits for the other.
    for process in pair(args):
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2, err
        assert "Traceback" not in err

    # Resumed by both: there is nothing left to do, and the record stays.
    resume = ["-m", "mjxwm.cli", "train", "--resume", str(run.path), "--distributed"]
    for process in pair(resume):
        output(process)
    assert run.metrics.read_text() == record
    made, state, iteration = load(run)
    assert iteration == made.algorithm.iterations
    _, metrics = made.programs.iterate(state)
    assert jax.tree.all(jax.tree.map(lambda x: bool(jax.numpy.isfinite(x)), metrics))


def test_what_cannot_be_spread_is_refused():
    """Sizes that devices do not divide, algorithms of one device, devices that are not there."""
    config = pwm.Config(worlds=30)
    algorithm = pwm.make(config, envs.make("cartpole-swingup"))
    with pytest.raises(ConfigError, match=r"worlds=30 cannot be spread .*; worlds=32 can"):
        devices.programs(algorithm, "pwm", config, jax.devices() * 4)
    with pytest.raises(ConfigError, match="'ppo' runs on one device"):
        devices.programs(algorithm._replace(init=lambda key: ()), "ppo", config, jax.devices() * 4)
    with pytest.raises(ConfigError, match="devices=3 is out of range; here are 1"):
        devices.chosen(3)
    assert presets.from_dict(RunConfig, {"devices": "all"}).devices == "all"
    with pytest.raises(ConfigError, match="devices='two' is not of type int"):
        presets.from_dict(RunConfig, {"devices": "two"})
