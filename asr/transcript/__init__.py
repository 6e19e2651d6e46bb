"""Transcripts: `Transcript`, `Word`, and writers for files. Needs nothing but Python."""

from asr.transcript.cues import Cue, between_pauses, cues
from asr.transcript.transcript import Alternative, Transcript, Word
from asr.transcript.writers import FORMATS, file_suffix, write

__all__ = [
    "FORMATS",
    "Alternative",
    "Cue",
    "Transcript",
    "Word",
    "between_pauses",
    "cues",
    "file_suffix",
    "write",
]
