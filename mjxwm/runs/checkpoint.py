"""Checkpoints of a training state: each a folder of orbax's, with a manifest of its files.

The manifest has a sum of every file, and a checkpoint is called by its iteration once that is
written. One that lacks its manifest, or does not fit it, is passed over for the one before: what is
restored is what was saved.
"""

import os
import shutil
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from orbax.checkpoint import v1 as ocp

from mjxwm import ConfigError
from mjxwm.runs import checksums, devices, manifests

T = TypeVar("T")
_orbax: Any = ocp  # it takes pathlib's paths, which its annotations do not say
_STATE = "state"
"""What orbax calls the tree in a checkpoint."""


def save(folder: Path, iteration: int, state: Any, keep: int = 2) -> None:
    """Saves `state` as the checkpoint of `iteration`; a half-written one never counts as one.

    Args:
        folder: where checkpoints are kept.
        iteration: the state's; where its checkpoint is there already, nothing is done.
        state: a tree of arrays, on devices or on the host.
        keep: how many are kept, the newest; older ones are removed once this one is whole.
    """
    finished = devices.leads() and iteration in iterations(folder)
    if devices.of_the_first(int(finished)):  # or others would wait for one that has it
        return
    folder.mkdir(parents=True, exist_ok=True)
    place = folder.resolve() / str(iteration)
    partial = _partial(place)
    _orbax.save(partial, _named(state), checkpointable_name=_STATE, overwrite=True)
    if not devices.leads():
        return
    manifests.write(partial)
    if place.exists():
        _set_aside(place)  # it is not whole
    os.replace(partial, place)
    checksums.sync(folder)
    for earlier in iterations(folder)[:-keep]:
        try:
            remove(folder, earlier)
        except OSError as error:  # the new one is whole all the same
            print(f"note     {folder / str(earlier)} cannot be removed: {error}", flush=True)


def _partial(place: Path) -> Path:
    """What a checkpoint is called before it is whole, and while it is removed."""
    return place.with_name(f"{place.name}.partial")


def iterations(folder: Path) -> list[int]:
    """The iterations of all finished checkpoints, in order."""
    return [n for n in _all(folder) if manifests.finished(folder / str(n))]


def _all(folder: Path) -> list[int]:
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(int(p.name) for p in entries if p.name.isdecimal() and p.is_dir())


def latest(folder: Path) -> int | None:
    """The iteration of the newest finished checkpoint, if there is any."""
    return max(iterations(folder), default=None)


def remove(folder: Path, iteration: int) -> None:
    """Removes the checkpoint of an iteration."""
    place = folder / str(iteration)
    partial = _partial(place)  # so that no part of it is taken for a checkpoint
    shutil.rmtree(partial, ignore_errors=True)
    place.rename(partial)
    shutil.rmtree(partial)


def set_aside(folder: Path, after: int) -> bool:
    """Renames checkpoints of later iterations, which are not gone on from, to `damaged-N`.

    Returns:
        Whether there were any.
    """
    later = [n for n in _all(folder) if n > after]
    for iteration in later:
        _set_aside(folder / str(iteration))
    return bool(later)


def _set_aside(place: Path) -> None:
    aside = place.with_name(f"damaged-{place.name}")
    shutil.rmtree(aside, ignore_errors=True)
    place.rename(aside)
    print(f"note     {place} is set aside as {aside.name}", flush=True)


def restore(folder: Path, abstract: T) -> T:
    """Reads the newest checkpoint that is whole; where newer ones are damaged, that is said.

    Args:
        folder: where they were saved.
        abstract: the state's shapes and dtypes, from `jax.eval_shape(init, key)`, and the sharding
            of each leaf where it has one; how it was when it was saved does not matter.

    Raises:
        FileNotFoundError: the folder holds no checkpoint.
        ConfigError: none is whole, or its arrays have other names, shapes or types than `abstract`.
    """
    return _loaded(folder / str(_newest_whole(folder)), abstract)


def restore_one(folder: Path, iteration: int, abstract: T) -> T:
    """Reads the checkpoint of one iteration, see `restore`.

    Raises:
        ConfigError: it is gone or not whole, or its arrays are others than `abstract`.
    """
    place = folder / str(iteration)
    if not place.is_dir():
        raise ConfigError(f"{place} is gone: a run keeps its last two checkpoints")
    if damage := manifests.damage(place):
        raise ConfigError(f"{place} is damaged: {damage}")
    return _loaded(place, abstract)


def _loaded(place: Path, abstract: T) -> T:
    try:
        return _load(place, abstract)
    except ConfigError:
        raise
    except Exception as error:  # orbax has many
        if (place / manifests.NAME).is_file():
            raise  # its files are as they were written: it is the machine, say, or its memory
        reason = (str(error).splitlines() or [""])[0]
        raise ConfigError(
            f"{place} is damaged: {type(error).__name__}: {reason[:200]}. {_WAY_OUT}"
        ) from error


_WAY_OUT = (
    "The run cannot go on from it: evaluate its policy with `mjxwm eval`, where it keeps one, or "
    "train anew"
)


_OTHER_VERSION = "The version that reads it is in the run's system.json"
_OTHER_ENGINE = (
    "Worlds go on only on the engine that they were on, and engine 'auto' is warp on an NVIDIA "
    "GPU, native elsewhere: resume the run on such a machine; `mjxwm eval` takes its policy on "
    "any. Or a version of mjxwm had other worlds: it is in the run's system.json"
)


def _newest_whole(folder: Path) -> int:
    """The newest checkpoint that is as it was written; one process looks for all."""
    whole, passed = -1, {}
    for iteration in reversed(_all(folder)) if devices.leads() else ():
        damage = manifests.damage(folder / str(iteration))
        if not damage:
            whole = iteration
            break
        passed[iteration] = damage
    for iteration, damage in passed.items() if whole >= 0 else ():
        print(
            f"note     checkpoint {iteration} of {folder} is passed over: {damage}. The one "
            f"before, {whole}, is taken",
            flush=True,
        )
    whole = devices.of_the_first(whole)
    if whole < 0 and passed:
        damage = next(iter(passed.values()))
        raise ConfigError(f"{folder}: no checkpoint is whole: {damage}. {_WAY_OUT}")
    if whole < 0:
        raise FileNotFoundError(f"{folder} holds no checkpoint")
    return whole


def _load(place: Path, abstract: T) -> T:
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])

    def placed(x: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding or device)

    leaves, structure = jax.tree_util.tree_flatten_with_path(abstract)
    path = place.resolve()
    saved: Any = _orbax.metadata(path, _STATE).metadata
    if saved is None:
        raise ConfigError(f"{place / _STATE} is damaged: orbax cannot read it. {_WAY_OUT}")
    expected_arrays = {_name_in(saved, name): leaf for name, leaf in _named(abstract).items()}
    _check(place.parent, saved, expected_arrays)
    shapes = jax.tree.map(placed, expected_arrays)
    loaded: Any = _orbax.load(path, shapes, checkpointable_name=_STATE)
    filled = [
        loaded[_name_in(saved, jax.tree_util.keystr(path))]
        if leaf.size
        else _empty(leaf, leaf.sharding or device)
        for path, leaf in leaves
    ]
    return jax.tree.unflatten(structure, filled)


def _check(folder: Path, saved: dict[str, Any], expected_arrays: dict[str, Any]) -> None:
    def array(arrays: dict[str, Any], name: str) -> str:
        return f"{arrays[name].dtype}{list(arrays[name].shape)}" if name in arrays else "missing"

    keys = {
        name for name, x in expected_arrays.items() if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    }
    for name in sorted(saved.keys() | expected_arrays.keys()):
        stored, expected = array(saved, name), array(expected_arrays, name)
        # What stands for a random key on disk has a type and shape of its own.
        if stored != expected and not (name in keys and name in saved):
            way = _OTHER_ENGINE if name.startswith(".worlds") else _OTHER_VERSION
            raise ConfigError(
                f"{folder} was saved by another version of mjxwm or with other settings: {name} is "
                f"{stored} there and {expected} here. {way}"
            )


def _name_in(saved: dict[str, Any], name: str) -> str:
    """The name of a leaf in a checkpoint: parameters had ".value" after theirs in version 0.1."""
    return f"{name}.value" if f"{name}.value" in saved else name


def _empty(leaf: jax.ShapeDtypeStruct, sharding: jax.sharding.Sharding) -> jax.Array:
    return jax.device_put(jnp.zeros(leaf.shape, leaf.dtype), sharding)


def _named(state: Any) -> dict[str, Any]:
    # orbax refuses arrays without elements, such as the activations of a model without muscles.
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves if leaf.size}
