"""Writes an ONNX graph node by node. The only file here that needs the package `onnx`."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET = 17  # the first with LayerNormalization
IR_VERSION = 8  # the format of that opset's time: older ONNX Runtimes refuse newer ones


class GraphWriter:
    """Nodes in the order they are computed; every method returns the name of a value."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}

    def weight(self, name: str, value: NDArray[Any]) -> str:
        """A constant tensor under a name of its own."""
        self._weights[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
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
        return self.weight(f"{value.dtype}{list(value.shape)} {value.tolist()}", value)

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """The first output of a new node of this kind; an input "" is left out."""
        output = name or f"{kind} {len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

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
