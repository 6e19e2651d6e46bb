"""`asr report RUN…`: a training run as one page, or several beside each other."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.extras import needs
from asr.counting import counted
from asr.errors import BadOption

_WORST = 12


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Folder of a run of `asr fit`, or several to compare.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="HTML file to write; else report.html in the run's folder, or comparison.html in "
            "that of the first of several.",
        ),
    ] = None,
    worst: Annotated[
        int | None,
        typer.Option(help=f"Utterances of one run to show, the worst first: {_WORST}.", min=0),
    ] = None,
) -> None:
    """Write a page with a run's curves, data, versions and worst utterances.

    Of several runs: their curves in the same plots, and the word errors of their last validation
    against those of the first run, with the probability that the difference is chance.
    """
    with needs("train"):
        from asr.training.run_report import write_comparison, write_report

    if len(runs) == 1:
        page = out or runs[0] / "report.html"
        write_report(runs[0], page, _WORST if worst is None else worst)
    else:
        if worst is not None:
            raise BadOption("--worst has no effect on several runs: leave it out.")
        page = out or runs[0] / "comparison.html"
        compared = dict(_compared(runs))
        write_comparison(runs, compared, page)
        for name, sentence in compared.items():
            typer.echo(f"{name}: {sentence}")
    typer.echo(str(page))


def _compared(runs: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Each run and a sentence on its last validation."""
    from asr.evaluation import compare_runs, read_validation

    first, *others = runs
    score = read_validation(first).score
    yield str(first), f"WER {score.wer:.2%} in the last validation, {counted(score.words, 'word')}"
    for run in others:
        score, against = read_validation(run).score, compare_runs(run, first)
        told = f"WER {score.wer:.2%}, {100 * against.difference:+.2f} points against {first}"
        if against.interval is not None:
            low, high = (100 * value for value in against.interval)
            told += f" (95 % interval {low:+.2f} to {high:+.2f}, p = {against.p:.2g})"
        yield str(run), told
