"""The command line as a user meets it: results in JSON, mistakes in one line, no tracebacks."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mjxwm import ConfigError, cli
from mjxwm.runs import locks

TINY = ["--env-steps", "640", "--evaluations", "0", "--no-video"]


# Ctrl-C is ignored by what a script runs in the background, pytest maybe, and by its children.
HEEDING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from mjxwm.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run, trained through the command line."""
    folder = tmp_path_factory.mktemp("cli")
    target = folder / "result.json"
    args = ["train", "debug", *TINY, "--folder", str(folder), "--run", "a", "--json", str(target)]
    assert cli.main(args) == 0
    return folder / "a", json.loads(target.read_text())


def test_train_writes_its_result(run):
    folder, result = run
    assert result["run"] == str(folder)
    assert result["env_steps"] == 640
    assert result["seconds"] > 0
    assert isinstance(result["eval_return_mean"], float)
    assert (folder / "curve.png").stat().st_size > 10_000


def test_eval_writes_its_result(run, tmp_path, capsys):
    folder, _ = run
    target = tmp_path / "eval.json"
    assert cli.main(["eval", str(folder), "--episodes", "3", "--json", str(target)]) == 0
    assert len(json.loads(target.read_text())["eval_returns"]) == 3
    assert "over 3 episodes" in capsys.readouterr().out


def test_plot_draws_runs_together(run, tmp_path):
    assert cli.main(["plot", str(run[0]), "--out", str(tmp_path / "c.png")]) == 0
    assert (tmp_path / "c.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["trian"], "did you mean 'train'"),
        (["train", "pwm-hoper-cpu"], "did you mean 'pwm-hopper-cpu'"),
        (["train", "debug", "--task", "hoper"], "did you mean 'hopper'"),
        (["train", "debug", "--engine", "wrap"], "did you mean 'warp'"),
        (["train", "debug", "--worlds", "0"], "worlds=0 is out of range"),
        (["train", "debug", "--gamma", "2"], "in [0, 1]"),
        (["train", "--resume", "runs/none"], "not a run folder"),
        (["eval", "runs/none"], "not a run folder"),
        (["bench"], "There are: sim"),
        (["bench", "simm"], "'simm' is unknown"),
    ],
)
def test_a_mistake_is_named_with_the_way_out(args, words, capsys):
    assert cli.main(args) == 2
    assert words in capsys.readouterr().err


def test_an_existing_run_is_refused(run, capsys):
    folder, _ = run
    assert cli.main(["train", "debug", "--folder", str(folder.parent), "--run", "a"]) == 2
    assert f"--resume {folder}" in capsys.readouterr().err


def test_an_unknown_field_is_refused_with_the_nearest(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["train", "debug", "--wrlds", "3"])
    assert exit_.value.code == 2
    assert "--worlds" in capsys.readouterr().err


def test_ctrl_c_saves_and_says_how_to_resume(tmp_path):
    """A second process, as a signal is of the process: interrupt it once it has begun to learn.

    Until then nobody else may train in its folder.
    """
    args = ["train", "debug", "--env-steps", "60000", "--no-video", "--evaluations", "0"]
    args += ["--folder", str(tmp_path), "--run", "b", "--checkpoints", "0"]
    process = subprocess.Popen(
        [sys.executable, "-c", HEEDING, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    metrics = tmp_path / "b" / "metrics.jsonl"
    deadline = time.monotonic() + 240
    while not metrics.is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    with pytest.raises(ConfigError, match=rf"is in use by process {process.pid} on .*, since 20"):
        locks.acquire(tmp_path / "b")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    locks.acquire(tmp_path / "b")
    locks.release(tmp_path / "b")
    assert "Traceback" not in err
    assert f"mjxwm train --resume {tmp_path / 'b'}" in out
    assert list((tmp_path / "b" / "resume").iterdir())


def test_the_command_line_chooses_a_renderer_before_mujoco_looks_for_one():
    loaded = "import sys, mjxwm.cli; print('mujoco' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "False"
