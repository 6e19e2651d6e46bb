"""Guarantee 5: the same audio gives the same words by Python, command line, folder and HTTP."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import commands
import httpx
import pytest

from asr.runtime import Recognizer

pytestmark = pytest.mark.slow

ASR = str(Path(sys.executable).with_name("asr"))
READY_S = 600.0
"""Longest wait for the service: far more than it needs, so that a busy machine passes too."""


@pytest.fixture(scope="module")
def recordings(clips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A folder of three clips."""
    folder = tmp_path_factory.mktemp("voice") / "recordings"
    folder.mkdir()
    return [Path(shutil.copy(clip, folder)) for clip in clips[:3]]


@pytest.fixture(scope="module")
def spoken(recordings: list[Path], shipped_bundle: Path) -> list[dict[str, Any]]:
    """What Python says to each recording."""
    recognizer = Recognizer.load(shipped_bundle)
    found = [recognizer.transcribe(path).to_dict() for path in recordings]
    assert any(one["text"] for one in found)
    return found


@pytest.fixture(scope="module")
def server(shipped_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real `asr serve`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    command = [ASR, "serve", "--port", str(port), "--bundle", str(shipped_bundle)]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_ready(address, process, log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=15)


def wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/health/ready", timeout=5.0).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.2)
    pytest.fail(f"the service is not ready; it said:\n{log.read_text()}")


def asr(*arguments: str | Path) -> str:
    """What the command prints."""
    done = commands.asr(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def post(address: str, path: Path, **fields: str) -> httpx.Response:
    (model,) = httpx.get(f"{address}/v1/models", timeout=10.0).json()["data"]
    with path.open("rb") as file:
        response = httpx.post(
            f"{address}/v1/audio/transcriptions",
            files={"file": (path.name, file)},
            data={"model": model["id"], **fields},
            timeout=60.0,
        )
    assert response.status_code == 200, response.text
    return response


def test_command_line(
    recordings: list[Path], spoken: list[dict[str, Any]], shipped_bundle: Path
) -> None:
    printed = asr("transcribe", recordings[0], "--bundle", shipped_bundle, "--format", "json")
    assert json.loads(printed) == spoken[0]


def test_folder(
    recordings: list[Path], spoken: list[dict[str, Any]], shipped_bundle: Path, tmp_path: Path
) -> None:
    folder = recordings[0].parent
    asr(
        *("transcribe", folder, "--bundle", shipped_bundle),
        *("--format", "json", "--output", tmp_path),
    )
    written = [json.loads((tmp_path / f"{path.stem}.json").read_text()) for path in recordings]
    assert written == spoken


def test_http(recordings: list[Path], spoken: list[dict[str, Any]], server: str) -> None:
    for path, expected in zip(recordings, spoken, strict=True):
        assert post(server, path, response_format="json").json()["text"] == expected["text"]
        said = post(server, path, response_format="text").text
        assert said.strip() == expected["text"]
        verbose = post(
            server,
            path,
            **{"response_format": "verbose_json", "timestamp_granularities[]": "word"},
        ).json()
        assert [(word["word"], word["start"], word["end"]) for word in verbose["words"]] == [
            (word["text"], word["start"], word["end"]) for word in expected["words"]
        ]


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_subtitles(
    recordings: list[Path], server: str, shipped_bundle: Path, tmp_path: Path, format: str
) -> None:
    asr(
        *("transcribe", recordings[0].parent, "--bundle", shipped_bundle),
        *("--format", format, "--output", tmp_path),
    )
    for path in recordings:
        said = post(server, path, response_format=format).text
        assert said == (tmp_path / f"{path.stem}.{format}").read_text()
        native = httpx.post(
            f"{server}/v1/transcribe?format={format}", content=path.read_bytes(), timeout=60.0
        )
        assert native.text == said


def test_options_mean_the_same_everywhere(
    recordings: list[Path], shipped_bundle: Path, server: str, tmp_path: Path
) -> None:
    hotwords = ["Quilter", "the universe"]
    names = tmp_path / "names.txt"
    names.write_text("\n".join(hotwords), encoding="utf-8")
    options: dict[str, Any] = {"decoder": "beam", "beam_size": 8, "nbest": 3, "hotword_boost": 2.0}
    expected = [
        one.to_dict()
        for one in Recognizer.load(shipped_bundle).transcribe(
            list(recordings), hotwords=hotwords, **options
        )
    ]
    assert all(len(one["alternatives"]) == 3 for one in expected)
    flags = [(f"--{name.replace('_', '-')}", str(value)) for name, value in options.items()]
    asr(
        *("transcribe", recordings[0].parent, "--bundle", shipped_bundle, "--hotwords", names),
        *(
            "--format",
            "json",
            "--output",
            tmp_path / "out",
            *(word for flag in flags for word in flag),
        ),
    )
    written = [
        json.loads((tmp_path / "out" / f"{path.stem}.json").read_text()) for path in recordings
    ]
    assert written == expected
    options.pop("hotword_boost")  # over HTTP it is as the bundle says
    python = Recognizer.load(shipped_bundle).transcribe(recordings[0], hotwords=hotwords, **options)
    answer = httpx.post(
        f"{server}/v1/transcribe",
        params={**options, "hotwords": ",".join(hotwords)},
        content=recordings[0].read_bytes(),
        timeout=60.0,
    ).json()
    for key in ("text", "words", "confidence", "alternatives"):
        assert answer[key] == python.to_dict()[key], key
