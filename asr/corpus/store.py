"""Recordings decoded once: what they measure, and on request their samples on disk."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.audio import load
from asr.corpus.manifest import Utterance
from asr.errors import BadAudio, TooLong

_CHUNK = 256
_FULL_SCALE = 0.999

Progress = Callable[[int, int], None]
"""Called with the clips done and all clips."""


@dataclass(frozen=True)
class Sound:
    """What one recording measures."""

    samples: int
    """Length at 16 kHz."""
    peak: float = 0.0
    """The loudest sample."""
    clipped: float = 0.0
    """Share of samples at full scale."""
    problem: str | None = None
    """Why it cannot be decoded, in one sentence."""


def measure(utterances: Sequence[Utterance], progress: Progress) -> list[Sound]:
    """What each recording measures, by decoding it."""
    sounds: list[Sound] = []
    for sound, _ in _decoded(utterances):
        sounds.append(sound)
        progress(len(sounds), len(utterances))
    return sounds


class AudioStore:
    """Samples of many utterances as 16-bit integers in one memory-mapped file.

    Two files make a store, named by what they hold: `KEY.i16`, all samples end to end, and
    `KEY.npz`, what each recording measures. The second is written last and so marks the first
    whole.
    """

    def __init__(self, samples: Path, sounds: Sequence[Sound]) -> None:
        self.sounds = list(sounds)
        self._ends = np.cumsum([sound.samples for sound in sounds], dtype=np.int64)
        total = int(self._ends[-1]) if sounds else 0
        self._samples = (
            np.memmap(samples, dtype=np.int16, mode="r", shape=(total,))
            if total
            else np.zeros(0, np.int16)
        )

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
        end = int(self._ends[index])
        clip = self._samples[end - self.sounds[index].samples : end]
        return clip.astype(np.float32) / 32768.0

    @classmethod
    def build(
        cls, folder: Path, utterances: Sequence[Utterance], progress: Progress
    ) -> "AudioStore":
        """The store of these recordings, from `folder` if it is there, else decoded now."""
        key = _key(utterances)
        samples, measures = folder / f"{key}.i16", folder / f"{key}.npz"
        if measures.exists():
            table = np.load(measures)
            columns = (table[name].tolist() for name in ("samples", "peak", "clipped", "problem"))
            rows = zip(*columns, strict=True)
            return cls(
                samples, [Sound(n, peak, share, why or None) for n, peak, share, why in rows]
            )
        folder.mkdir(parents=True, exist_ok=True)
        sounds = _decode_all(utterances, samples, progress)
        _save_table(sounds, measures)
        return cls(samples, sounds)


def _decode_all(utterances: Sequence[Utterance], samples: Path, progress: Progress) -> list[Sound]:
    sounds: list[Sound] = []
    partial = samples.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        for sound, clip in _decoded(utterances):
            file.write(clip.tobytes())
            sounds.append(sound)
            progress(len(sounds), len(utterances))
    os.replace(partial, samples)
    return sounds


def _save_table(sounds: Sequence[Sound], path: Path) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.savez(
            file,
            samples=np.array([sound.samples for sound in sounds], np.int64),
            peak=np.array([sound.peak for sound in sounds]),
            clipped=np.array([sound.clipped for sound in sounds]),
            problem=np.array([sound.problem or "" for sound in sounds], dtype=str),
        )
    os.replace(partial, path)


def _decoded(utterances: Sequence[Utterance]) -> Iterator[tuple[Sound, npt.NDArray[np.int16]]]:
    with ThreadPoolExecutor() as pool:  # libsndfile lets go of the GIL
        for first in range(0, len(utterances), _CHUNK):  # bounds what waits in memory
            yield from pool.map(_decode, utterances[first : first + _CHUNK])


def _decode(utterance: Utterance) -> tuple[Sound, npt.NDArray[np.int16]]:
    try:
        samples = load(utterance.audio).samples
    except (BadAudio, TooLong) as error:
        return Sound(0, problem=str(error)), np.zeros(0, np.int16)
    loudness = np.abs(samples)
    sound = Sound(
        samples=len(samples),
        peak=float(loudness.max(initial=0.0)),
        clipped=float((loudness >= _FULL_SCALE).mean()) if len(samples) else 0.0,
    )
    return sound, np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)


def _key(utterances: Sequence[Utterance]) -> str:
    """Changes with the list of recordings and with any of their files."""
    digest = hashlib.sha256()
    for utterance in utterances:
        path, state = utterance.audio.resolve(), utterance.audio.stat()
        digest.update(f"{path}\t{state.st_size}\t{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
