"""Real speech in every format, rate and number of channels is decoded to the same audio."""

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import soxr
from recordings import (
    CLIP,
    FILES,
    at_rate,
    encoded,
    encoded_by_ffmpeg,
    likeness,
    speech,
    stereo,
    wav_header,
)

from asr.audio import EXTENSIONS, SAMPLE_RATE, load, read_header
from asr.audio.pieces import BLOCK_VALUES
from asr.errors import BadAudio

SAID = speech()


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_of_any_rate_and_channels(rate: int, channels: int) -> None:
    samples = at_rate(SAID, rate)
    audio = load(encoded(stereo(samples) if channels == 2 else samples, rate, subtype="FLOAT"))
    assert audio.samples.dtype == np.float32 and audio.samples.ndim == 1
    assert abs(len(audio.samples) - len(SAID)) <= 1
    assert likeness(audio.samples, SAID) > (0.95 if rate < SAMPLE_RATE else 0.99)


@pytest.mark.parametrize(
    ("format", "subtype", "rate"),
    [
        ("WAV", "PCM_U8", 16_000),
        ("WAV", "PCM_24", 44_100),
        ("WAV", "PCM_32", 16_000),
        ("WAV", "DOUBLE", 16_000),
        ("WAV", "ULAW", 8_000),
        ("FLAC", "PCM_16", 44_100),
        ("FLAC", "PCM_24", 16_000),
        ("AIFF", "PCM_16", 16_000),
        ("MP3", None, 16_000),
        ("MP3", None, 44_100),
        ("OGG", "VORBIS", 44_100),
        ("OGG", "OPUS", 48_000),
        ("OGG", "OPUS", 16_000),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_libsndfile_reads(format: str, subtype: str | None, rate: int, channels: int) -> None:
    samples = at_rate(SAID, rate)
    data = encoded(stereo(samples) if channels == 2 else samples, rate, format, subtype)
    audio = load(data)
    assert abs(audio.duration - len(SAID) / SAMPLE_RATE) < 0.01
    assert likeness(audio.samples, SAID) > 0.95


@pytest.mark.parametrize(
    ("container", "codec", "rate", "options"),
    [
        ("ipod", "aac", 44_100, ""),
        ("ipod", "aac", 16_000, ""),
        ("ipod", "alac", 16_000, ""),
        ("mp4", "aac", 48_000, "faststart"),
        ("mp4", "aac", 44_100, "frag_keyframe+empty_moov"),
        ("mov", "pcm_s16le", 16_000, ""),
        ("webm", "libopus", 48_000, ""),
        ("matroska", "pcm_s16le", 16_000, ""),
        ("adts", "aac", 22_050, ""),
        ("caf", "alac", 16_000, ""),
        ("ac3", "ac3", 44_100, ""),
        ("eac3", "eac3", 44_100, ""),
        ("wv", "wavpack", 16_000, ""),
        ("tta", "tta", 16_000, ""),
        ("asf", "wmav2", 16_000, ""),
        ("mp2", "mp2", 44_100, ""),
        ("mpegts", "aac", 44_100, ""),
        ("mpeg", "mp2", 44_100, ""),
        ("flv", "aac", 44_100, ""),
        ("avi", "mp2", 44_100, ""),
        ("au", "pcm_s16be", 16_000, ""),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_ffmpeg_reads(
    container: str, codec: str, rate: int, options: str, channels: int, tmp_path: Path
) -> None:
    samples = at_rate(SAID, rate)
    path = tmp_path / "clip"
    encoded_by_ffmpeg(
        stereo(samples) if channels == 2 else samples, rate, container, codec, path, options
    )
    audio = load(path)
    # AAC starts with a frame or two of 1024 samples that belong to nothing.
    assert -0.01 < audio.duration - len(SAID) / SAMPLE_RATE < 2 * 1024 / rate + 0.1
    assert likeness(audio.samples, SAID, most_lag=3200) > 0.9


def test_path_text_and_bytes_are_the_same_sound() -> None:
    by_path, by_text, by_bytes = load(CLIP), load(str(CLIP)), load(CLIP.read_bytes())
    assert np.array_equal(by_path.samples, SAID)
    assert np.array_equal(by_text.samples, SAID)
    assert np.array_equal(by_bytes.samples, SAID)
    assert by_path.duration == len(SAID) / SAMPLE_RATE


@pytest.mark.parametrize("name", ["clip.wav", "clip.txt", "clip.raw", "clip.mp3", "clip"])
@pytest.mark.parametrize("format", ["MP3", "FLAC", "OGG"])
def test_the_name_does_not_matter(name: str, format: str, tmp_path: Path) -> None:
    data = encoded(SAID, format=format)
    (tmp_path / name).write_bytes(data)
    assert np.array_equal(load(tmp_path / name).samples, load(data).samples)


@pytest.mark.parametrize("format", ["WAV", "FLAC", "MP3", "OGG"])
def test_reading_in_blocks_is_reading_at_once(format: str) -> None:
    long = np.tile(SAID, 4)
    assert len(long) > 2 * BLOCK_VALUES
    data = encoded(long, format=format)
    whole, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    assert np.allclose(load(data).samples, whole, atol=1e-6)


def test_resampling_in_blocks_is_resampling_at_once() -> None:
    long = np.tile(SAID, 12)
    whole = at_rate(long, 44_100)
    audio = load(encoded(whole, 44_100, subtype="FLOAT"))
    assert len(whole) > 2 * BLOCK_VALUES
    assert np.allclose(audio.samples, soxr.resample(whole, 44_100, SAMPLE_RATE), atol=1e-5)


def test_channels_are_averaged() -> None:
    left_only = np.stack([SAID, np.zeros_like(SAID)], axis=1)
    assert np.allclose(load(encoded(left_only, subtype="FLOAT")).samples, SAID / 2)


def test_float_samples_beyond_full_scale_are_kept() -> None:
    loud = 3 * SAID / np.abs(SAID).max()
    assert np.array_equal(load(encoded(loud, subtype="FLOAT")).samples, loud)


def test_a_wav_without_samples_is_zero_seconds() -> None:
    for data in (wav_header(), encoded(SAID[:0]), wav_header(rate=44_100)):
        audio = load(data)
        assert audio.samples.shape == (0,) and audio.samples.dtype == np.float32
        assert audio.duration == 0.0


def test_a_wav_of_one_sample_is_read_at_any_rate() -> None:
    assert len(load(encoded(SAID[:1])).samples) == 1
    assert len(load(encoded(SAID[:1], 44_100)).samples) <= 1


@pytest.mark.parametrize(
    "placeholder",
    [0, 0x7FFFF024, 0x7FFFFFFF, 0x80000000, 0x8000_0024, 0xFFFF_FFDB, 0xFFFF_FFFE, 0xFFFFFFFF],
)
def test_a_wav_written_to_a_pipe_is_read_to_its_end(placeholder: int, tmp_path: Path) -> None:
    pcm = (SAID * 32767).astype("<i2").tobytes()
    data = wav_header(data_bytes=placeholder) + pcm
    (tmp_path / "x.wav").write_bytes(data)
    for source in (data, tmp_path / "x.wav"):
        heard = load(source)
        assert len(heard.samples) == len(SAID)
        assert np.allclose(heard.samples, SAID, atol=1e-3)


@pytest.mark.parametrize("placeholder", [0, 2**64 - 1])
def test_an_rf64_written_to_a_pipe_is_read_to_its_end(placeholder: int) -> None:
    data = bytearray(encoded(SAID, format="RF64"))
    sizes = data.index(b"ds64") + 8
    data[sizes : sizes + 24] = placeholder.to_bytes(8, "little") * 3
    assert_is_read(bytes(data))


@pytest.mark.parametrize("placeholder", [0, 2**32 - 1])
def test_an_au_written_to_a_pipe_is_read_to_its_end(placeholder: int) -> None:
    data = bytearray(encoded(SAID, format="AU"))
    data[8:12] = placeholder.to_bytes(4, "little")
    assert_is_read(bytes(data))


@pytest.mark.parametrize("placeholder", [0, 24, 2**63 - 6, 2**63 - 1, 2**64 - 1])
def test_a_w64_written_to_a_pipe_is_read_to_its_end(placeholder: int) -> None:
    data = bytearray(encoded(SAID, format="W64"))
    size = data.index(b"data") + 16
    data[16:24] = data[size : size + 8] = placeholder.to_bytes(8, "little")
    assert_is_read(bytes(data))


@pytest.mark.parametrize("kind", ["AIFF", "AU", "RF64", "W64", "WAV"])
def test_what_is_cut_short_is_refused(kind: str) -> None:
    with pytest.raises(BadAudio, match=r"promises \d+ bytes of sound and holds \d+ bytes"):
        load(encoded(SAID, format=kind)[:-2000])


def assert_is_read(data: bytes) -> None:
    audio = load(data)
    assert len(audio.samples) == len(SAID)
    assert np.allclose(audio.samples, SAID, atol=1e-3)


def test_a_wav_of_alsa() -> None:
    assert load(FILES / "size_80000000.wav").duration == 2.5


@pytest.mark.parametrize("frames", [50, 150])
def test_amr(frames: int) -> None:
    """There is no encoder at hand: frames of 12.2 kbit/s, of nothing to be heard."""
    assert load(b"#!AMR\n" + (b"\x3c" + bytes(31)) * frames).duration == frames / 50


@pytest.mark.parametrize("name", ["voice_opus.caf", "voice_alac.caf", "book.m4b"])
def test_files_of_phones(name: str) -> None:
    heard = load(FILES / name)
    assert 4.7 < heard.duration < 4.9 and np.abs(heard.samples).max() > 0.3


SUFFIXES = {
    ("WAV",): ".wav .wave .bwf",
    ("WAVEX",): ".amb",
    ("W64",): ".w64",
    ("RF64",): ".rf64",
    ("FLAC",): ".flac",
    ("AIFF",): ".aif .aiff .aifc",
    ("CAF",): ".caf",
    ("AU",): ".au .snd",
    ("NIST",): ".sph .nist",
    ("VOC",): ".voc",
    ("IRCAM",): ".sf .ircam",
    ("AVR",): ".avr",
    ("PAF",): ".paf",
    ("PVF",): ".pvf",
    ("SVX",): ".8svx",
    ("MP3",): ".mp3 .mpga",
    ("OGG",): ".ogg .oga .ogx",
    ("ogg", "libopus", 48_000): ".opus .ogv",
    ("mp2", "mp2", 44_100): ".mp2 .mpa .m2a",
    ("adts", "aac", 44_100): ".aac .adts",
    ("ac3", "ac3", 44_100): ".ac3",
    ("eac3", "eac3", 44_100): ".eac3 .ec3",
    ("wv", "wavpack", 16_000): ".wv",
    ("tta", "tta", 16_000): ".tta",
    ("ipod", "aac", 44_100): ".m4a .m4b .m4r",
    ("mp4", "aac", 44_100): ".mp4 .m4v",
    ("f4v", "aac", 44_100): ".f4a .f4v",
    ("ismv", "aac", 44_100): ".isma .ismv",
    ("mov", "aac", 44_100): ".mov .qt",
    ("3gp", "aac", 16_000): ".3gp .3gpp",
    ("3g2", "aac", 16_000): ".3g2",
    ("webm", "libopus", 48_000): ".webm .weba",
    ("matroska", "aac", 44_100): ".mka .mkv",
    ("asf", "wmav2", 16_000): ".wma .wmv .asf",
    ("flv", "aac", 44_100): ".flv",
    ("avi", "mp2", 44_100): ".avi .divx",
    ("mpeg", "mp2", 44_100): ".mpg .mpeg",
    ("vob", "mp2", 44_100): ".vob",
    ("mpegts", "aac", 44_100): ".ts .mts .m2ts .m2t",
}
"""How libsndfile or FFmpeg writes a format, and the suffixes of its files."""
UNWRITTEN = {
    "amrnb": ".amr", "amrwb": ".awb", "speex": ".spx", "ape": ".ape", "mpc8": ".mpc",
    "tak": ".tak", "dca": ".dts",
}  # fmt: skip
"""Codecs that FFmpeg reads, and that not every build of it writes."""


@pytest.mark.parametrize("how", SUFFIXES)
def test_a_file_of_each_suffix_is_read(how: tuple[Any, ...], tmp_path: Path) -> None:
    said = SAID[:SAMPLE_RATE]
    path = tmp_path / "clip"
    if len(how) == 1:
        path.write_bytes(encoded(said, format=how[0]))
    else:
        container, codec, rate = how
        encoded_by_ffmpeg(at_rate(said, rate), rate, container, codec, path)
    assert likeness(load(path).samples, said, most_lag=3200) > 0.9
    assert read_header(path).seconds == pytest.approx(1.0, abs=0.3)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg, which writes dts")
def test_dts(tmp_path: Path) -> None:
    path = tmp_path / "clip.dts"
    command = ["ffmpeg", "-v", "error", "-i", str(CLIP), "-strict", "-2", "-ar", "44100", str(path)]
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        pytest.skip("this ffmpeg does not write dts")
    assert likeness(load(path).samples, SAID, most_lag=3200) > 0.9


def test_each_suffix_that_counts_is_of_a_format_that_is_read() -> None:
    written = [*SUFFIXES.values(), *UNWRITTEN.values()]
    suffixes = " ".join(written).split()
    assert len(suffixes) == len(set(suffixes)) and set(suffixes) == EXTENSIONS
    for codec in UNWRITTEN:
        assert av.codec.Codec(codec, "r").type == "audio"


def test_the_page_lists_the_suffixes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "transcribe.md").read_text(encoding="utf-8")
    table = page.split("## Recordings")[1].split("\n\n")[2]
    listed = re.findall(r"`(\.\w+)`", table)
    assert len(listed) == len(set(listed)) and set(listed) == EXTENSIONS


def test_ffmpeg_is_imported_only_when_it_is_needed() -> None:
    probe = "import sys; from asr.audio import load; load(sys.argv[1]); print('av' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", probe, str(CLIP)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
