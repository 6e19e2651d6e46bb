"""Presentation times of a container are kept: audio stays at its place in time."""

from pathlib import Path

import numpy as np
import pytest
from recordings import FILES, at_rate, muxed, onset, speech

from asr.audio import Limits, load
from asr.errors import BadAudio, TooLong

ONE, OTHER = speech()[:32_000], speech()[32_000:64_000]
CONTAINERS = [
    ("webm", "libopus", 48_000, ""),
    ("matroska", "pcm_s16le", 16_000, ""),
    ("mp4", "aac", 44_100, ""),
    ("mp4", "aac", 44_100, "frag_keyframe+empty_moov"),
    ("ipod", "alac", 16_000, ""),
    ("mpegts", "aac", 44_100, ""),
    ("mpeg", "mp2", 44_100, ""),
    ("flv", "aac", 44_100, ""),
    ("asf", "mp2", 44_100, ""),
]


def test_sound_that_begins_after_the_picture() -> None:
    heard = load(FILES / "sound_starts_at_3s.mp4")
    assert onset(heard.samples) == pytest.approx(3.48, abs=0.1)
    assert not heard.samples[: 2 * 16_000].any()


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        *[("matroska", "pcm_s16le", 16_000), ("mov", "pcm_s16le", 16_000), ("mp4", "aac", 44_100)],
        *[("mpegts", "aac", 44_100), ("mpeg", "mp2", 44_100), ("asf", "mp2", 44_100)],
    ],
)
def test_sound_that_begins_late(container: str, codec: str, rate: int, tmp_path: Path) -> None:
    parts = [(3.0, at_rate(ONE, rate))]
    muxed(parts, rate, container, codec, tmp_path / "x", picture=True)
    heard = load(tmp_path / "x")
    assert onset(heard.samples) == pytest.approx(3.0 + onset(ONE), abs=0.06)
    assert heard.duration == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize(("container", "codec", "rate", "options"), CONTAINERS)
def test_a_gap_is_silent(
    container: str, codec: str, rate: int, options: str, tmp_path: Path
) -> None:
    parts = [(0.0, at_rate(ONE, rate)), (7.0, at_rate(OTHER, rate))]
    muxed(parts, rate, container, codec, tmp_path / "x", options)
    heard = load(tmp_path / "x").samples
    assert len(heard) / 16_000 == pytest.approx(9.0, abs=0.1)
    assert np.abs(heard[int(2.2 * 16_000) : int(6.9 * 16_000)]).max() < 1e-3
    assert onset(heard[int(6.5 * 16_000) :]) == pytest.approx(0.5 + onset(OTHER), abs=0.06)


@pytest.mark.parametrize(("container", "codec", "rate", "options"), CONTAINERS)
def test_a_clock_that_begins_at_an_hour(
    container: str, codec: str, rate: int, options: str, tmp_path: Path
) -> None:
    muxed([(3600.0, at_rate(ONE, rate))], rate, container, codec, tmp_path / "x", options)
    heard = load(tmp_path / "x", Limits(max_seconds=10))
    assert onset(heard.samples) == pytest.approx(onset(ONE), abs=0.06)
    assert heard.duration == pytest.approx(2.0, abs=0.1)


def test_messages_count_from_the_beginning() -> None:
    with pytest.raises(BadAudio, match=r"damaged: somewhere after 2\.\d s it cannot be read"):
        load(FILES / "late_clock_cut.ts")


def test_silence_is_within_the_limits(tmp_path: Path) -> None:
    parts = [(0.0, ONE), (3000.0, OTHER)]  # in a container that tells no length
    muxed(parts, 16_000, "mpegts", "mp2", tmp_path / "x")
    with pytest.raises(TooLong, match=r"at least 3000\.\d s, where 600 s are allowed"):
        load(tmp_path / "x", Limits(max_seconds=600))
    assert load(tmp_path / "x").duration == pytest.approx(3002.0, abs=0.1)


def test_a_clock_that_is_set_anew_leaves_no_hours(tmp_path: Path) -> None:
    """Broadcasts behind each other: the second one's clock is ahead by hours, or behind."""
    one = muxed([(3600.0, at_rate(ONE, 44_100))], 44_100, "mpegts", "aac", tmp_path / "x")
    other = muxed([(80_000.0, at_rate(OTHER, 44_100))], 44_100, "mpegts", "aac", tmp_path / "x")
    for data in (one + other, other + one):
        assert load(data).duration == pytest.approx(4.0, abs=0.2)


def test_times_that_tremble_leave_the_sound_whole(tmp_path: Path) -> None:
    pieces = np.array_split(at_rate(speech(), 48_000), 40)
    starts = np.cumsum([0, *(len(piece) / 48_000 for piece in pieces)])[:-1]
    early = np.random.default_rng(2).uniform(-0.02, 0.02, 40)
    parts = [(start + off, piece) for start, off, piece in zip(starts, early, pieces, strict=True)]
    muxed(parts, 48_000, "matroska", "pcm_f32le", tmp_path / "x")
    assert load(tmp_path / "x").duration == pytest.approx(len(speech()) / 16_000, abs=0.01)
