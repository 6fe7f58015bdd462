"""Help, version and groups of commands: said at once, with the exit status that scripts expect."""

import subprocess
import sys

import pytest

import mjxwm
from mjxwm import cli
from mjxwm.cli.arguments import usage


@pytest.mark.parametrize("ask", ["-h", "--help", "help"])
@pytest.mark.parametrize("group", usage.GROUPS)
def test_a_group_lists_its_parts(group, ask, capsys):
    assert cli.main([group, ask]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: mjxwm {group} NAME")
    for part in usage.parts(group):
        assert f"  {group} {part} " in said


def test_the_parts_that_help_lists_are_those_there_are():
    from mjxwm.bench.parts import PARTS

    assert sorted(usage.parts("bench")) == sorted([*PARTS, "compare"])
    assert sorted({line.split()[0] for line in usage.USAGE.splitlines() if line[:2] == "  "}) == (
        sorted(cli.COMMANDS)
    )


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["bench"], "bench needs a benchmark. There are: sim"),
        (["import"], "import needs to know what. There are: checkpoint, data"),
        (["import", "dat"], "'dat' cannot be imported (did you mean 'data'"),
        (["import", "data"], "import data needs files"),
        (["envs", "check"], "envs check needs a task or a suite"),
        (["envs", "check", "registered"], "nothing to check: registered has no tasks"),
        (["plot"], "plot needs at least one run folder"),
        (["score"], "score needs at least one run folder"),
        (["verison"], "command 'verison' is unknown"),
    ],
)
def test_a_command_without_its_object_is_refused(args, words, capsys):
    assert cli.main(args) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert words in lines[0]


def test_the_version_is_the_packages(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"mjxwm {mjxwm.__version__}\n"


def test_help_of_the_module_loads_nothing_heavy():
    code = (
        "import runpy, sys; sys.argv = ['mjxwm', '--help']\n"
        "try: runpy.run_module('mjxwm', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, [n for n in ('jax', 'mujoco', 'flax') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: mjxwm COMMAND")
    assert done.stdout.splitlines()[-1] == "0 []"


def test_a_reader_that_has_seen_enough_is_no_error():
    code = "import sys; from mjxwm import cli; sys.exit(cli.main(['--help']))"
    command = ["bash", "-o", "pipefail", "-c", f'{sys.executable} -c "{code}" | true']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_pipe_of_another_process_is_an_error(monkeypatch):
    def broken(args):
        raise BrokenPipeError(32, "Broken pipe")  # as of an environment's process that died

    monkeypatch.setattr("mjxwm.cli.doctor.doctor", broken)
    with pytest.raises(BrokenPipeError):
        cli.main(["doctor"])
