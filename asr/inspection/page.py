"""An inspection as one self-contained HTML page: sound, pictures and numbers on one time axis.

The page loads nothing. Its numbers are one block of bytes, compressed and in base64: the series of
each cell is coded in 256 steps from its own minimum to its own maximum.
"""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from asr.files import write_atomically
from asr.inspection.events import correlations
from asr.inspection.inspection import FloatArray, Inspection
from asr.pages import render, sound
from asr.sampling import SAMPLE_RATE

_TEMPLATE = Path(__file__).with_suffix(".html")
_LEAST_PROBABILITY = 0.02
"""Units that never reach it are not drawn."""
_PEAKS_PER_S = 100


def write_page(inspection: Inspection, path: Path, name: str) -> None:
    """Writes the page of an inspection of the recording `name`."""
    block = _Block()
    data = {
        "seconds": inspection.audio.duration,
        "frame": inspection.frame_seconds,
        "words": [word.to_dict() for word in inspection.transcript.words],
        "peaks": block.add(_peaks(inspection)),
        "mel": block.add(_scaled(inspection.log_mel, -2.5, 2.5)),
        "hop": inspection.hop_seconds,
        "heads": [_head(head.units, head.log_probs, block) for head in inspection.heads],
        "layers": list(_layers(inspection, block)),
        "events": [event.name for event in inspection.events],
        "held": [
            {"layer": item.layer, "value": item.value, "text": item.text}
            for item in inspection.held
        ],
    }
    page = render(
        _TEMPLATE,
        name=name,
        inspection=inspection,
        gate=inspection.traces[0].keeps,
        data=Markup(json.dumps(data, ensure_ascii=True).replace("<", "\\u003c")),
        block=Markup(block.encoded()),
        sound=sound(inspection.audio.samples),
    )
    write_atomically(path, f"{page}\n")


class _Block:
    """The bytes of all arrays, one after the other."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, array: NDArray[np.uint8]) -> dict[str, Any]:
        """Where the array is, and its shape."""
        place = {"at": self._size, "shape": list(array.shape)}
        self._parts.append(np.ascontiguousarray(array).tobytes())
        self._size += array.size
        return place

    def encoded(self) -> str:
        return base64.b64encode(gzip.compress(b"".join(self._parts), 6)).decode()


def _layers(inspection: Inspection, block: _Block) -> Iterator[dict[str, Any]]:
    for item in inspection.traces:
        memory = item.curves[item.memory].numpy()
        lives = item.half_life(inspection.frame_seconds)
        follows = correlations(memory, inspection.events)
        yield {
            "layer": item.layer,
            "direction": item.direction,
            "memory": item.memory,
            "half_life": None if lives is None else _rounded(lives.numpy()),
            "follows": [_rounded(column) for column in follows.T],
            "curves": {name: _curve(curve.numpy(), block) for name, curve in item.curves.items()},
        }


def _curve(values: FloatArray, block: _Block) -> dict[str, Any]:
    """`(U, H)` coded by cell, in order of cells."""
    low, high = values.min(axis=0), values.max(axis=0)  # (H,)
    step = np.maximum(high - low, 1e-9) / 255
    coded = np.rint((values - low) / step).clip(0, 255).astype(np.uint8)
    return {**block.add(coded.T), "low": _rounded(low), "high": _rounded(high)}


def _head(units: tuple[str, ...], log_probs: FloatArray, block: _Block) -> dict[str, Any]:
    """The units that are ever probable, most of the others never are."""
    probabilities = np.exp(log_probs)  # (U, V)
    shown = np.flatnonzero(probabilities.max(axis=0) >= _LEAST_PROBABILITY)
    return {
        "units": [units[unit] for unit in shown],
        "path": [units[unit] for unit in log_probs.argmax(axis=1)],
        "best": _rounded(probabilities.max(axis=1)),
        "probabilities": block.add(_scaled(probabilities[:, shown], 0.0, 1.0)),
    }


def _peaks(inspection: Inspection) -> NDArray[np.uint8]:
    """`(N,)` the loudest sample of each hundredth of a second, relative to the loudest of all."""
    samples = np.abs(inspection.audio.samples)
    step = SAMPLE_RATE // _PEAKS_PER_S
    padded = np.pad(samples, (0, -len(samples) % step)).reshape(-1, step).max(axis=1)
    return _scaled(padded / max(float(padded.max()), 1e-9), 0.0, 1.0)


def _scaled(values: FloatArray, low: float, high: float) -> NDArray[np.uint8]:
    coded: NDArray[np.uint8] = (
        np.rint((values - low) / (high - low) * 255).clip(0, 255).astype("u1")
    )
    return coded


def _rounded(values: NDArray[np.floating[Any]]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
