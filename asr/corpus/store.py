"""Recordings decoded once: what they measure, and on request their samples on disk."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from asr.audio import load
from asr.corpus.manifest import Utterance
from asr.corpus.measures import Measures, state
from asr.corpus.packed import PackedUtterances
from asr.corpus.sound import Samples16, Sound, Sounds, decode

_CHUNK = 256

Progress = Callable[[int, int], None]
"""Called with the clips done and all clips."""


class Recordings(Protocol):
    """The recordings of some utterances, in their order."""

    @property
    def sounds(self) -> Sounds: ...
    def __getitem__(self, index: int) -> npt.NDArray[np.float32]: ...


def measure(
    utterances: Sequence[Utterance], progress: Progress, measures: Measures | None = None
) -> Sounds:
    """What each recording measures, by decoding it where `measures` does not remember it."""
    states = [state(utterance) for utterance in utterances]
    known = {} if measures is None else measures.read(states)
    new = [at for at, key in enumerate(states) if key not in known]
    done = len(utterances) - len(new)
    progress(done, len(utterances))
    for first in range(0, len(new), _CHUNK):  # so that a run which is stopped keeps what it has
        some = new[first : first + _CHUNK]
        found: dict[str, Sound] = {}
        for at, (sound, _) in zip(some, decoded([utterances[at] for at in some]), strict=True):
            found[states[at]] = sound
            done += 1
            progress(done, len(utterances))
        known |= found
        if measures is not None:
            measures.write(found)
    return Sounds(known[key] for key in states)


class AudioFiles:
    """Recordings where they lie, decoded at each use."""

    def __init__(self, utterances: Sequence[Utterance], sounds: Sounds) -> None:
        self.sounds = sounds
        self._utterances = PackedUtterances(utterances)

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
        return load(self._utterances[index].audio).samples


class AudioStore:
    """Samples of many utterances as 16-bit integers in one memory-mapped file.

    Two files make a store, named by what they hold: `KEY.i16`, all samples end to end, and
    `KEY.npz`, what each recording measures. The second is written last and so marks the first
    whole.
    """

    def __init__(self, samples: Path, sounds: Sounds) -> None:
        self.sounds = sounds
        self._ends = np.cumsum(sounds.samples)
        total = int(self._ends[-1]) if len(sounds) else 0
        self._samples = (
            np.memmap(samples, dtype=np.int16, mode="r", shape=(total,))
            if total
            else np.zeros(0, np.int16)
        )

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
        end = int(self._ends[index])
        clip = self._samples[end - int(self.sounds.samples[index]) : end]
        return clip.astype(np.float32) / 32768.0

    @classmethod
    def build(
        cls, folder: Path, utterances: Sequence[Utterance], progress: Progress
    ) -> "AudioStore":
        """The store of these recordings, from `folder` if it is there, else decoded now."""
        key = _key(utterances)
        samples, measures = folder / f"{key}.i16", folder / f"{key}.npz"
        if not measures.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _write(_decode_all(utterances, samples, progress), measures)
        return cls(samples, Sounds.load(measures))


def _decode_all(utterances: Sequence[Utterance], samples: Path, progress: Progress) -> Sounds:
    sounds: list[Sound] = []
    partial = samples.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        for sound, clip in decoded(utterances):
            file.write(clip.tobytes())
            sounds.append(sound)
            progress(len(sounds), len(utterances))
    os.replace(partial, samples)
    return Sounds(sounds)


def _write(sounds: Sounds, path: Path) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        sounds.save(file)
    os.replace(partial, path)


def decoded(utterances: Sequence[Utterance]) -> Iterator[tuple[Sound, Samples16]]:
    """What each recording measures, and its samples, in their order."""
    with ThreadPoolExecutor() as pool:  # libsndfile lets go of the GIL
        for first in range(0, len(utterances), _CHUNK):  # bounds what waits in memory
            yield from pool.map(_decode, utterances[first : first + _CHUNK])


def _decode(utterance: Utterance) -> tuple[Sound, Samples16]:
    return decode(utterance.audio)


def _key(utterances: Sequence[Utterance]) -> str:
    """Changes with the list of recordings and with any of their files."""
    digest = hashlib.sha256()
    for utterance in utterances:
        digest.update(f"{state(utterance)}\n".encode())
    return digest.hexdigest()[:16]
