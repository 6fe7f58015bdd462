"""Runs what `mjxwm export RUN --to numpy` wrote: python policy_numpy.py policy.npz SECONDS."""

import json
import sys
import time

import numpy as np


def simnorm(x, group):
    e = np.exp(x.reshape(-1, group) - x.reshape(-1, group).max(1, keepdims=True))
    return (e / e.sum(1, keepdims=True)).ravel()


OPS = {
    "normalize": lambda x, mean, std: (x - mean) / std,
    "clip": lambda x, limit: np.clip(x, -limit, limit),
    "dense": lambda x, kernel, bias: x @ kernel + bias,
    "layer_norm": lambda x, s, b, epsilon: (x - x.mean()) / np.sqrt(x.var() + epsilon) * s + b,
    "simnorm": simnorm,
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "swish": lambda x: x * (1 + np.tanh(x / 2)) / 2,
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))) / 2,
    "tanh": np.tanh,
}
file = np.load(sys.argv[1])  # without pickle: nothing in the file can run
about = json.loads(str(file["about"]))
layers = [(OPS[op], [file[name] for name in names], kw) for op, names, kw in about["layers"]]
period, times, begin = about["action_dt"], [], time.perf_counter()
for step in range(round(float(sys.argv[2]) / period)):
    time.sleep(max(0.0, begin + step * period - time.perf_counter()))
    x = np.zeros(about["obs_size"], np.float32)  # your sensors, in the order of obs_names
    start = time.perf_counter()
    for op, arrays, numbers in layers:
        x = op(x, *arrays, **numbers)
    times.append(1e3 * (time.perf_counter() - start))
    # x is the action, in [-1, 1]: to your actuators, as about["ctrl"] says
print(f"{1 / period:g} actions/s; one took {np.median(times):.2f} ms, at most {max(times):.2f} ms")
