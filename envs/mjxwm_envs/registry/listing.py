"""What there is: tasks by suite, their sizes, the engines that run them, and what is missing."""

import importlib.metadata
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from mjxwm_envs import engines
from mjxwm_envs.env import Env
from mjxwm_envs.fields import nearest
from mjxwm_envs.registry import FOREIGN, SUITES, make, names

VARIANTS = ("fast", "stiff")
"""Endings of names that stand for the same task on another body."""

PACKAGES = {
    "locomotion": (),
    "dm_control": (("dm-control", "suites"),),
    "myosuite": (("myo-sim", "muscles"), ("myosuite", "muscles")),
    "registered": (),
    "gymnasium": (("gymnasium", "suites"),),
    "maniskill": (("mani-skill", ""),),
    "metaworld": (("metaworld", "suites"),),
    "playground": (("playground", "playground"),),
}
"""Distributions that a suite's bodies or worlds come from, and our extra that brings them."""


class Row(NamedTuple):
    """A task."""

    name: str
    suite: str
    variants: tuple[str, ...] = ()
    obs_size: int | None = None
    action_size: int | None = None
    episode_length: int | None = None
    engines: tuple[str, ...] = ()
    """Those that run it."""
    refused: dict[str, str] = {}  # noqa: RUF012  never written to
    """Why others do not."""
    missing: str = ""
    """Why it cannot be made here, and the remedy."""


def rows(wanted: tuple[str, ...] = (), **fields: Any) -> Iterator[Row]:
    """A row for each task, one by one, as it takes a moment each to look at its engines.

    Args:
        wanted: names of tasks (foreign ones, too) and of suites; all shipped suites by default.
        fields: values for the tasks' own fields, such as `episode_length=200`.

    Raises:
        ValueError: something wanted is unknown; the message names the nearest.
    """
    found = [one for item in wanted or [s for s in SUITES if SUITES[s]] for one in expand(item)]
    for suite, name in found:
        variants = tuple(v for v in VARIANTS if f"{name}-{v}" in SUITES.get(suite, {}))
        yield describe(suite, name, **fields)._replace(variants=variants)


def describe(suite: str, name: str, **fields: Any) -> Row:
    """One task, with other values of its fields."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            env = make(name, **fields)
            spec = env.spec
        except Exception as error:  # a user's own task may raise what it likes
            return Row(name, suite, missing=str(error) or type(error).__name__)
        row = Row(
            name, suite, (), spec.obs_size, spec.action_size, spec.episode_length, (spec.engine,)
        )
        if not isinstance(env, Env):
            return row
        tried = {engine: _refusal(env, engine) for engine in engines.NAMES}
    refused = {engine: why for engine, why in tried.items() if why}
    return row._replace(engines=tuple(e for e in tried if e not in refused), refused=refused)


def sources(suite: str) -> str:
    """What a suite's tasks are made of, with versions, or what to install."""
    said = []
    for package, extra in PACKAGES[suite]:
        try:
            said.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            what = f"'mjxwm[{extra}]'" if extra else package
            said.append(f"{package} is missing: pip install {what}")
    return ", ".join(said) or "this project"


def ids(suite: str) -> tuple[str, ...]:
    """Names of a foreign suite's tasks, where it can say; without the suite's own name.

    Raises:
        ValueError: its package is not installed.
    """
    if suite == "metaworld":
        from mjxwm_envs.adapters import metaworld

        return metaworld.names()
    if suite == "playground":
        from mjxwm_envs.adapters import playground

        return playground.names()
    return ()


def expand(item: str) -> list[tuple[str, str]]:
    """(suite, name) of what a name of a task or of a suite stands for.

    Raises:
        ValueError: it is neither.
    """
    if item in SUITES:
        return [(item, name) for name in names(item) if not _is_variant(item, name)]
    if item in FOREIGN:
        return [(item, name if name.startswith("mw-") else f"{item}/{name}") for name in ids(item)]
    for suite, tasks in SUITES.items():
        if item in tasks:
            return [(suite, item)]
    if "/" in item or ":" in item or item.startswith("mw-"):
        suite = "metaworld" if item.startswith("mw-") else item.split("/")[0]
        return [(suite if suite in FOREIGN else "registered", item)]
    known = [*SUITES, *FOREIGN, *names()]
    raise ValueError(
        f"{item!r} is neither a task nor a suite{nearest(item, known)}. "
        f"Suites are: {', '.join([*SUITES, *FOREIGN])}"
    )


def _is_variant(suite: str, name: str) -> bool:
    base, _, ending = name.rpartition("-")
    return ending in VARIANTS and base in SUITES[suite]


def _refusal(env: Env, engine: str) -> str:
    try:
        engines.make(engine, env.engine.model, env.engine.n_substeps, env.task.derived)
    except ValueError as error:
        return str(error)
    return ""
