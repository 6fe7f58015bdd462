"""Lists tasks by suite, with their sizes, the engines that run them, and missing packages."""

import functools
import importlib.metadata
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mjxwm_envs import engines
from mjxwm_envs.env import Env
from mjxwm_envs.fields import nearest
from mjxwm_envs.registry import FOREIGN, SUITES, make, names
from mjxwm_envs.tasks import disk_cache

VARIANTS = ("fast", "stiff")
"""Suffixes of the names of tasks that are another task on a different body."""

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
"""For each suite, the packages that it needs, with the extra of this project that installs them."""
_PHYSICS = ("jax", "mujoco", "mujoco-mjx", "numpy", "warp-lang")
_LASTING = ("locomotion", "dm_control", "myosuite", "metaworld", "playground")
"""Suites whose tasks change with the versions of packages alone: not what a user registers."""


class Row(NamedTuple):
    """A task as it is listed."""

    name: str
    suite: str
    variants: tuple[str, ...] = ()
    obs_size: int | None = None
    action_size: int | None = None
    episode_length: int | None = None
    engines: tuple[str, ...] = ()
    """Engines that run it."""
    refused: dict[str, str] = {}  # noqa: RUF012  never written to
    """Engines that refuse it, with their reasons."""
    missing: str = ""
    """If it cannot be made here: the reason and the remedy."""


def rows(selection: tuple[str, ...] = (), **fields: Any) -> Iterator[Row]:
    """Yields a row for each task.

    A row takes a moment to make, as all engines are tried, and is kept in the user's cache folder
    for the versions of all that it depends on: see `fingerprint`.

    Args:
        selection: names of tasks, also foreign ones, and of suites; by default all shipped suites.
        fields: values for the tasks' own fields, such as `episode_length=200`.

    Raises:
        ValueError: a name is unknown; the message names the nearest.
    """
    selection = selection or tuple(suite for suite in SUITES if SUITES[suite])
    for suite, name in [task for item in selection for task in expand(item)]:
        variants = tuple(v for v in VARIANTS if f"{name}-{v}" in SUITES.get(suite, {}))
        yield _kept_row(suite, name, fields)._replace(variants=variants)


def _kept_row(suite: str, name: str, fields: dict[str, Any]) -> Row:
    """The row of a task, from the cache where it is of a package and as the package has it."""
    if fields or suite not in _LASTING:
        return describe(suite, name, **fields)
    place = disk_cache.folder("tasks") / fingerprint()
    return disk_cache.load_or_make(
        place / f"{disk_cache.key(suite, name)}.json",
        lambda: describe(suite, name),
        lambda row: json.dumps(row._asdict()).encode(),
        _from_json,
        lasts=lambda row: not row.missing,  # what is missing may be installed
    )


def _from_json(text: bytes) -> Row:
    values = json.loads(text)
    try:
        lists = {key: tuple(values[key]) for key in ("variants", "engines")}
        return Row(**(values | lists))
    except (TypeError, KeyError) as error:
        raise ValueError(f"no row: {error}") from error


@functools.cache
def fingerprint() -> str:
    """A hash of what rows depend on: versions of packages, this package's files, the GPU."""
    packages = sorted({p for needed in PACKAGES.values() for p, _ in needed} | set(_PHYSICS))
    versions = [f"{package} {_version(package)}" for package in packages]
    root = Path(__file__).parents[1]
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.suffix != ".pyc")
    stats = [(p.relative_to(root).as_posix(), p.stat()) for p in files]
    sources = [f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats]
    return disk_cache.key(sys.version, *versions, *sources, engines.default())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def describe(suite: str, name: str, **fields: Any) -> Row:
    """The row of one task, made with these values of its fields."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            env = make(name, **fields)
            spec = env.spec
        except Exception as error:  # a user's own task may raise anything
            return Row(name, suite, missing=str(error) or type(error).__name__)
        row = Row(
            name, suite, (), spec.obs_size, spec.action_size, spec.episode_length, (spec.engine,)
        )
        if not isinstance(env, Env):
            return row
        reasons = {engine: _refusal(env, engine) for engine in engines.NAMES}
    refused = {engine: reason for engine, reason in reasons.items() if reason}
    return row._replace(engines=tuple(e for e in reasons if e not in refused), refused=refused)


def sources(suite: str) -> str:
    """The packages that a suite needs, with their versions or how to install them, as text."""
    parts = []
    for package, extra in PACKAGES[suite]:
        try:
            parts.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            what = f"'mjxwm[{extra}]'" if extra else package
            parts.append(f"{package} is missing: pip install {what}")
    return ", ".join(parts) or "this project"


def ids(suite: str) -> tuple[str, ...]:
    """Names of a foreign suite's tasks, without the suite's name; empty if it has no list.

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
    """(suite, name) of each task that a name of a task or a suite selects.

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
    choices = [*SUITES, *FOREIGN, *names()]
    raise ValueError(
        f"{item!r} is neither a task nor a suite{nearest(item, choices)}. "
        f"Suites are: {', '.join([*SUITES, *FOREIGN])}; a task of your own is module:Class"
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
