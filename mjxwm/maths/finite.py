"""The guard inside a program: what is not finite is left out, counted, and changes nothing.

An update whose loss, gradient or result is NaN or infinite leaves parameters, moments and targets
as they were. Nothing waits for the host: the old and the new values are selected from, and how
often that happened is among the metrics, under `guard/`.
"""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mjxwm.types import Metrics

T = TypeVar("T")

COLLECTION = ("action", "physics", "obs", "reward", "step")
"""What can be not finite in a step of a world, in the order in which one follows from another; the
last is a step of a world that does not say what it was."""

UPDATES = (
    "moments", "model", "actor", "returns", "policy", "entropy", "temperature", "critic", "losses"
)  # fmt: skip
"""What is updated, in the order of an iteration: networks, and running moments of observations and
rewards (`moments`) and of imagined returns (`returns`)."""

STAGES = (*COLLECTION, *UPDATES, "parameters")
"""The kinds of `guard/` metrics."""

FIRST = "guard/first"
"""Which stage of an iteration was the first that was not finite: its place in `STAGES`, from 1 on;
0 if everything was. For the host alone: rows of metrics leave it out."""

COUNTED = tuple(f"guard/{stage}" for stage in STAGES)
"""Metrics that count steps that are not valid, updates that were skipped, and networks that are
lost. They are summed over time."""

UNSOUND = "guard/unsound"
"""1 for an iteration in which updates were skipped or most steps were not valid, 2 if parameters
are lost, else 0. For the host alone, too."""


def all_finite(tree: Any) -> Bool[Array, ""]:
    """Whether no floating-point number of a tree is NaN or infinite."""
    leaves = [x for x in jax.tree.leaves(tree) if _is_float(x)]
    # The largest absolute value is NaN or infinite if any is.
    sizes = [jnp.abs(x).max().astype(float) for x in leaves if x.size]
    return jnp.isfinite(jnp.stack(sizes)).all() if sizes else jnp.ones((), bool)


def no_nan(tree: Any) -> Bool[Array, ""]:
    """Whether no floating-point number of a tree is NaN; infinity may stand for "no bound"."""
    leaves = [x for x in jax.tree.leaves(tree) if _is_float(x) and x.size]
    return ~jnp.stack([jnp.isnan(x).any() for x in leaves]).any() if leaves else jnp.ones((), bool)


def _is_float(x: Any) -> bool:
    return hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating)


def kept_unless(ok: Bool[Array, ""], new: T, old: T) -> T:
    """`new` where it is sound, else `old`: trees of equal form."""
    return jax.tree.map(lambda n, o: jnp.where(ok, n, o), new, old)


def or_zero(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The numbers, and 0 in the place of those that are not finite."""
    return jnp.where(jnp.isfinite(x), x, 0)


def skipped(ok: Bool[Array, ""]) -> Float[Array, ""]:
    """1 for an update that was skipped, 0 for one that was made."""
    return 1.0 - ok.astype(float)


def over_updates(metrics: Metrics) -> Metrics:
    """The metrics of R updates, stacked along the first axis by a scan, as those of all.

    Means; of the `guard/` counts sums, and with them `guard/first`: the stage that was the first to
    be skipped in the first update in which any was.
    """
    counts = {name: x for name, x in metrics.items() if name in COUNTED}
    means = {name: x.mean() for name, x in metrics.items() if name not in (*counts, FIRST)}
    sums = {name: x.sum() for name, x in counts.items()}
    if not counts:
        return means
    firsts = first(counts)
    # The first update that has one; 0 if none has.
    return {**means, **sums, FIRST: firsts[jnp.argmax(firsts > 0)]}


def first(counts: Metrics) -> Float[Array, "*r"]:
    """`guard/first` of the counts of one iteration, or of each of R updates."""
    if not counts:
        return jnp.zeros(())
    beyond = len(STAGES) + 1
    places = [jnp.where(x > 0, 1 + COUNTED.index(name), beyond) for name, x in counts.items()]
    earliest = jnp.stack(places).min(axis=0)
    return jnp.where(earliest < beyond, earliest, 0).astype(float)


def judged(metrics: Metrics, networks: dict[str, Any], steps: int) -> Metrics:
    """The metrics of an iteration with what the host needs to know whether to go on.

    Args:
        metrics: of the iteration.
        networks: what it learned, by name.
        steps: env steps of the iteration over all worlds, 0 for learning from a data set.

    Returns:
        The metrics with `guard/parameters`, the number of networks that are not finite, with
        `guard/first` and with `guard/unsound`.
    """
    zero = jnp.zeros(())
    counts = {name: x for name, x in metrics.items() if name in COUNTED}
    collected = {n: x for n, x in counts.items() if n.removeprefix("guard/") in COLLECTION}
    if not collected and "collect/diverged" in metrics:
        counts["guard/step"] = collected["guard/step"] = metrics["collect/diverged"]
    updates = {name: x for name, x in counts.items() if name not in collected}
    lost = sum((skipped(all_finite(tree)) for tree in networks.values()), zero)
    counts["guard/parameters"] = lost
    # Some steps that are not valid are masked and do no harm; most of them are another matter.
    useless = sum(collected.values(), zero) > steps / 2
    # What is collected comes before updates; of several updates the scan over them knows the order.
    stages = [
        jnp.where(useless, first(collected), 0),
        first({"guard/moments": counts.get("guard/moments", zero)}),
        metrics.get(FIRST, zero),
        first(updates),
        first({"guard/parameters": lost}),
    ]
    earliest = jnp.stack(stages)
    earliest = earliest[jnp.argmax(earliest > 0)]
    unsound = jnp.where(lost > 0, 2.0, (earliest > 0).astype(float))
    return {**metrics, **counts, FIRST: earliest, UNSOUND: unsound}
