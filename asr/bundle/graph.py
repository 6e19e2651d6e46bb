"""The acoustic model as an ONNX graph, written from the weights.

Not traced: tracing turns lengths into constants. Each function here stands beside one module of
`asr.model` and says the same in ONNX's operators.
Shapes: B batch, S samples, T feature frames, U output frames, F mels, C channels, H hidden,
N points of the Fourier transform, V units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from asr.errors import BadOption
from asr.model import AcousticModel, FeatureConfig
from asr.model.features import FLOOR, LogMel
from asr.model.recurrent import BidirectionalLayer, RecurrentStack
from asr.model.subsampling import Subsampling

if TYPE_CHECKING:
    import onnx

    from asr.bundle.writer import GraphWriter

MEL_NODE = "features.mel"
"""The matrix product with the mel filters; its inputs span eight decades, so it stays float."""

_FLOAT, _INT32 = 1, 6  # as onnx.TensorProto numbers them

# torch's order of gates in its weights -> ONNX's: LSTM i f g o -> i o f g, GRU r z n -> z r n.
_OPERATORS: dict[str, tuple[str, list[int], dict[str, Any]]] = {
    "lstm": ("LSTM", [0, 3, 1, 2], {}),
    # torch multiplies the reset gate with the recurrent product, not with the state.
    "gru": ("GRU", [1, 0, 2], {"linear_before_reset": 1}),
    "rnn": ("RNN", [0], {"activations": ["Tanh", "Tanh"]}),
}


def build_graph(model: AcousticModel) -> onnx.ModelProto:
    """`(wave, wave_lengths)` -> `(log_probs, lengths)`, as the model computes them.

    Inputs: `wave` (B, S) float32, `wave_lengths` (B,) int64, at most S each, 0 among them.
    Outputs: `log_probs` (B, U, V) float32, `lengths` (B,) int64. B and S are free; frames behind
    an utterance's length hold no meaning.

    Raises:
        BadOption: the package `onnx` is not installed.
    """
    try:
        from onnx import TensorProto, helper

        from asr.bundle.writer import GraphWriter
    except ModuleNotFoundError as error:
        raise BadOption(
            "writing an ONNX graph needs the package onnx; install earshot[train]."
        ) from error
    writer = GraphWriter()
    features, lengths = _features(writer, model.features)  # (B, T, F)
    x, lengths = _subsampling(writer, model.subsampling, features, lengths)  # (B, U, 2 H)
    x = _recurrent(writer, model, x, lengths)  # (B, U, 2 H)
    logits = _linear(writer, "head", model.head, x)  # (B, U, V)
    writer.op("LogSoftmax", logits, name="log_probs", axis=-1)
    writer.op("Identity", lengths, name="lengths")
    return writer.model(
        inputs=[
            helper.make_tensor_value_info("wave", TensorProto.FLOAT, ["batch", "samples"]),
            helper.make_tensor_value_info("wave_lengths", TensorProto.INT64, ["batch"]),
        ],
        outputs=[
            helper.make_tensor_value_info(
                "log_probs", TensorProto.FLOAT, ["batch", "frames", model.head.out_features]
            ),
            helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
        ],
    )


def _features(g: GraphWriter, features: LogMel) -> tuple[str, str]:
    """`wave` (B, S) -> normalised log-mels (B, T, F), padding zero, and their lengths."""
    config = features.config
    lengths = _feature_lengths(g, config)
    energies = _energies(g, features)  # (B, T, F)
    padding = _padding(g, energies, lengths)
    if config.normalize == "corpus":
        centred = g.op("Sub", energies, g.weight("features.mean", _array(features.mean)))
        deviation = g.weight("features.deviation", _array(features.deviation))
        return _masked(g, g.op("Div", centred, deviation), padding), lengths
    axis = g.integers(1)
    count = g.op("Cast", g.op("Max", lengths, g.integers(1)), to=_FLOAT)  # (B,)
    count = g.op("Unsqueeze", count, g.integers(1, 2))  # (B, 1, 1)
    total = g.op("ReduceSum", _masked(g, energies, padding), axis, keepdims=1)
    centred = g.op("Sub", energies, g.op("Div", total, count))
    centred = _masked(g, centred, padding)
    squares = g.op("ReduceSum", g.op("Mul", centred, centred), axis, keepdims=1)
    variance = g.op("Add", g.op("Div", squares, count), g.floats(1e-2))  # (B, 1, F)
    return g.op("Div", centred, g.op("Sqrt", variance)), lengths


def _feature_lengths(g: GraphWriter, config: FeatureConfig) -> str:
    """max(0, floor((samples - window) / hop) + 1), by a division that never sees a negative."""
    reach = g.op("Add", "wave_lengths", g.integers(config.hop - config.window))
    return g.op("Div", g.op("Max", reach, g.integers(0)), g.integers(config.hop))


def _energies(g: GraphWriter, features: LogMel) -> str:
    """`wave` (B, S) -> log-mel energies (B, T, F): one convolution is window and transform."""
    config = features.config
    samples = g.op("Shape", "wave", start=1)  # (1,)
    shortage = g.op("Max", g.op("Sub", g.integers(config.window), samples), g.integers(0))
    pads = g.op("Concat", g.integers(0, 0, 0), shortage, axis=0)
    wave = g.op("Pad", "wave", pads)  # a batch shorter than one window has one masked frame
    wave = g.op("Unsqueeze", wave, g.integers(1))  # (B, S) -> (B, 1, S)
    basis = g.weight("features.fourier", _fourier_basis(_array(features.window), config.points))
    spectrum = g.op("Conv", wave, basis, strides=[config.hop])  # (B, N + 2, T)
    parts = g.op("Mul", spectrum, spectrum)
    # Squares of cosine and sine are summed by the mel filters, which stand there twice.
    filters = _array(features.filters)
    power = g.op("Transpose", parts, perm=[0, 2, 1])  # (B, N + 2, T) -> (B, T, N + 2)
    twice = g.weight("features.filters", np.concatenate([filters, filters]))  # (N + 2, F)
    mel = g.op("MatMul", power, twice, name=MEL_NODE)
    return g.op("Log", g.op("Add", mel, g.floats(FLOOR)))


def _fourier_basis(window: NDArray[np.float32], points: int) -> NDArray[np.float32]:
    """Windowed cosines, then sines, `(N + 2, 1, window)`: computed in float64, rounded once."""
    # Whole turns are dropped from the phase as integers, before rounding can touch them.
    turns = np.outer(np.arange(points // 2 + 1), np.arange(len(window))) % points / points
    angle = 2 * np.pi * turns
    basis = np.concatenate([np.cos(angle), np.sin(angle)]) * window.astype(np.float64)
    return basis[:, None, :].astype(np.float32)


def _subsampling(
    g: GraphWriter, subsampling: Subsampling, x: str, lengths: str
) -> tuple[str, str]:
    """`(B, T, F)` -> `(B, U, 2 H)`."""
    x = g.op("Unsqueeze", x, g.integers(1))  # (B, T, F) -> (B, 1, T, F)
    for name in ("first", "second"):
        convolution = getattr(subsampling, name)
        key = f"subsampling.{name}"
        weight = g.weight(f"{key}.weight", _array(convolution.weight))
        bias = g.weight(f"{key}.bias", _array(convolution.bias))
        x = g.op("Conv", x, weight, bias, name=key, strides=[2, 2], pads=[1, 1, 1, 1])
        x = g.op("Relu", x)  # (B, C, T / 2, F / 2)
        lengths = g.op("Div", g.op("Add", lengths, g.integers(1)), g.integers(2))
        x = _masked(g, x, _padding(g, x, lengths, axis=2))
    x = g.op("Transpose", x, perm=[0, 2, 1, 3])  # (B, C, U, F / 4) -> (B, U, C, F / 4)
    x = g.op("Reshape", x, g.integers(0, 0, -1))  # (B, U, C * F / 4)
    return _linear(g, "subsampling.project", subsampling.project, x), lengths


def _recurrent(g: GraphWriter, model: AcousticModel, x: str, lengths: str) -> str:
    """`(B, U, 2 H)` -> `(B, U, 2 H)`; ONNX's cells take the frames first."""
    stack: RecurrentStack = model.recurrent
    # An utterance without a frame reads one of padding: zeros, and masked as all padding is.
    read = g.op("Cast", g.op("Max", lengths, g.integers(1)), to=_INT32)
    x = g.op("Transpose", x, perm=[1, 0, 2])  # (B, U, 2 H) -> (U, B, 2 H)
    for index, (layer, norm) in enumerate(zip(stack.layers, stack.norms, strict=True)):
        key = f"recurrent.{index}"
        x = _bidirectional(g, key, layer, model.config.cell, x, read)
        scale = g.weight(f"{key}.norm.weight", _array(norm.weight))
        bias = g.weight(f"{key}.norm.bias", _array(norm.bias))
        x = g.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=norm.eps)
    x = g.op("Transpose", x, perm=[1, 0, 2])  # (U, B, 2 H) -> (B, U, 2 H)
    return _masked(g, x, _padding(g, x, lengths))


def _bidirectional(
    g: GraphWriter, key: str, layer: BidirectionalLayer, cell: str, x: str, lengths: str
) -> str:
    """`(U, B, D)` -> `(U, B, 2 H)`, zero behind each length."""
    kind, gates, attributes = _OPERATORS[cell]
    directions = (layer.ahead, layer.back)

    def stacked(name: str) -> NDArray[np.float32]:
        # (gates * H, ...) of each direction, gates in ONNX's order -> (2, gates * H, ...)
        blocks = [np.split(_array(getattr(one, name)), len(gates)) for one in directions]
        return np.stack([np.concatenate([block[gate] for gate in gates]) for block in blocks])

    biases = np.concatenate([stacked("bias_ih_l0"), stacked("bias_hh_l0")], axis=1)
    y = g.op(
        kind,
        x,
        g.weight(f"{key}.input", stacked("weight_ih_l0")),
        g.weight(f"{key}.recurrent", stacked("weight_hh_l0")),
        g.weight(f"{key}.bias", biases),
        lengths,
        name=key,
        direction="bidirectional",
        hidden_size=layer.ahead.hidden_size,
        **attributes,
    )  # (U, 2, B, H)
    y = g.op("Transpose", y, perm=[0, 2, 1, 3])  # (U, 2, B, H) -> (U, B, 2, H)
    return g.op("Reshape", y, g.integers(0, 0, -1))  # (U, B, 2 H)


def _linear(g: GraphWriter, key: str, linear: nn.Linear, x: str) -> str:
    product = g.op("MatMul", x, g.weight(f"{key}.weight", _array(linear.weight).T), name=key)
    return g.op("Add", product, g.weight(f"{key}.bias", _array(linear.bias)))


def _padding(g: GraphWriter, x: str, lengths: str, axis: int = 1) -> str:
    """Bool, true behind each length: `(B, T, 1)`, or `(B, 1, T, 1)` for `axis` 2."""
    frames = g.op("Squeeze", g.op("Shape", x, start=axis, end=axis + 1))
    steps = g.op("Range", g.scalar(0), frames, g.scalar(1))  # (T,)
    padding = g.op(
        "GreaterOrEqual", steps, g.op("Unsqueeze", lengths, g.integers(1))
    )  # (B, T)
    return g.op("Unsqueeze", padding, g.integers(*range(1, axis), axis + 1))


def _masked(g: GraphWriter, x: str, padding: str) -> str:
    return g.op("Where", padding, g.floats(0.0), x)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().cpu().float().numpy()
    return array
