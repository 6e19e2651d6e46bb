"""Raw 16-bit samples that come in pieces -> float32 at 16 kHz."""

import numpy as np
import numpy.typing as npt
import soxr

from asr.audio.scale import to_float
from asr.sampling import SAMPLE_RATE

_SAMPLE = np.dtype("<i2")


class PcmStream:
    """Signed 16-bit mono samples, little-endian, in pieces of any number of bytes.

    However the bytes are cut into pieces, the samples are the same.

    Args:
        rate: samples per second of what comes.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._rest = b""
        self._resampler = self._new_resampler()

    def add(self, piece: bytes) -> npt.NDArray[np.float32]:
        """The samples `(S,)` at 16 kHz that are known with the next bytes."""
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
