"""The level of a recording, and the gain for one that is much too quiet.

`load` returns audio unchanged. Before a recording is transcribed it is brought to its level, once
and as a whole, before it is cut into windows.

A recording that is loud enough stays the same, bit for bit. A quiet one is amplified as a whole,
including its pauses, which stay below speech as in any other recording.
"""

import numpy as np
import numpy.typing as npt

FRAME = 320
"""Samples at 16 kHz per measurement of loudness: 20 ms."""

LOUD_FRAMES = 10
"""Frames that must be loud: 0.2 s, the length of a short word; one or two clicks are shorter."""

ORDINARY_DB = -40.0
"""Frames at or above this level, relative to full scale, are loud. In 600 clips of LibriSpeech and
Common Voice the tenth loudest frame is at -18 dB in the middle and -37 dB in the quietest."""

RAISED_DB = -18.0
"""The level to which those frames of a quiet recording are raised."""

MOST_DB = 60.0
"""Largest gain: rounding noise of 16 bits, at -101 dB, becomes as loud as faint noise."""

_STILL = 1e-7  # -140 dB: what rounding leaves of a constant offset


class Meter:
    """Measures the level of mono samples at 16 kHz, given in pieces of any size."""

    def __init__(self) -> None:
        self._rest = np.empty(0, np.float32)
        self._means: list[npt.NDArray[np.float64]] = []
        self._deviations: list[npt.NDArray[np.float32]] = []
        self._loud = 0

    def add(self, samples: npt.NDArray[np.float32]) -> None:
        """Measures the next samples `(S,)`; after enough loud ones this costs nothing."""
        step = 50 * FRAME
        for start in range(0, len(samples), step):
            if self._loud >= LOUD_FRAMES:
                return
            self._measure(samples[start : start + step])

    def _measure(self, samples: npt.NDArray[np.float32]) -> None:
        samples = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        whole = len(samples) - len(samples) % FRAME
        self._rest = samples[whole:].copy()
        frames = samples[:whole].reshape(-1, FRAME)
        means = frames.mean(axis=1, dtype=np.float64)
        centred = frames - means.astype(np.float32)[:, np.newaxis]  # an offset is not audible
        deviations = np.sqrt(np.einsum("tf,tf->t", centred, centred) / FRAME)
        self._loud += int((deviations >= _amplitude(ORDINARY_DB)).sum())
        self._means.append(means)
        self._deviations.append(deviations)

    @property
    def is_loud(self) -> bool:
        """Whether the recording is loud enough, whatever follows."""
        return self._loud >= LOUD_FRAMES

    def change(self) -> tuple[float, float]:
        """`(offset, gain)`: what to subtract from all samples, and then the factor for them.

        (0, 1) if the recording is loud enough, or is silent.
        """
        if self._loud >= LOUD_FRAMES or not self._means:
            return 0.0, 1.0
        deviations = np.concatenate(self._deviations)
        rank = min(LOUD_FRAMES, (len(deviations) + 1) // 2)
        level = float(np.partition(deviations, -rank)[-rank]) if rank else 0.0
        if not _STILL < level < _amplitude(ORDINARY_DB):
            return 0.0, 1.0
        gain = min(_amplitude(RAISED_DB) / level, _amplitude(MOST_DB))
        return float(np.concatenate(self._means).mean()), gain


def levelled(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The samples `(S,)` of a whole recording, amplified if they are too quiet."""
    meter = Meter()
    meter.add(samples)
    return changed(samples, *meter.change())


def changed(
    samples: npt.NDArray[np.float32], offset: float, gain: float
) -> npt.NDArray[np.float32]:
    """Samples after a change of `Meter.change`; the same array if there is none."""
    if gain == 1.0:
        return samples
    return (samples - np.float32(offset)) * np.float32(gain)


def _amplitude(decibels: float) -> float:
    return float(10.0 ** (decibels / 20))
