"""Limits on the length and size of a recording."""

from dataclasses import dataclass

from asr.errors import TooLong


@dataclass(frozen=True)
class Limits:
    """Limits that are counted while decoding, independent of the header."""

    max_seconds: float = 4 * 3600.0
    """Longest recording."""
    max_bytes: int = 16 * 2**30
    """Most decoded bytes, as float32 in all channels at the file's own rate. It bounds the work for
    many channels or a high rate. 4 h of 96 kHz stereo take 11 GB."""

    def check(self, label: str, frames: int, rate: int, size: int, n_channels: int = 1) -> None:
        """TooLong if `frames` at `rate` Hz, of `size` decoded bytes, exceed a limit.

        The seconds of `n_channels` separate channels add up; `label` names the recording.
        """
        if frames * n_channels > self.max_seconds * rate:
            apart = f" in {n_channels} channels" if n_channels > 1 else ""
            raise TooLong(
                f"{label} is too long: at least {frames / rate:.1f} s{apart}, where "
                f"{self.max_seconds:g} s are allowed; cut it into shorter recordings"
            )
        if size > self.max_bytes:
            raise TooLong(
                f"{label} is too large: at least {size} bytes once decoded, where "
                f"{self.max_bytes} are allowed; reduce its channels or sampling rate"
            )


PIECEWISE = Limits(max_seconds=24 * 3600.0, max_bytes=96 * 2**30)
"""For recordings that are read piece by piece, whose length costs time and no memory."""
