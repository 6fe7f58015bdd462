"""Signals: training is saved first, all else ends at once, without a traceback."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mjxwm.runs import stops

TRAIN = ["train", "debug", "--no-video", "--evaluations", "0", "--env-steps", "3000000"]


# Ctrl-C is ignored by what a script runs in the background, pytest maybe, and by its children.
HEEDING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from mjxwm.__main__ import main
sys.exit(main())
"""


def start(folder, *args, **kwargs):
    """A process of `mjxwm`."""
    return subprocess.Popen(
        [sys.executable, "-c", HEEDING, *args],
        cwd=folder,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def stopped(process, number, within=2.0):
    """Its status, after a signal and this time [s] at most; and what it printed."""
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert time.monotonic() - began < within
    assert "Traceback" not in out + err, err
    assert "Exception ignored" not in out + err, err
    return process.returncode, out, err


def wait_for(condition, process, seconds=240):
    deadline = time.monotonic() + seconds
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()


def test_ctrl_c_before_anything_is_learned_leaves_nothing_behind(tmp_path):
    """While it makes the environment and the programs, mostly within a library."""
    process = start(tmp_path, *TRAIN, "--run", "a")
    wait_for((tmp_path / "runs" / "a" / "config.yaml").exists, process)
    status, _, err = stopped(process, signal.SIGINT)
    assert status == 130
    assert "interrupted" in err
    assert not (tmp_path / "runs" / "a").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_in_a_notebook_the_first_signal_is_taken_and_the_second_is_pythons(number, monkeypatch):
    """Unless it comes right after the first: a closed terminal sends two."""
    came = []
    before = signal.signal(number, lambda n, frame: came.append(n))
    try:
        with stops.interruptible() as signals:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            assert (signals, came) == ([number], [])
            monkeypatch.setattr(stops, "_ONE", 0.0)
            os.kill(os.getpid(), number)
            assert (signals, came) == ([number], [number])
        os.kill(os.getpid(), number)
        assert came == [number] * 2
    finally:
        signal.signal(number, before)


def test_a_line_that_cannot_be_printed_ends_no_training(capfd):
    """A terminal that is closed, and a full disk: /dev/full says that it is."""
    printed = sys.stdout
    with open("/dev/full", "w") as full:
        sys.stdout = full
        try:
            with stops.interruptible():
                print("a line", flush=True)
            with pytest.raises(OSError, match="No space left"):
                full.flush()
        finally:
            sys.stdout = printed
            os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe:
        sys.stdout = pipe
        try:
            with stops.interruptible():
                print("a line", flush=True)
            print("the pipe's reader is gone: this goes nowhere", flush=True)
        finally:
            sys.stdout = printed


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("after", [0.1, 0.2, 0.3, 0.5, 1, 2, 3, 4, 6, 8])
def test_at_any_moment_before_it_learns(tmp_path, number, after):
    """Imports, the environment, the first trace, programs that compile."""
    environment = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "xla")}  # it compiles each time
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        process = start(tmp_path, *TRAIN, "--run", "a")
    time.sleep(after)
    status, _, _ = stopped(process, number)
    # In the first tenths of a second Python itself has no handler yet: killed, as shells say it.
    assert status in (128 + number, *([-number] if after < 0.5 else []))
    assert not (tmp_path / "runs" / "a").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_in_training_it_is_saved_and_goes_on(tmp_path, number):
    """Also where what reads its output has ended by the same Ctrl-C, as `tee` does."""
    process = start(tmp_path, *TRAIN, "--run", "a")
    rows = tmp_path / "runs" / "a" / "metrics.jsonl"
    wait_for(lambda: rows.exists() and rows.read_text().count("\n") > 5, process)
    status, out, _ = stopped(process, number, within=20)
    assert status == 128 + number
    assert "mjxwm train --resume runs/a" in out
    process = start(tmp_path, "train", "--resume", "runs/a")
    before = rows.read_text().count("\n")
    wait_for(lambda: rows.read_text().count("\n") > before, process)
    assert process.stdout is not None
    process.stdout.close()
    process.send_signal(number)
    assert process.wait(60) == 128 + number


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["bench", "sim"],
        ["envs"],
        ["envs", "check", "hopper"],
        ["compare", "--task", "cartpole-swingup"],
        ["gradients", "hopper"],
        ["doctor"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("after", [0.2, 1, 3])
def test_other_commands_leave_at_once(tmp_path, command, after):
    process = start(tmp_path, *command)
    time.sleep(after)
    if process.poll() is None:
        status, _, _ = stopped(process, signal.SIGINT)
        assert status in (130, *([-2] if after < 0.5 else []))
    process.communicate()
