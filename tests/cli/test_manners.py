"""What a person meets first: names of tasks, short help, silence and the noise of others."""

import subprocess
import sys
import warnings

import pytest

from mjxwm import ConfigError, cli
from mjxwm.cli import warning_lines
from mjxwm.cli.arguments import presets, short_help
from mjxwm.runs import output, progress
from mjxwm.runs.config import Config


@pytest.mark.parametrize(
    ("gpu", "name", "preset"),
    [
        (False, "ant", "pwm-ant-cpu"),
        (True, "ant", "pwm-ant"),
        (False, "cartpole-swingup", "cartpole-swingup"),
        (False, "pwm-ant", "pwm-ant"),
        (False, "my.yaml", "my.yaml"),
        (False, "no-such", "no-such"),
    ],
)
def test_a_task_stands_for_its_preset(gpu, name, preset, monkeypatch):
    monkeypatch.setattr(presets, "_has_gpu", lambda: gpu)
    chosen, line = presets.of_task(name)
    assert chosen == preset
    assert bool(line) == (name == "ant")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("walker-run", "mjxwm train pwm-dmc-cpu --task walker-run"),
        ("ant-stiff", "mjxwm train pwm-ant-cpu --task ant-stiff"),
        ("playground/CheetahRun", "mjxwm train pwm-hopper-cpu --task playground/CheetahRun"),
        ("my_module:Task", "mjxwm train pwm-hopper-cpu --task my_module:Task"),
    ],
)
def test_a_task_without_a_preset_is_refused_with_the_command(name, words):
    with pytest.raises(ConfigError, match=words):
        presets.of_task(name)


def test_a_preset_for_a_gpu_is_noted_where_there_is_none():
    assert "pwm-ant-cpu is for two CPU cores" in presets.of_other_machines("pwm-ant")
    assert "mt4-cpu is for two CPU cores" in presets.of_other_machines("mt80")
    for name in ("pwm-ant-cpu", "mt4-cpu", "cartpole-swingup", "my.yaml"):
        assert presets.of_other_machines(name) == ""


def test_help_has_few_fields_and_help_all_has_all(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["train", "debug", "--help"])
    short = capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        cli.main(["train", "debug", "--help-all"])
    whole = capsys.readouterr().out
    assert "mjxwm train debug --help-all" in short
    for name in ("--task", "--env-steps", "--worlds", "--seeds", "--run"):
        assert name in short
    assert "--imagine-horizon" not in short
    assert "--imagine-horizon" in whole
    assert len(short) < len(whole) / 2
    assert "Wall-clock time" in short, "with the docstrings of the fields"


def test_docstrings_of_fields_are_those_of_bases_too():
    class Derived(Config):
        pass

    assert short_help.docstrings(Config)["minutes"].startswith("Wall-clock time")


def test_quiet_is_for_every_command_and_leaves_results(capsys):
    try:
        assert cli.main(["--quiet", "--version"]) == 0
        assert output.is_quiet()
        output.say("what it is made of")
    finally:
        output.be_quiet(False)
    assert capsys.readouterr().out.startswith("mjxwm ")


def test_a_step_that_takes_long_is_said_and_a_short_one_is_not(monkeypatch, capsys):
    monkeypatch.setattr(progress._Watched, "on", True)
    with progress.step("short"):
        pass
    with progress.step("long", patience=0.01):
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.2)"], check=True)
    assert capsys.readouterr().err == "long\n"


def test_ours_are_lines_and_others_are_counted(monkeypatch, capsys):
    monkeypatch.setattr(warnings, "showwarning", warning_lines._show)
    monkeypatch.setattr(warning_lines, "_lines", set())
    warn = "import warnings; warnings.simplefilter('always'); warnings.warn('text of it')"
    with warnings.catch_warnings():
        for name, file in (("mjxwm.x", "mine"), ("other.x", warnings.__file__), ("my", "mine")):
            exec(compile(warn, file, "exec"), {"__name__": name})
    said = capsys.readouterr().err
    assert said.startswith("note     text of it\n")
    assert "mine:1: UserWarning: text of it" in said
    assert said.count("text of it") == 2 + said.count("  import warnings")
    assert "warning of other left out" in warning_lines.summary()
