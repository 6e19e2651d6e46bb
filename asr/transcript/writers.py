"""A transcript as the content of a file, in each format that `--format` names."""

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from asr.errors import BadOption
from asr.transcript.cues import between_pauses, cues
from asr.transcript.transcript import Seconds, Transcript

Writer: TypeAlias = Callable[[Transcript, str], str]


def _txt(transcript: Transcript, _name: str) -> str:
    return f"{transcript.text}\n"


def _json(transcript: Transcript, _name: str) -> str:
    # One line, so that the transcripts of many files on stdout are JSON lines.
    return json.dumps(transcript.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"


def _srt(transcript: Transcript, _name: str) -> str:
    """SubRip, the most widely supported subtitle format."""
    return "\n".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_stack(cue.lines)}"
        for number, cue in enumerate(cues(transcript.words, transcript.duration), start=1)
    )


def _vtt(transcript: Transcript, _name: str) -> str:
    """WebVTT, the format of browsers (https://www.w3.org/TR/webvtt1)."""
    blocks = [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_stack(map(_escaped, cue.lines))}"
        for cue in cues(transcript.words, transcript.duration)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _tsv(transcript: Transcript, _name: str) -> str:
    """A row for the words between two pauses, in whole milliseconds as Whisper writes it."""
    rows = [
        f"{round(1000 * said[0].start)}\t{round(1000 * said[-1].end)}\t"
        + " ".join(" ".join(word.text.split()) for word in said)
        for said in between_pauses(transcript.words)
    ]
    return _stack(["start\tend\ttext", *rows])


def _ctm(transcript: Transcript, name: str) -> str:
    """NIST's time-marked words, as `sclite` reads them: file, channel, start, length, word."""
    file = "_".join(name.split()) or "recording"
    return "".join(
        f"{file} 1 {word.start:.3f} {word.end - word.start:.3f} "
        f"{'_'.join(word.text.split())} {word.confidence:.4f}\n"
        for word in transcript.words
    )


def _clock(seconds: Seconds, point: str) -> str:
    """`seconds` as hours:minutes:seconds and milliseconds."""
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{milliseconds:03}"


def _stack(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


FORMATS: Mapping[str, Writer] = MappingProxyType(
    {
        "txt": _txt,
        "text": _txt,
        "json": _json,
        "srt": _srt,
        "vtt": _vtt,
        "tsv": _tsv,
        "ctm": _ctm,
    }
)
"""Format name -> writer; `text` is another name for `txt`."""


def write(transcript: Transcript, format: str, name: str = "recording") -> str:
    """`transcript` as the content of a file in `format`, with a newline at the end.

    `name` is the recording's name in a `ctm`. BadOption for a format that is not in `FORMATS`.
    """
    return _writer(format)(transcript, name)


def file_suffix(format: str) -> str:
    """The file suffix of `format`, with its dot. BadOption as in `write`."""
    writer = _writer(format)
    return "." + next(name for name, known in FORMATS.items() if known is writer)


def _writer(format: str) -> Writer:
    if format not in FORMATS:
        raise BadOption(f"format {format!r} is not known: choose one of {', '.join(FORMATS)}")
    return FORMATS[format]
