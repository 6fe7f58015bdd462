"""Trackers: the rows of the record in other tools, which a run never depends on."""

import dataclasses
import importlib.machinery
import importlib.util
import json
import struct
import subprocess
import sys
import types

import probes
import pytest
from random_walk import CONFIG, walk

from mjxwm import ConfigError, cli
from mjxwm.runs import build, loop, presets, record, start, trackers
from mjxwm.runs.folders import RunFolder


@pytest.fixture(autouse=True)
def _small_world(monkeypatch):
    monkeypatch.setattr(build, "make_env", lambda *_: probes.make(probes.ACTION))
    monkeypatch.setattr(build, "make_algorithm", walk)


def tracked(*names):
    return dataclasses.replace(CONFIG, track=names)


def stopped(folder, config, stop_at=2):
    trainer = build.build(config)
    run = start.new_run(trainer, "probe", "walk", folder)
    loop.train(trainer, run, stop_at=stop_at)
    return run


class Run:
    """A run of a tool's, as wandb and trackio have it."""

    def __init__(self, module, options):
        self.module, self.options, self.rows, self.finished = module, options, [], False
        self.dir, self.url = f"{options.get('dir')}/wandb/offline-1/files", "https://there/run"

    def log(self, row, step=None):
        if self.module.broken:
            raise RuntimeError("the service has died\nwith a second line")
        self.rows.append((step, row))

    def finish(self):
        self.finished = True

    def define_metric(self, name, step_metric):
        self.axis = name, step_metric


class Tool(types.ModuleType):
    """A package of the interface of wandb and trackio, which keeps what it is told."""

    def __init__(self, name):
        super().__init__(name)
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self.runs, self.broken, self.key = [], False, True

    def init(self, **options):
        self.runs.append(Run(self, options))
        return self.runs[-1]

    def login(self, prompt):
        return self.key

    def Settings(self, **values):  # noqa: N802  wandb's name
        return types.SimpleNamespace(base_url="http://127.0.0.1:9", **values)


@pytest.fixture(params=["wandb", "trackio"])
def tool(request, monkeypatch):
    fake = Tool(request.param)
    monkeypatch.setitem(sys.modules, request.param, fake)
    monkeypatch.delitem(sys.modules, f"mjxwm.runs.trackers.to_{request.param}", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    yield fake
    sys.modules.pop(f"mjxwm.runs.trackers.to_{request.param}", None)


def events(run):
    """(file, step, what) of all events, read as TensorBoard reads them: length, sum, bytes, sum."""
    Event = importlib.import_module("tensorboardX.proto.event_pb2").Event

    for number, path in enumerate(sorted((run.path / "tensorboard").iterdir())):
        content = path.read_bytes()
        while content:
            (size,) = struct.unpack("Q", content[:8])
            event = Event()
            event.ParseFromString(content[12 : 12 + size])
            yield number, event
            content = content[16 + size :]


def test_tensorboard_has_every_number_of_the_record(tmp_path):
    run = stopped(tmp_path, tracked("tensorboard"), stop_at=4)
    for path in (run.checkpoints / "4").rglob("*"):  # so that one row comes again
        if path.is_file():
            path.write_bytes(b"")
    loop.resume(run)
    scalars, begun = {}, []
    for file, event in events(run):
        if event.HasField("session_log"):
            begun.append((file, event.step))
        for value in event.summary.value:
            if value.HasField("simple_value"):
                scalars[value.tag, event.step] = value.simple_value
            else:
                assert value.tag.startswith("config")
                assert b"task: probe" in value.tensor.string_val[0]
    rows = record.read(run.metrics)
    expected = {
        (name, row["env_steps"]): x
        for row in rows
        for name, x in row.items()
        if isinstance(x, int | float)
    }
    assert scalars.keys() == expected.keys()
    assert scalars == pytest.approx(expected, rel=1e-5), "the record has six digits"
    assert begun == [(1, 25)], "what an earlier file has from there on is not shown"


@pytest.fixture
def folder(tmp_path):
    return made(tmp_path / "walk")


def made(path):
    """A run's folder with a configuration and nothing else."""
    path.mkdir()
    run = RunFolder(path)
    presets.save_yaml(CONFIG, run.config)
    return run


def row(iteration):
    return {"iteration": iteration, "env_steps": 8 * iteration, "eval/return": 0.5, "a": None}


def keep(tracking, run, iterations):
    """Hands rows on, and writes them into the record as a run does."""
    lines = record.JsonLines(run.metrics)
    for iteration in iterations:
        lines.log(row(iteration))
        tracking.log(run, row(iteration))


def test_a_tool_has_the_rows_once_and_under_one_id(folder, tool, capsys):
    name = tool.__name__
    for resumed_at, iterations in ((None, (1, 2, 3)), (16, (3, 4))):  # one row comes again
        tracking = trackers.Tracking([name], [folder], resumed_at)
        keep(tracking, folder, iterations)
        tracking.close()
    assert f"track    {name}: " in capsys.readouterr().out
    first, second = tool.runs
    kept = json.loads((folder.path / "trackers.json").read_text())["id"]
    key = "id" if name == "wandb" else "name"
    assert first.options[key] == second.options[key] == kept
    assert kept.startswith("walk-")
    assert first.options["resume"] == "allow"
    assert first.options["config"]["task"] == "probe"
    assert [step for step, _ in first.rows + second.rows] == [1, 2, 3, 4]
    assert first.rows[0][1] == {"iteration": 1.0, "env_steps": 8.0, "eval/return": 0.5}
    assert first.finished
    assert second.finished


def test_seeds_are_runs_of_a_group(tmp_path, tool):
    runs = [made(tmp_path / f"walk-seed{seed}") for seed in (0, 1)]
    tracking = trackers.Tracking([tool.__name__], runs, None)
    for i, run in enumerate(runs):
        keep(tracking, run, range(1, 2 + i))
    assert [run.options["group"] for run in tool.runs] == ["walk", "walk"]
    assert [len(run.rows) for run in tool.runs] == [1, 2]


@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize("tool", ["wandb"], indirect=True)
def test_without_a_key_or_a_network_it_is_kept_offline(folder, tool, key, capsys):
    tool.key = key
    trackers.Tracking(["wandb"], [folder], None)
    said = capsys.readouterr().out
    assert tool.runs[0].options["mode"] == "offline"
    assert ("cannot be reached" if key else "no API key") in said
    assert f"wandb sync {folder.path}/wandb/offline-1" in said
    assert len(said.splitlines()) == 1


def test_a_tool_that_fails_is_left_out_and_the_others_go_on(folder, tool, capsys):
    tool.broken = True
    tracking = trackers.Tracking([tool.__name__, "tensorboard"], [folder], None)
    keep(tracking, folder, range(1, 7))
    tracking.close()
    said = capsys.readouterr().out
    line = f"WARNING  {folder.path} goes on without {tool.__name__}: the service has died"
    assert said.count("goes on without") == 1
    assert line in said.splitlines()
    assert sum(1 for _ in events(folder)) == 2 + 6


def test_a_missing_package_is_one_line_before_anything_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'mjxwm\[track-wandb\]'"):
        loop.run(tracked("wandb"), "probe", "walk", tmp_path)
    assert list(tmp_path.iterdir()) == []
    args = ["train", "debug", "--track", "wandb", "--folder", str(tmp_path / "runs")]
    assert cli.main(args) == 2
    assert "--track wandb: wandb is not installed" in capsys.readouterr().err


def test_nothing_is_imported_that_no_run_names():
    code = "import sys, mjxwm.runs.trackers; print([n for n in sys.argv[1:] if n in sys.modules])"
    command = [sys.executable, "-c", code, *trackers._PACKAGES.values()]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
