"""Writes an ONNX graph node by node.

Imported only when a graph is written: running a bundle does not need the package `onnx`.
Shapes: B batch, T frames.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

FLOAT, DOUBLE = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE
INT32, INT64 = onnx.TensorProto.INT32, onnx.TensorProto.INT64
OPSET = 17  # the first with LayerNormalization
IR_VERSION = 8  # the format of that opset's time, as old ONNX Runtimes refuse newer ones


class GraphWriter:
    """Nodes in the order they are computed; every method returns the name of a value.

    Args:
        prefix: of the names of values without one; a graph within another needs its own.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}

    def weight(self, name: str, value: Tensor | NDArray[Any]) -> str:
        """A constant tensor with this name."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        self._weights[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def floats(self, *values: float) -> str:
        """A float32 constant of shape `(len(values),)`."""
        return self._constant(np.array(values, dtype=np.float32))

    def integers(self, *values: int) -> str:
        """An int64 constant of shape `(len(values),)`."""
        return self._constant(np.array(values, dtype=np.int64))

    def scalar(self, value: int) -> str:
        """An int64 constant without dimensions."""
        return self._constant(np.array(value, dtype=np.int64))

    def _constant(self, value: NDArray[Any]) -> str:
        return self.weight(
            f"{self._prefix}{value.dtype}{list(value.shape)} {value.tolist()}", value
        )

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """The first output of a new node of this kind; "" stands for an omitted input."""
        output = name or f"{self._prefix}{kind} {len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def linear(self, name: str, linear: nn.Linear, x: str) -> str:
        """`x` through a linear layer."""
        product = self.op("MatMul", x, self.weight(f"{name}.weight", linear.weight.T), name=name)
        return self.op("Add", product, self.weight(f"{name}.bias", linear.bias))

    def padding(self, x: str, lengths: str, axis: int = 1) -> str:
        """Bool, true after each length of `x`: `(B, T, 1)`, or `(B, 1, T, 1)` for `axis` 2."""
        frames = self.op("Squeeze", self.op("Shape", x, start=axis, end=axis + 1))
        steps = self.op("Range", self.scalar(0), frames, self.scalar(1))  # (T,)
        ends = self.op("Unsqueeze", lengths, self.integers(1))  # (B, 1)
        padding = self.op("GreaterOrEqual", steps, ends)  # (B, T)
        return self.op("Unsqueeze", padding, self.integers(*range(1, axis), axis + 1))

    def masked(self, x: str, padding: str) -> str:
        """`x` with zeros where `padding` is true, also in place of NaN."""
        return self.op("Where", padding, self.floats(0.0), x)

    def graph(self, inputs: list[str], outputs: list[str]) -> onnx.GraphProto:
        """What was written, as the body of another graph's node."""
        begin, end = (
            [onnx.ValueInfoProto(name=name) for name in names] for names in (inputs, outputs)
        )
        return helper.make_graph(self._nodes, "body", begin, end, list(self._weights.values()))

    def model(
        self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """The finished graph, checked."""
        graph = helper.make_graph(
            self._nodes, "earshot", inputs, outputs, initializer=list(self._weights.values())
        )
        model = helper.make_model(
            graph,
            producer_name="earshot",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        onnx.checker.check_model(model, full_check=True)
        return model
