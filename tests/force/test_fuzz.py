"""Wrong inputs of every kind that a user supplies: used or refused in a line, nothing else."""

import os
import pickle
import subprocess
import sys

import fuzz
import pytest
from fuzzing import KINDS
from fuzzing.data import Harm
from fuzzing.watch import WorkBegins, judge

from mjxwm import ConfigError

FEW = {"fields": 8, "commands": 15, "environment": 6, "run-configs": 10, "metrics": 6}
FEW |= {"models": 8, "chunks": 10, "presets": 15, "checkpoints": 10, "policies": 10}
"""Inputs of kinds that take longer; of the others 30."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_wrong_inputs(kind):
    counts, faults = fuzz.fuzz(kind, FEW.get(kind, 30), seed=0)
    assert not faults
    # Of checkpoints the one before is taken.
    assert counts["used" if kind == "checkpoints" else "refused"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_wrong_inputs(kind):
    counts, faults = fuzz.fuzz(kind, 1000, seed=0)
    assert not faults
    assert counts["used" if kind == "checkpoints" else "refused"]


def fails(error):
    raise error


def endless():
    while True:
        pass


def says_two_lines():
    print("error: one\ntwo", file=sys.stderr)
    return 2


JUDGED = {
    "it is used": (lambda: None, "used", ""),
    "its work begins": (lambda: fails(WorkBegins()), "used", ""),
    "it is refused": (lambda: fails(ConfigError("x=1 is out of range")), "refused", "out of range"),
    "the parser refuses it": (lambda: sys.exit(2), "refused", ""),
    "a traceback": (lambda: fails(KeyError("a")), "fault", "KeyError"),
    "another status": (lambda: 1, "fault", "status 1"),
    "two lines": (says_two_lines, "fault", "2 lines"),
    "a hang": (endless, "fault", "hang"),
    "a file elsewhere": (lambda: open("../x", "w").close(), "fault", "forbidden: open"),
    "a file here": (lambda: open("x", "w").close(), "used", ""),
    "a file that goes": (lambda: os.remove("../keep"), "fault", "forbidden: os.remove"),
    "a process": (lambda: subprocess.run(["true"], check=True), "fault", "subprocess.Popen true"),
    "code in a file": (lambda: pickle.loads(pickle.dumps(Harm(0))), "fault", "os.system"),
}


@pytest.mark.parametrize("case", JUDGED)
def test_what_comes_of_an_input_is_judged(case, tmp_path):
    """Every kind of fault is seen as one: else there would be none."""
    action, what, words = JUDGED[case]
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "keep").touch()
    verdict = judge(action, work, seconds=0.5)
    assert (verdict.what, words in verdict.words) == (what, True), verdict


@pytest.mark.parametrize("kind", ["presets", "mjcf", "metrics"])
def test_a_seed_makes_the_same_inputs(kind):
    def said(seed):
        lines = []
        fuzz.fuzz(kind, 5, seed, say=lines.append)
        return lines

    assert said(1) == said(1) != said(2)
