"""int8 graphs, for the CPU."""

from pathlib import Path
from tempfile import TemporaryDirectory

from onnx import ModelProto, helper, load_model
from onnxruntime.quantization import QuantType, quantize_dynamic


def quantize(graph: ModelProto) -> ModelProto:
    """The graph with int8 weights in its LSTMs and linear layers, one scale per row of weights.

    Activations are quantised as they come, by one scale over all that a node is given, so the
    result for an utterance depends on its batch: call this graph with one utterance at a time.
    Features and convolutions stay float: they are a small part of the work, and features span
    eight decades, which 256 steps cannot.

    Weights have all eight bits. CPUs without VNNI (before about 2019) can overflow in rare sums of
    such products; fp32 graphs serve them better.

    Only graphs of LSTMs: ONNX Runtime has no int8 GRU or RNN.
    """
    copy = ModelProto()
    copy.CopyFrom(graph)  # quantize_dynamic changes what it is given
    # Says that shapes are inferred; without it a warning goes to the root logger.
    helper.set_model_props(copy, {"onnx.quant.pre_process": "onnxruntime.quant"})
    with TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            copy,
            path,
            op_types_to_quantize=["LSTM", "MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[
                node.name for node in copy.graph.node if node.name.startswith("features.")
            ],
        )
        return load_model(path)
