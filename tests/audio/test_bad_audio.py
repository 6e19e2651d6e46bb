"""Files that are not audio are refused in one sentence with their name; none is read in part."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from recordings import FILES, encoded, encoded_by_ffmpeg, forged_flac, speech, wav_header

from asr.audio import load
from asr.errors import AsrError, BadAudio, TooLong

SAID = speech()
PCM = (SAID * 32767).astype("<i2").tobytes()
FLAC = encoded(SAID, format="FLAC")


def refusal(source: object, **options: object) -> str:
    """The sentence that `source` is refused with."""
    with pytest.raises(BadAudio) as refused:
        load(source, **options)  # type: ignore[arg-type]
    sentence = str(refused.value)
    assert "\n" not in sentence and "Error" not in sentence and "0x" not in sentence
    return sentence


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    path.touch()
    assert refusal(path) == f"{path} is empty (0 bytes): record or fetch it again"
    assert refusal(b"").startswith("the audio is empty")
    assert refusal(b"", name="upload.mp3").startswith("upload.mp3 is empty")


def test_text_named_wav(tmp_path: Path) -> None:
    path = tmp_path / "text.wav"
    path.write_text("These are not the samples that you are looking for.\n" * 40)
    assert refusal(path).startswith(f"{path} is not a recording, by its content: give wav, flac")


@pytest.mark.parametrize("size", [1, 3, 40, 5000])
def test_noise_instead_of_a_file(size: int) -> None:
    noise = np.random.default_rng(size).integers(1, 255, size, dtype=np.uint8).tobytes()
    assert "not a recording" in refusal(noise) or "damaged" in refusal(noise)


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{path}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {path}\n",
    ],
)
def test_a_playlist_never_opens_the_file_it_names(playlist: str, tmp_path: Path) -> None:
    inner = tmp_path / "inner.aac"
    encoded_by_ffmpeg(SAID, 16_000, "adts", "aac", inner)
    outer = tmp_path / "outer.m3u8"
    outer.write_text(playlist.format(path=inner))
    assert "not a recording" in refusal(outer) or "is a playlist" in refusal(outer)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_flac_is_named_as_truncated(share: float, tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    path.write_bytes(FLAC[: int(len(FLAC) * share)])
    assert f"{path} is truncated or" in refusal(path)


@pytest.mark.parametrize("size", [4, 30, 42, 86])
def test_a_flac_cut_within_its_header_is_named_as_truncated(size: int) -> None:
    assert "is truncated or" in refusal(FLAC[:size])


def test_a_damaged_flac_says_from_where() -> None:
    middle = len(FLAC) // 2
    assert "is truncated or damaged: somewhere after" in refusal(
        FLAC[:middle] + bytes(500) + FLAC[middle + 500 :]
    )


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.5, 0.99])
def test_a_truncated_wav_is_named_as_truncated(share: float) -> None:
    whole = encoded(SAID)
    assert "is truncated or" in refusal(whole[: max(45, int(len(whole) * share))])


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_that_lost_its_middle_is_refused(subtype: str) -> None:
    whole = encoded(np.tile(SAID, 3), 16_000, "OGG", subtype)
    third = len(whole) // 3
    assert "is truncated or" in refusal(whole[:third] + whole[2 * third :])


@pytest.mark.parametrize("format", ["AIFF", "CAF"])
def test_other_truncated_files_of_plain_samples(format: str) -> None:
    whole = encoded(SAID, format=format)
    assert "is truncated or" in refusal(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("ipod", "aac", ""),
        ("mp4", "aac", "faststart"),
        ("webm", "libopus", ""),
        ("adts", "aac", ""),
        ("caf", "alac", ""),
        ("tta", "tta", ""),
    ],
)
def test_truncated_files_that_ffmpeg_reads(
    container: str, codec: str, options: str, tmp_path: Path
) -> None:
    whole = encoded_by_ffmpeg(SAID, 48_000, container, codec, tmp_path / "whole", options)
    assert "is truncated or" in refusal(whole[: len(whole) // 2])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channel", [0, 1])
def test_samples_that_are_no_numbers_are_refused_with_their_time(
    value: float, channel: int
) -> None:
    samples = np.stack([SAID, SAID], axis=1)
    samples[32_000, channel] = value
    for source in (encoded(samples, subtype="FLOAT"), (samples, 16_000)):
        assert "not finite numbers (NaN or infinite), the first at 2.000 s" in refusal(source)


def test_samples_beyond_float32_are_refused() -> None:
    assert "the first at 0.125 s" in refusal((np.r_[np.zeros(2000), 1e300], 16_000))


@pytest.mark.parametrize("rate", [1, 999, 384_001, 655_350, 2**31 - 1])
def test_a_forged_rate_is_refused(rate: int) -> None:
    sentence = refusal(wav_header(rate=rate, data_bytes=len(PCM)) + PCM)
    assert f"has a sampling rate of {rate} Hz, outside 1000 to 384000" in sentence


@pytest.mark.parametrize("rate", [0, 2**32 - 1])
def test_a_rate_that_cannot_be_is_refused(rate: int) -> None:
    refusal(wav_header(rate=rate, data_bytes=len(PCM)) + PCM)


def test_a_forged_flac_rate_is_refused() -> None:
    rate = 655_350
    forged = FLAC[:18] + struct.pack(">I", rate << 12 | 0x0F0)[:3] + FLAC[21:]
    forged = forged[:20] + bytes([(rate & 0xF) << 4 | FLAC[20] & 0xF]) + forged[21:]
    assert "is " in refusal(forged) or "has a sampling rate" in refusal(forged)


@pytest.mark.parametrize("data_bytes", [len(PCM) + 1000, 2**30, 3 * 2**30])
def test_a_wav_that_claims_more_frames_than_it_has_is_refused(data_bytes: int) -> None:
    sentence = refusal(wav_header(data_bytes=data_bytes) + PCM)
    assert f"it promises {data_bytes} bytes of sound and holds {len(PCM)} bytes" in sentence


@pytest.mark.parametrize("frames", [len(SAID) + 1, 2**27])
def test_a_flac_that_claims_more_frames_than_it_has_is_refused(frames: int) -> None:
    assert "is truncated or its header is wrong" in refusal(forged_flac(FLAC, frames))


@pytest.mark.parametrize("frames", [2**32, 2**36 - 1])
def test_a_flac_that_claims_more_than_is_accepted_is_refused_unread(frames: int) -> None:
    with pytest.raises(TooLong, match=f"is too long: at least {frames / 16_000:.1f} s"):
        load(forged_flac(FLAC, frames))


def test_a_flac_of_unknown_length_is_read_whole() -> None:
    assert np.array_equal(load(forged_flac(FLAC, 0)).samples, load(FLAC).samples)


def test_a_file_whose_header_was_never_finished_is_not_taken_for_silence() -> None:
    aiff = encoded(SAID, format="AIFF")
    at = aiff.index(b"SSND") + 4
    assert "says that it holds no sound, yet has" in refusal(
        aiff[:at] + struct.pack(">I", 8) + aiff[at + 4 :]
    )


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [("mp4", "aac", "frag_keyframe+empty_moov"), ("webm", "libopus", ""), ("flv", "aac", "")],
)
def test_the_head_of_a_recording_alone(
    container: str, codec: str, options: str, tmp_path: Path
) -> None:
    whole = encoded_by_ffmpeg(SAID, 48_000, container, codec, tmp_path / "whole", options)
    end = {"mp4": whole.find(b"moof") - 4, "webm": whole.find(b"\x1f\x43\xb6\x75"), "flv": 400}
    assert "no sound" in refusal(whole[: end[container]])
    assert refusal(FILES / "header_only.mp4").endswith(
        "header_only.mp4 holds the head of a recording and no sound: fetch or record it again"
    )


@pytest.mark.parametrize("scale", [32_768, 2**31, 1e30])
def test_floats_at_another_scale_are_named(scale: float) -> None:
    samples = SAID * np.float32(scale)
    for source in (encoded(samples, subtype="FLOAT"), (samples, 16_000)):
        sentence = refusal(source)
        assert "beyond the range of any sound" in sentence and "divide floats" in sentence
    opposite = np.stack([samples, -samples], axis=1)  # nothing is left of them in their mean
    assert "beyond the range of any sound" in refusal((opposite, 16_000))


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (b"MThd\0\0\0\6", "a MIDI file"),
        (b"#EXTM3U\n", "a playlist"),
        (b"PK\3\4", "a zip archive"),
        (b"%PDF-1.7", "a PDF document"),
        (b".RMF\0\0\0\x12", "a RealMedia file"),
    ],
)
def test_what_people_send_in_place_of_sound_is_named(head: bytes, named: str) -> None:
    assert f"the audio is {named}" in refusal(head + bytes(2000))


def test_a_codec_that_is_not_read_is_named_as_such(tmp_path: Path) -> None:
    whole = encoded_by_ffmpeg(SAID, 48_000, "webm", "libopus", tmp_path / "x")
    assert "in a codec that is not read" in refusal(whole.replace(b"A_OPUS", b"A_XXXX"))


@pytest.mark.parametrize("channels", [0, 2000, 65_535])
def test_a_forged_channel_count_is_refused(channels: int) -> None:
    refusal(wav_header(channels=channels, data_bytes=len(PCM)) + PCM)


def test_a_film_without_sound(tmp_path: Path) -> None:
    import av

    path = tmp_path / "mute.mp4"
    with av.open(path, "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        file.mux(stream.encode(None))
    assert refusal(path) == f"{path} has no audio stream: give a recording with sound"


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadAudio, match="the path of a recording is empty"):
        load("")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x93" * 9)
    with binary.open(encoding="utf-8") as text, pytest.raises(BadAudio, match="with the mode 'rb'"):
        load(text)  # type: ignore[arg-type]
    missing = tmp_path / "missing.wav"
    assert refusal(missing) == f"{missing} does not exist: check the path"
    assert "is an address, which only `asr transcribe` reads" in refusal("https://host/a.wav")
    assert refusal(tmp_path) == f"{tmp_path} is a folder: give a recording"
    assert "cannot be opened" in refusal("a\0b.wav")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is not a regular file" in refusal(pipe)
    (tmp_path / "dangling.wav").symlink_to(missing)
    assert "does not exist" in refusal(tmp_path / "dangling.wav")
    loop = tmp_path / "loop.wav"
    loop.symlink_to(loop)
    assert str(loop) in refusal(loop)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "locked.wav"
    path.write_bytes(encoded(SAID))
    path.chmod(0)
    assert "cannot be opened (Permission denied)" in refusal(path)


@pytest.mark.parametrize(
    ("source", "named"), [(None, "NoneType"), (5, "int"), (SAID, "an array"), ([0.0, 0.1], "list")]
)
def test_what_is_no_source_is_refused_with_its_type(source: object, named: str) -> None:
    assert named in refusal(source)


def test_flipped_bytes_never_end_in_another_error(capfd: pytest.CaptureFixture[str]) -> None:
    """What `load` does with any damage: it reads the rest, or refuses; a library never prints."""
    random = np.random.default_rng(3)
    for format in ("WAV", "FLAC", "AIFF", "OGG"):
        whole = encoded(SAID[:16_000], format=format)
        for _ in range(60):
            flipped = bytearray(whole)
            for place in random.integers(0, random.choice([64, len(whole)]), 4):
                flipped[place] = random.integers(256)
            try:
                load(bytes(flipped))
            except AsrError as error:
                assert str(error).startswith("the audio ")
    assert capfd.readouterr() == ("", "")


def test_libraries_print_nothing(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for data in (FLAC[:9000], encoded_by_ffmpeg(SAID, 16_000, "ipod", "aac", tmp_path / "x")[:90]):
        refusal(data)
    load(encoded(SAID, format="MP3"))
    assert capfd.readouterr() == ("", "")
