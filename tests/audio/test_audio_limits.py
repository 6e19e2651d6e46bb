"""Limits on seconds and bytes hold while decoding, whatever a header claims."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from recordings import (
    at_rate,
    encoded,
    encoded_by_ffmpeg,
    forged_flac,
    speech,
    stereo,
    wav_header,
)

from asr.audio import Limits, load
from asr.errors import BadAudio, TooLong

SAID = speech()
SHORT = Limits(max_seconds=3)


@pytest.mark.parametrize("format", ["WAV", "FLAC", "MP3", "OGG"])
def test_too_many_seconds(format: str) -> None:
    data = encoded(SAID, format=format)
    with pytest.raises(TooLong, match=r"^x\.y is too long: at least [34]\.\d s, where 3 s are"):
        load(data, SHORT, name="x.y")


def test_too_many_seconds_by_ffmpeg(tmp_path: Path) -> None:
    encoded_by_ffmpeg(at_rate(SAID, 48_000), 48_000, "webm", "libopus", tmp_path / "x.webm")
    with pytest.raises(TooLong, match=r"at least \d\.\d s, where 3 s are allowed"):
        load(tmp_path / "x.webm", SHORT)


def test_too_many_seconds_of_samples() -> None:
    with pytest.raises(TooLong, match="where 3 s are allowed"):
        load((SAID, 16_000), SHORT)


def test_just_the_limit_is_accepted() -> None:
    assert load((SAID[:48_000], 16_000), SHORT).duration == 3.0
    with pytest.raises(TooLong):
        load((SAID[:48_001], 16_000), SHORT)


def test_a_header_that_claims_less_does_not_pass_the_limit() -> None:
    with pytest.raises(TooLong):
        load(forged_flac(encoded(SAID, format="FLAC"), 0), SHORT)


@pytest.mark.parametrize("placeholder", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_header_that_claims_hours_costs_what_the_file_holds(placeholder: int) -> None:
    pcm = (SAID * 32767).astype("<i2").tobytes()
    assert len(load(wav_header(data_bytes=placeholder) + pcm).samples) == len(SAID)


def test_bytes_are_counted_over_all_channels() -> None:
    size = 2 * 4 * len(SAID)
    data = encoded(stereo(SAID), subtype="FLOAT")
    assert load(data, Limits(max_bytes=size)).duration > 4
    with pytest.raises(TooLong, match=f"at least {size} bytes once decoded, where {size - 1} are"):
        load(data, Limits(max_bytes=size - 1))


def test_eight_hours_stop_at_the_limit_with_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "night.wav"
    size = 8 * 3600 * 48_000 * 4
    path.write_bytes(wav_header(48_000, 2, size))
    os.truncate(path, 44 + size)  # sparse: five gigabytes of zeros that take no disk
    assert _peak_while_refused(path, Limits(max_seconds=60)) < 16 * 2**20


def test_a_high_rate_in_many_channels_stops_at_the_bytes_with_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "wide.wav"
    size = 384_000 * 64 * 2 * 60
    path.write_bytes(wav_header(384_000, 64, size))
    os.truncate(path, 44 + size)
    assert _peak_while_refused(path, Limits(max_bytes=2**27)) < 16 * 2**20


@pytest.mark.slow
def test_a_long_opus_in_a_small_file_stop_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "silence.opus"
    path.write_bytes(encoded(np.zeros(600 * 8_000, np.float32), 8_000, "OGG", "OPUS"))
    assert path.stat().st_size < 2**20
    assert _peak_while_refused(path, Limits(max_seconds=30)) < 16 * 2**20


def _peak_while_refused(path: Path, limits: Limits) -> int:
    """Most bytes that Python and numpy held while `path` was refused as too long."""
    tracemalloc.start()
    try:
        with pytest.raises(TooLong):
            load(path, limits)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_more_channels_than_any_recorder_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.wav"
    path.write_bytes(wav_header(16_000, 500, 500 * 2 * 100) + bytes(500 * 2 * 100))
    with pytest.raises(BadAudio, match="500 channels"):
        load(path)
