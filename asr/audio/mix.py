"""Several channels -> one, without losing audio that cancels in their mean."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from asr.audio.pieces import BLOCK_VALUES, Piece, Samples

# The length of a short word, so that one voice may be inverted and another not.
_WINDOW_S = 0.2
# Relative to the mean's power for uncorrelated channels. If one channel is an inverted copy of the
# other, at another gain or with a codec's noise, the power is lower; for different channels never
# over a whole window.
_CANCELLED = 0.05
# A voice is that of one channel where the others have a tenth of its power or less in all, for a
# second or more and a tenth of the time in which somebody speaks: where the power is within 30 dB
# of the loudest window.
_OTHERS, _LEAST_S, _LEAST_SHARE, _SPOKEN = 0.1, 1.0, 0.1, 1e-3


def mixed(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The mean of the channels, or a loud channel where they cancel: `(S, 1)` per piece.

    This is decided in windows of 0.2 s, counted from the start of the recording.
    """
    held: list[Samples] = []
    rate = n_channels = 0
    for piece_rate, samples in pieces:
        if held and (piece_rate, samples.shape[1]) != (rate, n_channels):
            yield rate, _mean(np.concatenate(held), _window(rate, n_channels))
            held = []
        rate, n_channels = piece_rate, samples.shape[1]
        if n_channels == 1:
            yield rate, samples
            continue
        window = _window(rate, n_channels)
        held.append(samples)
        if sum(map(len, held)) >= window:
            joined = held[0] if len(held) == 1 else np.concatenate(held)
            whole = len(joined) - len(joined) % window
            yield rate, _mean(joined[:whole], window)
            held = [joined[whole:]]
    if held:
        yield rate, _mean(np.concatenate(held), _window(rate, n_channels))


def have_own_voices(channels: Sequence[NDArray[np.float32]], rate: int) -> bool:
    """Whether two channels or more have voices that no other has, as a call's.

    Args:
        channels: the samples `(S,)` of each.
    """
    window = _window(rate, 1)
    whole = min(map(len, channels)) // window * window
    if whole == 0:
        return False
    cut = [channel[:whole].reshape(-1, window) for channel in channels]
    powers = np.stack([np.einsum("ws,ws->w", part, part, dtype=np.float64) for part in cut])
    spoken = powers.max(axis=0) > _SPOKEN * powers.max()
    alone = spoken & (powers > (powers.sum(axis=0) - powers) / _OTHERS)
    seconds = alone.sum(axis=1) * window / rate
    own = (seconds >= _LEAST_S) & (seconds >= _LEAST_SHARE * spoken.sum() * window / rate)
    return bool(own.sum() > 1)


def _window(rate: int, n_channels: int) -> int:
    """The window's length in samples, bounded for many channels at a high rate."""
    return max(1, min(int(_WINDOW_S * rate), BLOCK_VALUES // n_channels))


def _mean(samples: Samples, window: int) -> Samples:
    """`(S, channels)` -> `(S, 1)`."""
    n_channels = samples.shape[1]
    if n_channels == 2:  # numpy sums slowly along such a short axis
        mean = (samples[:, 0] + samples[:, 1]) / np.float32(2)
    else:
        mean = samples.mean(axis=1)
    for start in range(0, len(samples), window):
        part, mixed_part = samples[start : start + window], mean[start : start + window]
        powers = np.einsum("sc,sc->c", part, part)
        if np.dot(mixed_part, mixed_part) < _CANCELLED * powers.sum() / n_channels**2:
            loud = int((powers > powers.max() / 2).argmax())  # of equal ones always the same
            mean[start : start + window] = part[:, loud]
    return mean[:, np.newaxis]
