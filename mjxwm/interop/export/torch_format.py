"""A policy as torch's exported program (`.pt2`), which runs without this project."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mjxwm.interop.export.layers import Chain, Layer


def module(chain: Chain) -> Any:
    """The policy as a `torch.nn.Module`: obs [batch, o] -> actions [batch, a]."""
    import torch
    from torch.nn import functional as F  # noqa: N812  torch's own name for it

    def layer_norm(x: Any, scale: Any, bias: Any, epsilon: float) -> Any:
        # Torch's own is NaN where squares of huge observations overflow; ours is 0.
        x = x - x.mean(-1, keepdim=True)
        return x * (x.square().mean(-1, keepdim=True) + epsilon).rsqrt() * scale + bias

    def simnorm(x: Any, group: int) -> Any:
        return x.unflatten(-1, (-1, group)).softmax(-1).flatten(-2)

    ops = {
        "normalize": lambda x, mean, std: (x - mean) / std,
        "clip": lambda x, limit: x.clamp(-limit, limit),
        "dense": lambda x, kernel, bias: x @ kernel + bias,
        "layer_norm": layer_norm,
        "mish": F.mish,
        "simnorm": simnorm,
        "swish": F.silu,
        "relu": F.relu,
        "elu": F.elu,
        "gelu": lambda x: F.gelu(x, approximate="tanh"),
        "tanh": torch.tanh,
    }

    class Step(torch.nn.Module):
        def __init__(self, layer: Layer):
            super().__init__()
            self.op, self.numbers = ops[layer.op], layer.numbers
            self.names = tuple(layer.arrays)
            for name, array in layer.arrays.items():
                # Moments of observations are no parameters.
                tensor = torch.from_numpy(array.copy())
                if layer.op == "normalize":
                    self.register_buffer(name, tensor)
                else:
                    self.register_parameter(name, torch.nn.Parameter(tensor))

        def forward(self, x: Any) -> Any:
            arrays = {name: getattr(self, name) for name in self.names}
            return self.op(x, **arrays, **self.numbers)

    return torch.nn.Sequential(*map(Step, chain))


def write(file: Path, chain: Chain, about: dict[str, Any]) -> None:
    """Writes a policy.

    Args:
        file: the file; torch wants the suffix .pt2.
        chain: the policy.
        about: what is to be known of it, JSON in the program's extra file `about.json`.
    """
    import torch

    inputs = next(layer.arrays["kernel"].shape[0] for layer in chain if layer.op == "dense")
    obs = torch.zeros(2, inputs)
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(module(chain), (obs,), dynamic_shapes=(batch,))
    torch.export.save(program, file, extra_files={"about.json": json.dumps(about)})


def act(file: Path, obs: np.ndarray) -> np.ndarray:
    """The actions [B, a] of a policy for observations [B, o]."""
    import torch

    with torch.no_grad():
        actions = torch.export.load(file).module()(torch.from_numpy(np.asarray(obs, np.float32)))
    return actions.numpy()
