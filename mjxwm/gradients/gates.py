"""Checks that must hold before any comparison means something.

- G1: the simulator's gradient is the derivative: against central differences of C MuJoCo, float64.
- G2: on a system without contacts its mean is the zeroth-order gradient.
- G3: so it is for the reward of a single step on the task itself.
- G4: it does not depend on the solver's iterations or on the physics step; where it depends on the
  step, results are of the time-stepper as much as of the physics.
- G5: how many gradients were not finite.
- Truth: how sure the zeroth-order mean is, which everything is compared with.

G1 and G4 are in `engine_gates`.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
from mjxwm_envs import seeds
from mjxwm_envs.env import Env
from numpy.typing import NDArray

from mjxwm.algos import pwm
from mjxwm.gradients import estimators, laboratory, metrics, paths, sampling
from mjxwm.gradients.bootstrap import LEAST_GROUPS, bootstrap
from mjxwm.gradients.config import TRUTH, Config
from mjxwm.gradients.gate import Gate
from mjxwm.gradients.laboratory import Measurements
from mjxwm.gradients.sampling import Sampling
from mjxwm.gradients.subject import Parameters, Subject, switches, take
from mjxwm.models import actor_critic, world_model

PENDULUM = "cartpole-swingup"
"""A system without contacts, for G2."""
_ENOUGH = 8192
"""Zeroth-order samples that decide G2."""
SHARE = 0.05
"""Largest squared bias, as a share of the squared gradient, that counts as none."""


def agreement(name: str, measurements: Measurements, strata: Sequence[NDArray]) -> Gate:
    """Whether the simulator's first-order gradient is the zeroth-order one on average.

    Passed where the squared bias is surely below `SHARE`, failed where it surely is above;
    otherwise the samples do not decide.
    """
    measured = metrics.by_state(measurements["simulator"].sums, measurements[TRUTH].sums)

    def share(ids: NDArray) -> dict[str, float]:
        row = measured(ids)
        return {"share": row["bias2"] / row["truth2"] if row["truth2"] > 0 else float("nan")}

    interval = bootstrap(share, strata)["share"]
    passed = True if interval.high < SHARE else False if interval.low > SHARE else None
    within = f" [{interval.low:.0e}, {interval.high:.0e}]"
    if np.isnan(interval.low):
        within = f" (no interval: it needs {LEAST_GROUPS} start states, --states)"
    verdict = f"squared bias {interval.value:.1e}{within} of the squared gradient"
    if np.isnan(interval.value):
        verdict = "no gradient is known well enough; more start states or samples are needed"
    return Gate(name, passed, verdict, {"share": interval})


def pendulum(config: Config) -> Gate:
    """G2: action gradients over eight steps of a system without contacts."""
    fast, mjx = (envs.make_task(PENDULUM, engine) for engine in ("native", "mjx"))
    subject = untrained(fast, config.seed)
    keys = jax.random.split(seeds.key(config.seed), 16)
    initial = jax.jit(jax.vmap(fast.task.initial))(keys)
    parameters = Parameters(subject.actor, jnp.zeros((16, 8, fast.action_size)))
    how = switches(8, feedback=False, bootstrap=False)

    def simulate(env: Env) -> estimators.Rollout:
        return lambda s, p, w, n, h: paths.through_simulator(env, s, p, w, n, h)

    number = min(config.truth, _ENOUGH)
    measurements = {}
    for name, make, env, draws in (
        (TRUTH, estimators.zeroth_order, fast, Sampling(number, laboratory.MANY, 1)),
        ("simulator", estimators.first_order, mjx, Sampling(config.samples, laboratory.CHUNK, 2)),
    ):
        (measurements[name],) = sampling.measure(
            make(simulate(env)), subject, parameters, initial, how, draws, level="plan"
        )
    return agreement("G2 no contacts", measurements, [np.arange(16)])


def single_step(measurements: Measurements, groups: dict[str, NDArray]) -> Gate:
    """G3: action gradients of one step's reward, with nothing after it.

    States that are about to end are left out: the jump of what an end costs is no gradient's.

    Args:
        measurements: of the row (1, False) of `laboratory.rows`.
        groups: start states by stratum.
    """
    kept = [ids for name, ids in groups.items() if name != "ending"]
    if not kept:
        return Gate("G3 single step", None, "every start state is about to end", {})
    return agreement("G3 single step", measurements, kept)


def truth(
    levels: dict[str, tuple[Measurements, bool]],
    strata: Sequence[NDArray],
    shorter: dict[int, Measurements] | None = None,
) -> Gate:
    """The standard error of the zeroth-order mean, as a share of the gradient.

    Args:
        levels: measurements by level, and whether the mean over states is meant.
        strata: start states by stratum.
        shorter: those of action sequences by horizon.
    """
    shares = {level: _standard_error(*x, strata) for level, x in levels.items()}
    by_horizon = {h: _standard_error(m, False, strata) for h, m in (shorter or {}).items()}
    words = ", ".join(
        f"{share:.1%} ({level})" if np.isfinite(share) else f"unknown ({level})"
        for level, share in shares.items()
    )
    passed = max(shares.values()) <= 0.1
    states = len(np.concatenate(strata))
    pooled_alone = states < 2 and any(pooled for _, pooled in levels.values())
    remedy = "--states: one start state has no mean over states" if pooled_alone else "--truth"
    advice = "" if passed else f"; raise {remedy}"
    verdict = f"its standard error is {words} of its length{advice}"
    figures = {**shares, "horizons": by_horizon}
    return Gate("Truth", passed, verdict, figures, {h: x <= 0.1 for h, x in by_horizon.items()})


def _standard_error(measurements: Measurements, pooled: bool, strata: Sequence[NDArray]) -> float:
    """That of the truth, as a share of its length."""
    sums = measurements[TRUTH].sums
    per_state = sums.var.sum(axis=1) / np.maximum(sums.count, 1)
    states = len(sums.count)
    noise2 = per_state.sum() / states**2 if pooled else per_state.mean()
    over = metrics.over_states if pooled else metrics.by_state
    signal2 = over(sums, sums)(np.concatenate(strata))["truth2"]
    return float(np.sqrt(noise2 / signal2)) if signal2 > 0 else float("inf")


def finite(measurements: Measurements) -> Gate:
    """G5: no gradient was dropped."""
    shares = {name: float((~np.isfinite(m.norms)).mean()) for name, m in measurements.items()}
    bad = {name: share for name, share in shares.items() if share}
    words = ", ".join(f"{name} {share:.2%}" for name, share in bad.items())
    return Gate("G5 finite", not bad, words or "every gradient was finite", {"share": shares})


def untrained(env: Env, seed: int) -> Subject:
    """A small untrained learner, where a gate needs one."""
    config = pwm.Config(
        worlds=1,
        capacity=64,
        warmup=2,
        model=world_model.Config(latent=16, encoder=(16,), hidden=(16,)),
        policy=actor_critic.Config(actor=(16,), critic=(16,), critics=1),
    )
    algorithm = pwm.make(config, env)
    return take(config, algorithm.policy(jax.jit(algorithm.init)(seeds.key(seed))))
