"""Environments of a user's own: what can be registered, and what is refused at once."""

import dataclasses
import functools
import sys

import gymnasium
import mjxwm_envs as envs
import numpy as np
import pytest
from gym_worlds import Counter
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from mjxwm_envs import registry
from mjxwm_envs.tasks.dm_control.pendulum import Pendulum


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    """Nothing is registered yet, and nothing is afterwards."""
    monkeypatch.setitem(registry.SUITES, "registered", {})


def vector():
    return SyncVectorEnv([Counter] * 2, autoreset_mode=AutoresetMode.SAME_STEP)


@dataclasses.dataclass(frozen=True)
class Bare(envs.Task):
    """A task without defaults for its times."""


TASKS = {
    "a task": lambda: dataclasses.replace(Pendulum(), episode_length=77),
    "a class of tasks": lambda: Pendulum,
    "a function": lambda: functools.partial(dataclasses.replace, Pendulum()),
    "a function with defaults": lambda: lambda length=9, *more, **others: Pendulum(),
}


@pytest.mark.parametrize("case", TASKS)
def test_a_task_its_class_and_what_makes_it_are_all_taken(case):
    envs.register("mine", TASKS[case]())
    env = envs.make("mine", engine="native")
    assert (env.name, env.spec.obs_size) == ("mine", 3)
    assert env.spec.episode_length == (77 if case == "a task" else 1000)
    assert envs.make("mine", engine="native", episode_length=5).spec.episode_length == 5


def test_gymnasium_s_are_taken_as_classes_sources_and_vector_envs():
    envs.register("class", Counter)
    envs.register("source", envs.from_gymnasium(Counter, "counter", 6))
    envs.register("vector", vector())
    assert envs.make("class", episode_length=4).spec.episode_length == 4
    assert envs.make("source").spec.episode_length == 6
    assert envs.make("vector", episode_length=4).batch(2) is not None


def needs(size):
    return Pendulum()


REFUSED = {
    "one environment": (Counter, "is one Counter, and each world needs its own"),
    "a word": (lambda: "pendulum", "is 'pendulum', of type str"),
    "nothing": (lambda: None, "is None, of type NoneType"),
    "a module": (lambda: np, "of type module"),
    "another class": (lambda: dict, "is the class dict"),
    "a function that needs more": (lambda: needs, "without arguments: it needs size"),
    "a class that needs more": (lambda: Bare, "it needs ctrl_dt, sim_dt, episode_length"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_another_thing_is_refused_at_once(case):
    thing, words = REFUSED[case]
    with pytest.raises(ValueError, match=f"mine .*{words}"):
        envs.register("mine", thing())
    assert envs.names("registered") == ()


@pytest.mark.parametrize(
    "name", ["", " ", "two words", "a/b", "a:b", "-x", ".x", "x\n", "a*", "x.", 3, None]
)
def test_a_name_that_a_command_line_would_misread_is_refused(name):
    with pytest.raises(ValueError, match="is no name for a task"):
        envs.register(name, Pendulum)


@pytest.mark.parametrize("name", ["dm_control", "gymnasium", "mw-mine"])
def test_a_name_of_a_suite_is_refused(name):
    with pytest.raises(ValueError, match="stands for a suite"):
        envs.register(name, Pendulum)


def test_a_name_is_registered_once():
    envs.register("größe-2.x", Pendulum())
    for name in ("größe-2.x", "hopper"):
        with pytest.raises(ValueError, match="exists already"):
            envs.register(name, Pendulum())


def test_what_goes_wrong_in_a_module_or_a_factory_of_one_s_own_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "own_module.py").write_text(
        "def fails(): return {}['gravity']\n"
        "def odd(): return 3\n"
        "import gym_worlds\n"
        "one = gym_worlds.Counter()\n"
        "def ends(): raise SystemExit(0)\n"
        "class Source: spec = 1; batch = 2\n"
    )
    (tmp_path / "own_script.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "own_broken.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name, words in {
        "own_module:fails": "fails cannot be made: KeyError: 'gravity'",
        "own_module:odd": "odd makes a int; it must be an envs.Task",
        "own_module:one": "one is one Counter, and each world needs its own",
        "own_module:Source": "Source: spec is a int, not an envs.EnvSpec",
        "own_module:ends": "ends cannot be made: SystemExit: 0",
        "own_script:x": "own_script:x cannot be imported: SystemExit: 0",
        "own_broken:x": "own_broken:x cannot be imported: ZeroDivisionError",
    }.items():
        with pytest.raises(ValueError, match=words):
            envs.make(name)


def test_a_factory_that_makes_no_environment_is_named():
    for factory, words in {
        (dict): "the factory makes a dict",
        vector: "the factory makes a SyncVectorEnv",
        (lambda size: Counter()): "thing cannot be made: TypeError",
    }.items():
        with pytest.raises(ValueError, match=words):
            envs.from_gymnasium(factory, "thing", 5)
    with pytest.raises(ValueError, match=r"envs.make\('gymnasium/Pendulum-v1'\) makes one"):
        envs.from_gymnasium("Pendulum-v1", "thing", 5)
    assert isinstance(Counter(), gymnasium.Env)
