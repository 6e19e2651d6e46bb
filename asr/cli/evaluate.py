"""`asr evaluate MANIFEST`: error rates, breakdowns, comparisons and speed."""

import json
import os
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli.failures import Failures
from asr.cli.options import (
    WEIGHTS,
    BundleOption,
    DeviceOption,
    HotwordsOption,
    LmOption,
    reading,
    takes,
    to_change,
)
from asr.cli.progress import bar
from asr.counting import counted
from asr.errors import BadData, BadOption
from asr.files import check_writable, write_atomically

if TYPE_CHECKING:
    from asr.corpus import Unread, Utterance
    from asr.evaluation import Evaluation, Score
    from asr.evaluation.written import WrittenScore
    from asr.runtime import Recognizer

WORST = 5
"""Utterances that are shown unless another number is told."""


@takes("decoder", "beam_size", *WEIGHTS)
def evaluate(
    manifest: Annotated[Path, typer.Argument(help="JSON lines with `audio` and `text`.")],
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    lm: LmOption = None,
    hotwords: HotwordsOption = None,
    normaliser: Annotated[
        str,
        typer.Option(
            help="How texts are normalised for comparison: plain (lower case, no punctuation), or "
            "english (as public rankings do: one spelling, digits for numbers, no contractions)."
        ),
    ] = "plain",
    train: Annotated[
        list[Path] | None,
        typer.Option(help="Training manifest: reports how many words not in it are recognised."),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Bundle, or file of --json, to compare with.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--json", "--output", "-o", help="File for all figures and clips."),
    ] = None,
    worst: Annotated[int, typer.Option(help="Utterances to show, the worst first.", min=0)] = WORST,
    record: Annotated[
        bool, typer.Option("--record", help="Write the figure into the bundle and its card.")
    ] = False,
    written: Annotated[
        bool,
        typer.Option(
            "--written",
            help="Score marks and capitals: of a text (.txt, .xz), or of JSON lines with `id` and "
            "`written`.",
        ),
    ] = False,
    recordings: Annotated[
        Path | None, typer.Option(help="With --written: manifest with the recordings of the ids.")
    ] = None,
    last: Annotated[
        float, typer.Option(help="With --written: the last share of a text.", min=0, max=1)
    ] = 1.0,
    apart: Annotated[
        bool, typer.Option("--apart", help="With --written: each line of a text is for itself.")
    ] = False,
    **values: Any,
) -> None:
    """Transcribe a manifest and print error rates and speed, overall and by groups of clips.

    Exit code 0: all clips scored; 1: some could not be read; 2: nothing could be done.
    """
    if written:
        ignored = {
            "--lm": lm,
            "--hotwords": hotwords,
            "--normaliser": normaliser != "plain",
            "--train": train,
            "--json": results,
            "--worst": worst != WORST,
            "--record": record,
            **{f"--{name.replace('_', '-')}": value is not None for name, value in values.items()},
        }
        if given := [name for name, value in ignored.items() if value]:
            raise BadOption(
                f"--written takes no {' and no '.join(given)}: leave out what is not for it."
            )
        _written(manifest, recordings, last, apart, bundle, device, against)
        return
    if recordings is not None or last != 1.0 or apart:
        raise BadOption("--recordings, --last and --apart have no effect without --written.")
    from asr.corpus import read_checked
    from asr.evaluation import Analysis, compare, known_words, lines, normaliser_named
    from asr.evaluation import evaluate as run
    from asr.runtime import Recognizer

    normaliser_named(normaliser)  # refused before any work
    if record and normaliser != "plain":
        raise BadOption("--record takes plain figures: leave out --normaliser.")
    options = reading(hotwords, lm, **values)
    if record and (lm is not None or options.keys() - {"decoder"}):
        raise BadOption("--record takes the bundle as it is: of decoding give --decoder alone.")
    if results is not None:
        _check_results(results, [manifest, *(train or []), *([against] if against else [])])
    recognizer = Recognizer.load(to_change(bundle) if record else bundle, device, lm)
    recognizer.options(**options)
    language = recognizer.bundle.info.language
    known = known_words(train, normaliser, language) if train else None
    failed = Failures()

    def run_on(system: Recognizer, unread: "Unread") -> "Evaluation":
        with bar("evaluating") as progress:
            return run(system, manifest, progress, normaliser, unread, **options)

    if against is None:
        rival = None
    else:
        clips = read_checked(manifest, "evaluated on", recognizer.bundle.normalise)
        rival = _rival(against, clips, device, run_on)
    evaluation = run_on(recognizer, failed.unread)
    scored = [clip.id for clip in evaluation.clips]
    comparison = rival and compare(evaluation, rival(scored), str(against))
    analysis = Analysis.of(evaluation, known, comparison)
    typer.echo("\n".join(lines(analysis, recognizer.device, worst)))
    _tell_unwritable(recognizer, evaluation)
    if results is not None:
        about = {
            "manifest": str(manifest),
            "bundle": str(recognizer.bundle.path),
            "lm": None if lm is None else str(lm),
            "options": options,
            "device": recognizer.device,
        }
        text = json.dumps({**about, **analysis.to_dict()}, ensure_ascii=False, indent=1)
        write_atomically(results, f"{text}\n")
    if record and failed.number:
        typer.echo("the figure is not recorded, since some clips could not be read", err=True)
    elif record:
        _record(recognizer, evaluation, manifest, options.get("decoder"))
    failed.end()


def _written(
    source: Path,
    recordings: Path | None,
    last: float,
    apart: bool,
    bundle: Path | None,
    device: str,
    against: Path | None,
) -> None:
    """Prints how well marks and capitals are put."""
    from asr.evaluation import written
    from asr.punctuation.lines import read_lines
    from asr.runtime import Recognizer

    recognizer = Recognizer.load(bundle, device)
    punctuator = recognizer.punctuator
    if punctuator is None:
        raise BadOption(
            f"{recognizer.bundle.path} has no model of marks; add one with `asr punctuation add`."
        )
    if source.suffix != ".jsonl":
        if recordings is not None or against is not None:
            raise BadOption("--recordings and --against have no effect on a text: leave them out.")
        lines = read_lines(source, last, want_held_out=True)
        score = written.score_text(punctuator, lines, apart)
        if not score.words:
            raise BadData(f"{source} has no words to score; give a text with some, or more of it.")
        _print_written("words alone", score)
        return
    if last != 1.0 or apart:
        raise BadOption("--last and --apart have no effect on JSON lines: leave them out.")
    clips, left_out = written.read_clips(source, recordings)
    if left_out:
        typer.echo(
            f"{left_out:,} of {counted(left_out + len(clips), 'text')} left out: no recording, no "
            "words, or numbers in digits",
            err=True,
        )
    failed = Failures()
    scores = {"right words, without sound": written.score_clips_alone(punctuator, clips)}
    if recordings is not None:
        with bar("evaluating") as progress:
            right, recognised, missed = written.score_clips_heard(
                recognizer, clips, progress, partial(failed.unread, recordings)
            )
        if not recognised.words:
            raise BadData(
                f"{recordings} cannot be evaluated on: none of its recordings can be read."
            )
        scores[f"right words, with pauses ({counted(missed, 'clip')} left out)"] = right
        scores["recognised words"] = recognised
    if against is not None:
        scores[str(against)] = written.score_rival(clips, written.read_written(against))
    for title, score in scores.items():
        _print_written(title, score)
    failed.end()


def _print_written(title: str, score: "WrittenScore") -> None:
    typer.echo(f"{title}: {counted(score.words, 'word')}")
    typer.echo("\n".join(score.lines()))


def _tell_unwritable(recognizer: "Recognizer", evaluation: "Evaluation") -> None:
    """Says on stderr how many words of the texts no model of these units can write."""
    if evaluation.normaliser != "plain":
        return
    unknown = recognizer.bundle.tokenizer.unknown
    references = (scored.reference for scored in evaluation.score.utterances)
    found = [word for text in references for word in text.split() if unknown(word)]
    if not found:
        return
    some = list(dict.fromkeys(found))
    listed = ", ".join(some[:5]) + ", …" * (len(some) > 5)
    advice = "write them as they are said"
    if recognizer.bundle.info.language == "en":
        advice += ", or add --normaliser english, which compares numbers as digits"
    typer.echo(
        f"the model cannot write {len(found):,} of {counted(evaluation.score.words, 'word')} of "
        f"the texts ({listed}), for their characters, which counts as errors: {advice}",
        err=True,
    )


def _check_results(path: Path, read: Sequence[Path]) -> None:
    """Refuses a file for results that cannot be written, or is one of those that are read."""
    if path.is_dir():
        raise BadOption(f"--json {path} is a folder: name a file.")
    for other in read:
        if path.exists() and other.exists() and path.samefile(other):
            raise BadOption(f"--json {path} would take the place of {other}: name another file.")
    check_writable(path)


def _rival(
    against: Path,
    clips: "Sequence[Utterance]",
    device: str,
    run_on: Callable[["Recognizer", "Unread"], "Evaluation"],
) -> Callable[[Sequence[str]], list[str]]:
    """A function from the ids of the clips that can be read, to the other system's texts of them.

    The system is opened, and the file of its texts checked, at once.
    """
    from asr.corpus import Finding
    from asr.evaluation import in_order, read_saved
    from asr.runtime import Recognizer

    if not against.exists():
        raise BadOption(f"--against {against}: there is no such bundle or file of results.")
    if against.is_dir():
        other = Recognizer.load(against, device)

        def heard(ids: Sequence[str]) -> list[str]:
            evaluation = run_on(other, lambda *_: None)  # what cannot be read is named already
            texts = {clip.id: clip.hypothesis for clip in evaluation.clips}
            return in_order(texts, ids, str(against))

        return heard
    saved, failed = read_saved(against)
    needed = [
        clip.id
        for clip in clips
        if clip.id not in failed or not isinstance(clip.heard(), Finding)  # mended since
    ]
    in_order(saved, needed, str(against))
    return lambda ids: in_order(saved, ids, str(against))


def _record(
    recognizer: "Recognizer", evaluation: "Evaluation", manifest: Path, decoder: str | None
) -> None:
    record_score(
        recognizer,
        evaluation.score,
        manifest=manifest.name,
        decoder=decoder or recognizer.options().decoder,
        command=_command(manifest, decoder),
        speed=round(evaluation.throughput, 1),
        device=_device(recognizer.device),
    )
    typer.echo(f"recorded in {recognizer.bundle.path}", err=True)


def record_score(recognizer: "Recognizer", score: "Score", **about: Any) -> None:
    """Writes a score into the card of the recogniser's bundle; `about` has the rest of `Figure`."""
    from asr.bundle import Figure, record_figure

    figure = Figure(
        precision=recognizer.precision,
        clips=len(score.utterances),
        words=score.words,
        wer=round(score.wer, 6),
        cer=round(score.cer, 6),
        **about,
    )
    record_figure(recognizer.bundle.path, figure)


def _device(name: str) -> str:
    """The device that ran the model, in words."""
    if name == "cuda":
        from torch.cuda import get_device_name

        return get_device_name()
    from asr.machine import usable_cores

    cores = usable_cores()
    return f"{counted(cores, 'core')} of a CPU"


def _command(manifest: Path, decoder: str | None) -> str:
    """The command that reproduces the figure elsewhere, with a variable for the corpus folder."""
    corpus = os.environ.get("EARSHOT_DATA")
    name = shlex.quote(manifest.name if manifest.is_absolute() else manifest.as_posix())
    if corpus and Path(corpus).resolve() in manifest.resolve().parents:
        within = manifest.resolve().relative_to(Path(corpus).resolve())
        name = f"$EARSHOT_DATA/{shlex.quote(str(within))}"
    return f"asr evaluate {name}" + (f" --decoder {decoder}" if decoder else "")
