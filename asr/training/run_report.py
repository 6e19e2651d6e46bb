"""`asr report`: a run's folder as one self-contained HTML page.

Plots are SVG, and recordings are embedded in the page, so it can be mailed or archived. The page is
the Jinja template `run_report.html` beside this file, which escapes every text of the run.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from asr.audio import load_stretch
from asr.counting import counted
from asr.durations import spoken
from asr.errors import AsrError
from asr.files import write_atomically
from asr.pages import render, sound, svg
from asr.training.run_sessions import read_sessions

Curve = list[tuple[int, float]]
"""Steps and values, by step."""

_CURVES: tuple[tuple[str, Mapping[str, str]], ...] = (
    (
        "Loss (nats)",
        {
            "train/loss": "training",
            "train/middle_loss": "middle layer",
            "train/marks": "training, marks",
            "train/cases": "training, cases",
            "train/paragraphs": "training, paragraphs",
            "val/loss": "development",
            "old/loss": "old development",
        },
    ),
    ("Error rate", {"val/wer": "words", "val/cer": "characters", "old/wer": "words, old set"}),
    (
        "F1 of marks and capitals (%)",
        {
            "val/comma": "commas",
            "val/stop": "full stops",
            "val/question": "question marks",
            "val/exclamation": "exclamation marks",
            "val/capital": "capitals",
        },
    ),
    ("Share of blank frames", {"val/blank": "development"}),
    ("Learning rate", {"train/learning_rate": "rate"}),
    ("Norm of the gradient", {"train/gradient_norm": "before clipping"}),
    ("Share of time waiting for data", {"train/waiting": "training"}),
)
_LABEL = 60
"""Characters of a run's path in a legend."""
_TEMPLATE = Path(__file__).with_suffix(".html")


@dataclass(frozen=True)
class _Piece:
    """A run of words in an aligned text."""

    text: str
    differs: bool


@dataclass(frozen=True)
class _Clip:
    """A clip of the preview with its recording, or with the reason why there is none."""

    id: str
    wer: float
    said: list[_Piece]
    heard: list[_Piece]
    audio: str = ""
    problem: str = ""


@dataclass(frozen=True)
class _Preview:
    clips: int
    worst: list[_Clip]


def write_report(run: Path, out: Path, worst: int = 12) -> None:
    """The page of the run in the folder `run`.

    Raises:
        BadData: the folder holds no run, or one that has not logged anything yet.
        BadOption: the page cannot be written; an older one stays.
    """
    sessions = read_sessions(run)
    curves = read_curves(run)
    last = sessions[-1]
    page = render(
        _TEMPLATE,
        name=run.resolve().name,
        summary=_summary(sessions, curves),
        curves=[_plot(title, names, curves) for title, names in _CURVES],
        lengths=[_lengths(name, part) for name, part in last["data"].items() if "lengths" in part],
        preview=_preview(run, worst),
        config=json.dumps(last["config"], indent=2),
    )
    write_atomically(out, f"{page}\n")


def write_comparison(runs: Sequence[Path], summary: Mapping[str, str], out: Path) -> None:
    """A page with the curves of several runs in the same plots.

    Args:
        summary: what is said of each run, by its name, above the curves.

    Raises:
        BadData: a folder holds no run, or one that has not logged anything yet.
        BadOption: the page cannot be written; an older one stays.
    """
    configs = {str(run): read_sessions(run)[-1]["config"] for run in runs}
    curves = {str(run): read_curves(run) for run in runs}
    # matplotlib reads dollars as TeX; of a long path the end tells most.
    labels = {run: _ending(run, _LABEL).replace("$", r"\$") for run in curves}
    page = render(
        _TEMPLATE,
        name=", ".join(run.resolve().name for run in runs),
        summary=summary,
        curves=[
            _plot(f"{title}: {label}", labels, _of_each(curves, name))
            for title, names in _CURVES
            for name, label in names.items()
        ],
        lengths=[],
        preview=None,
        config=json.dumps(configs, indent=2),
    )
    write_atomically(out, f"{page}\n")


def _ending(text: str, most: int) -> str:
    return text if len(text) <= most else f"…{text[1 - most :]}"


def _of_each(curves: Mapping[str, Mapping[str, Curve]], name: str) -> dict[str, Curve]:
    """One quantity's curve of each run that has logged it."""
    return {run: logged[name] for run, logged in curves.items() if name in logged}


def read_curves(run: Path) -> dict[str, Curve]:
    """Every logged quantity by step; if a run was resumed, the later value counts."""
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    versions = (run / "csv").glob("version_*/metrics.csv")
    for path in sorted(versions, key=lambda item: int(item.parent.name.removeprefix("version_"))):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    if value and name not in ("step", "epoch"):
                        curves[name][int(row["step"])] = float(value)
    return {name: sorted(values.items()) for name, values in curves.items()}


def _summary(sessions: Sequence[dict[str, Any]], curves: Mapping[str, Curve]) -> dict[str, object]:
    last = sessions[-1]
    seeds = last.get("seeds", {"data.seed": last.get("seed")})  # earlier versions kept only one
    memory = last["peak_memory_bytes"]
    return {
        "Status": last["status"],
        **_best(curves),
        **_forgotten(curves),
        "Steps": last["step"],
        "Parameters": f"{last['parameters']:,}",
        "Time": f"{spoken(sum(entry['seconds'] for entry in sessions))} in "
        f"{counted(len(sessions), 'session')}",
        "Device": f"{last['machine']['device']}, "
        f"{counted(last['machine']['processes'], 'process', 'processes')}, "
        f"{counted(last['machine']['cores'], 'core')}",
        "Peak memory": ", ".join(f"{name} {size / 2**30:.2f} GiB" for name, size in memory.items()),
        "Seeds": ", ".join(f"{name} {seed}" for name, seed in seeds.items()),
        "Commit": last["commit"] or "not a checkout",
        "Versions": ", ".join(f"{name} {value}" for name, value in last["versions"].items()),
        **{
            f"Data: {name}": f"{_amount(part)}, sha256 {str(part['sha256'])[:12]}"
            for name, part in last["data"].items()
        },
        "Commands": "\n".join(" ".join(entry["command"]) for entry in sessions),
    }


def _best(curves: Mapping[str, Curve]) -> dict[str, str]:
    """The least of what `best.ckpt` is chosen by: models of marks have no word errors."""
    name, title, form = "val/wer", "Best word error rate", ".2%"
    if name not in curves and "val/comma" in curves:
        name, title, form = "val/loss", "Least loss on texts held out", ".3f"
    if not (curve := curves.get(name)):
        return {title: "not measured"}
    step, value = min(curve, key=lambda point: point[1])
    return {title: f"{value:{form}} at step {step}"}


def _amount(part: Mapping[str, Any]) -> str:
    """Of clips, or of a text: how often it is drawn from."""
    if "clips" not in part:
        return f"share {part['share']:g}"
    return f"{part['manifest']}, {counted(part['clips'], 'clip')}, {spoken(part['hours'] * 3600)}"


def _forgotten(curves: Mapping[str, Curve]) -> dict[str, str]:
    """What fine-tuning has forgotten, if there is an old development set."""
    if not (lost := curves.get("old/forgotten")) or not (wer := curves.get("old/wer")):
        return {}
    after = wer[-1][1]
    return {"Old development set": f"WER {after - lost[-1][1]:.2%} before, {after:.2%} now"}


def _plot(title: str, names: Mapping[str, str], curves: Mapping[str, Curve]) -> Markup:
    drawn = {label: curves[name] for name, label in names.items() if curves.get(name)}
    if not drawn:
        return Markup()
    figure, axes = _axes(title, "step")
    for label, curve in drawn.items():
        steps, values = zip(*curve, strict=True)
        axes.plot(steps, values, label=label, marker="o" if len(steps) < 60 else "", markersize=3)
    if len(drawn) > 1:
        axes.legend(frameon=False).set_in_layout(False)  # a long one must not squeeze the axes
    axes.set_ylim(bottom=0)
    return svg(figure, title)


def _lengths(name: str, part: dict[str, Any]) -> Markup:
    title = f"{name}: {counted(part['clips'], 'clip')}"
    figure, axes = _axes(title, "seconds")
    edges = np.array(part["lengths"]["edges"])
    axes.bar(edges[:-1], part["lengths"]["counts"], np.diff(edges), align="edge")
    return svg(figure, title)


def _axes(title: str, below: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(below)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _preview(run: Path, most: int) -> _Preview | None:
    """The clips of the last validation with the most errors, if the run has transcribed any."""
    path = run / "heard.jsonl"
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    results = sorted((json.loads(line) for line in lines), key=lambda item: -item["wer"])
    return _Preview(len(results), [_clip(item) for item in results[:most]])


def _clip(item: dict[str, Any]) -> _Clip:
    result = jiwer.process_words(item["text"], item["heard"])
    said, heard = [], []
    for chunk in result.alignments[0]:
        differs = chunk.type != "equal"
        left = result.references[0][chunk.ref_start_idx : chunk.ref_end_idx]
        right = result.hypotheses[0][chunk.hyp_start_idx : chunk.hyp_end_idx]
        said.append(_Piece(" ".join(left), differs))
        heard.append(_Piece(" ".join(right), differs))
    clip = _Clip(str(item["id"]), item["wer"], said, heard)
    where = Path(item["audio"]), item.get("start", 0.0), item.get("end")
    try:
        return replace(clip, audio=sound(load_stretch(*where).samples))
    except AsrError as error:  # the recording no longer exists
        return replace(clip, problem=str(error))
