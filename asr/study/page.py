"""A study as one self-contained HTML page, its figures as pictures beside it, and as plain text."""

import json
from collections.abc import Iterator
from pathlib import Path

from asr.files import replacing, write_atomically
from asr.pages import render, svg
from asr.study.figures import figures
from asr.study.findings import Findings, Interval, table, verdicts
from asr.study.speech import FRAME_SECONDS

_TEMPLATE = Path(__file__).with_suffix(".html")
PAGE = "memory.html"
COLUMNS = {
    "loss": ("loss, nats a unit", 1.0, 3),
    "cer": ("CER, %", 100.0, 1),
    "wer": ("WER, %", 100.0, 1),
    "reach before": ("gradient reaches before training, s", FRAME_SECONDS, 2),
    "reach after": ("after, s", FRAME_SECONDS, 2),
    "masked": ("a mask changes, s", FRAME_SECONDS, 2),
    "half-life": ("half-life of the median cell, s", 1.0, 2),
    "longest": ("of the longest, s", 1.0, 1),
    "lag": ("lag copied, steps", 1.0, 0),
}
"""The heading of each number, what it is multiplied by, and its decimals."""


def write_page(findings: Findings, folder: Path) -> None:
    """Writes the page and its pictures into the folder."""
    drawn = list(figures(findings))
    for name, _, figure in drawn:
        with replacing(folder / f"{name}.webp") as file:
            figure.savefig(file, format="webp", dpi=80, pil_kwargs={"quality": 75})
    page = render(
        _TEMPLATE,
        study=findings.study,
        seconds=sum(record["seconds"] for record in findings.records),
        worked=sum(record["processor_seconds"] for record in findings.records),
        mostly_wrong=min(_mean_wers(findings)) > 0.9,
        columns=[heading for heading, _, _ in COLUMNS.values()],
        rows=list(_rows(findings)),
        verdicts=verdicts(findings),
        figures=[(title, svg(figure, title)) for _, title, figure in drawn],
        config=json.dumps(findings.study.to_dict(), indent=1),
    )
    write_atomically(folder / PAGE, f"{page}\n")


def _mean_wers(findings: Findings) -> list[float]:
    return [findings.interval("wer", variant).mean for variant in findings.study.variants()]


def _rows(findings: Findings) -> Iterator[list[str]]:
    for row in table(findings):
        yield [row["name"], str(row["hidden"]), f"{row['size']:,}"] + [
            written(row[measure], scale, decimals) if measure in row else ""
            for measure, (_, scale, decimals) in COLUMNS.items()
        ]


def written(found: Interval, scale: float, decimals: int) -> str:
    """A mean and half the width of its interval; nothing where a cell has no such number."""
    if found.mean != found.mean:
        return ""
    mean, half = scale * found.mean, scale * found.half
    return f"{mean:.{decimals}f}" + (f" ± {half:.{decimals}f}" if half == half else "")


def summary(findings: Findings) -> Iterator[str]:
    """The table and the verdicts as lines of Markdown."""
    headings = ["encoder", "H", "parameters", *(heading for heading, _, _ in COLUMNS.values())]
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in _rows(findings):
        yield f"| {' | '.join(row)} |"
    yield ""
    for verdict in verdicts(findings):
        yield f"- {verdict.verdict}: {verdict.claim.text}: {verdict.amount}"
