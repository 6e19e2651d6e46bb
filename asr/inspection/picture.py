"""An inspection as a picture: sound, units, words and every layer's memory on one time axis."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asr.files import writing
from asr.inspection.inspection import Inspection
from asr.model.gates import LayerTrace
from asr.sampling import SAMPLE_RATE
from asr.transcript import Word

_ROWS = 3
"""Of the words above the sound."""
_LETTER = 1 / 105
"""Width of a letter of a word, as a share of the panel."""
_NAMED = 0.3
"""Probability from which a peak has its unit's name beside it."""


def draw(inspection: Inspection, path: Path) -> None:
    """Draws the picture, in the format of the path's suffix, which matplotlib knows.

    Raises:
        BadOption: the file cannot be written; one that was there stays.
    """
    columns = len({item.direction for item in inspection.traces})
    heights = [0.7, 1.2, 1.4, *[1.6] * inspection.traces[-1].layer]
    figure = Figure(figsize=(7 * columns, 1.3 * sum(heights)), layout="constrained")
    panels = figure.subplots(
        len(heights), columns, sharex=True, squeeze=False, height_ratios=heights
    )
    for column in range(columns):
        _sound(panels[0][column], inspection)
        _log_mel(panels[1][column], inspection)
        _units(panels[2][column], inspection)
    for item in inspection.traces:
        row, column = 2 + item.layer, int(item.direction == "back")
        _memory(panels[row][column], item, inspection)
    for axes in panels[-1]:
        axes.set_xlabel("seconds")
        axes.set_xlim(0.0, inspection.audio.duration)
    with writing(path) as file:
        figure.savefig(file, format=path.suffix.removeprefix(".").lower(), dpi=100)


def _sound(axes: Axes, inspection: Inspection) -> None:
    samples = inspection.audio.samples
    axes.plot(np.arange(len(samples)) / SAMPLE_RATE, samples, linewidth=0.3, color="black")
    axes.set_yticks([])
    top = float(np.abs(samples).max(initial=1e-3))
    axes.set_ylim(-top, (1 + _ROWS * 0.45) * top)
    for word in inspection.transcript.words:
        axes.axvline(word.start, linewidth=0.4, color="tab:red")
    letter = _LETTER * inspection.audio.duration
    for row, word in _staggered(inspection.transcript.words, letter):
        axes.text(word.start, (1.1 + row * 0.45) * top, word.text, fontsize=7, clip_on=True)


def _staggered(words: Sequence[Word], letter: float) -> Iterator[tuple[int, Word]]:
    """Each word with the first row in which it covers no other; without those that find none.

    Args:
        letter: the width of a letter in seconds.
    """
    free = [0.0] * _ROWS
    for word in words:
        row = next((row for row in range(_ROWS) if free[row] <= word.start), None)
        if row is not None:
            free[row] = word.start + letter * (len(word.text) + 1)
            yield row, word


def _log_mel(axes: Axes, inspection: Inspection) -> None:
    frames, mels = inspection.log_mel.shape
    extent = (0.0, frames * inspection.hop_seconds, 0.0, float(mels))
    axes.imshow(
        inspection.log_mel.T, aspect="auto", origin="lower", cmap="magma", extent=extent,
        vmin=-2.5, vmax=2.5,
    )  # fmt: skip
    axes.set_ylabel("mel bands")


def _units(axes: Axes, inspection: Inspection) -> None:
    head = inspection.heads[-1]
    probabilities = np.exp(head.log_probs)
    shown = np.flatnonzero(probabilities.max(axis=0) > 0.1)[1:]  # without the blank
    times = np.arange(len(probabilities)) * inspection.frame_seconds
    for unit in shown:
        curve = probabilities[:, unit]
        axes.plot(times, curve, linewidth=0.8)
        rises, falls = np.diff(curve, prepend=0.0) > 0.0, np.diff(curve, append=0.0) <= 0.0
        for peak in np.flatnonzero((curve > _NAMED) & rises & falls):
            axes.text(times[peak], curve[peak], head.units[unit], fontsize=7, clip_on=True)
    axes.set_ylim(0.0, 1.15)
    axes.set_ylabel(head.name)


def _memory(axes: Axes, item: LayerTrace, inspection: Inspection) -> None:
    """The gate that keeps memory, or the output of a vanilla RNN; the longest memory on top."""
    curve = item.curves[item.keeps or item.memory]
    lives = item.half_life(inspection.frame_seconds)
    order = curve.std(0).argsort() if lives is None else lives.argsort()
    axes.imshow(
        curve[:, order].T.numpy(),
        aspect="auto",
        origin="lower",
        cmap="magma" if item.keeps else "RdBu_r",
        vmin=0.0 if item.keeps else -1.0,
        vmax=1.0,
        extent=(0.0, len(curve) * inspection.frame_seconds, 0.0, float(len(order))),
    )
    shown = f"{item.keeps} gate, 1 is bright" if item.keeps else "output, 1 is red"
    axes.set_title(f"layer {item.layer}, {item.direction}: {shown}", loc="left", fontsize=9)
    axes.set_ylabel("cells")
