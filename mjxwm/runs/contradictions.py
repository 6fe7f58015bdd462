"""Notes, printed when a run starts, on settings that contradict the task or one another.

Each function has one kind of contradiction and names the setting, its value and the way out.
Nothing is changed: the run does what its settings say.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mjxwm_envs.core import EnvSpec

from mjxwm.algos import pwm, shac, tdmpc2
from mjxwm.algos.baselines import SAC
from mjxwm.algos.budget import Replayed
from mjxwm.algos.multitask import Card, extract
from mjxwm.runs.pretrained import read_card
from mjxwm.types import Algorithm

_DEFAULT_CONTINUATION = 0.0625
"""Weight of the continuation loss by default; up to it, a head with nothing to learn is cheap."""


def remarks(config: Any, env: Any, algorithm: Algorithm) -> list[str]:
    """Notes on settings that are in range but probably not meant.

    Args:
        config: the run's `mjxwm.runs.config.Config`.
        env: its environment; None for an algorithm that has none.
        algorithm: the algorithm on that environment.
    """
    algo = config.algo
    if env is None:
        return algo.remarks()
    spec = env.spec
    notes = [
        *_ends(algo, spec),
        *_lengths(algo, spec),
        *_discount(algo, spec),
        *_repeat(env, spec),
        *_counts(config, algorithm),
        *_memory(algo),
        *_learning(algo),
    ]
    return notes + algo.remarks()


def _ends(algo: Any, spec: EnvSpec) -> Iterator[str]:
    """Terminations that a world model does not learn, or that are not there to be learned."""
    model, fitting = _world_model(algo)
    if model is None:
        return
    weight = f"continuation={model.continuation:g}"
    if isinstance(algo, extract.Config):
        if spec.terminates and not model.continuation:
            yield (
                f"the model of {algo.model} was learned with {weight}: it imagines that episodes "
                f"of {spec.name} go on after they ended. Pretrain one with --continuation {fitting}"
            )
    elif spec.terminates and not model.continuation:
        yield (
            f"{weight}: the model learns no terminations, and {spec.name} has some: it imagines "
            f"that episodes go on after they ended. Take --continuation {fitting}"
        )
    elif spec.terminates is None and not model.continuation:
        yield (
            f"{weight}: the model learns no terminations, and whether {spec.name} has some is not "
            f"known here. If anything but the time limit ends it, take --continuation {fitting}"
        )
    elif spec.terminates is False and model.continuation > _DEFAULT_CONTINUATION:
        yield f"{weight}: nothing ends an episode of {spec.name}; --continuation 0 goes without"


def _world_model(algo: Any) -> tuple[Any, float]:
    """The settings of an algorithm's world model, and a weight of terminations that fits it."""
    if isinstance(algo, extract.Config):
        return _card(algo).networks.model, 1
    if isinstance(algo, tdmpc2.Config):
        return algo.networks.model, 1
    return (algo.model, 0.5) if isinstance(algo, pwm.Config) else (None, 0)


def _card(algo: extract.Config) -> Card:
    return read_card(Path(algo.model))


def _lengths(algo: Any, spec: EnvSpec) -> Iterator[str]:
    """Horizons against episodes and against what a model is trained over."""
    ahead, trained = _horizons(algo)
    length = spec.episode_length
    for name, steps in ahead.items():
        if steps > length:
            yield f"{name}={steps} is longer than an episode of {spec.name}, {length} actions"
        elif trained and steps > trained:
            yield f"{name}={steps} is longer than the {trained} steps that the model learns over"


def _horizons(algo: Any) -> tuple[dict[str, int], int | None]:
    """Steps ahead by the names of their settings, and those that the world model learns over."""
    if isinstance(algo, extract.Config):
        return {"horizon": algo.settings.horizon}, _card(algo).preset.pretrain.horizon
    if isinstance(algo, tdmpc2.Config):
        horizons = {"horizon": algo.horizon}
        if algo.collect_with == "planner":
            horizons["plan_horizon"] = algo.planning.plan_horizon
        return horizons, algo.horizon
    if isinstance(algo, pwm.Config):
        return {"horizon": algo.horizon, "imagine_horizon": algo.imagine_horizon}, algo.horizon
    return ({"unroll": algo.unroll} if isinstance(algo, shac.Config) else {}), None


def _discount(algo: Any, spec: EnvSpec) -> Iterator[str]:
    """Discounts that see nothing, or far more than there is."""
    gamma = getattr(getattr(algo, "settings", algo), "gamma", None)
    if gamma is None:
        return
    if gamma == 0:
        yield "gamma=0: nothing but the next reward counts"
    elif gamma == 1 and not spec.terminates:
        yield (
            f"gamma=1: values have no bound where nothing ends an episode of {spec.name}, since a "
            "time limit is no end; take one below 1"
        )
    elif gamma < 1 and 1 / (1 - gamma) > 10 * spec.episode_length:
        yield (
            f"gamma={gamma:g} looks {1 / (1 - gamma):,.0f} actions ahead, and an episode of "
            f"{spec.name} has {spec.episode_length}: values are almost all of what no episode shows"
        )


def _repeat(env: Any, spec: EnvSpec) -> Iterator[str]:
    """An action repeat that does not divide the episode."""
    steps = getattr(getattr(env, "task", None), "episode_length", None)
    repeat = spec.action_repeat
    if steps is not None and steps % repeat:
        yield (
            f"action_repeat={repeat} does not divide episode_length={steps}: episodes have "
            f"{spec.episode_length} actions, {spec.episode_length * repeat} control steps"
        )


def _counts(config: Any, algorithm: Algorithm) -> Iterator[str]:
    """Counts in the configuration against those that whole iterations come to."""
    total, algo = algorithm.iterations, config.algo
    if config.evaluations > total:
        yield f"evaluations={config.evaluations} of {total} iterations: one after each"
    if config.checkpoints >= total > 1:
        yield f"checkpoints={config.checkpoints} of {total} iterations: one after each"
    first, whole = algorithm.env_steps(0), algorithm.env_steps(total)
    if algo.env_steps and whole > 1.1 * algo.env_steps:
        start = f"{first:,} before the first iteration, then " if first else ""
        each = f"{total} of {algo.steps_per_iteration:,} each"
        yield f"env_steps={algo.env_steps:,} comes to {whole:,}: {start}{each}, which are whole"


def _memory(algo: Any) -> Iterator[str]:
    """Replays smaller than what they are to hold."""
    capacity = getattr(algo, "capacity", None)
    if isinstance(algo, Replayed):
        least = (algo.warmup + 1) * algo.steps_per_iteration
        if capacity is not None and capacity < least:
            yield (
                f"capacity={capacity:,} is less than warmup + 1 unrolls of {algo.worlds:,} worlds: "
                f"the replay holds {least:,}"
            )
    elif isinstance(algo, SAC):
        start = algo.warmup_rounds * algo.worlds
        if capacity is not None and capacity < start:
            yield f"capacity={capacity:,} forgets some of the {start:,} steps that come first"
        if algo.batch > min(start + algo.worlds, algo.rows):
            yield (
                f"batch={algo.batch} is more than the {start + algo.worlds:,} transitions that "
                "the first updates draw from: they repeat. Raise warmup or lower batch"
            )


def _learning(algo: Any) -> Iterator[str]:
    """Settings with which something does not learn, or not as its name says."""
    for name in ("target_tau", "tau"):
        if getattr(algo, name, None) == 0:
            yield f"{name}=0: the target copies never follow what is learned"
    if getattr(algo, "normalize_obs", True) is False:
        yield "normalize_obs=false: networks see observations in the task's own units, of any size"
    final = getattr(algo, "final_lr", None)
    for name in ("model_lr", "actor_lr", "critic_lr"):
        rate = getattr(algo, name, None)
        if final is not None and rate is not None and final > rate:
            yield f"final_lr={final:g} is above {name}={rate:g}, which therefore stays as it is"
