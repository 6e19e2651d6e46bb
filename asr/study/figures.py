"""The figures of a study: means over seeds, with the range of the seeds behind them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asr.study.config import Variant
from asr.study.findings import GRADIENT_GONE, NOTHING_MOVED, Findings
from asr.study.memory import Record

_COLOURS = {"RNN": "#d55e00", "GRU": "#009e73", "LSTM bias 0": "#56b4e9", "LSTM bias 1": "#0072b2"}
_WAYS = {1: "one-way", 2: "two-way"}


def figures(findings: Findings) -> Iterator[tuple[str, str, Figure]]:
    """The name, the title and the picture of each figure."""
    yield "1-learning", "Learning the speech", _learning(findings)
    yield (
        "2-input",
        "Gradient of loss(t) with respect to the input at t - k",
        _flow(findings, "input"),
    )
    yield (
        "3-hidden",
        "Gradient of loss(t) with respect to the output h at t - k",
        _flow(findings, "hidden"),
    )
    yield (
        "4-memory",
        "Gradient of loss(t) with respect to the memory at t - k",
        _flow(findings, "memory"),
    )
    yield "5-masked", "What a masked stretch of input changes", _masked(findings)
    if any(cell != "rnn" for cell in findings.study.cells):  # which has no gate
        yield "6-half-lives", "How long cells remember, by their gates", _lives(findings)
    yield "7-copying", "The copy task", _copying(findings)


def _learning(findings: Findings) -> Figure:
    ways = findings.study.directions
    figure, panels = _panels(2, len(ways))
    for column, way in enumerate(ways):
        for row, (key, label) in enumerate((("loss", "nats a unit"), ("cer", "characters wrong"))):
            axes = panels[row][column]
            axes.set(title=_WAYS[way] if row == 0 else "", xlabel="step", ylabel=label)
            for variant, runs in _of(findings, way):
                steps = [point["step"] for point in runs[0]["points"]]
                _draw(axes, variant, steps, [[p[key] for p in run["points"]] for run in runs])
            if key == "loss":
                axes.set_ylim(top=3.6)  # the first point is that of untrained weights
    panels[0][0].legend(frameon=False)
    return figure


def _flow(findings: Findings, name: str) -> Figure:
    ways = findings.study.directions
    figure, panels = _panels(len(ways), 2)
    for row, way in enumerate(ways):
        for column, when in enumerate(("before", "after")):
            axes = panels[row][column]
            axes.set(title=f"{_WAYS[way]}, {when} training", xlabel="k, frames of 40 ms")
            axes.set(ylabel="log10, relative to k = 0", ylim=(-20, 1))
            axes.axhline(GRADIENT_GONE, color="grey", linewidth=0.8, linestyle=":")
            for variant, runs in _of(findings, way):
                curves = [run[when]["gradients"][name] for run in runs]
                _draw(axes, variant, range(len(curves[0])), curves)
    panels[0][0].legend(frameon=False)
    return figure


def _masked(findings: Findings) -> Figure:
    ways = findings.study.directions
    figure, panels = _panels(1, len(ways))
    for axes, way in zip(panels[0], ways, strict=True):
        axes.set(title=f"{_WAYS[way]}, after training", xlabel="frames from the masked 0.4 s")
        axes.set(ylabel="probability that moves", yscale="log", ylim=(1e-6, 1), xscale="log")
        axes.axhline(NOTHING_MOVED, color="grey", linewidth=0.8, linestyle=":")
        for variant, runs in _of(findings, way):
            curves = [np.maximum(run["after"]["moved"][1:], 1e-12) for run in runs]
            _draw(axes, variant, range(1, len(curves[0]) + 1), curves)
    panels[0][0].legend(frameon=False)
    return figure


def _lives(findings: Findings) -> Figure:
    """The share of cells that remember for longer than a time."""
    ways = findings.study.directions
    figure, panels = _panels(len(ways), 2)
    for row, way in enumerate(ways):
        for column, when in enumerate(("before", "after")):
            axes = panels[row][column]
            axes.set(title=f"{_WAYS[way]}, {when} training", xlabel="half-life, seconds")
            axes.set(ylabel="share of cells that have more", xscale="log", ylim=(0, 1))
            for variant, runs in _of(findings, way):
                lives = [np.sort(run[when]["half_lives"]) for run in runs]
                if len(lives[0]):
                    times = np.geomspace(0.01, 100.0, 200).tolist()
                    shares = [1 - np.searchsorted(one, times) / len(one) for one in lives]
                    _draw(axes, variant, times, shares)
    panels[0][0].legend(frameon=False)
    return figure


def _copying(findings: Findings) -> Figure:
    task = findings.study.copying
    figure, panels = _panels(1, 1)
    axes = panels[0][0]
    axes.set(xlabel="update", ylabel="lag mastered, steps", yscale="log", ylim=(0.8, task.longest))
    for variant in findings.study.copiers():
        courses = [run["lags"] for run in findings.runs("copy", variant)]
        full = [[*course, *[course[-1]] * (task.updates - len(course))] for course in courses]
        _draw(axes, variant, range(1, task.updates + 1), [np.maximum(row, 0.5) for row in full])
    axes.legend(frameon=False)
    return figure


def _of(findings: Findings, way: int) -> Iterator[tuple[Variant, list[Record]]]:
    for variant in findings.study.variants():
        if variant.directions == way:
            yield variant, findings.runs("speech", variant)


def _panels(rows: int, columns: int) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.2 * columns, 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey="row")
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    return figure, panels


def _draw(axes: Axes, variant: Variant, x: Sequence[Any], curves: Sequence[Any]) -> None:
    """The mean over seeds, and the range of the seeds."""
    label, values = variant.name.partition(",")[0], np.asarray(curves, np.float64)
    colour = _COLOURS.get(label)
    (line,) = axes.plot(x, values.mean(0), label=label, color=colour, linewidth=1.4)
    axes.fill_between(
        x, values.min(0), values.max(0), alpha=0.2, linewidth=0, color=line.get_color()
    )
