"""Transcripts: `Transcript`, `Segment`, `Word`, and writers for files. Needs nothing but Python."""

from asr.transcript.cues import Cue, cues
from asr.transcript.growing import Growing
from asr.transcript.layout import LAYOUT, Layout
from asr.transcript.paragraphs import paragraphs
from asr.transcript.segments import Segment, Word, between_pauses, displayed, sentences
from asr.transcript.transcript import Alternative, Transcript
from asr.transcript.writers import FORMATS, check_layout, file_suffix, write

__all__ = [
    "FORMATS",
    "LAYOUT",
    "Alternative",
    "Cue",
    "Growing",
    "Layout",
    "Segment",
    "Transcript",
    "Word",
    "between_pauses",
    "check_layout",
    "cues",
    "displayed",
    "file_suffix",
    "paragraphs",
    "sentences",
    "write",
]
