"""A model of marks and capitals as an ONNX graph.

Shapes: B batch, T words, P pieces, S numbers of sound, C classes of all questions, W width.
"""

import numpy as np
from onnx import ModelProto, helper

from asr.export.onnx.graph import write_recurrent
from asr.export.onnx.writer import FLOAT, INT64, GraphWriter
from asr.model.punctuation import PunctuationModel
from asr.punctuation.pieces import PIECES
from asr.punctuation.sound import SOUND

_LARGEST = 127


def build_graph(model: PunctuationModel) -> ModelProto:
    """`(pieces, sound, lengths)` -> `log_probs`, as the model computes them.

    Inputs: `pieces` (B, T, P) int64, `sound` (B, T, S) float32, `lengths` (B,) int64, 1 at least.
    Output: `log_probs` (B, T, C) float32, those of each question side by side.

    The table of pieces has one byte for each number: a step of its largest / 127.
    """
    g = GraphWriter()
    table = model.table.weight.detach().cpu().numpy()
    step = max(float(np.abs(table).max()) / _LARGEST, 1e-12)
    rows = g.weight("table", np.round(table / step).astype(np.int8))
    found = g.op("Gather", rows, "pieces")  # (B, T, P, W)
    scale = g.weight("table.step", np.array(step, np.float32))
    words = g.op("Mul", g.op("Cast", found, to=FLOAT), scale)
    words = g.op("ReduceSum", words, g.integers(2), keepdims=0)  # (B, T, W)
    x = g.op("Concat", words, "sound", axis=-1)
    last = [model.config.layers]
    (x,) = write_recurrent(g, model.recurrent, x, "lengths", last)  # (B, T, 2 H)
    logits = g.linear("head", model.head, x)
    parts, first = [], 0
    for count in model.n_classes:
        bounds = g.integers(first), g.integers(first + count), g.integers(2)
        parts.append(g.op("LogSoftmax", g.op("Slice", logits, *bounds), axis=-1))
        first += count
    g.op("Concat", *parts, name="log_probs", axis=-1)
    return g.model(
        inputs=[
            helper.make_tensor_value_info("pieces", INT64, ["batch", "words", PIECES]),
            helper.make_tensor_value_info("sound", FLOAT, ["batch", "words", SOUND]),
            helper.make_tensor_value_info("lengths", INT64, ["batch"]),
        ],
        outputs=[helper.make_tensor_value_info("log_probs", FLOAT, ["batch", "words", first])],
    )
