"""How far are the times of words from the truth, as frames and as the transcript has them?

    python benchmarks/boundaries.py $EARSHOT_DATA/dev-librispeech.jsonl --clips 60

Two sets whose truth is known, both aligned with their texts: clips of the manifest joined with
known gaps (where speech begins and ends in a clip is told by its energy), and the manifest's texts
spoken by espeak-ng, which tells when it says each word.
"""

import argparse
import ctypes
import ctypes.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.audio import SAMPLE_RATE, load
from asr.corpus import Utterance, read_manifest
from asr.decoding import align, times
from asr.fitting import speech_bounds
from asr.runtime import Recognizer
from asr.runtime.engine import Wave

GAPS = (0.5, 1.0, 2.0)
"""Seconds of silence between joined clips."""
VOICES = (b"en-us", b"en-gb")


@dataclass(frozen=True)
class Timed:
    """A recording with its words and when each truly starts and ends; NaN where nobody knows."""

    wave: Wave
    words: list[str]
    starts: list[float]
    ends: list[float]


def joined(utterances: list[Utterance]) -> Iterator[Timed]:
    """Clips three by three with gaps of silence around them."""
    for first in range(0, len(utterances) - 2, 3):
        parts: list[Wave] = []
        words: list[str] = []
        starts: list[float] = []
        ends: list[float] = []
        now = 0.0
        for gap, utterance in zip(GAPS, utterances[first : first + 3], strict=True):
            samples = load(utterance.audio).samples
            parts += [np.zeros(int(gap * SAMPLE_RATE), np.float32), samples]
            now += gap
            begin, end = speech_bounds(samples)
            said = utterance.text.split()
            words += said
            starts += [now + begin, *[np.nan] * (len(said) - 1)]
            ends += [*[np.nan] * (len(said) - 1), now + end]
            now += len(samples) / SAMPLE_RATE
        yield Timed(np.concatenate(parts), words, starts, ends)


class _Event(ctypes.Structure):
    """`espeak_EVENT` of espeak-ng's speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


_WORD, _PHONEME = 1, 7


class Espeak:
    """espeak-ng, which tells the times of what it says; one at a time in a process."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng")
        if name is None:
            raise SystemExit("espeak-ng's library is not installed")
        self._library = ctypes.CDLL(name)
        self._rate = self._library.espeak_Initialize(2, 0, None, 1)  # to memory, with phonemes
        callback = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )
        self._callback = callback(self._heard)  # kept: the library does not own it
        self._library.espeak_SetSynthCallback(self._callback)

    def _heard(self, wave: Any, samples: int, events: Any) -> int:
        if wave and samples:
            self._wave.append(np.ctypeslib.as_array(wave, (samples,)).copy())
        for event in iter(events):
            if event.type == 0:
                break
            text = event.name.decode("utf-8", "replace")
            self._events.append((event.type, event.text_position, event.audio_position, text))
        return 0

    def say(self, text: str, voice: bytes) -> Timed | None:
        """The text, spoken; None where espeak-ng told fewer words than there are."""
        self._wave: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, int, int, str]] = []
        self._library.espeak_SetVoiceByName(voice)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, 1, None, None)
        begins = {1 + len(text[:at]) for at in range(len(text)) if at == 0 or text[at - 1] == " "}
        starts: list[float] = []
        ends: list[float] = []
        for kind, position, milliseconds, name in self._events:
            pause = kind == _PHONEME and name.startswith("_")
            if len(ends) < len(starts) and (kind == _WORD or pause):
                ends.append(milliseconds / 1000)
            if kind == _WORD and position in begins:
                starts.append(milliseconds / 1000)
        if not len(starts) == len(ends) == len(text.split()):
            return None
        samples = np.concatenate(self._wave).astype(np.float32) / 32768
        return Timed(load((samples, self._rate)).samples, text.split(), starts, ends)


def errors(recognizer: Recognizer, timed: Timed) -> NDArray[np.float64]:
    """`(2, words, 2)` seconds by which start and end come too late: of frames, of a transcript."""
    tokenizer, frame_seconds = recognizer.bundle.tokenizer, recognizer.bundle.model.frame_seconds
    windows = recognizer.windows(len(timed.wave))
    rows = recognizer.run([timed.wave[window.start : window.stop] for window in windows])
    lattice = recognizer.join(windows, rows)
    units = tokenizer.encode(" ".join(timed.words))
    (hypothesis,) = align(lattice[None], np.array([len(lattice)]), [units])
    spans = [(first, end) for _, first, end in tokenizer.word_spans(hypothesis.units)]
    runs = [(hypothesis.starts[first], hypothesis.ends[end - 1]) for first, end in spans]
    duration = len(timed.wave) / SAMPLE_RATE
    offset = recognizer.calibration("greedy").end_offset
    found = np.array([np.array(runs) * frame_seconds, times(runs, frame_seconds, duration, offset)])
    return found - np.array([timed.starts, timed.ends]).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--clips", type=int, default=60)
    arguments = parser.parse_args()
    recognizer = Recognizer.load(arguments.bundle, "cpu")
    utterances = read_manifest(arguments.manifest)[0][-arguments.clips :]
    espeak = Espeak()
    spoken = [espeak.say(one.text, VOICES[n % 2]) for n, one in enumerate(utterances)]
    sets = {
        "joined clips": list(joined(utterances)),
        "espeak-ng": [timed for timed in spoken if timed is not None],
    }
    offset = recognizer.calibration("greedy").end_offset
    print(f"the bundle's words end {offset:+.3f} s behind their last frame before a pause")
    print(f"{'set':14}{'boundary':>10}{'number':>8}{'times':>12}{'error ms':>10}{'bias ms':>9}")
    for name, recordings in sets.items():
        late = 1000 * np.concatenate([errors(recognizer, one) for one in recordings], axis=1)
        for label, rows in zip(("frames", "transcript"), late, strict=True):
            for boundary, column in zip(("start", "end"), rows.T, strict=True):
                known = column[~np.isnan(column)]
                mean, median = np.abs(known).mean(), np.median(known)
                print(f"{name:14}{boundary:>10}{len(known):8}{label:>12}{mean:10.0f}{median:+9.0f}")


if __name__ == "__main__":
    main()
