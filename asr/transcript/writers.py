"""A transcript as the content of a file, in each format that `--format` names."""

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from asr.errors import BadOption
from asr.files import readable
from asr.scripts import is_unspaced, joined
from asr.transcript.cues import Cue, cues
from asr.transcript.layout import Layout
from asr.transcript.paragraphs import ONE_LINE_S, clock, paragraphs
from asr.transcript.segments import Seconds, Segment
from asr.transcript.tiers import eaf, textgrid
from asr.transcript.transcript import Transcript

Writer: TypeAlias = Callable[[Transcript, str, Layout], str]


def _txt(transcript: Transcript, _name: str, layout: Layout) -> str:
    """One line; for more than a minute, or several channels, paragraphs with empty lines between
    them."""
    turns = len({segment.channel for segment in transcript.segments}) > 1
    if transcript.duration <= ONE_LINE_S and not (layout.timestamps or turns):
        return f"{transcript.text}\n"
    return "\n".join(_paragraph(part, layout) for part in paragraphs(transcript.segments)) or "\n"


def _paragraph(segments: list[Segment], layout: Layout) -> str:
    head = f"[{clock(segments[0].start)}] " if layout.timestamps else ""
    head += _named(segments[0].channel, layout)
    return f"{head}{joined(segment.text for segment in segments)}\n"


def _json(transcript: Transcript, _name: str, _layout: Layout) -> str:
    # One line, so that the transcripts of many files on stdout are JSON lines.
    return json.dumps(transcript.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"


def _srt(transcript: Transcript, _name: str, layout: Layout) -> str:
    """SubRip, the most widely supported subtitle format."""
    return "\n".join(
        f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n"
        f"{_named(cue.channel, layout)}{_stack(cue.lines)}"
        for number, cue in enumerate(_cues(transcript, layout), start=1)
    )


def _named(channel: int | None, layout: Layout) -> str:
    speaker = layout.speaker(channel)
    return f"{speaker}: " if speaker else ""


def _vtt(transcript: Transcript, _name: str, layout: Layout) -> str:
    """WebVTT, the format of browsers (https://www.w3.org/TR/webvtt1)."""
    lines = _lit if layout.highlight_words else _escaped_lines
    blocks = [
        f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n"
        f"{_voice(cue.channel, layout)}{_stack(lines(cue))}"
        for cue in _cues(transcript, layout)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _voice(channel: int | None, layout: Layout) -> str:
    speaker = layout.speaker(channel)
    return f"<v {_escaped(speaker)}>" if speaker else ""


def _cues(transcript: Transcript, layout: Layout) -> list[Cue]:
    return cues(transcript.words, transcript.end, layout)


def _escaped_lines(cue: Cue) -> Iterable[str]:
    return map(_escaped, cue.lines)


def _lit(cue: Cue) -> Iterable[str]:
    """The lines with the time of each word, which must lie within the cue, and in order."""
    shown = _time(cue.start, ".")
    for row in cue.rows:
        words = []
        for before, word in zip((None, *row), row, strict=False):
            if before is not None and not is_unspaced(before.text[-1:] + word.text[:1]):
                words.append(" ")
            time = _time(word.start, ".")
            stamp, shown = (f"<{time}>", time) if time > shown else ("", shown)
            words.append(f"{stamp}<c>{_escaped(word.text)}</c>")
        yield "".join(words)


def _tsv(transcript: Transcript, _name: str, _layout: Layout) -> str:
    """A row for each segment, in whole milliseconds as Whisper writes it."""
    rows = [
        f"{round(1000 * segment.start)}\t{round(1000 * segment.end)}\t"
        + " ".join(segment.text.split())
        for segment in transcript.segments
    ]
    return _stack(["start\tend\ttext", *rows])


def _ctm(transcript: Transcript, name: str, _layout: Layout) -> str:
    """NIST's time-marked words, as `sclite` reads them: file, channel, start, length, word; channel
    by channel."""
    file = "_".join(readable(name).split()) or "recording"
    return "".join(
        f"{file} {word.channel or 1} {word.start:.3f} {word.end - word.start:.3f} "
        f"{'_'.join(word.text.split())} {word.confidence:.4f}\n"
        for word in sorted(transcript.words, key=lambda word: word.channel or 1)
    )


def _time(seconds: Seconds, point: str) -> str:
    """`seconds` as hours:minutes:seconds and milliseconds."""
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    return f"{clock(whole)}{point}{milliseconds:03}"


def _stack(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Format(NamedTuple):
    """What writes a format, the suffix of its files, and the options of `Layout` that it has."""

    writer: Writer
    suffix: str
    options: tuple[str, ...] = ()


_LINES = ("max_line_width", "max_line_count", "speakers")
_TXT = Format(_txt, ".txt", ("timestamps", "speakers"))
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "txt": _TXT,
        "text": _TXT,
        "json": Format(_json, ".json"),
        "srt": Format(_srt, ".srt", _LINES),
        "vtt": Format(_vtt, ".vtt", (*_LINES, "highlight_words")),
        "tsv": Format(_tsv, ".tsv"),
        "ctm": Format(_ctm, ".ctm"),
        "textgrid": Format(textgrid, ".TextGrid", ("speakers",)),
        "eaf": Format(eaf, ".eaf", ("speakers",)),
    }
)
"""Every format by its name; `text` is another name for `txt`."""


def write(
    transcript: Transcript, format: str, name: str = "recording", layout: Layout = Layout()
) -> str:
    """`transcript` as the content of a file in `format`, with a newline at the end.

    Args:
        name: the recording's name in a `ctm`.
        layout: options that belong to other formats have no effect: see `check_layout`.

    Raises:
        BadOption: the format is not in `FORMATS`, or the layout is none.
    """
    if not isinstance(layout, Layout):
        raise BadOption(f"the layout is given as {type(layout).__name__}: give a Layout.")
    return _format(format).writer(transcript, name, layout)


def check_layout(layout: Layout, formats: Iterable[str]) -> None:
    """BadOption if an option of `layout` has no effect on any of the formats."""
    formats = tuple(formats)
    used = {option for format in formats for option in _format(format).options}
    for option in layout.chosen():
        if option not in used:
            others = [name for name, known in FORMATS.items() if option in known.options]
            raise BadOption(
                f"{option} has no effect on {', '.join(formats)}; choose the format "
                f"{' or '.join(others)}."
            )


def file_suffix(format: str) -> str:
    """The file suffix of `format`, with its dot. BadOption as in `write`."""
    return _format(format).suffix


def _format(format: str) -> Format:
    if format not in FORMATS:
        raise BadOption(f"format {format!r} is not known: choose one of {', '.join(FORMATS)}.")
    return FORMATS[format]
