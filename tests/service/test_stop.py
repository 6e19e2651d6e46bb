"""Serving as a process under load: told to stop, it answers what it has; told twice, it ends."""

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
from serving import frozen, metric

from asr.audio import load
from asr.runtime import Recognizer

URL = "/v1/transcribe"
SERVE = """
import sys
from pathlib import Path
from service.run import run
from service.settings import Settings
run(Settings.read(port=0, device="cpu", bundle=Path(sys.argv[1]), drain_s=float(sys.argv[2])))
"""


@dataclass
class Server:
    """A process that serves, and who works for it."""

    process: subprocess.Popen[str]
    http: httpx.Client

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
        (pid,) = [pid for pid, command in self.workers.items() if "service.device" in command]
        return pid

    def ask_all(self, pool: ThreadPoolExecutor, bodies: list[bytes]) -> list[Future]:
        """Requests that are all let in when this returns."""
        answers = [pool.submit(self.http.post, URL, content=body) for body in bodies]
        models = f"{self.http.base_url}/v1/models"
        while sum(one["under_way"] for one in httpx.get(models).json()["data"]) < len(bodies):
            time.sleep(0.02)
        return answers


@contextmanager
def process(bundle: Path, drain_s: float, **environment: str) -> Iterator[Server]:
    command = [sys.executable, "-c", SERVE, str(bundle), str(drain_s)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as running:
        assert running.stderr is not None
        address = running.stderr.readline().split()[3]
        limits = httpx.Limits(max_connections=64)
        with httpx.Client(base_url=address, timeout=60, limits=limits) as http:
            server = Server(running, http)
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
    tiny_bundle: Path, recognizer: Recognizer, clips: list[Path], clip: Path
) -> None:
    bodies = [path.read_bytes() for path in clips] * 4
    expected = [recognizer.transcribe(load(body)).to_dict() for body in bodies]
    no_disk = "/nowhere"  # uploads never touch one
    with process(tiny_bundle, 30, TMPDIR=no_disk) as server, ThreadPoolExecutor(48) as pool:
        with frozen(server.device()):
            answers = server.ask_all(pool, bodies)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            with pytest.raises(httpx.ConnectError):
                httpx.post(f"{server.http.base_url}{URL}", content=clip.read_bytes())
        # Together and under load, each reads as it does alone.
        assert [answer.result().json() for answer in answers] == expected
        assert server.process.wait(30) in (0, -signal.SIGTERM)


def test_what_is_left_when_the_time_is_over_is_told_so_and_a_second_signal_ends_it_now(
    tiny_bundle: Path, clip: Path
) -> None:
    with process(tiny_bundle, 1) as server, ThreadPoolExecutor(8) as pool:
        with frozen(server.device()):
            answers = server.ask_all(pool, [clip.read_bytes()] * 4)
            server.process.send_signal(signal.SIGTERM)
            responses = [answer.result() for answer in answers]
        for response in responses:
            assert response.status_code == 503
            assert response.json()["error"]["code"] == "stopping"
            assert response.headers["retry-after"]
        assert server.process.wait(30) in (0, -signal.SIGTERM)
    with (
        process(tiny_bundle, 600) as server,
        ThreadPoolExecutor(8) as pool,
        frozen(server.device()),
    ):
        (answer,) = server.ask_all(pool, [clip.read_bytes()])
        for _ in range(2):
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        assert server.process.wait(20) in (0, -signal.SIGTERM)
        assert answer.exception() is not None


def test_the_workers_end_with_a_server_that_is_killed(tiny_bundle: Path) -> None:
    with process(tiny_bundle, 1) as server:
        assert metric(server.http, "earshot_queued_audio_seconds") == 0
        assert len(server.workers) >= 2
        server.process.kill()
