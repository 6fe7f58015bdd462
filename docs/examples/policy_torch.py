"""What `mjxwm export RUN --to numpy` wrote as a torch module: python policy_torch.py FILE."""

import json
import sys

import numpy as np
import torch
from torch import nn

PLAIN = {"mish": nn.Mish, "swish": nn.SiLU, "relu": nn.ReLU, "elu": nn.ELU, "tanh": nn.Tanh}


class Normalize(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x):
        return (x - self.mean) / self.std


class SimNorm(nn.Module):
    def __init__(self, group):
        super().__init__()
        self.group = group

    def forward(self, x):
        return x.unflatten(-1, (-1, self.group)).softmax(-1).flatten(-2)


def layer(op, arrays, numbers):
    """One layer of the file as a module."""
    if op == "normalize":
        return Normalize(*arrays)
    if op == "clip":
        return nn.Hardtanh(-numbers["limit"], numbers["limit"])
    if op == "simnorm":
        return SimNorm(**numbers)
    if op == "gelu":
        return nn.GELU(approximate="tanh")
    if op not in ("dense", "layer_norm"):
        return PLAIN[op]()
    weight, bias = arrays
    if op == "dense":
        module, weight = nn.Linear(*weight.shape), weight.T
    else:
        module = nn.LayerNorm(len(weight), eps=numbers["epsilon"])
    module.load_state_dict({"weight": weight, "bias": bias})
    return module


file = np.load(sys.argv[1])
about = json.loads(str(file["about"]))
policy = nn.Sequential(
    *(layer(op, [torch.from_numpy(file[n]) for n in names], k) for op, names, k in about["layers"])
)
with torch.no_grad():
    print(policy, policy(torch.zeros(1, about["obs_size"])), sep="\n")
