"""A study as one self-contained HTML page, its figures as pictures beside it, and as plain text."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

from asr.durations import spoken
from asr.files import replacing, write_atomically
from asr.pages import render, svg
from asr.study.figures import figures
from asr.study.findings import MEASURES, Findings, Interval, Measure, far, verdicts
from asr.study.speech import FRAME_SECONDS

_TEMPLATE = Path(__file__).with_suffix(".html")
PAGE = "memory.html"


def write_page(findings: Findings, folder: Path) -> None:
    """Writes the page and its pictures into the folder."""
    drawn = list(figures(findings))
    for name, _, figure in drawn:
        with replacing(folder / f"{name}.webp") as file:
            figure.savefig(file, format="webp", dpi=80, pil_kwargs={"quality": 75})
    page = render(
        _TEMPLATE,
        study=findings.study,
        lasted=spoken,
        seconds=sum(record["seconds"] for record in findings.records),
        worked=sum(record["processor_seconds"] for record in findings.records),
        mostly_wrong=min(_mean_wers(findings)) > 0.9,
        columns=_headings(findings),
        far=far(findings.study) * FRAME_SECONDS,
        rows=list(_rows(findings)),
        verdicts=verdicts(findings),
        figures=[(title, svg(figure, title)) for _, title, figure in drawn],
        config=json.dumps(findings.study.to_dict(), indent=1),
    )
    write_atomically(folder / PAGE, f"{page}\n")


def _mean_wers(findings: Findings) -> list[float]:
    return [findings.interval("wer", variant).mean for variant in findings.study.variants()]


def _rows(findings: Findings) -> Iterator[list[str]]:
    """A row for each encoder: its size, and each number over seeds."""
    for variant in findings.study.variants():
        first = findings.runs("speech", variant)[0]
        yield [variant.name, str(first["hidden"]), f"{first['parameters']:,}"] + [
            written(findings.interval(name, variant), kind)
            if findings.runs(kind.task, variant)
            else ""
            for name, kind in MEASURES.items()
        ]


def written(found: Interval, kind: Measure) -> str:
    """A mean and half the width of its interval; nothing where a cell has no such number."""
    if math.isnan(found.mean):
        return ""
    mean, half = (f"{kind.scale * end:.{kind.decimals}f}" for end in (found.mean, found.half))
    return mean if math.isnan(found.half) else f"{mean} ± {half}"


def _headings(findings: Findings) -> list[str]:
    seconds = f"{far(findings.study) * FRAME_SECONDS:g}"
    return [kind.heading.format(far=seconds) for kind in MEASURES.values()]


def summary(findings: Findings) -> Iterator[str]:
    """The table and the verdicts as lines of Markdown."""
    headings = ["encoder", "H", "parameters", *_headings(findings)]
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in _rows(findings):
        yield f"| {' | '.join(row)} |"
    yield ""
    for verdict in verdicts(findings):
        yield f"- {verdict.verdict}: {verdict.claim.text}: {verdict.amount}"
