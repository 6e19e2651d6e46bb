"""Corpora: manifests and their checks; what batches are made of needs torch and is in `dataset`."""

from asr.corpus.check import check_files, check_ids, check_lines, hours_by_kind, read_checked
from asr.corpus.findings import Finding, explain, explained
from asr.corpus.manifest import (
    Unread,
    Utterance,
    is_apart,
    read_lines,
    read_manifest,
    read_recordings,
    refuse_unread,
)
from asr.corpus.recordings.measurement_file import measurement_file
from asr.corpus.shards import Source, locate
from asr.corpus.sources import read_utterances
from asr.corpus.survey import Survey, survey

__all__ = [
    "Finding",
    "Source",
    "Survey",
    "Unread",
    "Utterance",
    "check_files",
    "check_ids",
    "check_lines",
    "explain",
    "explained",
    "hours_by_kind",
    "is_apart",
    "locate",
    "measurement_file",
    "read_checked",
    "read_lines",
    "read_manifest",
    "read_recordings",
    "read_utterances",
    "refuse_unread",
    "survey",
]
