"""int8 graphs, for the CPU."""

from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Literal

from onnx import ModelProto, helper, load_model
from onnxruntime.quantization import QuantType, quantize_dynamic

from asr.errors import BadOption


def quantize(graph: ModelProto, weight_bits: Literal[7, 8] = 8) -> ModelProto:
    """The graph with int8 weights in its LSTMs and linear layers, one scale per row of weights.

    Activations are quantised dynamically, with one scale for the whole input of a node. So the
    result for an utterance depends on its batch: call this graph with one utterance at a time.
    Features and convolutions stay in float: they are a small part of the work, and features span
    eight decades, too many for 256 steps.

    Weights use all eight bits. On processors whose sums of such products saturate,
    `asr.bundle.session` makes them exact. Seven bits would not need that, but lose more accuracy
    everywhere (docs/results.md).

    Only for LSTMs: ONNX Runtime has no int8 GRU or RNN.

    Args:
        weight_bits: 7 keeps weights within [-64, 64], for comparisons.

    Raises:
        BadOption: the temporary files cannot be written.
    """
    copy = ModelProto()
    copy.CopyFrom(graph)  # quantize_dynamic changes its input
    # Marks shapes as inferred; otherwise a warning is logged.
    helper.set_model_props(copy, {"onnx.quant.pre_process": "onnxruntime.quant"})
    features = [node.name for node in copy.graph.node if node.name.startswith("features.")]
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            quantize_dynamic(
                copy,
                path,
                op_types_to_quantize=["LSTM", "MatMul"],
                per_channel=True,
                weight_type=QuantType.QInt8,
                reduce_range=weight_bits == 7,
                nodes_to_exclude=features,
            )
            return load_model(path)
    except OSError as error:
        raise BadOption(
            f"the graph cannot be kept in {gettempdir()} ({error.strerror}); name a folder with "
            "more room in TMPDIR."
        ) from error
