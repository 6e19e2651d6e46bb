"""Any number of channels, packed or planar, is read, and none ends the process."""

from pathlib import Path

import av
import numpy as np
import pytest
from recordings import FILES, Samples, at_rate, encoded, likeness, muxed, speech

from asr.audio import load, load_channels

SAID = speech()[:32_000]


def alike(n_channels: int, rate: int) -> Samples:
    """The same speech in every channel, `(S, n_channels)`."""
    return np.repeat(at_rate(SAID, rate)[:, np.newaxis], n_channels, axis=1)


def test_eight_planar_channels_of_a_phone() -> None:
    assert load(FILES / "eight_channels.m4a").duration == pytest.approx(2.0, abs=0.1)
    assert len(load_channels(FILES / "eight_channels.m4a")) == 8


@pytest.mark.parametrize(
    ("container", "codec", "n_channels"),
    [
        ("webm", "libopus", 6),
        ("webm", "libopus", 8),
        ("matroska", "pcm_s16le", 8),
        ("matroska", "aac", 8),
        ("matroska", "flac", 8),
        ("matroska", "alac", 6),
        ("matroska", "ac3", 6),
    ],
)
def test_surround_sound(container: str, codec: str, n_channels: int, tmp_path: Path) -> None:
    muxed([(0.0, alike(n_channels, 48_000))], 48_000, container, codec, tmp_path / "x")
    heard = load(tmp_path / "x")
    assert heard.duration == pytest.approx(2.0, abs=0.05)
    assert likeness(heard.samples, SAID) > 0.85  # the deep channel holds deep sounds alone


@pytest.mark.parametrize("n_channels", [3, 8])
def test_vorbis_in_matroska(n_channels: int, tmp_path: Path) -> None:
    (tmp_path / "x.ogg").write_bytes(encoded(alike(n_channels, 48_000), 48_000, "OGG", "VORBIS"))
    with av.open(tmp_path / "x.ogg") as ogg, av.open(tmp_path / "x.mka", "w") as mka:
        stream = mka.add_stream_from_template(ogg.streams.audio[0])
        for packet in ogg.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                mka.mux(packet)
    assert likeness(load(tmp_path / "x.mka").samples, SAID) > 0.9
    assert len(load_channels(tmp_path / "x.mka")) == n_channels


@pytest.mark.parametrize("n_channels", [9, 16, 24, 64])
def test_more_channels_than_rooms_have(n_channels: int) -> None:
    for format in ("WAV", "CAF"):
        heard = load(encoded(alike(n_channels, 16_000), format=format))
        np.testing.assert_allclose(heard.samples, SAID, atol=1e-4)


@pytest.mark.parametrize("n_channels", [2, 3, 6])
@pytest.mark.parametrize("other", [-1.0, -0.9])
def test_channels_that_cancel_are_heard(n_channels: int, other: float) -> None:
    samples = np.zeros((len(SAID), n_channels), np.float32)
    samples[:, 0], samples[:, 1] = SAID, other * SAID
    assert likeness(load(encoded(samples, subtype="FLOAT")).samples, SAID) > 0.99
    np.testing.assert_allclose(load((samples, 16_000)).samples, SAID, atol=1e-6)


@pytest.mark.parametrize(("container", "codec"), [("ipod", "aac"), ("webm", "libopus")])
def test_channels_that_cancel_are_heard_through_a_codec(
    container: str, codec: str, tmp_path: Path
) -> None:
    both = at_rate(SAID, 48_000)
    samples = np.stack([both, -both], axis=1)
    muxed([(0.0, samples)], 48_000, container, codec, tmp_path / "x")
    assert likeness(load(tmp_path / "x").samples, SAID) > 0.9


def test_one_voice_of_two_may_be_inverted() -> None:
    one, other = SAID, speech()[32_000:64_000]
    samples = np.stack([np.r_[one, other], np.r_[-one, other]], axis=1)
    np.testing.assert_allclose(load((samples, 16_000)).samples, np.r_[one, other], atol=1e-6)


def test_channels_that_only_differ_are_averaged() -> None:
    noise = np.random.default_rng(5).standard_normal((len(SAID), 2)).astype(np.float32) * 0.1
    for samples in (noise, np.stack([SAID, np.zeros_like(SAID)], 1), noise + SAID[:, np.newaxis]):
        assert np.array_equal(load((samples, 16_000)).samples, samples.sum(axis=1) / 2)


def test_what_cancels_does_not_depend_on_the_blocks_it_is_read_in(tmp_path: Path) -> None:
    long = np.tile(SAID, 8)
    samples = np.stack([long, np.where(np.arange(len(long)) % 90_000 < 40_000, -long, long)], 1)
    path = tmp_path / "x.mka"
    muxed([(0.0, samples)], 16_000, "matroska", "pcm_f32le", path)  # in small frames
    assert np.array_equal(load(path).samples, load((samples, 16_000)).samples)
