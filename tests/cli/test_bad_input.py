"""A folder of everything that goes wrong: each file is named, none stops the others."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import asr


def wav(samples: np.ndarray, format: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, format=format, subtype=subtype)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path, clips: list[Path]) -> Path:
    speech, _ = soundfile.read(clips[0], dtype="float32")
    plain, flac = wav(speech), wav(speech, "FLAC")
    not_a_number = speech.copy()
    not_a_number[8000] = np.nan
    files = {
        "empty.wav": b"",
        "text.wav": b"Dear diary, this is no sound at all. " * 100,
        "truncated.flac": flac[: len(flac) // 2],
        "nan.wav": wav(not_a_number, subtype="FLOAT"),
        "forged_rate.wav": plain[:24] + (655350).to_bytes(4, "little") + plain[28:],
        "forged_frames.wav": plain[:40] + (1_000_000_000).to_bytes(4, "little") + plain[44:],
        "no_samples.wav": wav(np.zeros(0)),
        "silence.wav": wav(np.zeros(32000)),
        "really_flac.mp3": flac,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.slow
def test_each_bad_file_is_named_and_the_rest_is_transcribed(
    folder: Path, shipped_bundle: Path
) -> None:
    done = asr("transcribe", folder, "--bundle", shipped_bundle, "--format", "json")
    assert done.returncode == 1
    complaints = {
        "empty.wav": "is empty",
        "text.wav": "not a recording",
        "truncated.flac": "truncated",
        "nan.wav": "not finite numbers",
        "forged_rate.wav": "sampling rate of 655350",
        "forged_frames.wav": "promises 1000000000 bytes",
    }
    lines = [line for line in done.stderr.splitlines() if "compiling the search" not in line]
    assert len(lines) == len(complaints), done.stderr
    for name, complaint in complaints.items():
        assert any(name in line and complaint in line for line in lines), name
    transcripts = {
        Path(line["file"]).name: line for line in map(json.loads, done.stdout.splitlines())
    }
    assert set(transcripts) == {"no_samples.wav", "silence.wav", "really_flac.mp3"}
    for name in ("no_samples.wav", "silence.wav"):
        assert transcripts[name]["text"] == "" and transcripts[name]["no_speech"] is True
    assert transcripts["really_flac.mp3"]["text"] != ""
