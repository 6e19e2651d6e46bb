"""A server under load: the first signal lets it finish its requests, the second ends it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from serving import frozen, metric, speech, wav

from asr.audio import load
from asr.runtime import Recognizer

pytestmark = pytest.mark.slow  # each starts a service of its own
URL = "/v1/transcribe"
SERVE = """
import sys
from pathlib import Path
from service.run import run
from service.settings import Settings
# Stopped processes are to go on later; on a busy machine nothing is to be refused for want of time.
run(
    Settings.read(
        port=0, device="cpu", bundle=Path(sys.argv[1]), drain_s=float(sys.argv[2]),
        hang_s=600, deadline_s=3600,
    )
)
"""


@dataclass
class Server:
    """A process that serves, and who works for it."""

    process: subprocess.Popen[str]
    http: httpx.Client
    said: list[str]
    """Lines that it logged before it was ready."""

    @property
    def workers(self) -> dict[int, str]:
        """Ids of its worker processes -> what they run."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid:
                    found[int(path.name)] = (path / "cmdline").read_text()
            except (OSError, ValueError):
                continue
        return found

    def device(self) -> int:
        (pid,) = [
            pid for pid, command in self.workers.items() if "service.engine.device" in command
        ]
        return pid

    def ask_all(self, pool: ThreadPoolExecutor, bodies: list[bytes]) -> list[Future]:
        """Requests that are all let in when this returns."""
        answers = [pool.submit(self.http.post, URL, content=body) for body in bodies]
        models = f"{self.http.base_url}/v1/models"
        while sum(one["under_way"] for one in httpx.get(models, timeout=120).json()["data"]) < len(
            bodies
        ):
            time.sleep(0.02)
        return answers


@contextmanager
def process(bundle: Path, drain_s: float, **environment: str) -> Iterator[Server]:
    command = [sys.executable, "-c", SERVE, str(bundle), str(drain_s)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as running:
        assert running.stderr is not None
        said = [running.stderr.readline()]
        while said[-1] and "ready on" not in said[-1]:
            said.append(running.stderr.readline())
        address = said.pop().split()[3]
        limits = httpx.Limits(max_connections=64)
        with httpx.Client(base_url=address, timeout=120, limits=limits) as http:
            server = Server(running, http, said)
            workers = server.workers
            try:
                yield server
            finally:
                running.kill()
        running.stderr.read()
    for pid in workers:  # none outlives it
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.02)


def test_told_to_stop_under_load_it_answers_all_it_has_and_nobody_else(
    tiny_bundle: Path, recognizer: Recognizer, clips: list[Path]
) -> None:
    bodies = [path.read_bytes() for path in clips] * 4
    expected = [recognizer.transcribe(load(body)).to_dict() for body in bodies]
    no_disk = "/nowhere"  # uploads never touch one
    with process(tiny_bundle, 600, TMPDIR=no_disk) as server, ThreadPoolExecutor(48) as pool:
        with frozen(server.device()):
            answers = server.ask_all(pool, bodies)
            server.process.send_signal(signal.SIGTERM)
            wait_until_closed(server)
        # Together and under load, each reads as it does alone.
        assert [answer.result().json() for answer in answers] == expected
        assert server.process.wait(120) in (0, -signal.SIGTERM)


def wait_until_closed(server: Server) -> None:
    """Return once it takes no connection any more.

    A connection that is waiting to be accepted when the socket closes ends without an answer.
    """
    while True:
        try:
            httpx.get(f"{server.http.base_url}/health/live", timeout=60)
        except httpx.ConnectError:
            return
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            continue


def test_what_is_left_when_the_time_is_over_is_told_so_and_a_long_recording_adds_to_it(
    tiny_bundle: Path, clip: Path
) -> None:
    bodies = [clip.read_bytes()] * 3 + [wav(speech(clip, 60 * 16_000))]
    longer = {"EARSHOT_DRAIN_PER_SECOND": "0.05"}
    with process(tiny_bundle, 1, **longer) as server, ThreadPoolExecutor(4) as pool:
        with frozen(server.device()):
            answers = server.ask_all(pool, bodies)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            responses = [answer.result() for answer in answers]
        assert time.monotonic() - began > 3.5  # 1 s, and 3 s for the minute
        for response in responses:
            assert response.status_code == 503
            assert response.json()["error"]["code"] == "stopping"
            assert response.headers["retry-after"]
        assert server.process.wait(120) in (0, -signal.SIGTERM)


def test_a_second_signal_ends_it_now(tiny_bundle: Path, clip: Path) -> None:
    with (
        process(tiny_bundle, 600) as server,
        ThreadPoolExecutor(1) as pool,
        frozen(server.device()),
    ):
        (answer,) = server.ask_all(pool, [clip.read_bytes()])
        server.process.send_signal(signal.SIGTERM)
        wait_until_closed(server)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) in (0, -signal.SIGTERM)
        assert answer.exception() is not None


def test_a_service_open_to_strangers_says_so_and_its_workers_end_when_it_is_killed(
    tiny_bundle: Path,
) -> None:
    # To the service a name like any other; it stands for 127.0.0.1.
    with process(tiny_bundle, 1, EARSHOT_HOST="127.1") as server:
        (line,) = server.said
        assert line.startswith("earshot: whoever reaches 127.1 may use this service")
        assert "EARSHOT_API_KEYS" in line
        assert metric(server.http, "earshot_queued_audio_seconds") == 0
        assert len(server.workers) >= 2
        server.process.kill()
