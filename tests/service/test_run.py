"""Serving as a process: the ready line, the end, and failures in one sentence."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from serving import SERVE

from asr.errors import BadBundle, BadOption
from service.run import run
from service.settings import Settings


@pytest.mark.slow
def test_a_process_says_when_it_is_ready_and_ends_when_told(tiny_bundle: Path, clip: Path) -> None:
    command = [sys.executable, "-c", SERVE, str(tiny_bundle)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        ready = re.fullmatch(
            r"earshot: ready on (http://127\.0\.0\.1:\d+) \(model (\S+), cpu\)\n", first
        )
        assert ready, first + process.stderr.read()
        response = httpx.post(
            f"{ready[1]}/v1/audio/transcriptions",
            files={"file": clip.read_bytes()},
            data={"model": ready[2]},
            timeout=120,
        )
        assert response.status_code == 200
        httpx.get(f"{ready[1]}/nothing", headers={"x-request-id": "trace-9"}, timeout=120)
        process.send_signal(signal.SIGTERM)
        logged = process.stderr.read()
        (refused,) = [line for line in logged.splitlines() if "GET /* 404 in" in line]
        assert refused.endswith("[trace-9 127.0.0.1]")
        assert "Traceback" not in logged
        assert process.wait(120) in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("host", "keys", "open_to_strangers"),
    [
        ("127.0.0.1", "", False),
        ("::1", "", False),
        ("localhost", "", False),
        ("0.0.0.0", "", True),
        ("::", "", True),
        ("speech.example", "", True),
        ("0.0.0.0", f"ann:{'0' * 64}", False),
    ],
)
def test_who_is_let_in_without_a_key(host: str, keys: str, open_to_strangers: bool) -> None:
    settings = Settings.read(host=host, api_keys=keys)
    assert settings.open_to_strangers == open_to_strangers


def test_a_taken_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadOption, match=f"127.0.0.1:{port}.*another --host or --port"):
            run(Settings(port=port))


def test_the_images_check_asks_the_port_that_is_set(address: str) -> None:
    dockerfile = Path(__file__).parents[2] / "docker" / "Dockerfile"
    (check,) = re.findall(r"^    CMD (\[.*\])$", dockerfile.read_text("utf-8"), re.MULTILINE)
    command = [sys.executable, *json.loads(check)[1:]]
    asked = {**os.environ, "EARSHOT_PORT": address.rpartition(":")[2]}
    assert subprocess.run(command, env=asked, timeout=120).returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        asked["EARSHOT_PORT"] = str(free.getsockname()[1])
    done = subprocess.run(command, env=asked, capture_output=True, timeout=120)
    assert done.returncode == 1


@pytest.mark.slow
def test_a_bad_bundle_ends_the_service(tmp_path: Path) -> None:
    with pytest.raises(BadBundle):
        run(Settings(port=0, bundle=tmp_path / "none"))
