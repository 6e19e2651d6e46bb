"""Files with several recordings, one after another: all of them are read."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import FILES, at_rate, encoded, encoded_by_ffmpeg, likeness, speech

from asr.audio import load, load_channels
from asr.audio.links import Memory, links
from asr.errors import BadAudio

ONE, OTHER = speech()[:36_000], speech()[36_000:]
BOTH = speech()


@pytest.mark.parametrize(("name", "seconds"), [("joined.mp3", 5.8), ("joined.ogg", 8.6)])
def test_files_of_others(name: str, seconds: float) -> None:
    by_path, by_bytes = load(FILES / name), load((FILES / name).read_bytes())
    assert by_path.duration == pytest.approx(seconds, abs=0.1)
    assert np.array_equal(by_path.samples, by_bytes.samples)


@pytest.mark.parametrize(
    ("format", "subtype"),
    [
        *[("MP3", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", None), ("WAV", None)],
        *[("AIFF", None), ("CAF", None), ("AU", None), ("W64", None), ("RF64", None)],
    ],
)
def test_what_libsndfile_reads(format: str, subtype: str | None) -> None:
    data = encoded(ONE, 16_000, format, subtype) + encoded(OTHER, 16_000, format, subtype)
    heard = load(data)
    assert heard.duration == pytest.approx(len(BOTH) / 16_000, abs=0.01)
    assert likeness(heard.samples, BOTH) > 0.95


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        *[("webm", "libopus", 48_000), ("ipod", "aac", 44_100), ("adts", "aac", 22_050)],
        *[("mpegts", "aac", 44_100), ("flv", "aac", 44_100), ("mp2", "mp2", 44_100)],
        *[("caf", "alac", 16_000), ("tta", "tta", 16_000), ("wv", "wavpack", 16_000)],
        ("ac3", "ac3", 44_100),
    ],
)
def test_what_ffmpeg_reads(container: str, codec: str, rate: int, tmp_path: Path) -> None:
    one, other = (
        encoded_by_ffmpeg(at_rate(said, rate), rate, container, codec, tmp_path / "x")
        for said in (ONE, OTHER)
    )
    heard = load(one + other)
    assert heard.duration == pytest.approx(len(BOTH) / 16_000, abs=0.25)
    first = len(load(one).samples)
    assert likeness(heard.samples[:first], ONE, 4000) > 0.9
    assert likeness(heard.samples[first:], OTHER, 4000) > 0.9


def test_an_mp3_behind_one_without_a_head_of_its_own() -> None:
    """The first says how long it is; the second does not, and carries tags around it."""
    tag = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
    bare = encoded(OTHER, format="MP3")
    bare = bare[bare.index(b"\xff\xf3", 4) :] if b"Info" in bare[:64] else bare
    data = tag + encoded(ONE, format="MP3") + b"TAG" + bytes(125) + tag + bare
    assert load(data).duration == pytest.approx(len(BOTH) / 16_000, abs=0.15)


def test_links_may_differ_in_rate_and_channels() -> None:
    data = encoded(ONE, 16_000, "OGG", "VORBIS") + encoded(
        np.stack([at_rate(OTHER, 44_100)] * 2, axis=1), 44_100, "OGG", "VORBIS"
    )
    heard = load(data)
    assert heard.duration == pytest.approx(len(BOTH) / 16_000, abs=0.01)
    assert likeness(heard.samples, BOTH) > 0.95
    with pytest.raises(BadAudio, match="changes from 1 to 2 channels midway"):
        load_channels(data)


def test_a_damaged_link_is_named() -> None:
    data = encoded(ONE, format="FLAC") + encoded(OTHER, format="FLAC")[:-3000]
    with pytest.raises(BadAudio, match=r"^x \(part 2 of 2\) is truncated or damaged"):
        load(data, name="x")


@pytest.mark.parametrize("format", ["MP3", "OGG", "FLAC", "WAV", "AIFF", "CAF"])
def test_a_single_recording_is_one_link(format: str) -> None:
    data = encoded(np.tile(BOTH, 3), format=format)
    assert links(Memory(data), len(data)) == [0]
    tagged = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + data
    assert links(Memory(tagged), len(tagged)) == [0]


def test_sound_that_holds_the_marks_of_a_head_is_one_recording() -> None:
    marks = b"OggS fLaC RIFF WAVE Xing Info FORM caff ID3 wvpk"
    pcm = np.frombuffer(marks * 400, "<i2")
    for format in ("WAV", "AIFF", "CAF"):
        file = io.BytesIO()
        soundfile.write(file, pcm, 16_000, format=format, subtype="PCM_16")
        data = file.getvalue() + bytes(80)  # so that it is searched
        assert links(Memory(data), len(data)) == [0]


def test_a_mark_between_two_pieces_of_a_file_is_found(tmp_path: Path) -> None:
    flac = encoded(BOTH, format="FLAC")
    for place in range(2**20 - 6, 2**20 + 2):
        path = tmp_path / "x.flac"
        path.write_bytes(flac + bytes(place - len(flac)) + flac)
        with open(path, "rb", buffering=0) as file:
            assert links(file, path.stat().st_size) == [0, place]
