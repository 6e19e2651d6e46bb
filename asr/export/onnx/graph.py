"""The acoustic model as an ONNX graph, written from the weights.

It is not traced, since tracing turns lengths into constants. Each function corresponds to one
module of `asr.model` and does the same in ONNX's operators.
Shapes: B batch, S samples, T feature frames, U output frames, F mels, C channels, H hidden,
N directions, W width of a layer, V units of all heads.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from onnx import ModelProto, helper
from torch import Tensor, nn

from asr.export.onnx.front_end import write_features
from asr.export.onnx.writer import FLOAT, INT32, INT64, GraphWriter
from asr.model import AcousticModel
from asr.model.recurrent import RecurrentLayer, RecurrentStack, SelfConditioning
from asr.model.subsampling import Subsampling

# torch's order of gates in its weights -> ONNX's: LSTM i f g o -> i o f g, GRU r z n -> z r n.
_OPERATORS: dict[type[nn.RNNBase], tuple[str, list[int], dict[str, Any]]] = {
    nn.LSTM: ("LSTM", [0, 3, 1, 2], {}),
    # torch multiplies the reset gate with the recurrent product, not with the state.
    nn.GRU: ("GRU", [1, 0, 2], {"linear_before_reset": 1}),
    nn.RNN: ("RNN", [0], {}),
}


def build_graph(model: AcousticModel) -> ModelProto:
    """`(wave, wave_lengths)` -> `(log_probs, lengths)`, as the model computes them.

    Inputs: `wave` (B, S) float32, `wave_lengths` (B,) int64, at most S each, 0 among them.
    Outputs: `log_probs` (B, U, V) float32, `lengths` (B,) int64. B and S are free; frames after
    an utterance's length have no meaning.
    """
    g = GraphWriter()
    features, lengths = write_features(g, model.features)  # (B, T, F)
    x, lengths = _subsampling(g, model.subsampling, features, lengths)  # (B, U, W)
    layers = [layer for layer, _ in model.heads]
    states = write_recurrent(g, model.recurrent, x, lengths, layers)  # (B, U, W) of each head
    spelled = []
    for index, ((_, head), state) in enumerate(zip(model.heads, states, strict=True)):
        logits = g.linear(f"head {index}" if index else "head", head, state)
        spelled.append(g.op("LogSoftmax", logits, axis=-1))
    g.op("Concat", *spelled, name="log_probs", axis=-1)  # (B, U, V)
    g.op("Identity", lengths, name="lengths")
    return g.model(
        inputs=[
            helper.make_tensor_value_info("wave", FLOAT, ["batch", "samples"]),
            helper.make_tensor_value_info("wave_lengths", INT64, ["batch"]),
        ],
        outputs=[
            helper.make_tensor_value_info(
                "log_probs", FLOAT, ["batch", "frames", sum(h.out_features for _, h in model.heads)]
            ),
            helper.make_tensor_value_info("lengths", INT64, ["batch"]),
        ],
    )


def _subsampling(g: GraphWriter, subsampling: Subsampling, x: str, lengths: str) -> tuple[str, str]:
    """`(B, T, F)` -> `(B, U, W)`."""
    x = g.op("Unsqueeze", x, g.integers(1))  # (B, T, F) -> (B, 1, T, F)
    for name in ("first", "second"):
        convolution = getattr(subsampling, name)
        key = f"subsampling.{name}"
        weight = g.weight(f"{key}.weight", convolution.weight)
        bias = g.weight(f"{key}.bias", convolution.bias)
        strides = list(convolution.stride)
        x = g.op("Conv", x, weight, bias, name=key, strides=strides, pads=[1, 1, 1, 1])
        x = g.op("Relu", x)  # (B, C, T / stride, F / 2)
        reach = g.op("Add", lengths, g.integers(strides[0] - 1))
        lengths = g.op("Div", reach, g.integers(strides[0]))
        # A product is computed in place, and nothing here is infinite.
        kept = g.op("Not", g.padding(x, lengths, axis=2))
        x = g.op("Mul", x, g.op("Cast", kept, to=FLOAT))
    x = g.op("Transpose", x, perm=[0, 2, 1, 3])  # (B, C, U, F / 4) -> (B, U, C, F / 4)
    x = g.op("Reshape", x, g.integers(0, 0, -1))  # (B, U, C * F / 4)
    return g.linear("subsampling.project", subsampling.project, x), lengths


def write_recurrent(
    g: GraphWriter, stack: RecurrentStack, x: str, lengths: str, layers: Sequence[int]
) -> list[str]:
    """`(B, U, D)` -> the output `(B, U, W)` of each of these layers, counted from 1; ONNX's cells
    take the frames first."""
    # An utterance without frames gets one frame of zeros, which is masked like all padding.
    read = g.op("Cast", g.op("Max", lengths, g.integers(1)), to=INT32)
    x = g.op("Transpose", x, perm=[1, 0, 2])  # (B, U, D) -> (U, B, D)
    states = {}
    for index, layer in enumerate(stack.layers):
        found = _layer(g, f"recurrent.{index}", cast(RecurrentLayer, layer), x, read)
        x = _output(g, stack, index, x, found)
        if index + 1 in layers:
            state = g.op("Transpose", x, perm=[1, 0, 2])  # (U, B, W) -> (B, U, W)
            states[index + 1] = g.masked(state, g.padding(state, lengths))
        if stack.conditioning is not None and stack.conditioned == index + 1:
            x = _conditioned(g, stack.conditioning, x)
    return [states[layer] for layer in layers]


def _output(g: GraphWriter, stack: RecurrentStack, index: int, read: str, found: str) -> str:
    """As `RecurrentStack.output`."""
    key = f"recurrent.{index}"
    if len(stack.projections):
        found = g.linear(f"{key}.project", cast(nn.Linear, stack.projections[index]), found)
    norm = cast(nn.LayerNorm, stack.norms[index])
    if not stack.adds(index + 1):
        return _normalized(g, f"{key}.norm", norm, found)
    if stack.norm == "behind":
        return _normalized(g, f"{key}.norm", norm, g.op("Add", read, found))
    return g.op("Add", read, _normalized(g, f"{key}.norm", norm, found))


def _conditioned(g: GraphWriter, conditioning: SelfConditioning, x: str) -> str:
    key = "recurrent.conditioning"
    posteriors = g.op("Softmax", g.linear(f"{key}.head", conditioning.head, x), axis=-1)
    return g.op("Add", x, g.linear(f"{key}.feedback", conditioning.feedback, posteriors))


def _normalized(g: GraphWriter, key: str, norm: nn.LayerNorm, x: str) -> str:
    scale, bias = g.weight(f"{key}.weight", norm.weight), g.weight(f"{key}.bias", norm.bias)
    return g.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=norm.eps)


def _layer(g: GraphWriter, key: str, layer: RecurrentLayer, x: str, lengths: str) -> str:
    """`(U, B, D)` -> `(U, B, N H)`, zero after each length."""
    kind, gates, attributes = _OPERATORS[type(layer.ahead)]
    directions = layer.directions.values()

    def stacked(name: str) -> Tensor:
        # (gates * H, ...) of each direction, gates in ONNX's order -> (N, gates * H, ...)
        weights = [getattr(direction, name) for direction in directions]
        blocks = [weight.detach().cpu().chunk(len(gates)) for weight in weights]
        return torch.stack([torch.cat([block[gate] for gate in gates]) for block in blocks])

    biases = torch.cat([stacked("bias_ih_l0"), stacked("bias_hh_l0")], dim=1)
    y = g.op(
        kind,
        x,
        g.weight(f"{key}.input", stacked("weight_ih_l0")),
        g.weight(f"{key}.recurrent", stacked("weight_hh_l0")),
        g.weight(f"{key}.bias", biases),
        lengths,
        name=key,
        direction="forward" if layer.back is None else "bidirectional",
        hidden_size=layer.ahead.hidden_size,
        **attributes,
    )  # (U, N, B, H)
    y = g.op("Transpose", y, perm=[0, 2, 1, 3])  # (U, N, B, H) -> (U, B, N, H)
    return g.op("Reshape", y, g.integers(0, 0, -1))  # (U, B, N H)
