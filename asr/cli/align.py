"""`asr align AUDIO TEXT`: the times of a known text."""

import math
import sys
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli.options import BundleOption, DeviceOption, laid_out, takes
from asr.counting import counted
from asr.errors import BadOption
from asr.transcript import LAYOUT, Layout, Transcript, Word
from asr.transcript.segments import PAUSE_S

if TYPE_CHECKING:
    from asr.corpus.clips import Clip

_LONGEST_S = 20.0
_GAP_S = 0.3
"""A clip ends in the middle of a pause of this length, since a word is not cut there."""
_MARGIN_S = 0.2
"""The most silence that is kept before and after a clip."""


@takes(*(name for name in LAYOUT if name != "speakers"), of=Layout)  # a text has one channel
def align(
    audio: Annotated[Path, typer.Argument(help="The recording.")],
    text: Annotated[Path, typer.Argument(help="Text file with what is said in it, in UTF-8.")],
    format: Annotated[
        str | None,
        typer.Option(help="ctm, json, srt, vtt, tsv, txt, textgrid or eaf; ctm unless told."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write, in the format of its suffix; else stdout."
        ),
    ] = None,
    cut: Annotated[
        Path | None,
        typer.Option(
            help="Folder for clips to train on, with a manifest, instead of a transcript."
        ),
    ] = None,
    least: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Least confidence of a clip that --cut writes (0.5)."),
    ] = None,
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    track: Annotated[
        int | None,
        typer.Option(
            min=1, help="Audio track of films, from 1; else the one marked as the default."
        ),
    ] = None,
    **values: Any,
) -> None:
    """Find when each word of a text is said.

    Words that are not said are counted on stderr, and listed as `unsaid` in json. Sound that the
    text does not have is passed over.
    """
    if output is not None and format is not None:
        raise BadOption("--format has no effect with --output, whose suffix says it: leave it out.")
    if cut is not None and (output or format):
        raise BadOption("--cut writes clips and no transcript: leave --output and --format out.")
    if least is not None and cut is None:
        raise BadOption("--least has no effect without --cut; name a folder for the clips.")
    chosen = format or (output.suffix.lower().removeprefix(".") if output else "ctm")
    layout = laid_out([chosen], values)
    written = _read(text)
    from asr.runtime import Recognizer

    found = Recognizer.load(bundle, device).align(audio, written, track=track)
    if found.unsaid:
        total = len(found.words) + len(found.unsaid)
        sys.stderr.write(f"asr: {len(found.unsaid):,} of {counted(total, 'word')} not found\n")
    if cut is not None:
        _cut(audio, found, cut, 0.5 if least is None else least, track)
    elif output is not None:
        found.save(output, layout)
    else:
        from asr.transcript import write

        sys.stdout.write(write(found, chosen, audio.stem, layout))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadOption(f"the text {path} cannot be read ({reason}); check the file.") from error


def _cut(audio: Path, found: Transcript, folder: Path, least: float, track: int | None) -> None:
    from asr.corpus.clips import write_clips
    from asr.options import Selection

    clips = list(_clips(found, least))
    if not clips:
        raise BadOption(f"nothing in {audio} fits the text well enough to be cut: check the text.")
    manifest = write_clips(audio, clips, folder, audio.stem, Selection(track=track))
    seconds = sum(clip.end - clip.start for clip in clips)
    sys.stderr.write(
        f"asr: {counted(len(clips), 'clip')} of {seconds:.0f} s of "
        f"{found.duration:.0f} s in {folder}\n"
    )
    sys.stdout.write(f"{manifest}\n")


def _clips(found: Transcript, least: float) -> Iterator["Clip"]:
    """The runs of words that are sure, with half of the pause on both sides."""
    from asr.corpus.clips import Clip

    words = found.words
    ends = [0.0, *(word.end for word in words)]
    starts = [*(word.start for word in words), found.end]
    for first, end in _runs(words, [word.start for word in found.unsaid]):
        run = words[first:end]
        if sum(word.confidence for word in run) / len(run) < least:
            continue
        before = min(_MARGIN_S, (run[0].start - ends[first]) / 2)
        after = min(_MARGIN_S, (starts[end] - run[-1].end) / 2)
        text = " ".join(word.text for word in run)
        yield Clip(text, run[0].start - max(0.0, before), run[-1].end + max(0.0, after))


def _runs(words: tuple[Word, ...], gaps: list[float]) -> Iterator[tuple[int, int]]:
    """First word and end of each clip: phrases that follow one another, as many as it may hold.

    A phrase that is too long by itself is left out, and one that lacks words of the text.
    """
    first = end = 0
    for begins, ends, torn, whole in _phrases(words, gaps):
        if torn or not whole or words[ends - 1].end - words[first].start > _LONGEST_S:
            if end > first:
                yield first, end
            first = begins
        fits = whole and words[ends - 1].end - words[begins].start <= _LONGEST_S
        first, end = (first, ends) if fits else (ends, ends)
    if end > first:
        yield first, end


def _phrases(words: tuple[Word, ...], gaps: list[float]) -> Iterator[tuple[int, int, bool, bool]]:
    """First word and end of what is said between pauses; whether words are missing before it, and
    whether none are missing within it, where no pause tells which sound is theirs."""
    first, torn, whole = 0, True, True
    for index, word in enumerate(words):
        following = words[index + 1].start if index + 1 < len(words) else math.inf
        missing = _between(gaps, word.end, following)
        if following - word.end >= _GAP_S:
            yield first, index + 1, torn, whole
            first, torn, whole = index + 1, missing or following - word.end >= PAUSE_S, True
        else:
            whole &= not missing


def _between(times: list[float], start: float, end: float) -> bool:
    at = bisect_left(times, start - 1e-6)
    return at < len(times) and times[at] < end + 1e-6
