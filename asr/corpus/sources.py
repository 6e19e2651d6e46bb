"""Sources of utterances: a manifest with its recordings, or shards."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from asr.corpus.check import check_files
from asr.corpus.findings import Finding
from asr.corpus.manifest import Utterance, read_manifest
from asr.corpus.recordings.cache import AudioFiles, Progress, RecordingCache, Recordings, measure
from asr.corpus.recordings.measurement_file import MeasurementFile
from asr.corpus.shards import Shards, Source, is_shards
from asr.text import Normaliser, normalise


class Corpus(Protocol):
    """Utterances, a finding for each malformed line, and the recordings."""

    utterances: list[Utterance]
    findings: list[Finding]

    def check(self, utterances: Sequence[Utterance]) -> list[Finding]:
        """Findings on missing recordings."""

    def recordings(self, utterances: Sequence[Utterance], progress: Progress) -> Recordings:
        """The recordings of some of the utterances."""

    def pools(self, utterances: Sequence[Utterance]) -> npt.NDArray[np.int64]:
        """The pool of each utterance: pools are read one after the other."""


class Manifest:
    """A manifest, and recordings in files of their own; see `open_corpus`."""

    def __init__(
        self, path: Path, cache: Path | None, measures: Path | None, normal: Normaliser
    ) -> None:
        self.utterances, self.findings = read_manifest(path, normal=normal)
        self._cache = cache
        self._measures = None if measures is None else MeasurementFile(measures)

    def check(self, utterances: Sequence[Utterance]) -> list[Finding]:
        return list(check_files(utterances))

    def recordings(self, utterances: Sequence[Utterance], progress: Progress) -> Recordings:
        if self._cache is not None:
            return RecordingCache.build(self._cache, utterances, progress)
        return AudioFiles(utterances, measure(utterances, progress, self._measures))

    def pools(self, utterances: Sequence[Utterance]) -> npt.NDArray[np.int64]:
        return np.zeros(len(utterances), np.int64)  # any file can be read at any time


def open_corpus(
    source: Source, cache: Path | None, measures: Path | None, normal: Normaliser
) -> Corpus:
    """The corpus that `source` names.

    Args:
        cache: folder for decoded samples, and for downloaded shards.
        measures: file of measurements, used if there is no `cache`.
        normal: gives the texts their normal form.

    Raises:
        BadData: it cannot be read.
    """
    if is_shards(source):
        downloads = cache or Path(tempfile.gettempdir()) / f"earshot-{os.getuid()}"
        return Shards(source, downloads, normal)
    return Manifest(Path(source), cache, measures, normal)


def read_utterances(
    source: Source, normal: Normaliser = normalise
) -> tuple[list[Utterance], list[Finding]]:
    """The utterances of a manifest or of shards, and a finding for each malformed line.

    Raises:
        BadData: it cannot be read.
    """
    corpus = open_corpus(source, None, None, normal)
    return corpus.utterances, corpus.findings
