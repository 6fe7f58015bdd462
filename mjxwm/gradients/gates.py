"""Five checks that must hold before any comparison means something.

- G1: the simulator's gradient is the derivative: against central differences of C MuJoCo, float64.
- G2: on a system without contacts its mean is the zeroth-order gradient.
- G3: so it is for the cost of a single step on the task itself.
- G4: it does not depend on the solver's iterations or on the physics step; where it depends on the
  step, results are of the time-stepper as much as of the physics.
- G5: how many gradients were not finite.
"""

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import envs
from envs.core import Env
from mjxwm.algos import pwm
from mjxwm.gradients import estimators, laboratory, metrics, paths
from mjxwm.gradients.config import Config
from mjxwm.gradients.laboratory import TRUTH, Bench, Found
from mjxwm.gradients.metrics import Interval
from mjxwm.gradients.subject import Parameters, Subject, switches, take

PENDULUM = "cartpole-swingup"
"""A system without contacts, for G2."""


class Gate(NamedTuple):
    """A check and its verdict."""

    name: str
    passed: bool | None
    """None where it was not run."""
    verdict: str
    figures: dict[str, Any]


def differences(task: str, overrides: dict[str, Any], repeat: int, bench: Bench, seed: int) -> Gate:
    """G1 at some start states: the plan's gradient over two steps, closed by tanh, in float64.

    The differences are of the native engine, so that they test MJX against C MuJoCo, too. States
    where a difference ahead and one behind disagree lie on a kink, where there is no gradient.
    """
    some = np.linspace(0, len(bench.starts.stratum) - 1, 8).astype(int)
    with _double():
        native, mjx = (envs.make(task, e, repeat, **overrides) for e in ("native", "mjx"))
        wide = _cast(bench.subject)
        pick = _cast(
            jax.tree.map(lambda x: np.asarray(x)[some], (bench.starts.initial, bench.plan))
        )
        initial, plan = pick[0], pick[1][:, :2]
        noise = jax.random.normal(jax.random.key(seed), plan.shape)
        how = switches(2, feedback=False, bootstrap=False)

        def value(env: Env) -> Callable:
            def run(plan: Array, initial: Any, noise: Array) -> Array:
                parameters = Parameters(wide.actor, plan)
                return paths.through_simulator(env, wide, parameters, initial, noise, how).total

            return run

        exact = np.asarray(jax.jit(jax.vmap(jax.grad(value(mjx))))(plan, initial, noise))
        ahead, behind = _sides(value(native), plan, initial, noise)
    exact = exact.reshape(len(some), -1)
    central = (ahead + behind) / 2
    size = np.linalg.norm(central, axis=1)
    error = np.linalg.norm(exact - central, axis=1) / size
    kinked = np.linalg.norm(ahead - behind, axis=1) / size > 1e-3
    smooth = error[~kinked]
    passed = bool(smooth.size and (smooth < 1e-5).all())
    verdict = (
        f"relative error at most {smooth.max():.0e} at {smooth.size} states"
        if smooth.size
        else "every state lies on a kink"
    )
    verdict += f"; {kinked.sum()} on a kink" if kinked.any() else ""
    return Gate(
        "G1 derivative", passed, verdict, {"error": error.tolist(), "kinked": kinked.tolist()}
    )


def _sides(
    value: Callable, plan: Array, initial: Any, noise: Array, h: float = 1e-6
) -> tuple[np.ndarray, np.ndarray]:
    """One-sided differences of `value` along every entry of the plan [S, p]."""
    entries = plan[0].size
    moves = jnp.eye(entries).reshape(entries, *plan.shape[1:]) * h
    many = jax.jit(jax.vmap(jax.vmap(value, (0, None, None))))
    moved = {s: many(plan[:, None] + s * moves, initial, noise) for s in (1.0, -1.0)}
    here = many(plan[:, None], initial, noise)
    return np.asarray(moved[1.0] - here) / h, np.asarray(here - moved[-1.0]) / h


@contextlib.contextmanager
def _double() -> Iterator[None]:
    """Double precision in every thread: that of the native engine's callback is another one."""
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


def _cast(tree: Any) -> Any:
    """Floats of a tree in JAX's widest precision now."""

    def cast(x: Any) -> Any:
        x = jnp.asarray(x)
        return x.astype(float) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(cast, tree)


def unbiased(name: str, bias2: Interval, truth_norm2: float) -> Gate:
    """A gate on a squared bias whose interval should reach 0."""
    passed = bias2.low <= 0 or bias2.value < 1e-4 * truth_norm2
    share = bias2.value / max(truth_norm2, 1e-300)
    verdict = f"squared bias {share:.1e} of the squared gradient"
    return Gate(name, passed, verdict, {"bias2": bias2, "truth_norm2": truth_norm2})


def pendulum(config: Config) -> Gate:
    """G2: action gradients over eight steps of a system without contacts."""
    fast, mjx = (envs.make(PENDULUM, engine) for engine in ("native", "mjx"))
    subject = untrained(fast, config.seed)
    keys = jax.random.split(jax.random.key(config.seed), 16)
    initial = jax.jit(jax.vmap(fast.task.initial))(keys)
    parameters = Parameters(subject.actor, jnp.zeros((16, 8, fast.action_size)))
    how = switches(8, feedback=False, bootstrap=False)

    def simulate(env: Env) -> estimators.Rollout:
        return lambda s, p, w, n, h: paths.through_simulator(env, s, p, w, n, h)

    found = {}
    for name, make, env, samples, chunk, seed in (
        (TRUTH, estimators.zeroth_order, fast, config.truth, laboratory.MANY, 1),
        ("simulator", estimators.first_order, mjx, config.samples, laboratory.CHUNK, 2),
    ):
        found[name] = estimators.measure(
            make(simulate(env)), subject, parameters, initial, how,
            samples=samples, chunk=chunk, seed=seed,
        )[1]  # fmt: skip
    return bias_gate("G2 no contacts", found)


def bias_gate(name: str, found: Found) -> Gate:
    """Whether the simulator's first-order gradient is the zeroth-order one on average."""
    truth, first = found[TRUTH].sums, found["simulator"].sums
    functions = metrics.statistics(first, truth)
    interval = metrics.bootstrap(functions["bias2"], len(truth.count))
    return unbiased(name, interval, float(metrics.length2(truth).mean()))


def resolution(config: Config, env: Env, bench: Bench) -> Gate:
    """G4: the mean action gradient with ten times the solver's iterations, and at half the step."""
    model = env.engine.model
    finer, longer = copy.copy(model), copy.copy(model)
    finer.opt.timestep = model.opt.timestep / 2
    longer.opt.iterations, longer.opt.ls_iterations = 10 * model.opt.iterations, 50
    plain = laboratory.on(env, model)
    half = laboratory.on(env, finer, 2 * env.engine.n_substeps)
    figures = {}
    base = _mean_gradient(config, plain, bench)
    for name, other in (
        ("iterations", laboratory.on(env, longer)),
        ("step", dataclasses.replace(half, task=env.task)),
    ):
        moved = _mean_gradient(config, other, bench)
        apart = np.linalg.norm(moved - base, axis=1) / np.linalg.norm(base, axis=1)
        figures[name] = {"median": float(np.median(apart)), "most": float(apart.max())}
    sure = figures["iterations"]["median"] < 0.01
    limited = figures["step"]["median"] > 0.1
    verdict = (
        f"more iterations move it by {figures['iterations']['median']:.1%}, half the step by "
        f"{figures['step']['median']:.1%} (medians over states)"
    )
    if limited:
        verdict += ": limited by the time-stepper"
    return Gate("G4 resolution", sure and not limited, verdict, figures)


def _mean_gradient(config: Config, env: Env, bench: Bench) -> np.ndarray:
    """Mean of the simulator's action gradients at every start state, one chunk of noise."""

    def rollout(s: Subject, p: Parameters, w: Any, n: Array, h: Any) -> paths.Path:
        return paths.through_simulator(env, s, p, w, n, h)

    how = switches(config.horizon, feedback=False, bootstrap=False)
    measured = estimators.measure(
        estimators.first_order(rollout), bench.subject, Parameters(bench.subject.actor, bench.plan),
        bench.starts.initial, how, samples=laboratory.CHUNK, chunk=laboratory.CHUNK,
        seed=config.seed,
    )[1]  # fmt: skip
    return measured.sums.mean


def finite(found: Found) -> Gate:
    """G5: no gradient was dropped."""
    shares = {name: m.nonfinite / len(m.norms) for name, m in found.items()}
    bad = {name: share for name, share in shares.items() if share}
    said = ", ".join(f"{name} {share:.2%}" for name, share in bad.items())
    return Gate("G5 finite", not bad, said or "every gradient was finite", {"share": shares})


def untrained(env: Env, seed: int) -> Subject:
    """A small untrained learner, where a gate needs one."""
    config = pwm.Config(worlds=1, capacity=64, warmup=2)
    state = jax.jit(pwm.make(config, env).init)(jax.random.key(seed))
    return take(config, state)
