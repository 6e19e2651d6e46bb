"""Corpora: manifests, their faults, and the batches that training reads."""

from asr.corpus.buckets import Buckets
from asr.corpus.check import check_files, check_lines, frames_needed, hours_by_kind
from asr.corpus.dataset import Batch, Example, SpeechDataset, collate
from asr.corpus.findings import Finding, explain
from asr.corpus.manifest import Utterance, read_manifest, read_recordings
from asr.corpus.measures import measures_file
from asr.corpus.shards import Source, locate
from asr.corpus.sources import read_utterances
from asr.corpus.survey import Survey, survey

__all__ = [
    "Batch",
    "Buckets",
    "Example",
    "Finding",
    "Source",
    "SpeechDataset",
    "Survey",
    "Utterance",
    "check_files",
    "check_lines",
    "collate",
    "explain",
    "frames_needed",
    "hours_by_kind",
    "locate",
    "measures_file",
    "read_manifest",
    "read_recordings",
    "read_utterances",
    "survey",
]
