"""Raw samples that come in pieces -> float32 at 16 kHz."""

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from asr.audio.scale import to_float
from asr.sampling import SAMPLE_RATE

Encoding: TypeAlias = Literal["pcm", "pcmu", "pcma"]
"""Signed 16 bits, little-endian; or 8 bits as telephones send them, by the mu-law or the A-law."""


def _mu_law() -> npt.NDArray[np.int16]:
    """The sample that each byte stands for (ITU-T G.711)."""
    bits = ~np.arange(256) & 0xFF
    size = (((bits & 15) << 3) + 132 << (bits >> 4 & 7)) - 132
    return np.where(bits & 128, -size, size).astype(np.int16)


def _a_law() -> npt.NDArray[np.int16]:
    """The sample that each byte stands for (ITU-T G.711)."""
    bits = np.arange(256) ^ 0x55
    step, size = bits >> 4 & 7, ((bits & 15) << 4) + 8
    size = np.where(step, size + 256 << np.maximum(step - 1, 0), size)
    return np.where(bits & 128, size, -size).astype(np.int16)


_LAWS = {"pcmu": _mu_law(), "pcma": _a_law()}


_SAMPLE = np.dtype("<i2")


class PcmStream:
    """Mono samples in pieces of any number of bytes.

    However the bytes are cut into pieces, the samples are the same.

    Args:
        rate: samples per second of what comes.
        encoding: what stands for a sample.
    """

    def __init__(self, rate: int, encoding: Encoding = "pcm") -> None:
        self.rate = rate
        self._law = _LAWS.get(encoding)
        self._rest = b""
        self._resampler = self._new_resampler()

    def add(self, piece: bytes) -> npt.NDArray[np.float32]:
        """The samples `(S,)` at 16 kHz that are known with the next bytes."""
        if self._law is not None:
            return self._resampled(to_float(self._law[np.frombuffer(piece, np.uint8)]))
        data = self._rest + piece
        whole = len(data) - len(data) % _SAMPLE.itemsize
        self._rest = data[whole:]
        return self._resampled(to_float(np.frombuffer(data[:whole], _SAMPLE)))

    def end(self) -> npt.NDArray[np.float32]:
        """What resampling has held back until now; what comes next begins anew."""
        samples = self._resampled(np.empty(0, np.float32), last=True)
        self._resampler = self._new_resampler()
        return samples

    def clear(self) -> None:
        """Forget what is held back."""
        self._rest = b""
        self._resampler = self._new_resampler()

    def _new_resampler(self) -> soxr.ResampleStream | None:
        if self.rate == SAMPLE_RATE:
            return None
        return soxr.ResampleStream(self.rate, SAMPLE_RATE, 1, dtype="float32")

    def _resampled(
        self, samples: npt.NDArray[np.float32], last: bool = False
    ) -> npt.NDArray[np.float32]:
        if self._resampler is None:
            return samples
        resampled: npt.NDArray[np.float32] = self._resampler.resample_chunk(samples, last=last)
        return resampled
