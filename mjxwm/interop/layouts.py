"""The layouts that state dicts of TD-MPC2's come in, read into one: part, layer, field, array.

A layer is a linear map and, in most, the LayerNorm after it. Files name it in one of three ways:

- `_dynamics.1.weight`, `_dynamics.1.ln.weight`: layers, as in the released code;
- `_dynamics.3.weight`, `_dynamics.4.weight`: as torch numbers the modules of a `Sequential`, where
  dropout and activations have numbers, too; in some files all one level deeper, `_dynamics.0.3`;
- `_Qs.params.7`: an ensemble's tensors, stacked and numbered through in their order.

So a tensor's dimensions tell what it is, and numbers only the order. An ensemble is stacked (all
tensors have an axis more), or a list of its members: `_Qs.2.0.weight`, `_Qs.modules_list.2.0...`.
What wrappers add to names (`module.`, `_orig_mod.`) is taken off.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mjxwm.interop.files import Inert, array

PARTS = ("_encoder", "_dynamics", "_reward", "_pi", "_Qs")
"""What every checkpoint has."""
EMBEDDING = "_task_emb.weight"
"""The tasks' embeddings, among the other tensors."""
_OTHERS = ("_termination", "_target_Qs", "_detach_Qs", "_task_emb")
_ALIASES = {
    "_terminated": "_termination",
    "_target_Qs_params": "_target_Qs",
    "_detach_Qs_params": "_detach_Qs",
}
_WRAPPERS = ("module", "_orig_mod", "_tensordict")
_ENSEMBLES = ("_Qs", "_target_Qs", "_detach_Qs")
_LEAVES = ("weight", "bias")


class Tensor(NamedTuple):
    """An array, and what the file calls it."""

    name: str
    array: np.ndarray


Layer = dict[str, Tensor]
"""weight, bias, and those of the LayerNorm after it: ln.weight, ln.bias."""


class Contents(NamedTuple):
    """What a file holds."""

    layers: dict[str, list[Layer]]
    """By part, in order; an ensemble's arrays have a leading axis."""
    others: dict[str, np.ndarray]
    """Tensors that are of no part, by their names in it."""


class _Entry(NamedTuple):
    name: str
    path: tuple[str, ...]
    """Below the part, without the leaf."""
    leaf: str
    tensor: Any

    @property
    def order(self) -> tuple[tuple[int, ...], int]:
        return tuple(int(step) for step in self.path if step.isdigit()), len(self.path)


def read(path: Path, loaded: Any) -> Contents:
    """Finds the model in what was loaded, and reads its layers.

    Raises:
        ValueError: there is no such part, there are several, or something in it is of another kind.
    """
    models = _models(loaded)
    if len(models) > 1 and "model" in models:
        models = {"model": models["model"]}
    if len(models) != 1:
        what = f"models under {', '.join(map(repr, models))}" if models else "no networks"
        raise ValueError(
            f"{path}: a checkpoint of TD-MPC2's has one model, of {', '.join(PARTS)}. Found: "
            f"{what}; the file holds {_summary(loaded)}"
        )
    parts, others = next(iter(models.values()))
    # What detaches the Qs' tensors from their gradients holds the same ones once more.
    detached = parts.pop("_detach_Qs", None)
    if "_Qs" not in parts and detached is not None:
        parts["_Qs"] = detached
    missing = [f"{part}.*" for part in PARTS if part not in parts]
    if missing:
        raise ValueError(
            f"{path}: no {', '.join(missing)} in it; a checkpoint of TD-MPC2's has "
            f"{', '.join(PARTS)}. Found: {', '.join(sorted(parts))}; the file holds "
            f"{_summary(loaded)}"
        )
    unread = sorted(n for n in others if n.rsplit(".", 1)[-1] in _LEAVES and n != EMBEDDING)
    if unread:
        raise ValueError(
            f"{path}: {unread[0]} is of no network of TD-MPC2's ({len(unread)} such tensors): what "
            "it does would be missing here"
        )
    layers = {part: _layers(path, part, entries) for part, entries in parts.items()}
    return Contents(layers, {name: _floats(path, name, x) for name, x in others.items()})


def _floats(path: Path, name: str, tensor: Any) -> np.ndarray:
    """A tensor as float32."""
    return array(path, name, tensor).astype(np.float32, copy=False)


def _flat(loaded: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Tensors, and the steps that lead to them through dictionaries and dotted names."""
    if isinstance(loaded, Inert):
        for part in loaded.parts:
            yield from _flat(part, path)
    if isinstance(loaded, dict):
        for key, value in loaded.items():
            yield from _flat(value, (*path, *str(key).split(".")))
    elif hasattr(loaded, "detach") and hasattr(loaded, "numpy"):
        yield tuple(step for step in path if step not in _WRAPPERS), loaded


def _models(loaded: Any) -> dict[str, tuple[dict[str, list[_Entry]], dict[str, Any]]]:
    """Parts and other tensors of each model in it, by what its names begin with."""
    models: dict[str, tuple[dict[str, list[_Entry]], dict[str, Any]]] = {}
    loose: dict[tuple[str, ...], Any] = {}
    for steps, tensor in _flat(loaded):
        names = [_ALIASES.get(step, step) for step in steps]
        place = next((i for i, n in enumerate(names) if n in (*PARTS, *_OTHERS)), None)
        if place is None or names[place] == "_task_emb":
            loose[steps] = tensor
            continue
        part, below = names[place], steps[place + 1 :]
        if part == "_Qs" and "target" in below:  # an ensemble and its target in one module
            part = "_target_Qs"
        numbered = not below or below[-1].isdigit()
        leaf, inner = ("", below) if numbered else (below[-1], below[:-1])
        parts, _ = models.setdefault(".".join(steps[:place]), ({}, {}))
        parts.setdefault(part, []).append(_Entry(".".join(steps), inner, leaf, tensor))
    models = {root: model for root, model in models.items() if model[0].keys() & set(PARTS)}
    for steps, tensor in loose.items():
        for root, (_, others) in models.items():
            begin = tuple(root.split(".")) if root else ()
            if steps[: len(begin)] == begin:
                others[".".join(steps[len(begin) :])] = tensor
    return models


def _layers(path: Path, part: str, entries: list[_Entry]) -> list[Layer]:
    pictures = [e.name for e in entries if e.tensor.ndim > 3]
    if pictures:
        raise ValueError(
            f"{path}: {pictures[0]} is a convolution: a model that sees pictures. Models that see "
            "states are read, whose _encoder is of linear layers"
        )
    if part == "_encoder":
        kinds = {s for e in entries for s in e.path[:1] if not s.isdigit()} - {"state"}
        if kinds:
            raise ValueError(
                f"{path}: _encoder.{min(kinds)} encodes something else than a state: _encoder.state"
            )
    if part not in _ENSEMBLES:
        return _net(path, part, entries, 2)
    if any(not entry.leaf for entry in entries):
        return _numbered(path, part, entries)
    if any(entry.tensor.ndim == 3 for entry in entries):
        return _net(path, part, entries, 3)
    return _stacked(path, part, entries)


def _numbered(path: Path, part: str, entries: list[_Entry]) -> list[Layer]:
    """An ensemble's tensors, numbered through."""
    entries = sorted(entries, key=lambda entry: entry.order)
    numbers = [e.order[0][-1] for e in entries if not e.leaf and e.order[0]]
    if numbers != list(range(len(entries))):
        raise ValueError(f"{path}: {part} has the tensors {numbers}: not numbered through from 0")
    modules = [
        [e._replace(leaf=leaf, path=(str(i),)) for leaf, e in zip(_LEAVES, pair, strict=False)]
        for i, pair in enumerate(entries[j : j + 2] for j in range(0, len(entries), 2))
    ]
    return _net(path, part, [entry for module in modules for entry in module], 3)


def _stacked(path: Path, part: str, entries: list[_Entry]) -> list[Layer]:
    """An ensemble that is a list of its members, stacked."""
    members: dict[int, list[_Entry]] = {}
    for entry in entries:
        numbers = entry.order[0]
        listed = all(len(e.order[0]) > 1 for e in entries)
        members.setdefault(numbers[0] if listed else 0, []).append(entry)
    if sorted(members) != list(range(len(members))):
        raise ValueError(f"{path}: {part} has the members {sorted(members)}: not all from 0 on")
    nets = [_net(path, part, members[number], 2) for number in range(len(members))]
    shapes = [[{f: t.array.shape for f, t in layer.items()} for layer in net] for net in nets]
    for number, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(f"{path}: member {number} of {part} is not built as member 0 is")
    return [
        {
            field: Tensor(same[0][field].name, np.stack([layer[field].array for layer in same]))
            for field in same[0]
        }
        for same in zip(*nets, strict=True)
    ]


def _net(path: Path, part: str, entries: list[_Entry], dims: int) -> list[Layer]:
    """A network's layers; a linear map's weight has so many dimensions, a norm's one less."""
    modules: dict[tuple[str, ...], dict[str, _Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.order):
        module = modules.setdefault(entry.path, {})
        if entry.leaf not in _LEAVES or entry.leaf in module:
            raise ValueError(
                f"{path}: {entry.name} is not of a linear layer or a LayerNorm, which have one "
                "weight and one bias"
            )
        module[entry.leaf] = entry
    layers: list[Layer] = []
    for module in modules.values():
        name = re.sub(r"\.?(weight|bias)$", "", next(iter(module.values())).name)
        for leaf in _LEAVES:
            if leaf not in module:
                raise ValueError(f"{path}: {name}.{leaf} is missing")
        has = {leaf: Tensor(e.name, _floats(path, e.name, e.tensor)) for leaf, e in module.items()}
        size = has["weight"].array.ndim
        if size == dims:
            layers.append(has)
        elif size == dims - 1 and layers and "ln.weight" not in layers[-1]:
            layers[-1] |= {f"ln.{leaf}": tensor for leaf, tensor in has.items()}
        else:
            raise ValueError(
                f"{path}: {name} has a weight of {size} dimensions, where a linear layer has "
                f"{dims}, and the one LayerNorm after it {dims - 1}"
            )
    _finite(path, layers)
    return layers


def _finite(path: Path, layers: list[Layer]) -> None:
    for layer in layers:
        for tensor in layer.values():
            if not np.isfinite(tensor.array).all():
                raise ValueError(f"{path}: {tensor.name} holds numbers that are not finite")


def _summary(loaded: Any) -> str:
    """What is in a file, in words."""
    if not isinstance(loaded, dict):
        return f"a {type(loaded).__name__}"
    tops: dict[str, int] = {}
    for steps, _ in _flat(loaded):
        tops[steps[0] if steps else "a tensor"] = tops.get(steps[0] if steps else "a tensor", 0) + 1
    words = [f"{top} ({count} tensors)" for top, count in tops.items()]
    return ", ".join(words[:12]) + (", ..." if len(words) > 12 else "") or "no tensors"
