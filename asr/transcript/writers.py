"""A transcript as the content of a file, in each format that `--format` names."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

from asr.errors import BadOption
from asr.transcript.transcript import Transcript


def _txt(transcript: Transcript) -> str:
    return f"{transcript.text}\n"


def _json(transcript: Transcript) -> str:
    # One line, so that the transcripts of many files on stdout are JSON lines.
    return json.dumps(transcript.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: Mapping[str, Callable[[Transcript], str]] = MappingProxyType(
    {"txt": _txt, "text": _txt, "json": _json}
)
"""Format's name -> what writes it; `text` is another name for `txt`."""


def write(transcript: Transcript, format: str) -> str:
    """`transcript` as the whole content of a file: each format ends with one newline.

    BadOption for a format that is not in `FORMATS`.
    """
    return _writer(format)(transcript)


def file_suffix(format: str) -> str:
    """How the name of a file in `format` ends, with its dot. BadOption as in `write`."""
    writer = _writer(format)
    return "." + next(name for name, known in FORMATS.items() if known is writer)


def _writer(format: str) -> Callable[[Transcript], str]:
    if format not in FORMATS:
        raise BadOption(f"format {format!r} is not known: choose one of {', '.join(FORMATS)}")
    return FORMATS[format]
