"""Quiet recordings are amplified as a whole; all others stay unchanged, bit for bit."""

import numpy as np
import pytest
from recordings import Samples, encoded, likeness, speech

from asr.audio import Meter, changed, levelled, load
from asr.audio.level import FRAME

SAID = speech()
RANDOM = np.random.default_rng(3).standard_normal(48_000).astype(np.float32)


def loudness(samples: Samples) -> float:
    """Of the tenth loudest frame, in dB of full scale."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return float(20 * np.log10(np.sort(frames.std(axis=1))[-10]))


def quieter(decibels: float, samples: Samples = SAID) -> Samples:
    return samples * np.float32(10 ** (-decibels / 20))


@pytest.mark.parametrize("decibels", [-10, 0, 5, 10, 15])
def test_ordinary_levels_are_left_alone(decibels: float) -> None:
    samples = quieter(decibels)
    assert np.array_equal(levelled(samples), samples)


@pytest.mark.parametrize("decibels", [35, 50, 60, 75])
def test_quiet_speech_is_raised(decibels: float) -> None:
    heard = levelled(quieter(decibels))
    assert -41 < loudness(heard) < -17
    assert likeness(heard, SAID) > 0.999
    heard = levelled(load(encoded(quieter(decibels), subtype="PCM_24")).samples)
    assert likeness(heard, SAID) > 0.9


def test_clicks_and_an_offset_do_not_keep_it_quiet() -> None:
    samples = quieter(55)
    samples[[20_000, 50_000]] = 0.9
    heard = levelled(samples + np.float32(0.2))
    assert abs(float(np.median(heard))) < 0.02 and likeness(heard[:19_000], SAID[:19_000]) > 0.99


def test_one_loud_word_keeps_a_long_recording_as_it_is() -> None:
    samples = np.concatenate([quieter(60)] * 20)
    samples[30_000:40_000] = SAID[20_000:30_000]
    assert np.array_equal(levelled(samples), samples)


def test_silence_stays_silent() -> None:
    for silence in (np.zeros(48_000, np.float32), np.full(48_000, 0.3, np.float32)):
        assert np.array_equal(levelled(silence), silence)
    rounding = np.round(0.5 * RANDOM) / np.float32(32_768)
    assert loudness(levelled(rounding)) < -30


@pytest.mark.parametrize("samples", [0, 1, FRAME - 1, FRAME, 3 * FRAME + 5])
def test_short_recordings(samples: int) -> None:
    heard = levelled(quieter(60, SAID[20_000 : 20_000 + samples]))
    assert len(heard) == samples and np.isfinite(heard).all()


def test_pieces_of_any_size_are_measured_alike() -> None:
    samples = quieter(45)
    whole = levelled(samples)
    for size in (1_000, 4_097, 30_000):
        meter = Meter()
        for start in range(0, len(samples), size):
            meter.add(samples[start : start + size])
        assert np.array_equal(changed(samples, *meter.change()), whole)
