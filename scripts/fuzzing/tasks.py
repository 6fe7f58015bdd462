"""A user's own tasks: modules that fail in every way, and models that MuJoCo cannot take."""

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from mjxwm_envs import assets

from fuzzing.texts import NUMBERS, mutated
from fuzzing.watch import Action
from mjxwm import ConfigError
from mjxwm.runs import build
from mjxwm.runs.config import Config

TASK = '''
import dataclasses
import jax, jax.numpy as jnp
import mjxwm_envs as envs

@dataclasses.dataclass(frozen=True)
class Mine(envs.Task):
    ctrl_dt: float = 0.02
    sim_dt: float = 0.01
    episode_length: int = 200

    @property
    def derived(self):
        return ()

    def mjcf(self):
        return """<mujoco><worldbody><body>
          <joint name="hinge" axis="0 1 0" damping="0.1"/>
          <geom type="capsule" size="0.02" fromto="0 0 0 0 0 0.5" mass="1"/>
        </body></worldbody>
        <actuator><motor joint="hinge" ctrlrange="-2 2"/></actuator></mujoco>"""

    def initial(self, key):
        return envs.Initial(jnp.ones(1), jnp.zeros(1), jnp.zeros(0))

    def observe(self, physics):
        return jnp.concatenate([jnp.cos(physics.qpos), physics.qvel])

    def reward(self, before, action, after):
        return jnp.cos(after.qpos[0]), {"effort": action[0] ** 2}

    def terminated(self, physics):
        return physics.qpos[0] > 3
'''
"""A task that is sound."""

RESULTS = (
    *("None", "1", "1.0", "'word'", "()", "[]", "{}", "(None, None)", "(1.0, 2)", "jnp.zeros(0)"),
    *("jnp.zeros(3)", "jnp.zeros((2, 2))", "jnp.nan", "jnp.ones(1, int)", "jnp.ones(1, bool)"),
    *("object()", "self", "key", "physics", "1 / 0", "undefined", "[].pop()", "{}['a']"),
    *("envs.Initial(None, None, None)", "envs.Initial(jnp.zeros(9), jnp.zeros(1), jnp.zeros(0))"),
    *("envs.Initial(jnp.ones(1), jnp.zeros(1), jnp.zeros(0), fields={'x': 1})", "('qpos', 3)"),
    *("('nosuch',)", "'xpos'", "('xpos', 'xpos')", "(_ for _ in ())", "exec('raise ValueError')"),
    *("exec('raise SystemExit(3)')", "exec('raise OSError')"),
    *(
        "exec('raise MemoryError')",
        "exec('raise Exception(chr(10) * 9)')",
        "float(physics.qpos[0])",
    ),
    *("bool(physics.qpos[0] > 1)", "open('/nowhere')", "__import__('nosuch')", "jnp.zeros(10**12)"),
    *("'<mujoco/>'", "'<nosuch/>'", "'<mujoco>'", "b'<mujoco/>'", "'\\0'", "chr(0xd800)"),
)
"""What a function of a task may return by mistake."""
MODULES = (
    *("", "raise ValueError", "raise SystemExit(0)", "import nosuch", "1 / 0", "def f(:", "\0"),
    *("Mine = 3", "Mine = None", "Mine = dict", "class Mine: pass", "def Mine(a): pass"),
    *(
        "def Mine(): return 1",
        "def Mine(): raise OSError",
        "Mine = lambda: Mine",
        "Mine = object()",
    ),
    *("class Mine:\n    spec = 1\n    batch = 2", "class Mine:\n    reset = step = 1"),
    *("import sys; sys.exit('bye')", "raise RecursionError"),
    *("def Mine(): return Mine()", "from tasks_module import Mine", "raise Exception('a\\nb')"),
    *("class Mine(type): pass", "raise GeneratorExit", "import os; os.chdir('/')"),
)
"""Modules without a task in them."""
MODEL_WORDS = (
    *('type="ball"', 'type="free"', 'type="mesh"', 'type="hfield"', 'size="0"', 'size="-1 -1 -1"'),
    *('mass="0"', 'mass="nan"', 'mass="1e300"', 'timestep="0"', 'nconmax="-1"', 'memory="1E"'),
    *('<include file="/etc/passwd"/>', '<mesh file="/dev/zero"/>', '<plugin plugin="x"/>'),
    *('<!ENTITY a "b">', "<![CDATA[", '<numeric size="-1"/>', '<replicate count="2000">', "&a;"),
    *('<texture builtin="flat" width="99999" height="99999"/>', '<composite type="grid"/>'),
    *('<key qpos="1 2 3 4 5"/>', '<size njmax="999999999"/>', 'euler="nan 0 0"', 'quat="0 0 0 0"'),
    *(
        'dyntype="muscle"',
        '<general dyntype="user" dynprm="1"/>',
        '<sensor><user dim="-3"/></sensor>',
    ),
    *('<flexcomp type="grid" count="999 999 999"/>', '<size nuserdata="-5"/>', 'nuser_body="-9"'),
)


def modules(base: Path, rng: Random) -> Iterator[Action]:
    """Modules of tasks, each function of which may be wrong."""
    functions = (
        "derived",
        "mjcf",
        "initial",
        "observe",
        "reward",
        "terminated",
        "shape",
        "success",
    )
    signatures = ("self", "", "self, a, b, c, d", "*args", "self, key", "self, physics")
    while True:
        text = TASK
        if rng.random() < 0.2:
            text = rng.choice(MODULES)
        elif rng.random() < 0.2:
            text = mutated(rng, TASK.encode()).decode("utf-8", "surrogateescape")
        else:
            for name in rng.sample(functions, rng.choice([1, 1, 1, 2])):
                has = {"initial": "self, key", "reward": "self, before, action, after"}
                signature = has.get(
                    name, "self" if name in ("derived", "mjcf") else "self, physics"
                )
                if rng.random() < 0.2:
                    signature = rng.choice(signatures)
                decorated = "    @property\n" if name == "derived" else ""
                body = f"def {name}({signature}):\n        return {rng.choice(RESULTS)}\n"
                text += f"\n{decorated}    {body}"
            if rng.random() < 0.3:
                field = rng.choice(["ctrl_dt", "sim_dt", "episode_length", "mine"])
                text += f"\n    {field}: float = {rng.choice([*NUMBERS, *RESULTS])}\n"
        Path("tasks_module.py").write_bytes(text.encode("utf-8", "surrogateescape"))
        yield functools.partial(_make, "tasks_module:Mine")


def models(base: Path, rng: Random) -> Iterator[Action]:
    """Tasks whose MJCF was changed."""
    sources = [assets.read("cartpole.xml"), TASK.split('"""')[1]]
    module = (
        TASK.replace("import dataclasses", "import dataclasses, pathlib")
        .replace(
            TASK[TASK.index('return """') : TASK.index("    def initial")],
            "return pathlib.Path('model.xml').read_bytes().decode('latin-1')\n\n",
        )
        .replace(
            "envs.Initial(jnp.ones(1), jnp.zeros(1), jnp.zeros(0))",
            "envs.Initial(*(jnp.zeros(getattr(self.model(), n)) for n in ('nq', 'nv', 'na')))",
        )
    ).encode()
    while True:
        content = rng.choice(sources).encode()
        Path("model.xml").write_bytes(mutated(rng, content, MODEL_WORDS))
        Path("tasks_module.py").write_bytes(module)
        yield functools.partial(_make, "tasks_module:Mine")


def _make(name: str) -> None:
    """The environment and its sizes, as `mjxwm train` makes them first."""
    sys.modules.pop("tasks_module", None)
    sys.path_importer_cache.clear()
    env = build.make_env(Config(task=name, engine="native"))
    try:
        assert env.spec.obs_size > 0
    except ValueError as error:
        raise ConfigError(str(error)) from error
