"""A policy as an ONNX graph: input `obs` [batch, o], output `action` [batch, a], in float32."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mjxwm.interop.export.layers import Chain, Layer

_OPSET, _IR = 17, 8  # of ONNX 1.12: read by onnxruntime 1.12 and later


class Graph:
    """Nodes and constants of a graph, which grows by one operation at a time."""

    def __init__(self) -> None:
        """An empty graph."""
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def __call__(self, op: str, *inputs: str | float | np.ndarray, **attributes: Any) -> str:
        """Adds an operation; returns the name of its output.

        Args:
            op: its name in ONNX.
            inputs: names of outputs before it, or constants.
            attributes: its attributes.
        """
        from onnx import helper

        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        output = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [output], **attributes))
        return output

    def constant(self, value: float | np.ndarray) -> str:
        """The name of a constant; integers are those of shapes."""
        from onnx import numpy_helper

        integer = isinstance(value, np.ndarray) and value.dtype == np.int64
        array = np.asarray(value, np.int64 if integer else np.float32)
        name = f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(array, name)
        return name


def _normalize(g: Graph, x: str, mean: Any, std: Any) -> str:
    return g("Div", g("Sub", x, mean), std)


def _clip(g: Graph, x: str, limit: float) -> str:
    return g("Min", g("Max", x, -limit), limit)  # Clip would hide a NaN


def _dense(g: Graph, x: str, kernel: Any, bias: Any) -> str:
    return g("Gemm", x, kernel, bias)


def _layer_norm(g: Graph, x: str, scale: Any, bias: Any, epsilon: float) -> str:
    # By the variance about the mean: ONNX's own operation may take a difference of squares. And
    # by a power: onnxruntime's square root of infinity, of huge observations, may be NaN.
    x = g("Sub", x, g("ReduceMean", x, axes=[-1], keepdims=1))
    variance = g("ReduceMean", g("Mul", x, x), axes=[-1], keepdims=1)
    x = g("Mul", x, g("Pow", g("Add", variance, epsilon), -0.5))
    return g("Add", g("Mul", x, scale), bias)


def _mish(g: Graph, x: str) -> str:
    e = g("Exp", g("Min", x, 15.0))
    n = g("Mul", e, g("Add", e, 2.0))
    return g("Mul", x, g("Div", n, g("Add", n, 2.0)))


def _simnorm(g: Graph, x: str, group: float) -> str:
    groups = g("Reshape", x, np.array([0, -1, int(group)]))
    return g("Reshape", g("Softmax", groups, axis=-1), np.array([0, -1]))


def _gelu(g: Graph, x: str) -> str:
    cube = g("Mul", x, g("Mul", x, x))
    inner = g("Mul", g("Add", x, g("Mul", cube, 0.044715)), 0.7978845608)
    return g("Mul", g("Mul", x, g("Add", g("Tanh", inner), 1.0)), 0.5)


_OPS = {
    "normalize": _normalize,
    "clip": _clip,
    "dense": _dense,
    "layer_norm": _layer_norm,
    "mish": _mish,
    "simnorm": _simnorm,
    "swish": lambda g, x: g("Mul", x, g("Sigmoid", x)),
    "relu": lambda g, x: g("Relu", x),
    "elu": lambda g, x: g("Elu", x),
    "gelu": _gelu,
    "tanh": lambda g, x: g("Tanh", x),
}
"""(graph, input, arrays and numbers of the layer) -> output; the keys are those of `layers.OPS`."""


def write(file: Path, chain: Chain, about: dict[str, Any]) -> None:
    """Writes a policy.

    Args:
        file: the file, of any suffix.
        chain: the policy.
        about: what is to be known of it; each item becomes one of the model's `metadata_props`.
    """
    import onnx
    from onnx import TensorProto, helper

    sizes = [layer.arrays["kernel"].shape for layer in chain if layer.op == "dense"]
    graph, name = Graph(), "obs"
    for layer in chain:
        name = _add(graph, name, layer)
    graph.nodes[-1].output[0] = "action"
    proto = helper.make_graph(
        graph.nodes,
        "policy",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", sizes[0][0]])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", sizes[-1][1]])],
        list(graph.constants.values()),
    )
    model = helper.make_model(
        proto,
        producer_name="mjxwm",
        ir_version=_IR,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )
    helper.set_model_props(model, dict(_texts(about)))
    onnx.checker.check_model(model, full_check=True)
    file.write_bytes(model.SerializeToString())


def _add(graph: Graph, name: str, layer: Layer) -> str:
    return _OPS[layer.op](graph, name, **layer.arrays, **layer.numbers)


def _texts(about: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in about.items():
        yield name, value if isinstance(value, str) else json.dumps(value)


def act(file: Path, obs: np.ndarray) -> np.ndarray:
    """The actions [B, a] of a policy for observations [B, o], by onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(["action"], {"obs": np.asarray(obs, np.float32)})[0]
