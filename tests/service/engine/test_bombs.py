"""Small uploads that hold, or claim, far too much audio: 413, and memory stays low."""

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from serving import MAX_SECONDS, assert_shape

URL = "/v1/transcribe"


def silence(seconds: int, rate: int, format: str, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(seconds * rate), rate, subtype, format=format)
    return file.getvalue()


def flac_of_unknown_length() -> bytes:
    """Half an hour of silence, whose header does not say so."""
    whole = silence(1800, 16_000, "FLAC", "PCM_16")
    return whole[:21] + bytes([whole[21] & 0xF0]) + bytes(4) + whole[26:]


def opus_of_ten_minutes() -> bytes:
    return silence(600, 8_000, "OGG", "OPUS")


def wav_at_a_forged_rate() -> bytes:
    """Ten seconds, which its header stretches to 160."""
    whole = bytearray(silence(10, 16_000, "WAV", "PCM_16"))
    whole[24:28] = struct.pack("<I", 1000)
    return bytes(whole)


def decoders() -> list[Path]:
    """Every decoding process that this one has."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            command = (path / "cmdline").read_text()
        except OSError:  # it has ended since it was listed
            continue
        if parent == os.getpid() and "service.engine.decode_pool" in command:
            found.append(path)
    return found


@pytest.mark.parametrize(
    "bomb",
    [
        flac_of_unknown_length,
        pytest.param(opus_of_ten_minutes, marks=pytest.mark.slow),
        wav_at_a_forged_rate,
    ],
)
def test_it_is_refused_and_no_process_grows(address: str, bomb: Callable[[], bytes]) -> None:
    body = bomb()
    for _ in range(3):
        response = httpx.post(address + URL, content=body, timeout=240)
        assert response.status_code == 413
        assert f"where {MAX_SECONDS:g} s are allowed" in (assert_shape(response)["message"] or "")
    for path in decoders():
        peak = next(
            int(line.split()[1])
            for line in (path / "status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
        assert peak < 200_000, "kB at its most: libraries, an upload, and a block of sound"


def test_a_process_that_has_answered_lets_go_of_the_recording(address: str) -> None:
    body = silence(30, 16_000, "FLAC", "PCM_16")
    assert httpx.post(address + URL, content=body, timeout=240).status_code == 200
    for path in decoders():
        held = [os.readlink(file) for file in (path / "fd").iterdir()]
        assert not [name for name in held if "memfd" in name]
