"""Errors for files that cannot be read, each one sentence."""

import re

from asr.audio.links import Source
from asr.errors import BadAudio

_MAGIC = re.compile(
    rb"RIFF|RF64|riff|FORM|fLaC|OggS|ID3|\xff[\xe0-\xff]|....ftyp|\x1aE\xdf\xa3|caff|FLV\x01"
    rb"|#!AMR|0&\xb2u|wvpk|TTA[12]|\x0bw|MAC |\.snd|\0\0\x01\xba|MP\+|MPCK|tBaK",
    re.DOTALL,
)
_OTHERS = {
    b"MThd": "a MIDI file, which holds notes and no sound",
    b"#EXTM3U": "a playlist, which holds the addresses of recordings",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive",
    b"Rar!": "a rar archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b".RMF": "a RealMedia file",
    b"ajkg": "a Shorten file",
    b"OFR ": "an OptimFROG file",
    b"DSD ": "a DSD file",
    b"FRM8": "a DSD file",
}
"""Other kinds of files that people send instead of a recording, by their first bytes."""


def damaged(label: str, seconds: float) -> BadAudio:
    """An error: the file cannot be read to its end."""
    return BadAudio(
        f"{label} is truncated or damaged: somewhere after {seconds:.1f} s it cannot be read, "
        "so fetch or record it again"
    )


def cut_short(label: str, promised: str, actual: str) -> BadAudio:
    """An error: the file has less audio than its header says."""
    return BadAudio(
        f"{label} is truncated or its header is wrong: it promises {promised} of sound and holds "
        f"{actual}, so fetch or record it again"
    )


def head_alone(label: str) -> BadAudio:
    """An error: the file begins like a recording, but has no audio."""
    return BadAudio(f"{label} holds the head of a recording and no sound: fetch or record it again")


def unreadable(file: Source, label: str) -> BadAudio:
    """An error: nothing can be read from the file."""
    file.seek(0)
    head = file.read(16)
    for magic, named in _OTHERS.items():
        if head.startswith(magic):
            return BadAudio(f"{label} is {named}: give a recording, such as wav, flac or mp3")
    if _MAGIC.match(head):
        return BadAudio(
            f"{label} is truncated or damaged: no sound can be read from it, "
            "so fetch or record it again"
        )
    return BadAudio(
        f"{label} is not a recording, by its content: give wav, flac, mp3, ogg, opus, m4a, mp4 "
        "or webm"
    )
