"""Recordings decoded once: their measurements, and on request their samples on disk."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from asr.audio import load
from asr.corpus.manifest import Utterance
from asr.corpus.packed import PackedUtterances
from asr.corpus.recordings.measurement_file import MeasurementFile, state
from asr.corpus.recordings.measurements import Measurement, Measurements, Samples16, decode
from asr.files import replacing

_CHUNK = 256

Progress = Callable[[int, int], None]
"""Called with the clips done and all clips."""


class Recordings(Protocol):
    """The recordings of some utterances, in their order."""

    @property
    def measurements(self) -> Measurements: ...
    def __getitem__(self, index: int) -> npt.NDArray[np.float32]: ...


def measure(
    utterances: Sequence[Utterance], progress: Progress, measures: MeasurementFile | None = None
) -> Measurements:
    """The measurements of each recording, decoded unless `measures` has them."""
    states = [state(utterance) for utterance in utterances]
    known = {} if measures is None else measures.read(states)
    new = [at for at, key in enumerate(states) if key not in known]
    done = len(utterances) - len(new)
    progress(done, len(utterances))
    for first in range(0, len(new), _CHUNK):  # a run that is stopped keeps what it has
        some = new[first : first + _CHUNK]
        recordings = decoded([utterances[at] for at in some])
        measured: dict[str, Measurement] = {}
        for at, (measurement, _) in zip(some, recordings, strict=True):
            measured[states[at]] = measurement
            done += 1
            progress(done, len(utterances))
        known |= measured
        if measures is not None:
            measures.write(measured)
    return Measurements(known[key] for key in states)


class AudioFiles:
    """Recordings in their own files, decoded at each use."""

    def __init__(self, utterances: Sequence[Utterance], measurements: Measurements) -> None:
        self.measurements = measurements
        self._utterances = PackedUtterances(utterances)

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
        return load(self._utterances[index].audio).samples


class RecordingCache:
    """Samples of many utterances as 16-bit integers in one memory-mapped file.

    A cache is two files, named by a hash of the recordings: `KEY.i16` holds all samples end to
    end, `KEY.npz` the measurements. The second is written last: it marks the first as complete.
    """

    def __init__(self, samples: Path, measurements: Measurements) -> None:
        self.measurements = measurements
        self._ends = np.cumsum(measurements.samples)
        total = int(self._ends[-1]) if len(measurements) else 0
        self._samples = (
            np.memmap(samples, dtype=np.int16, mode="r", shape=(total,))
            if total
            else np.zeros(0, np.int16)
        )

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
        end = int(self._ends[index])
        clip = self._samples[end - int(self.measurements.samples[index]) : end]
        return clip.astype(np.float32) / 32768.0

    @classmethod
    def build(
        cls, folder: Path, utterances: Sequence[Utterance], progress: Progress
    ) -> "RecordingCache":
        """The cache of these recordings: from `folder` if it is there, else decoded now."""
        key = _key(utterances)
        samples, measures = folder / f"{key}.i16", folder / f"{key}.npz"
        if not measures.exists():
            folder.mkdir(parents=True, exist_ok=True)
            measurements = _decode_all(utterances, samples, progress)
            with replacing(measures) as file:
                measurements.save(file)
        return cls(samples, Measurements.load(measures))


def _decode_all(utterances: Sequence[Utterance], samples: Path, progress: Progress) -> Measurements:
    measurements: list[Measurement] = []
    with replacing(samples) as file:
        for measurement, clip in decoded(utterances):
            file.write(clip.tobytes())
            measurements.append(measurement)
            progress(len(measurements), len(utterances))
    return Measurements(measurements)


def decoded(utterances: Sequence[Utterance]) -> Iterator[tuple[Measurement, Samples16]]:
    """The measurements and samples of each recording, in their order."""
    with ThreadPoolExecutor() as pool:  # libsndfile releases the GIL
        for first in range(0, len(utterances), _CHUNK):  # bounds the memory
            yield from pool.map(_decode, utterances[first : first + _CHUNK])


def _decode(utterance: Utterance) -> tuple[Measurement, Samples16]:
    return decode(utterance.audio)


def _key(utterances: Sequence[Utterance]) -> str:
    """Changes with the list of recordings and with any of their files."""
    digest = hashlib.sha256()
    for utterance in utterances:
        digest.update(f"{state(utterance)}\n".encode())
    return digest.hexdigest()[:16]
