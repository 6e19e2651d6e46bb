"""Corpora: manifests, their faults, and the batches that training reads."""

from asr.corpus.buckets import Buckets
from asr.corpus.check import check_lines, frames_needed, hours_by_kind
from asr.corpus.dataset import Batch, Example, SpeechDataset, collate
from asr.corpus.findings import Finding, explain
from asr.corpus.manifest import Utterance, read_manifest
from asr.corpus.survey import Survey, survey

__all__ = [
    "Batch",
    "Buckets",
    "Example",
    "Finding",
    "SpeechDataset",
    "Survey",
    "Utterance",
    "check_lines",
    "collate",
    "explain",
    "frames_needed",
    "hours_by_kind",
    "read_manifest",
    "survey",
]
