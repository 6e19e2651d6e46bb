"""`asr report`: a run's folder as one HTML page that needs nothing else.

Plots are SVG and recordings are inside the page, so that it can be mailed or kept.
"""

import base64
import csv
import html
import io
import json
import wave
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jiwer
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from asr.audio import SAMPLE_RATE, load
from asr.errors import AsrError, BadData

Curve = list[tuple[int, float]]
"""Steps and values, by step."""

_CURVES: tuple[tuple[str, Mapping[str, str]], ...] = (
    (
        "Loss (nats a unit)",
        {
            "train/loss": "training",
            "train/middle_loss": "middle layer",
            "val/loss": "development",
            "old/loss": "old development",
        },
    ),
    ("Error rate", {"val/wer": "words", "val/cer": "characters", "old/wer": "words, old set"}),
    ("Share of blank frames", {"val/blank": "development"}),
    ("Learning rate", {"train/learning_rate": "rate"}),
    ("Norm of the gradient", {"train/gradient_norm": "before clipping"}),
    ("Share of time waiting for data", {"train/waiting": "training"}),
)
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;
background:#fff}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.5rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ddd;padding:.35rem .6rem;
text-align:left;vertical-align:top}th{font-weight:600;white-space:nowrap}svg{max-width:100%;
height:auto}.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(26rem,1fr));gap:1rem}
audio{width:14rem;height:2rem}del{color:#b00020;text-decoration:none}ins{color:#00629b;
text-decoration:none;font-style:italic}pre{overflow:auto;background:#f6f6f6;padding:1rem}
"""


def write_report(run: Path, out: Path, worst: int = 12) -> None:
    """The page of the run in the folder `run`.

    Raises:
        BadData: the folder holds no run, or one that has not logged anything yet.
    """
    sessions = _sessions(run)
    curves = read_curves(run)
    last = sessions[-1]
    parts = [
        f"<h1>{_text(run.resolve().name)}</h1>",
        _summary(sessions, curves),
        '<h2>Curves</h2><div class="plots">',
        *(_plot(title, names, curves) for title, names in _CURVES),
        "</div><h2>Lengths of clips</h2>",
        '<div class="plots">',
        *(_lengths(name, part) for name, part in last["data"].items()),
        "</div>",
        *_worst(run, worst),
        "<h2>Config</h2>",
        f"<pre>{_text(json.dumps(last['config'], indent=2))}</pre>",
    ]
    title = _text(f"{run.resolve().name}: training report")
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style>{''.join(parts)}</html>\n"
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")


def read_curves(run: Path) -> dict[str, Curve]:
    """Every logged quantity over steps; where a run was resumed, the later part wins."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    versions = (run / "csv").glob("version_*/metrics.csv")
    for path in sorted(versions, key=lambda item: int(item.parent.name.removeprefix("version_"))):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    if value and name not in ("step", "epoch"):
                        found[name][int(row["step"])] = float(value)
    return {name: sorted(values.items()) for name, values in found.items()}


def _sessions(run: Path) -> list[dict[str, Any]]:
    path = run / "run.json"
    try:
        sessions: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["sessions"]
        return sessions
    except OSError as error:
        raise BadData(
            f"{run} is not the folder of a run ({path.name}: {error.strerror}); name one that "
            "`asr fit` wrote."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{path} is damaged ({error}); the run cannot be reported.") from error


def _summary(sessions: Sequence[dict[str, Any]], curves: Mapping[str, Curve]) -> str:
    last = sessions[-1]
    wer = curves.get("val/wer")
    best = min(wer, key=lambda point: point[1]) if wer else None
    memory = last["peak_memory_bytes"]
    rows = {
        "Status": last["status"],
        "Best word error rate": f"{best[1]:.2%} at step {best[0]}" if best else "not measured",
        **_forgotten(curves),
        "Steps": last["step"],
        "Parameters": f"{last['parameters']:,}",
        "Time": f"{sum(entry['seconds'] for entry in sessions) / 3600:.2f} h in "
        f"{len(sessions)} session{'s' if len(sessions) > 1 else ''}",
        "Device": f"{last['machine']['device']}, {last['machine']['processes']} process(es), "
        f"{last['machine']['cores']} cores",
        "Peak memory": ", ".join(f"{name} {size / 2**30:.2f} GiB" for name, size in memory.items()),
        "Seed": last["seed"],
        "Commit": last["commit"] or "not a checkout",
        "Versions": ", ".join(f"{name} {value}" for name, value in last["versions"].items()),
        **{
            f"Data: {name}": f"{part['manifest']}, {part['clips']} clips, {part['hours']} h, "
            f"sha256 {str(part['sha256'])[:12]}"
            for name, part in last["data"].items()
        },
        "Commands": "\n".join(" ".join(entry["command"]) for entry in sessions),
    }
    cells = (f"<tr><th>{_text(key)}<td>{_text(value)}" for key, value in rows.items())
    return f"<table>{''.join(cells)}</table>"


def _forgotten(curves: Mapping[str, Curve]) -> dict[str, str]:
    """What fine-tuning has lost, where an old development set was watched."""
    if not (lost := curves.get("old/forgotten")) or not (wer := curves.get("old/wer")):
        return {}
    after = wer[-1][1]
    return {"Old development set": f"WER {after - lost[-1][1]:.2%} before, {after:.2%} now"}


def _plot(title: str, names: Mapping[str, str], curves: Mapping[str, Curve]) -> str:
    drawn = {label: curves[name] for name, label in names.items() if curves.get(name)}
    if not drawn:
        return ""
    figure, axes = _axes(title, "step")
    for label, curve in drawn.items():
        steps, values = zip(*curve, strict=True)
        axes.plot(steps, values, label=label, marker="o" if len(steps) < 60 else "", markersize=3)
    if len(drawn) > 1:
        axes.legend(frameon=False)
    axes.set_ylim(bottom=0)
    return _svg(figure, title)


def _lengths(name: str, part: dict[str, Any]) -> str:
    title = f"{name}: {part['clips']} clips"
    figure, axes = _axes(title, "seconds")
    edges = np.array(part["lengths"]["edges"])
    axes.bar(edges[:-1], part["lengths"]["counts"], np.diff(edges), align="edge")
    return _svg(figure, title)


def _axes(title: str, below: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(below)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _svg(figure: Figure, title: str) -> str:
    drawing = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "earshot"}):
        figure.savefig(drawing, format="svg", metadata={"Date": None, "Title": title})
    text = drawing.getvalue()
    return text[text.index("<svg") :]


def _worst(run: Path, most: int) -> Iterator[str]:
    path = run / "heard.jsonl"
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    heard = sorted((json.loads(line) for line in lines), key=lambda item: -item["wer"])
    yield f"<h2>Worst of the last validation ({len(heard)} clips)</h2><table>"
    yield "<tr><th>WER<th>Said<th>Heard<th>Listen"
    for item in heard[:most]:
        said, got = _marked(item["text"], item["heard"])
        yield f"<tr><td>{item['wer']:.0%}<td>{said}<td>{got}<td>{_player(item)}"
    yield "</table>"


def _marked(reference: str, hypothesis: str) -> tuple[str, str]:
    """Both texts with the words that differ marked."""
    result = jiwer.process_words(reference, hypothesis)
    said, got = [], []
    for chunk in result.alignments[0]:
        left = _text(" ".join(result.references[0][chunk.ref_start_idx : chunk.ref_end_idx]))
        right = _text(" ".join(result.hypotheses[0][chunk.hyp_start_idx : chunk.hyp_end_idx]))
        equal = chunk.type == "equal"
        said.append(left if equal or not left else f"<del>{left}</del>")
        got.append(right if equal or not right else f"<ins>{right}</ins>")
    return " ".join(said), " ".join(got)


def _player(item: dict[str, Any]) -> str:
    try:
        audio = load(item["audio"])
    except AsrError as error:  # the recording has gone since
        return _text(error)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        writer.writeframes(np.round(audio.samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    data = base64.b64encode(file.getvalue()).decode()
    name = _text(item["id"])
    return f'<audio controls preload="none" title="{name}" src="data:audio/wav;base64,{data}">'


def _text(value: object) -> str:
    return html.escape(str(value)).replace("\n", "<br>")
