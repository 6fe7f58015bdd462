"""Several seeds in one program: states that are stacked, and the runs that they belong to.

A stacked state has one more axis than a run's, the first one, of S seeds. The program is `jax.vmap`
of one seed's: S learners side by side, and one batch of S x B worlds for the physics engine. What
is kept of each seed, its folder with record and checkpoints, is what it would keep alone.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
from mjxwm_envs import seeds

from mjxwm import ConfigError
from mjxwm.runs import checkpoint, devices, manifests
from mjxwm.runs.config import Config, entry
from mjxwm.runs.folders import RunFolder
from mjxwm.types import Algorithm


def numbered(first: int, number: int) -> tuple[int, ...]:
    """The seeds `first`, `first` + 1, ...

    Raises:
        ConfigError: there are none, or one of them is out of range.
    """
    if number < 1:
        raise ConfigError(f"seeds={number} is out of range; it is how many seeds to train")
    if first + number - 1 > seeds.LARGEST:
        raise ConfigError(f"seed={first} with seeds={number} goes past {seeds.LARGEST}, the last")
    return tuple(range(first, first + number))


def check(config: Config, env: envs.Source | None) -> None:
    """Raises ConfigError for runs that one program cannot train several seeds of."""
    registered = entry(config.algorithm)
    reason = ""
    if env is None or registered.takes_model:
        reason = f"{config.algorithm} learns from a data set, which is read for one run at a time"
    elif not isinstance(env, envs.Env):
        reason = f"task {config.task!r} is foreign, and its worlds are made for one run"
    elif config.data:
        reason = f"data={config.data!r}: a data set is recorded from one run"
    elif len(devices.chosen(config.devices)) > 1 or jax.process_count() > 1:
        reason = f"devices={config.devices}: several seeds train on one device; take `--devices 1`"
    if reason:
        raise ConfigError(f"several seeds in one program: {reason}. Or train them one by one")


def of_seeds(algorithm: Algorithm) -> Algorithm:
    """The algorithm with stacked states: `init` takes keys [S], `iterate` returns metrics [S]."""
    init = jax.jit(jax.vmap(algorithm.init))
    return algorithm._replace(init=init, iterate=jax.vmap(algorithm.iterate))


@jax.jit
def stack(states: Sequence[Any]) -> Any:
    """The stacked state of several."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


@jax.jit
def take(stacked: Any, index: Any) -> Any:
    """One seed's of what is stacked."""
    return jax.tree.map(lambda x: x[index], stacked)


def each(stacked: Any, seeds: tuple[int, ...] | None) -> list[Any]:
    """What each seed has of arrays on the host; the arrays themselves of a seed that is alone."""
    if seeds is None:
        return [stacked]
    return [jax.tree.map(lambda x, i=i: x[i], stacked) for i in range(len(seeds))]


def rewind(runs: Sequence[RunFolder]) -> None:
    """Takes runs back to the newest iteration that all have a checkpoint of.

    A process that was killed while it saved has saved some runs later than others. What is later is
    removed once it is known that all are whole there: it comes again.

    Raises:
        ConfigError: there is no such iteration, but each has checkpoints; nothing is removed.
    """
    saved = [checkpoint.iterations(run.checkpoints) for run in runs]
    common = set(saved[0]).intersection(*saved)
    damages = {}
    if any(iterations != saved[0] for iterations in saved):  # some are to be removed
        places = {n: [run.checkpoints / str(n) for run in runs] for n in common}
        damages = {n: next(filter(None, map(manifests.damage, places[n])), "") for n in common}
        common = {n for n in common if not damages[n]}
    if all(saved) and not common:
        at = ", ".join(f"{run.path} at {max(n)}" for run, n in zip(runs, saved, strict=True))
        damaged = "".join(f"; {damage}" for damage in damages.values())
        raise ConfigError(
            f"runs that go on in one program are at one iteration, but here is {at}. Go on with "
            f"those of one iteration together, with the others alone{damaged}"
        )
    for run, iterations in zip(runs, saved, strict=True):
        for later in (n for n in iterations if common and n > max(common)):
            why = f": {damages[later]}" if damages.get(later) else ""
            print(
                f"note     {run.path} goes on from iteration {max(common)}, not from {later}{why}"
            )
            checkpoint.remove(run.checkpoints, later)
