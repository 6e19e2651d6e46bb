"""A checkpoint of marks and capitals -> the ONNX graph of a bundle, compared with torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asr.bundle.session import session
from asr.errors import BadBundle, BadOption, how_to_add
from asr.model.punctuation import PunctuationModel
from asr.punctuation.model import FORMAT
from asr.punctuation.pieces import PIECES
from asr.punctuation.sound import SOUND
from asr.training.checkpoint import PunctuationCheckpoint

LIMIT = 0.02
"""Largest mean divergence of the graph from torch, in nats per word and question."""
_LENGTHS = (1, 2, 17, 60, 128)


@dataclass(frozen=True)
class PunctuationGraph:
    """A graph that was compared, and what is told of it."""

    content: bytes
    about: dict[str, Any]


def punctuation_graph(checkpoint: Path) -> PunctuationGraph:
    """The graph of a checkpoint of `asr fit` with `task: punctuation`.

    int8 for LSTMs, whose table of pieces is int8 in any case, and fp32 for GRUs and RNNs.

    Raises:
        BadBundle: the checkpoint is missing, damaged or foreign, or the graph differs from torch.
        BadOption: `onnx` is missing.
    """
    try:
        from onnx import helper

        from asr.export.onnx.punctuation import build_graph
        from asr.export.onnx.quantisation import quantize
    except ModuleNotFoundError as error:
        raise BadOption(f"this needs {error.name}: {how_to_add('train')}.") from error
    trained = PunctuationCheckpoint.read(checkpoint)
    model = trained.model
    told = {
        "format": str(FORMAT),
        "rows": str(model.config.rows),
        "forms": json.dumps(trained.forms),
    }
    graph = build_graph(model)
    if model.config.cell == "lstm":
        graph = quantize(graph)
    helper.set_model_props(graph, told)
    content = graph.SerializeToString()
    divergence = _divergence(model, content)
    if not divergence <= LIMIT:  # also refuses NaN
        raise BadBundle(
            f"the ONNX graph of {checkpoint} differs from torch by {divergence:.2g} nats a word, "
            f"over {LIMIT}; nothing was written: report this as a fault."
        )
    about = {**trained.training, "sources": trained.sources, "divergence": round(divergence, 5)}
    return PunctuationGraph(content, about)


def _divergence(model: PunctuationModel, graph: bytes) -> float:
    """Mean Kullback-Leibler divergence of the graph from torch, per word and question."""
    runner = session(graph)
    generator = np.random.default_rng(0)
    found = []
    for length in _LENGTHS:
        pieces = generator.integers(1, model.config.rows, (1, length, PIECES))
        pieces[generator.random(pieces.shape) < 0.2] = 0
        sound = generator.random((1, length, SOUND)).astype(np.float32)
        lengths = np.array([length])
        with torch.inference_mode():
            expected = torch.cat(
                model(*(torch.from_numpy(value) for value in (pieces, sound, lengths))), dim=-1
            ).numpy()
        inputs = {"pieces": pieces, "sound": sound, "lengths": lengths}
        (actual,) = runner.run(["log_probs"], inputs)
        found.append(_divergences(expected[0], actual[0], model.n_classes))
    return float(np.concatenate(found).mean())


def _divergences(
    expected: NDArray[np.float32], actual: NDArray[np.float32], classes: tuple[int, ...]
) -> NDArray[np.float32]:
    """`(words * questions,)`"""
    bounds = np.cumsum(classes)[:-1]
    pairs = zip(np.split(expected, bounds, axis=1), np.split(actual, bounds, axis=1), strict=True)
    return np.concatenate([(np.exp(p) * (p - q)).sum(axis=1) for p, q in pairs])
