"""A policy on disk: `policy.yaml`, which says all about it, and the file of its arrays.

The folder is whole at any moment: arrays are written under a new name, then `policy.yaml`, which
names them and has their sum and its own, replaces the one before.
"""

import dataclasses
import functools
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import yaml

from mjxwm import ConfigError
from mjxwm.algos.multitask import Card
from mjxwm.runs import arrays, checksums, presets, system, yaml_files
from mjxwm.runs.config import Config
from mjxwm.types import Sizes

NAME = "policy.yaml"
FORMAT = 1
_LARGEST = 16 * 2**20
"""Bytes of the largest `policy.yaml` that is read."""
_SUM = "sha256 of the lines above: "


@dataclasses.dataclass(frozen=True)
class ArrayFile:
    """The file of a policy's arrays."""

    name: str
    bytes: int
    sha256: str
    half: bool = False
    """Whether matrices are kept in float16, and the file is half as large."""


@dataclasses.dataclass(frozen=True)
class Header:
    """What `policy.yaml` says, but for the sum of its lines."""

    iteration: int
    """Iterations that were trained."""
    env_steps: int
    """Env steps that were taken."""
    eval_return: float | None
    """Mean return of the evaluation at this iteration; None if there was none."""
    task: str
    """Full name of the environment."""
    engine: str
    """The engine that it was trained on; it runs on all."""
    eval_engine: str
    """The engine of its evaluations."""
    sizes: Sizes
    """Sizes of observation, action and episode."""
    versions: dict[str, Any]
    """Commit and versions of the packages that it was trained with."""
    config: Config
    """The run's configuration, every field of it."""
    card: Card | None = None
    """The card of the model of many tasks that an extracted policy acts through."""
    arrays: ArrayFile = ArrayFile("", 0, "")
    """The file of the arrays; `write` fills it in."""
    format: int = FORMAT


def folder(path: Path, best: bool = False) -> Path | None:
    """The folder of a policy; None if there is none, as in runs of earlier versions.

    Args:
        path: a run's folder, its `policy`, or a folder with a `policy.yaml`.
        best: whether the best is meant, not the last.

    Raises:
        ConfigError: there is the other one alone.
    """
    if (path / NAME).is_file():
        return path
    name, other = ("best", "last") if best else ("last", "best")
    copied = [path] if any(path.glob("*/arrays-*.npz")) or any(path.glob(f"*/{NAME}")) else []
    for place in (path / "policy", *copied):
        if (place / name).is_dir():
            return place / name
        if (place / other).is_dir():
            way = "no evaluation chose one yet" if best else "`mjxwm eval --best` takes the best"
            raise ConfigError(f"{place / name} is missing: {way}")
    return None


def stage_folder(share: float) -> str:
    """The folder, in `policy`, of the policy that a run had after this share of its iterations."""
    return f"at-{100 * share:g}"


def stage(path: Path, share: float) -> Path:
    """The folder of the policy that was kept after this share of a run's iterations.

    Args:
        path: a run's folder, or its `policy`.
        share: above 0, up to 1.

    Raises:
        ConfigError: none was kept there.
    """
    folder = path / "policy" if (path / "policy").is_dir() else path
    place = folder / stage_folder(share)
    if (place / NAME).is_file():
        return place
    shares = sorted(float(p.parent.name[3:]) / 100 for p in folder.glob(f"at-*/{NAME}"))
    names = ", ".join(f"{x:g}" for x in shares)
    way = f"There are: {names}" if names else "It keeps the policies of --stages, and has none"
    raise ConfigError(f"{path} keeps no policy of {share:g} of its iterations. {way}")


def describe(config: Config, iteration: int) -> Header:
    """What is known of a policy by its configuration alone; the rest is to be filled in."""
    algo = config.algo
    sizes = Sizes(algo.obs_size, algo.action_size, 0) if isinstance(algo, Card) else Sizes(0, 0, 0)
    return Header(iteration, 0, None, config.task, "none", "none", sizes, _versions(), config)


@functools.cache
def _versions() -> dict[str, Any]:
    packages = {name: system.version(name) for name in system.PACKAGES}
    return {"commit": system.commit(), **packages}


def write(place: Path, header: Header, policy: Any, half: bool = False) -> None:
    """Writes a policy, in place of the one in the folder if there is one.

    Args:
        place: the folder of this policy alone.
        header: all about it, but for its arrays.
        policy: its arrays.
        half: whether matrices are rounded to float16, so that the file is half as large.
    """
    target = place
    if not place.is_dir():  # it comes to its place at once, too
        target = place.with_name(f"{place.name}.partial")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
    partial = target / "arrays.partial"
    arrays.write(partial, _halved(policy) if half else policy)
    total = checksums.sha256(partial)
    name = f"arrays-{total[:12]}.npz"
    described = ArrayFile(name, partial.stat().st_size, total, half)
    os.replace(partial, target / name)
    text = _text(dataclasses.replace(header, arrays=described))
    checksums.replace(target / NAME, text)
    if target != place:
        os.replace(target, place)
        checksums.sync(place.parent)
    for earlier in place.glob("arrays-*.npz"):
        if earlier.name != name:
            earlier.unlink(missing_ok=True)


def _text(header: Header) -> str:
    lines = yaml.safe_dump(presets.to_dict(header), sort_keys=False)
    return f"{lines}{_SUM}{checksums.text_sum(lines)}\n"


def read_header(place: Path) -> Header:
    """Reads all about a policy, but for its arrays.

    Raises:
        ConfigError: the file is missing or damaged, of another format, or no policy's.
    """
    file = place / NAME
    if not file.is_file():
        raise ConfigError(f"{file} is missing: no policy is in that folder")
    if file.stat().st_size > _LARGEST:
        raise ConfigError(f"{file} is larger than {_LARGEST} bytes: it is no policy's")
    text = file.read_bytes().decode("utf-8", "replace")
    lines, mark, total = text.rpartition(_SUM)
    if not mark or total.strip() != checksums.text_sum(lines):
        raise ConfigError(
            f"{file} is damaged, or was edited: its lines do not have the sum that its last line "
            "says"
        )
    values = yaml_files.parse_yaml(lines, file)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        kind = values.get("format") if isinstance(values, dict) else None
        raise ConfigError(
            f"{file} is of format {kind!r}, this version of mjxwm reads {FORMAT}; the commit that "
            "wrote it is in the file"
        )
    try:
        return presets.from_dict(Header, values, where=str(file))
    except TypeError as error:  # a field without a default is not there
        raise ConfigError(f"{file} is incomplete: {error}") from error


def best(run: Path) -> Header | None:
    """All about the best policy in a run's folder; None if there is none, or it is damaged."""
    try:
        return read_header(run / "policy" / "best")
    except ConfigError:
        return None


def read_arrays(place: Path, header: Header, shapes: Any) -> Any:
    """Reads the arrays of a policy.

    Args:
        place: the folder, the policy's.
        header: of this policy, by `read_header`.
        shapes: the tree of shapes that they must have.

    Raises:
        ConfigError: the file is missing or damaged, or its arrays are others.
    """
    kept = header.arrays
    if Path(kept.name).name != kept.name:
        raise ConfigError(f"{place / NAME}: {kept.name!r} is not the name of a file beside it")
    file = place / kept.name
    if not file.is_file():
        raise ConfigError(f"{file} is missing: {place / NAME} names it")
    size = file.stat().st_size
    if size != kept.bytes:
        raise ConfigError(f"{file} is damaged: it has {size:,} bytes, {kept.bytes:,} were written")
    if checksums.sha256(file) != kept.sha256:
        raise ConfigError(f"{file} is damaged: its SHA-256 is not the one that was written")
    if not kept.half:
        return jax.device_put(arrays.read(file, shapes))
    read = arrays.read(file, jax.eval_shape(_halved, shapes))
    return jax.device_put(jax.tree.map(lambda x, shape: x.astype(shape.dtype), read, shapes))


def _halved(policy: Any) -> Any:
    """Matrices in float16; vectors stay, among them moments, which may be beyond its range."""
    return jax.tree.map(
        lambda x: x.astype(np.float16) if x.ndim > 1 and x.dtype == np.float32 else x, policy
    )
