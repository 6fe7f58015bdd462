"""Gates on the simulator's gradient itself: is it a derivative, and of what?"""

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from mjxwm_envs import engines, seeds
from mjxwm_envs.env import Env

from mjxwm.gradients import estimators, laboratory, paths, sampling
from mjxwm.gradients.config import Config
from mjxwm.gradients.estimators import Estimator
from mjxwm.gradients.gate import Gate
from mjxwm.gradients.laboratory import Bench, Worlds
from mjxwm.gradients.sampling import Sampling
from mjxwm.gradients.subject import Parameters, Subject, switches

_STATES = 8
_TOLERANCE = 1e-5


def derivative(worlds: Worlds, bench: Bench, seed: int) -> Gate:
    """G1 at some start states: the plan's gradient over two steps, closed by tanh, in float64.

    The differences are of the native engine, so that they test MJX against C MuJoCo, too. Both
    solve their constraints to the last digit, as differences amplify what is left. States where a
    difference ahead and one behind disagree lie on a kink, where there is no gradient.
    """
    some = np.linspace(0, len(bench.starts.stratum) - 1, _STATES).astype(int)
    with _double():
        native, mjx = _exact(worlds.fast, "native"), _exact(worlds.differentiable, "mjx")
        wide = _cast(bench.subject)
        pick = _cast(
            jax.tree.map(lambda x: np.asarray(x)[some], (bench.starts.initial, bench.plan))
        )
        initial, plan = pick[0], pick[1][:, :2]
        noise = jax.random.normal(seeds.key(seed), plan.shape)
        how = switches(2, feedback=False, bootstrap=False)

        def value(env: Env) -> Callable:
            def run(plan: Array, initial: Any, noise: Array) -> Array:
                parameters = Parameters(wide.actor, plan)
                return paths.through_simulator(env, wide, parameters, initial, noise, how).total[0]

            return run

        exact = np.asarray(jax.jit(jax.vmap(jax.grad(value(mjx))))(plan, initial, noise))
        ahead, behind, rounding = _sides(value(native), plan, initial, noise)
    return _verdict(exact.reshape(len(some), -1), ahead, behind, rounding)


def _verdict(
    exact: np.ndarray, ahead: np.ndarray, behind: np.ndarray, rounding: np.ndarray
) -> Gate:
    """Passed if at least half of the states are smooth and the gradient is right in those.

    `rounding` [S] is the error that float64 makes in a difference. A saturated policy's gradient
    may be smaller; differences cannot measure it then.
    """
    central = (ahead + behind) / 2
    size = np.linalg.norm(central, axis=1)
    # A gradient of nearly nothing is measured against an ordinary one.
    size = np.maximum(size, 1e-3 * max(np.median(size), 1e-12))
    size = np.maximum(size, rounding / _TOLERANCE)
    error = np.linalg.norm(exact - central, axis=1) / size
    kinked = np.linalg.norm(ahead - behind, axis=1) / size > 1e-3
    smooth = error[~kinked]
    enough = 2 * smooth.size >= error.size
    passed = bool((smooth < _TOLERANCE).all()) if enough else None
    verdict = (
        f"relative error at most {smooth.max():.0e} at {smooth.size} states"
        if smooth.size
        else "every state lies on a kink"
    )
    verdict += f"; {kinked.sum()} on a kink" if kinked.any() else ""
    figures = {"error": error.tolist(), "kinked": kinked.tolist()}
    return Gate("G1 derivative", passed, verdict, figures)


def _exact(env: Env, engine: str) -> Env:
    """The same environment with a constraint solver that goes on to the last digit."""
    model = copy.copy(env.engine.model)
    model.opt.iterations, model.opt.ls_iterations, model.opt.tolerance = 100, 50, 1e-15
    exact_engine = engines.make(engine, model, env.engine.n_substeps, env.task.derived)
    return dataclasses.replace(env, engine=exact_engine)


def _sides(
    value: Callable, plan: Array, initial: Any, noise: Array, h: float = 1e-6
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One-sided differences of `value` along every entry of the plan [S, p], and their rounding."""
    entries = plan[0].size
    moves = jnp.eye(entries).reshape(entries, *plan.shape[1:]) * h
    many = jax.jit(jax.vmap(jax.vmap(value, (0, None, None))))
    moved = {s: many(plan[:, None] + s * moves, initial, noise) for s in (1.0, -1.0)}
    center = many(plan[:, None], initial, noise)
    # Positions and angles of order 1 enter even where the value is small.
    rounding = np.finfo(np.float64).eps * np.maximum(np.abs(center).max(axis=1), 1) / h
    return np.asarray(moved[1.0] - center) / h, np.asarray(center - moved[-1.0]) / h, rounding


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


def resolution(config: Config, env: Env, bench: Bench, estimator: Estimator) -> Gate:
    """G4: the mean action gradient with ten times the solver's iterations, and at half the step;
    for every horizon.

    `estimator` is the first-order one of `env`, as the experiment uses it and has compiled it.
    """
    model = env.engine.model
    finer, longer = copy.copy(model), copy.copy(model)
    finer.opt.timestep = model.opt.timestep / 2
    longer.opt.iterations, longer.opt.ls_iterations = 10 * model.opt.iterations, 50
    longer.opt.tolerance = model.opt.tolerance / 1e3  # or it would stop where it stopped before
    base = _mean_gradient(config, estimator, bench)
    horizons = [h for h, _ in laboratory.rows(config)]
    moved_gradients = {
        name: _mean_gradient(config, _first_order(laboratory.on(env, other, substeps)), bench)
        for name, other, substeps in (
            ("iterations", longer, env.engine.n_substeps),
            ("step", finer, 2 * env.engine.n_substeps),
        )
    }
    figures = {
        h: {name: _apart(base[k], moved[k]) for name, moved in moved_gradients.items()}
        for k, h in enumerate(horizons)
    }
    # The first row of a horizon of 1 has no value at its end: the last one counts.
    sure = {h: f["iterations"]["median"] < 0.01 for h, f in figures.items()}
    limited = {h: f["step"]["median"] > 0.1 for h, f in figures.items()}
    moves = {name: figures[config.horizon][name]["median"] for name in moved_gradients}
    verdict = (
        f"more iterations move it by {moves['iterations']:.1%}, half the step by "
        f"{moves['step']:.1%} (medians over states)"
    )
    if limited[config.horizon]:
        verdict += ": limited by the time-stepper"
    passed = {h: sure[h] and not limited[h] for h in figures}
    by_name = {str(h): f for h, f in figures.items()}
    return Gate("G4 resolution", passed[config.horizon], verdict, by_name, passed)


def _apart(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Relative difference of gradients, over states."""
    size = np.linalg.norm(one, axis=1)
    apart = np.linalg.norm(other - one, axis=1) / np.maximum(size, 1e-3 * np.median(size) + 1e-30)
    return {"median": float(np.median(apart)), "most": float(apart.max())}


def _first_order(env: Env) -> Estimator:
    def rollout(s: Subject, p: Parameters, w: Any, n: Array, h: Any) -> paths.Path:
        return paths.through_simulator(env, s, p, w, n, h)

    return estimators.first_order(rollout)


def _mean_gradient(config: Config, estimator: Estimator, bench: Bench) -> list[np.ndarray]:
    """Means of the simulator's action gradients at every start state, one chunk of noise; for each
    of `laboratory.rows`."""
    rows = laboratory.rows(config)
    how = switches([h for h, _ in rows], feedback=False, bootstrap=[v for _, v in rows])
    size = laboratory.CHUNK
    draws = Sampling(size, size, config.seed, block=config.states)
    parameters = Parameters(bench.subject.actor, bench.plan)
    moved_gradients = sampling.measure(
        estimator, bench.subject, parameters, bench.starts.initial, how, draws,
        level="plan", levels=config.levels, head=bench.plan.shape[-1],
    )  # fmt: skip
    return [one.sums.mean for one in moved_gradients]
