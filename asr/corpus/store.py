"""Decoded audio on disk, so that no epoch after the first pays for decoding."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.audio import load
from asr.corpus.manifest import Finding, Utterance
from asr.errors import BadAudio, TooLong

_CHUNK = 256

Progress = Callable[[int], None]
"""Called with the number of clips done."""


class AudioStore:
    """Samples of many utterances as 16-bit integers in one memory-mapped file.

    Two files make a store, named by what they hold: `KEY.i16`, all samples end to end, and
    `KEY.npy`, where each utterance ends. The second is written last and so marks the first whole.
    """

    def __init__(self, samples: Path, ends: npt.NDArray[np.int64]) -> None:
        self._ends = ends
        total = int(ends[-1]) if len(ends) else 0
        self._samples = (
            np.memmap(samples, dtype=np.int16, mode="r", shape=(total,))
            if total
            else np.zeros(0, np.int16)
        )

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Samples of each utterance."""
        return np.diff(self._ends, prepend=0)

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
        first = int(self._ends[index - 1]) if index else 0
        return self._samples[first : int(self._ends[index])].astype(np.float32) / 32768.0

    @classmethod
    def build(
        cls, folder: Path, utterances: Sequence[Utterance], progress: Progress
    ) -> tuple["AudioStore", list[Finding]]:
        """The store of these recordings, from `folder` if it is there, else decoded now.

        A recording that cannot be decoded becomes a finding and a length of 0.
        """
        key = _key(utterances)
        samples, ends = folder / f"{key}.i16", folder / f"{key}.npy"
        findings: list[Finding] = []
        if not ends.exists():
            folder.mkdir(parents=True, exist_ok=True)
            findings = _decode_all(utterances, samples, ends, progress)
        store = cls(samples, np.load(ends))
        if findings:  # not kept: the next run must name these lines again
            ends.unlink()
        return store, findings


def measure(
    utterances: Sequence[Utterance], progress: Progress
) -> tuple[npt.NDArray[np.int64], list[Finding]]:
    """Samples of each recording, by decoding it once, and a finding for each that cannot be."""
    lengths = np.zeros(len(utterances), np.int64)
    findings: list[Finding] = []
    for index, clip in enumerate(_decoded(utterances)):
        if isinstance(clip, Finding):
            findings.append(clip)
        else:
            lengths[index] = len(clip)
        progress(index + 1)
    return lengths, findings


def _decode_all(
    utterances: Sequence[Utterance], samples: Path, ends: Path, progress: Progress
) -> list[Finding]:
    findings: list[Finding] = []
    total, marks = 0, np.zeros(len(utterances), np.int64)
    partial = samples.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        for index, clip in enumerate(_decoded(utterances)):
            if isinstance(clip, Finding):
                findings.append(clip)
            else:
                file.write(clip.tobytes())
                total += len(clip)
            marks[index] = total
            progress(index + 1)
    os.replace(partial, samples)
    with ends.with_suffix(".partial").open("wb") as file:
        np.save(file, marks)
    os.replace(ends.with_suffix(".partial"), ends)
    return findings


def _decoded(utterances: Sequence[Utterance]) -> Iterator[npt.NDArray[np.int16] | Finding]:
    with ThreadPoolExecutor() as pool:  # libsndfile lets go of the GIL
        for first in range(0, len(utterances), _CHUNK):  # bounds what waits in memory
            yield from pool.map(_decode, utterances[first : first + _CHUNK])


def _decode(utterance: Utterance) -> npt.NDArray[np.int16] | Finding:
    try:
        samples = load(utterance.audio).samples
    except (BadAudio, TooLong) as error:
        return Finding(utterance.line, str(error))
    return np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)


def _key(utterances: Sequence[Utterance]) -> str:
    """Changes with the list of recordings and with any of their files."""
    digest = hashlib.sha256()
    for utterance in utterances:
        state = utterance.audio.stat()
        digest.update(
            f"{utterance.audio.resolve()}\t{state.st_size}\t{state.st_mtime_ns}\n".encode()
        )
    return digest.hexdigest()[:16]
