"""Separate channels: each is read as if it were alone, with the same limits as a mix."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, Limits, have_own_voices, load, load_channels
from asr.errors import BadAudio, TooLong


def voices(clips: list[Path]) -> np.ndarray:
    """Two real clips, one a channel, (S, 2)."""
    one, other = (load(clip).samples for clip in clips[:2])
    length = min(len(one), len(other))
    return np.stack([one[:length], other[:length]], axis=1)


def encoded(samples: np.ndarray, rate: int, kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_channel_is_what_it_is_alone(clips: list[Path], rate: int, kind: str) -> None:
    both = voices(clips)
    found = load_channels(encoded(both, rate, kind))
    alone = [load(encoded(both[:, at], rate, kind)) for at in range(2)]
    assert len(found) == 2
    for one, expected in zip(found, alone, strict=True):
        assert one.duration == expected.duration
        np.testing.assert_allclose(one.samples, expected.samples, atol=1e-6)


def test_the_mean_of_the_channels_is_the_mix(clips: list[Path]) -> None:
    file = encoded(voices(clips), SAMPLE_RATE)
    apart = np.mean([audio.samples for audio in load_channels(file)], axis=0)
    np.testing.assert_allclose(load(file).samples, apart, atol=1e-6)


def test_one_channel_and_no_samples_are_one_channel(clips: list[Path]) -> None:
    (only,) = load_channels(clips[0])
    np.testing.assert_array_equal(only.samples, load(clips[0]).samples)
    (nothing,) = load_channels(encoded(np.empty((0, 1)), 16_000))
    assert nothing.duration == 0.0


def test_seconds_are_counted_over_all_channels() -> None:
    file = encoded(np.zeros((4 * SAMPLE_RATE, 3)), SAMPLE_RATE)
    assert len(load_channels(file, Limits(max_seconds=12))) == 3
    load(file, Limits(max_seconds=4))
    with pytest.raises(TooLong, match=r"three is too long: at least \d+\.\d s in 3 channels"):
        load_channels(file, Limits(max_seconds=11), "three")
    with pytest.raises(TooLong, match="bytes once decoded"):
        load_channels(file, Limits(max_bytes=100_000))


def test_one_bad_channel_is_named_by_its_time() -> None:
    samples = np.zeros((SAMPLE_RATE, 2), np.float32)
    samples[8_000, 1] = np.nan
    with pytest.raises(BadAudio, match=r"the first at 0\.500 s"):
        load_channels((samples, SAMPLE_RATE))


def test_voices_of_their_own_are_told_from_one_sound_in_all_channels(clips: list[Path]) -> None:
    one, other = voices(clips).T
    turns = np.concatenate([one, np.zeros_like(other)]), np.concatenate([np.zeros_like(one), other])
    hiss = np.random.default_rng(1).normal(0.0, 1e-3, (3, 2 * len(one))).astype(np.float32)
    both = sum(turns)
    for channels, expected in (
        (turns, True),
        ([turns[0] + 0.1 * turns[1], turns[1] + 0.1 * turns[0]], True),  # who are heard across
        ([turns[0] + hiss[0], turns[1] + hiss[1], hiss[2]], True),
        ([both, both], False),
        ([both, 0.3 * both + hiss[0]], False),
        ([both, hiss[0]], False),  # one microphone is off
        ([turns[0] + 0.5 * turns[1], turns[1] + 0.5 * turns[0]], False),  # one room
        ([hiss[0], hiss[1]], False),
        ([both], False),
        ([one[:0], other[:0]], False),
        ([np.zeros_like(one)] * 2, False),
    ):
        assert have_own_voices([np.asarray(c) for c in channels], SAMPLE_RATE) is expected
