"""Clips for training, cut from a long recording with the times of its words."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from asr.audio import SAMPLE_RATE, AudioSource, stream
from asr.errors import BadOption
from asr.files import write_atomically
from asr.options import Selection


@dataclass(frozen=True)
class Clip:
    """What is said from `start` to `end`, in seconds of the recording."""

    text: str
    start: float
    end: float


def write_clips(
    source: AudioSource, clips: Sequence[Clip], folder: Path, name: str, selection: Selection
) -> Path:
    """Writes each clip as a FLAC file, and a manifest of them beside; returns the manifest.

    The recording is read once, and only what a clip needs is held.

    Args:
        clips: in order of time, without overlap.
        name: with which their names begin.

    Raises:
        BadOption: the folder cannot be written.
        BadAudio, TooLong: the source cannot be read.
    """
    lines = []
    try:
        (folder / "clips").mkdir(parents=True, exist_ok=True)
        sounds = _cut(stream(source, selection=selection), clips, selection.start)
        for number, (clip, samples) in enumerate(zip(clips, sounds, strict=True), start=1):
            path = folder / "clips" / f"{name}-{number:05}.flac"
            soundfile.write(path, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
            values = {
                "audio": os.path.relpath(path, folder),
                "text": clip.text,
                "duration": round(len(samples) / SAMPLE_RATE, 3),
            }
            lines.append(json.dumps(values, ensure_ascii=False) + "\n")
    except (OSError, soundfile.SoundFileError) as error:
        raise BadOption(f"{folder} cannot be written ({error}): choose another folder.") from error
    manifest = folder / "manifest.jsonl"
    write_atomically(manifest, "".join(lines))
    return manifest


def _cut(pieces: Iterable[np.ndarray], clips: Sequence[Clip], start: float) -> Iterator[np.ndarray]:
    """The samples of each clip, from the pieces `(S, 1)` of a recording from `start` on."""
    incoming = iter(pieces)
    held, origin = np.zeros((0, 1), np.float32), 0
    for clip in clips:
        first, last = (round((at - start) * SAMPLE_RATE) for at in (clip.start, clip.end))
        while origin + len(held) < last and (piece := next(incoming, None)) is not None:
            dropped = min(max(0, first - origin), len(held))
            held, origin = np.concatenate([held[dropped:], piece]), origin + dropped
        yield held[max(0, first - origin) : last - origin, 0]
