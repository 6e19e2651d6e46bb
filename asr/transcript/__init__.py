"""Transcripts: `Transcript`, `Word`, and writers for files. Needs nothing but Python."""

from asr.transcript.transcript import Transcript, Word
from asr.transcript.writers import FORMATS, file_suffix, write

__all__ = ["FORMATS", "Transcript", "Word", "file_suffix", "write"]
