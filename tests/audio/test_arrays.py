"""`(samples, rate)`: any type, rate and number of channels; invalid input is named."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import at_rate, likeness, speech, stereo

from asr.audio import SAMPLE_RATE, load, load_channels
from asr.audio.pieces import MAX_RATE, MIN_RATE
from asr.errors import BadAudio

SAID = speech()


@given(st.integers(MIN_RATE, MAX_RATE), st.integers(1, 8), st.integers(0, 30_000))
@settings(max_examples=60, deadline=None)
def test_duration_is_kept_within_a_sample(rate: int, channels: int, frames: int) -> None:
    samples = np.zeros((frames, channels), np.float32)
    audio = load((samples, rate))
    assert abs(len(audio.samples) - frames * SAMPLE_RATE / rate) <= 1


@given(st.sampled_from([8_000, 22_050, 44_100, 48_000]), st.integers(1, 4))
@settings(max_examples=12, deadline=None)
def test_speech_is_kept_at_any_rate_and_channels(rate: int, channels: int) -> None:
    samples = np.repeat(at_rate(SAID, rate)[:, np.newaxis], channels, axis=1)
    assert likeness(load((samples, rate)).samples, SAID) > 0.95


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint32])
def test_integers_are_scaled_by_their_type(dtype: npt.DTypeLike) -> None:
    info = np.iinfo(dtype)  # type: ignore[type-var]
    half = (int(info.max) - int(info.min) + 1) // 2
    middle = int(info.min) + half
    samples = np.array([info.min, middle - half // 2, middle, middle + half // 2], dtype)
    assert load((samples, SAMPLE_RATE)).samples.tolist() == [-1.0, -0.5, 0.0, 0.5]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_taken_as_they_are(dtype: npt.DTypeLike) -> None:
    samples = np.array([-2.5, 0.25, 1.0, 3.0], dtype)
    assert load((samples, SAMPLE_RATE)).samples.tolist() == [-2.5, 0.25, 1.0, 3.0]


def test_integers_and_floats_of_a_clip_are_the_same_sound() -> None:
    integers = np.round(SAID * 32768).astype(np.int16)
    assert np.array_equal(load((integers, SAMPLE_RATE)).samples, SAID)


def test_channels_are_averaged() -> None:
    assert np.allclose(load((stereo(SAID), SAMPLE_RATE)).samples, SAID, atol=1e-6)


def test_channels_may_come_first() -> None:
    both = stereo(SAID)
    assert np.array_equal(load((both.T, 44_100)).samples, load((both, 44_100)).samples)
    assert [len(one.samples) for one in load_channels((both.T, SAMPLE_RATE))] == [len(SAID)] * 2


def test_lists_and_big_endian_arrays_are_taken() -> None:
    assert load(([0.0, 0.5], SAMPLE_RATE)).samples.tolist() == [0.0, 0.5]
    assert load((np.array([0, 16384], ">i2"), SAMPLE_RATE)).samples.tolist() == [0.0, 0.5]


@pytest.mark.parametrize("samples", [[], np.empty((0, 2), np.int16)])
def test_no_samples_are_zero_seconds(samples: Any) -> None:
    assert load((samples, 44_100)).duration == 0.0


def test_the_given_samples_are_not_changed() -> None:
    samples = SAID.copy()
    load((samples, SAMPLE_RATE))
    load((samples, 8_000))
    assert np.array_equal(samples, SAID)


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (np.zeros((99, 1_600)), r"shape \(99, 1600\): give \(samples,\), \(samples, channels\) or"),
        (np.zeros((10, 0)), r"shape \(10, 0\)"),
        (np.zeros((10, 2, 2)), r"shape \(10, 2, 2\)"),
        (np.float32(0.5), r"shape \(\)"),
        (["a", "b"], "samples of type <U1: give floats or integers"),
        (np.zeros(5, complex), "samples of type complex128"),
        (np.zeros(5, bool), "samples of type bool"),
        (None, "samples of type object"),
        ([0, 1000, -1000], "samples of type int64, which tells no scale: give int16"),
        ([[0.1], [0.2, 0.3]], "samples that are no array"),
    ],
)
def test_nonsense_samples_are_named(samples: Any, sentence: str) -> None:
    with pytest.raises(BadAudio, match=f"^clip has .*{sentence}"):
        load((samples, SAMPLE_RATE), name="clip")


@pytest.mark.parametrize("rate", [0, -16_000, 1, 999, 384_001, 10**12])
@pytest.mark.parametrize("frames", [0, 100])
def test_absurd_rates_are_named(rate: int, frames: int) -> None:
    with pytest.raises(BadAudio, match=f"sampling rate of {rate} Hz, outside 1000 to 384000"):
        load((np.zeros(frames), rate))


@pytest.mark.parametrize("rate", [None, "16000", 16_000.5, float("nan"), float("inf"), [16_000]])
def test_rates_that_are_no_whole_numbers_are_named(rate: Any) -> None:
    with pytest.raises(BadAudio, match="give a whole number of Hz"):
        load((np.zeros(100), rate))


@pytest.mark.parametrize("rate", [np.int64(16_000), np.int16(16_000), 16_000.0, np.float32(16e3)])
def test_rates_of_any_number_type_are_taken(rate: Any) -> None:
    assert load((SAID, rate)).duration == len(SAID) / SAMPLE_RATE


def test_a_tuple_of_another_length_is_named() -> None:
    with pytest.raises(BadAudio, match=r"is a tuple of 3: give \(samples, rate\)"):
        load((SAID, SAMPLE_RATE, 1))  # type: ignore[arg-type]
