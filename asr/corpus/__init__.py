"""Corpora: manifests, their faults, and the batches that training reads."""

from asr.corpus.buckets import Buckets
from asr.corpus.check import check_lines, check_spelling, frames_needed
from asr.corpus.dataset import Batch, Example, Samples, SpeechDataset, collate
from asr.corpus.manifest import Finding, Utterance, explain, read_manifest
from asr.corpus.store import AudioStore, measure

__all__ = [
    "AudioStore",
    "Batch",
    "Buckets",
    "Example",
    "Finding",
    "Samples",
    "SpeechDataset",
    "Utterance",
    "check_lines",
    "check_spelling",
    "collate",
    "explain",
    "frames_needed",
    "measure",
    "read_manifest",
]
