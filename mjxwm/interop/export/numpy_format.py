"""A policy as numpy's `.npz`: arrays by layer, and `about`, a text of JSON.

Its item `layers` is the chain: for each layer the operation, the names of its arrays, and its
numbers. No pickle is needed to read it; `docs/examples/policy_numpy.py` runs it in 40 lines.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mjxwm.interop.export.layers import Chain, Layer, run


def write(file: Path, chain: Chain, about: dict[str, Any]) -> None:
    """Writes a policy.

    Args:
        file: the file, of any suffix.
        chain: the policy.
        about: what is to be known of it, as JSON has it; the names of its layers are added.
    """
    arrays = {
        f"{i}.{name}": array
        for i, layer in enumerate(chain)
        for name, array in layer.arrays.items()
    }
    layers = [
        [layer.op, [f"{i}.{name}" for name in layer.arrays], layer.numbers]
        for i, layer in enumerate(chain)
    ]
    with file.open("wb") as stream:
        text = json.dumps({**about, "layers": layers})
        np.savez(stream, about=np.array(text), **arrays)  # pyright: ignore[reportArgumentType]


def read(file: Path) -> tuple[Chain, dict[str, Any]]:
    """A policy, and what is to be known of it."""
    with np.load(file) as arrays:
        about = json.loads(str(arrays["about"]))
        chain = [
            Layer(op, {name.partition(".")[2]: arrays[name] for name in names}, numbers)
            for op, names, numbers in about.pop("layers")
        ]
    return chain, about


def act(file: Path, obs: np.ndarray) -> np.ndarray:
    """The actions [B, a] of a policy for observations [B, o]."""
    return run(read(file)[0], obs)
