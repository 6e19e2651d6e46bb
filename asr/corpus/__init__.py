"""Corpora: manifests, their faults, and the batches that training reads."""

from asr.corpus.buckets import Buckets
from asr.corpus.check import check_files, check_texts, frames_needed
from asr.corpus.dataset import Batch, Example, SpeechDataset, collate
from asr.corpus.manifest import Finding, Utterance, explain, read_manifest
from asr.corpus.store import AudioStore

__all__ = [
    "AudioStore",
    "Batch",
    "Buckets",
    "Example",
    "Finding",
    "SpeechDataset",
    "Utterance",
    "check_files",
    "check_texts",
    "collate",
    "explain",
    "frames_needed",
    "read_manifest",
]
