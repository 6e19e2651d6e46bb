"""Raw samples in pieces: however they are cut, the sound is the same."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import PcmStream, load
from asr.audio.pcm import Encoding
from asr.audio.scale import to_float

CLIP = Path(__file__).parents[2] / "samples" / "1272-141231-0000.flac"
SOUND = load(CLIP).samples[8_000:24_000]


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32768).astype("<i2").tobytes()


FORMATS: list[tuple[int, Encoding]] = [(16_000, "pcm"), (24_000, "pcm"), (8_000, "pcmu")]


@given(st.lists(st.integers(0, 5_001), max_size=12), st.sampled_from(FORMATS))
def test_any_cutting_into_pieces_gives_the_same_samples(
    lengths: list[int], format: tuple[int, Encoding]
) -> None:
    data = pcm(SOUND)
    whole, pieces = PcmStream(*format), PcmStream(*format)
    expected = np.concatenate([whole.add(data), whole.end()])
    found, at = [], 0
    for length in lengths:
        found.append(pieces.add(data[at : at + length]))
        at += length
    found += [pieces.add(data[at:]), pieces.end()]
    np.testing.assert_array_equal(np.concatenate(found), expected)


def test_samples_at_16_khz_are_those_of_a_file() -> None:
    np.testing.assert_array_equal(PcmStream(16_000).add(pcm(SOUND)), SOUND)


@pytest.mark.parametrize(("encoding", "subtype"), [("pcmu", "ULAW"), ("pcma", "ALAW")])
def test_bytes_of_telephones_stand_for_what_a_file_of_them_holds(
    encoding: Encoding, subtype: str
) -> None:
    every = bytes(range(256))
    raw = {"samplerate": 16_000, "channels": 1, "format": "RAW", "subtype": subtype}
    expected, _ = soundfile.read(io.BytesIO(every), dtype="int16", **raw)
    np.testing.assert_array_equal(PcmStream(16_000, encoding).add(every), to_float(expected))


def test_samples_at_24_khz_come_at_16() -> None:
    stream = PcmStream(24_000)
    found = stream.add(pcm(soxr.resample(SOUND, 16_000, 24_000)))
    found = np.concatenate([found, stream.end()])
    assert len(found) == len(SOUND)
    assert np.corrcoef(found, SOUND)[0, 1] > 0.98  # but for what is near half the rate


def test_what_is_cleared_does_not_come_back() -> None:
    stream = PcmStream(16_000)
    stream.add(b"\x01")
    stream.clear()
    np.testing.assert_array_equal(stream.add(b"\x00\x40"), [0.5])


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_nothing_gives_nothing(rate: int) -> None:
    assert len(PcmStream(rate).add(b"")) == 0
