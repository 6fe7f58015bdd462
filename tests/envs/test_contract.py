"""What a task returns is looked at when it is made: name, what came, what was expected."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from mjxwm_envs import registry
from mjxwm_envs.core import Initial
from mjxwm_envs.task import Task

XML = """
<mujoco>
  <worldbody>
    <body><joint name="ball" type="ball"/><geom size=".1" pos=".1 0 0" mass="1"/>
      <body pos=".3 0 0"><joint name="slide" type="slide"/><geom size=".05" mass="1"/></body>
    </body>
  </worldbody>
  <actuator><motor joint="slide" ctrlrange="-1 1"/>
    <general joint="slide" dyntype="integrator" gainprm="1" ctrlrange="-1 1"/></actuator>
</mujoco>"""  # nq 5, nv 4, na 1, nu 2


@dataclasses.dataclass(frozen=True)
class Sound(Task):
    ctrl_dt: float = 0.02
    sim_dt: float = 0.01
    episode_length: int = 6

    @property
    def derived(self):
        return ("xpos",)

    def mjcf(self):
        return XML

    def initial(self, key):
        qpos = jnp.array([1.0, 0, 0, 0, 0])
        return Initial(qpos, jnp.zeros(4), jnp.zeros(1), {"height": jax.random.uniform(key)})

    def observe(self, physics):
        return jnp.concatenate([physics.qpos, physics.qvel, physics.derived["xpos"].ravel()])

    def reward(self, before, action, after):
        return after.qpos[4] - after.goal["height"], {"slide": after.qpos[4]}


def start(**changed):
    return lambda task, key: Sound().initial(key)._replace(**changed)


def fields(**changed):
    return {"initial": start(fields=changed)}


FAULTS = [
    # start states
    ({"initial": start(qpos=jnp.zeros(4))}, r"initial: qpos has 4 numbers, the model 5 \(nq\)"),
    ({"initial": start(qvel=jnp.zeros(5))}, r"initial: qvel has 5 numbers, the model 4 \(nv\)"),
    ({"initial": start(act=jnp.zeros(0))}, r"initial: act has 0 numbers, the model 1 \(na\)"),
    ({"initial": start(act=jnp.zeros(2))}, "initial: act has 2 numbers, the model 1"),
    ({"initial": start(qpos=jnp.zeros((5, 1)))}, r"qpos has shape \(5, 1\); \(5,\) is expected"),
    ({"initial": start(act=0.0)}, r"act has shape \(\); \(1,\) is expected"),
    ({"initial": start(qpos=[1.0, 0, 0, 0, 0])}, "qpos is a list of 5; an array of 5"),
    ({"initial": start(qpos=None)}, "qpos is None"),
    ({"initial": start(qpos=jnp.zeros(5, int))}, "qpos: has type int32; a floating-point type"),
    ({"initial": start(qvel=jnp.zeros(4, bool))}, "qvel: has type bool"),
    ({"initial": start(qvel=jnp.zeros(4, complex))}, "qvel: has type complex64"),
    ({"initial": lambda task, key: tuple(Sound().initial(key)[:3])}, "initial: returns a tuple"),
    ({"initial": lambda task, key: None}, "initial: returns None, not an envs.Initial"),
    ({"initial": start(goal="left")}, "initial: TypeError.*str"),
    ({"initial": lambda task, key: jnp.zeros(3)[7:] @ jnp.zeros(2)}, "initial: TypeError"),
    # fields of the model
    ({"initial": start(fields=[1])}, "fields is a list"),
    (fields(body_weight=jnp.ones(3)), "'body_weight', which is no field of MjModel"),
    (fields(names=jnp.ones(3)), "'names', which is no field"),
    (fields(body_mass=jnp.ones(2)), r"'body_mass' has shape \(2,\), the model's is \(3,\)"),
    (fields(body_pos=jnp.ones((3, 1))), r"'body_pos' has shape \(3, 1\)"),
    (fields(body_pos=jnp.ones((9,))), r"'body_pos' has shape \(9,\), the model's is \(3, 3\)"),
    (fields(body_mass=[1.0, 1, 1]), "'body_mass' is a list of 3; an array"),
    (fields(body_parentid=jnp.zeros(3, int)), "'body_parentid' says how the model is built"),
    (fields(geom_condim=jnp.ones(2)), "'geom_condim': has type float32"),
    # observations
    ({"observe": lambda task, p: p.qpos[0]}, r"observe: has shape \(\); a vector is expected"),
    ({"observe": lambda task, p: p.qpos[None]}, r"observe: has shape \(1, 5\).*ravel"),
    ({"observe": lambda task, p: p.qpos > 0}, "observe: has type bool; a floating-point type"),
    ({"observe": lambda task, p: jnp.arange(3)}, "observe: has type int32"),
    ({"observe": lambda task, p: {"qpos": p.qpos}}, "observe: returns a dict; a vector"),
    ({"observe": lambda task, p: (p.qpos, p.qvel)}, "observe: returns a tuple of 2"),
    ({"observe": lambda task, p: None}, "observe: returns None"),
    ({"observe": lambda task, p: p.qpos[:0]}, "observe: returns no numbers"),
    ({"observe": lambda task, p: p.qpos + p.qvel}, r"observe: TypeError.*test_contract.py, line"),
    ({"observe": lambda task, p: p.derived["xquat"]}, "observe: KeyError: 'xquat'"),
    ({"observe": lambda task, p: p.qpos if p.qpos[0] > 0 else p.qvel}, "observe: Tracer"),
    # rewards
    ({"reward": lambda task, b, a, p: p.qpos[0]}, r"reward: returns one array.*\(reward, \{\}\)"),
    ({"reward": lambda task, b, a, p: None}, "reward: returns None"),
    ({"reward": lambda task, b, a, p: (p.qpos[0], [])}, "reward: its terms are a list of 0"),
    ({"reward": lambda task, b, a, p: (p.qpos[0], p.qpos[1])}, "its terms are one array"),
    ({"reward": lambda task, b, a, p: (p.qpos[:1], {})}, r"reward: has shape \(1,\).*\[0\]"),
    ({"reward": lambda task, b, a, p: (p.qpos, {})}, r"reward: has shape \(5,\); one number"),
    ({"reward": lambda task, b, a, p: (p.qpos[0] > 0, {})}, "reward: has type bool"),
    ({"reward": lambda task, b, a, p: (jnp.ones((), int), {})}, "reward: has type int32"),
    ({"reward": lambda task, b, a, p: ([p.qpos[0]], {})}, "reward: returns a list of 1"),
    (
        {"reward": lambda task, b, a, p: (p.qpos[0], {"x": p.qpos})},
        r"reward: term 'x': has shape \(5,\)",
    ),
    ({"reward": lambda task, b, a, p: (p.qpos[0], {"x": {"y": 1.0}})}, "term 'x': returns a dict"),
    ({"reward": lambda task, b, a, p: (p.qpos[0], {1: p.qpos[0]})}, "a term's name is 1"),
    ({"reward": lambda task, b, a, p: (a @ p.qpos, {})}, "reward: TypeError"),
    # ends
    ({"terminated": lambda task, p: p.qpos[:1] > 0}, r"terminated: has shape \(1,\)"),
    ({"terminated": lambda task, p: p.qpos[0]}, "terminated: has type float32; bool is expected"),
    ({"terminated": lambda task, p: 0}, "terminated: has type int32; bool"),
    ({"terminated": lambda task, p: None}, "terminated: returns None"),
    ({"success": lambda task, p: p.qpos > 0}, r"success: has shape \(5,\)"),
    ({"success": lambda task, p: 1.0}, "success: has type float32"),
    ({"terminated": lambda task, p: 1 / 0}, "terminated: ZeroDivisionError: division by zero"),
    # actions
    ({"shape": lambda task, a: a[:1]}, r"shape: has shape \(1,\); shape \(2,\), as the actuators"),
    ({"shape": lambda task, a: a.sum()}, r"shape: has shape \(\)"),
    ({"shape": lambda task, a: None}, "shape: returns None"),
    # the model and what is declared beside it
    ({"model": lambda task: "model"}, "model: returns a str, not a mujoco.MjModel"),
    ({"mjcf": lambda task: "<mujoco><nothing/></mujoco>"}, "model: XML Error.*nothing"),
    ({"mjcf": lambda task: None}, "model: TypeError"),
    ({"mjcf": Task.mjcf}, "model: Faulty does not define it"),
    ({"initial": Task.initial}, "initial: Faulty does not define it"),
    ({"derived": "xpos"}, "derived: 'xpos'; a tuple of names is expected"),
    ({"derived": 3}, "derived: 3; a tuple of names is expected"),
    ({"derived": property(lambda task: 1 / 0)}, "derived: ZeroDivisionError"),
    ({"observe": lambda task, p: exit(3)}, "observe: SystemExit: 3"),
    # mistakes that are often made, with the way out
    ({"termintaed": lambda task, p: p.time > 1}, "termintaed: Faulty.* envs.Task calls terminated"),
    ({"sucess": lambda task, p: p.time > 1}, "sucess: .*calls success"),
    ({"observe": lambda task: None}, r"observe: takes .*it is called as observe\(physics\)"),
    ({"reward": lambda task, b, a: (0.0, {})}, r"it is called as reward\(before, action, after\)"),
    ({"observe": lambda task, p: p.derived["sensordata"]}, r"derived names: \('sensordata',\)"),
    (
        {"initial": start(goal=()), "observe": lambda task, p: p.qpos - p.goal},
        r"observe: TypeError: .*; physics\.goal is an empty tuple .* gives no goal=\.\.\.",
    ),
    ({"observe": lambda task, p: p.qpos if p.time > 0 else p.qvel}, "observe: .*take jnp.where"),
    (
        {"mjcf": lambda task: Path("missing.xml").read_text(encoding="utf-8")},
        r"model: FileNotFoundError: .*missing\.xml' \(.*test_contract\.py, line",
    ),
    ({"derived": ("xposs",)}, "derived field 'xposs' is no field of MjData; did you mean 'xpos'"),
    ({"episode_length": 5.0}, "episode_length=5.0: a whole number"),
    ({"episode_length": 0}, "episode_length=0: a whole number of at least 1"),
    ({"sim_dt": 0.0}, "sim_dt=0.0: seconds above 0"),
    ({"ctrl_dt": None}, "ctrl_dt=None: seconds above 0"),
]


def register(monkeypatch, **changed):
    monkeypatch.setitem(registry.SUITES, "registered", {})
    values = {k: changed.pop(k) for k in ("ctrl_dt", "sim_dt", "episode_length") if k in changed}
    envs.register("faulty", lambda: type("Faulty", (Sound,), changed)(**values))


@pytest.mark.parametrize(("changed", "says"), FAULTS)
def test_what_a_task_returns_is_refused_by_name_when_it_is_made(changed, says, monkeypatch):
    register(monkeypatch, **changed)
    with pytest.raises(ValueError, match=rf"^task 'faulty': .*{says}") as refused:
        envs.make("faulty", "native")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("engine", ["mjx", "warp"])
def test_the_other_engines_refuse_the_same_and_fields_that_are_built_in(engine, monkeypatch):
    register(monkeypatch, initial=start(qpos=jnp.zeros(6)))
    with pytest.raises(ValueError, match="initial: qpos has 6 numbers, the model 5"):
        envs.make("faulty", engine)
    model = mujoco.MjModel.from_xml_string(XML)
    register(monkeypatch, **fields(geom_condim=jnp.asarray(model.geom_condim)))
    with pytest.raises(ValueError, match=rf"'geom_condim' cannot differ .* engine='{engine}'"):
        envs.make("faulty", engine)


@pytest.mark.parametrize("action_repeat", [1, 2])
def test_python_numbers_and_counts_are_taken_and_add_up(action_repeat, monkeypatch):
    register(
        monkeypatch,
        initial=start(qpos=np.array([1.0, 0, 0, 0, 0]), goal={"height": 0.5, "side": 1}),
        reward=lambda task, b, a, p: (0.5, {"switch": p.qpos[4] < 9, "count": 2, "half": 0.5}),
        terminated=lambda task, p: False,
        success=lambda task, p: True,
    )
    batch = envs.make("faulty", "native", action_repeat).batch(2)
    worlds = jax.jit(batch.reset)(jax.random.key(0))

    def step(worlds, action):
        return batch.step(worlds, action)

    _, steps = jax.jit(lambda w, a: jax.lax.scan(step, w, a))(worlds, jnp.zeros((7, 2, 2)))
    np.testing.assert_array_equal(steps.reward, 0.5 * action_repeat)
    terms = {name: float(term[0, 0]) for name, term in steps.terms.items()}
    expected = {"switch": 1.0, "count": 2.0, "half": 0.5}
    assert terms == {name: action_repeat * value for name, value in expected.items()}
    assert steps.success.all()
    assert steps.truncated.any()


def test_a_start_that_is_given_is_looked_at_too():
    env = envs.make("cartpole-balance", "native")
    with pytest.raises(ValueError, match="initial: qvel has 3 numbers, the model 2"):
        env.place(Initial(jnp.zeros(2), jnp.zeros(3), jnp.zeros(0)))
