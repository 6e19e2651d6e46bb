"""Recordings decoded once: their measurements, and on request their samples on disk."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from asr.corpus.manifest import Utterance
from asr.corpus.packed import PackedUtterances
from asr.corpus.recordings.measurement_file import MeasurementFile, state
from asr.corpus.recordings.measurements import Measurement, Measurements, Samples16, decode
from asr.corpus.recordings.parts import Part, find, names_of, new_samples, read_parts

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
        return self._utterances[index].load().samples


class RecordingCache:
    """Samples of many utterances as 16-bit integers in memory-mapped files.

    A cache is a folder of parts (`asr.corpus.recordings.parts`). What no part has is decoded into a
    new one, so that a corpus that grows, or another manifest of it, decodes only what is new.

    Args:
        parts: those of the folder.
        utterances: whose recordings are all in the parts.
    """

    def __init__(self, parts: Sequence[Part], utterances: Sequence[Utterance]) -> None:
        names = names_of(utterances)
        part, rows = find(parts, names)
        used, self._part = np.unique(part, return_inverse=True)
        places = list(zip(part.tolist(), rows.tolist(), strict=True))
        self.measurements = Measurements(parts[at].measurements[row] for at, row in places)
        self._ends = np.array([parts[at].ends[row] for at, row in places], np.int64)
        self._samples = [parts[at].samples() for at in used.tolist()]
        for at in used.tolist():
            parts[at].mark_as_used()

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
        end = int(self._ends[index])
        samples = self._samples[self._part[index]]
        clip: npt.NDArray[np.int16] = samples[end - int(self.measurements.samples[index]) : end]
        return clip.astype(np.float32) / np.float32(32768.0)

    @classmethod
    def build(
        cls, folder: Path, utterances: Sequence[Utterance], progress: Progress
    ) -> "RecordingCache":
        """The cache of these recordings: from `folder` if they are there, else decoded now."""
        parts = read_parts(folder)
        missing = find(parts, names_of(utterances))[0] < 0
        if missing.any():
            new = {state(u): u for u, is_new in zip(utterances, missing, strict=True) if is_new}
            known = len(utterances) - int(missing.sum())
            folder.mkdir(parents=True, exist_ok=True)
            parts.append(_decode_all(folder, list(new.values()), known, progress))
        return cls(parts, utterances)


def _decode_all(
    folder: Path, utterances: Sequence[Utterance], known: int, progress: Progress
) -> Part:
    """The part of recordings that no part had, while `known` others are there."""
    measurements: list[Measurement] = []
    with new_samples(folder, names_of(utterances)) as (file, path):
        for measurement, clip in decoded(utterances):
            file.write(clip.tobytes())
            measurements.append(measurement)
            progress(known + len(measurements), known + len(utterances))
    return Part.write(path, names_of(utterances), Measurements(measurements))


def decoded(utterances: Sequence[Utterance]) -> Iterator[tuple[Measurement, Samples16]]:
    """The measurements and samples of each recording, in their order."""
    with ThreadPoolExecutor() as pool:  # libsndfile releases the GIL
        for first in range(0, len(utterances), _CHUNK):  # bounds the memory
            yield from pool.map(_decode, utterances[first : first + _CHUNK])


def _decode(utterance: Utterance) -> tuple[Measurement, Samples16]:
    return decode(utterance.load)
