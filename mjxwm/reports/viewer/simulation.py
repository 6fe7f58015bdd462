"""Worlds that are looked at: stepped one action at a time, and pushed."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Bool, Float, Int
from mjxwm_envs import Env, Scene, Source
from mjxwm_envs.engines.native import Native

from mjxwm import ConfigError
from mjxwm.types import Agent

_STIFFNESS = 100.0
"""Stiffness of the spring that pulls a body to the mouse, as MuJoCo's own viewer has [1/s^2]."""


class Moment(NamedTuple):
    """What is shown of B worlds after a step, on the host."""

    qpos: Float[np.ndarray, "B nq"]
    qvel: Float[np.ndarray, "B nv"]
    act: Float[np.ndarray, "B na"]
    ctrl: Float[np.ndarray, "B nu"]
    reward: Float[np.ndarray, " B"]
    terms: dict[str, Float[np.ndarray, " B"]]
    done: Bool[np.ndarray, " B"]
    """Whether the step ended an episode: `qpos` is then the next one's start."""
    terminated: Bool[np.ndarray, " B"]
    """Whether it ended for good, so that no rewards follow."""
    episode_return: Float[np.ndarray, " B"]
    """Return of the episode up to this step."""
    episode_length: Int[np.ndarray, " B"]
    value: Float[np.ndarray, " B"]
    """Discounted return that the policy's critics expected before the step; NaN without critics."""
    imagined: Float[np.ndarray, " B"]
    """Sum of the rewards that its model predicted for the next H steps before it; NaN without."""


class Simulation:
    """B worlds of an environment under a policy, on this machine's devices."""

    def __init__(self, env: Source, agent: Agent, policy: Any, worlds: int, seed: int = 0):
        """Args:
        env: the environment.
        agent: how the policy acts.
        policy: its arrays; `replace` takes others.
        worlds: B.
        seed: of the start states.

        Raises:
            ConfigError: there is no MuJoCo model of the environment, so that it cannot be drawn.
        """
        self.env, self.agent, self.policy, self.num_worlds = env, agent, policy, worlds
        self.dt = env.spec.ctrl_dt
        self.outlook = agent.outlook
        self._batch = env.batch(worlds)
        self._key = jax.random.key(seed)
        self._reset = jax.jit(self._batch.reset)
        self._step = jax.jit(self._stepped)
        self._pull: tuple[int, int, np.ndarray, np.ndarray] | None = None
        self.restart()
        if self._scene(0) is None:
            raise ConfigError(f"{env.name} is simulated elsewhere: there is no body to draw")

    def restart(self) -> None:
        """New episodes in all worlds."""
        self._key, key = jax.random.split(self._key)
        self.worlds = self._reset(key)
        self.memory = self.agent.controller.start(self.num_worlds)
        self.positions = np.array(self.worlds.state.sim.physics.qpos, float)
        self.moment: Moment | None = None

    def replace(self, policy: Any) -> None:
        """Lets another policy act from the next step on.

        Raises:
            ConfigError: its arrays have other shapes than those of the policy before.
        """
        if _shapes(self.policy) != _shapes(policy):
            raise ConfigError("its networks have other sizes; start `mjxwm view` again for it")
        self.policy = policy

    def step(self) -> Moment:
        """One action in every world; worlds whose episode ended begin another."""
        if self._pull is not None:
            self._push()
        self.memory, self.worlds, moment = self._step(self.policy, self.memory, self.worlds)
        self.moment = moment = jax.device_get(moment)
        self.positions = np.array(moment.qpos, float)
        return moment

    def _stepped(self, policy: Any, memory: Any, worlds: Any) -> Any:
        unknown = jnp.full(self.num_worlds, jnp.nan)
        outlook = self.outlook
        value = unknown if outlook is None else outlook.value(policy, worlds.obs)
        imagine = None if outlook is None else outlook.imagine
        imagined = unknown if imagine is None else imagine(policy, worlds.obs).sum(axis=0)
        memory, action = self.agent.controller.act(policy, memory, worlds.obs)
        worlds, step = self._batch.step(worlds, action)
        physics = worlds.state.sim.physics
        done = step.terminated | step.truncated
        memory = self._forgotten(memory, done)
        shown: Any = (
            *(physics.qpos, physics.qvel, physics.act, physics.ctrl, step.reward, step.terms),
            *(done, step.terminated, step.episode_return, step.episode_length, value, imagined),
        )
        return memory, worlds, Moment(*shown)

    def _forgotten(self, memory: Any, done: Any) -> Any:
        """What a planner carries on, begun anew in the worlds whose episode ended."""
        fresh = self.agent.controller.start(self.num_worlds)

        def begun(new: Any, old: Any) -> Any:
            if old.ndim < 2:  # the random key of actions, which no world owns
                return old
            return jnp.where(done.reshape(-1, *[1] * (old.ndim - 1)), new, old)

        return jax.tree.map(begun, fresh, memory)

    def scene(self, world: int) -> Scene:
        """What a world's episode looks like: its own body, and its goal."""
        scene = self._scene(world)
        assert scene is not None, "checked when the simulation was made"
        return scene

    def _scene(self, world: int) -> Scene | None:
        sim = self.worlds.state.sim
        fields, goal = jax.tree.map(lambda x: x[world], (sim.fields, sim.physics.goal))
        return self.env.scene(fields, goal)

    @property
    def horizon(self) -> int:
        """Steps that the policy's model imagines; 0 without a model."""
        if self.outlook is None or self.outlook.imagine is None:
            return 0
        shape = jax.eval_shape(self.outlook.imagine, self.policy, self.worlds.obs)
        return shape.shape[0]

    @property
    def pushable(self) -> bool:
        """Whether bodies can be pushed: on engine native alone the state can be changed exactly."""
        return isinstance(self.env, Env) and isinstance(self.env.engine, Native)

    def pull(self, world: int, body: int, grip: np.ndarray, target: np.ndarray) -> None:
        """Pulls a body by a point of it towards another, until `release`.

        Args:
            world: which world.
            body: which body of its model.
            grip: the point [3] in the body's own frame [m].
            target: the other point [3] in the world's frame [m].
        """
        if not self.pushable:
            return
        self._pull = (world, body, np.asarray(grip, float), np.asarray(target, float))

    def release(self) -> None:
        """Lets go of the body that is pulled."""
        self._pull = None

    def kick(self, world: int, velocity: np.ndarray) -> None:
        """Changes the velocity [3] of the first moving body of a world at once [m/s]."""
        if self.pushable:
            model, data = self._posed(world)
            body = int(np.argmax(model.body_dofnum > 0))
            jacobian, response = _response(model, data, body, data.xpos[body])
            self._nudge(world, response @ np.linalg.pinv(jacobian @ response) @ velocity)

    def _push(self) -> None:
        """A step of a critically damped spring, as strong as the body is heavy at that point."""
        assert self._pull is not None
        world, body, grip, target = self._pull
        model, data = self._posed(world)
        point = data.xpos[body] + data.xmat[body].reshape(3, 3) @ grip
        jacobian, response = _response(model, data, body, point)
        speed, way = jacobian @ data.qvel, target - point
        damping = 2 * np.sqrt(_STIFFNESS)
        # Implicit in time, so that it is stable for any step.
        change = _STIFFNESS * way - damping * speed - _STIFFNESS * self.dt * speed
        change *= self.dt / (1 + damping * self.dt + _STIFFNESS * self.dt**2)
        if (size := np.linalg.norm(change)) > 0:
            direction = change / size
            effect = direction @ jacobian @ response @ direction
            if effect > 1e-8:  # else it cannot move that way
                self._nudge(world, response @ direction * size / effect)

    def _posed(self, world: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model = self.scene(world).model
        data = mujoco.MjData(model)
        physics = self.worlds.state.sim.physics
        data.qpos[:], data.qvel[:] = physics.qpos[world], physics.qvel[world]
        mujoco.mj_forward(model, data)
        return model, data

    def _nudge(self, world: int, change: np.ndarray) -> None:
        assert isinstance(self.env, Env)
        assert isinstance(self.env.engine, Native)
        changes = np.zeros((self.num_worlds, len(change)))
        changes[world] = change
        state = self.worlds.state
        sim = self.env.engine.nudged(state.sim, changes)
        self.worlds = self.worlds._replace(state=state._replace(sim=sim))


def _shapes(policy: Any) -> Any:
    arrays, structure = jax.tree.flatten(policy)
    return structure, [(x.shape, x.dtype) for x in arrays]


def _response(
    model: mujoco.MjModel, data: mujoco.MjData, body: int, point: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Jacobian [3, nv] of a point of a body, and the velocities [nv, 3] per impulse there."""
    jacobian, response = np.zeros((3, model.nv)), np.zeros((3, model.nv))
    mujoco.mj_jac(model, data, jacobian, None, point, body)
    mujoco.mj_solveM(model, data, response, jacobian)
    return jacobian, response.T
