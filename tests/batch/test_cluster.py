"""Folder jobs on a Ray cluster: workers and the command itself are killed, and nothing is lost."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from commands import ASR, asr
from folders import contents, harmful, journalled, many

pytest.importorskip("ray", reason="needs the extra `ray`")

from asr.batch.cluster import Cluster
from asr.errors import BadOption
from asr.runtime import Recognizer

START = """
import sys, ray
about = ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
    object_store_memory=100 * 2**20, _node_ip_address="127.0.0.1",
    _system_config={"worker_niceness": 0, "enable_worker_prestart": False,
        "prestart_worker_first_driver": False})
print(about.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def poison(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Path:
    """A file whose decoder ends the worker, once there is no file `gate` beside it here."""
    folder = tmp_path_factory.mktemp("poison")
    gate = folder / "gate"
    gate.touch()
    wait = f"[time.sleep(0.05) for _ in iter(lambda: os.path.exists({str(gate)!r}), False)]"
    path = harmful(folder, f"{wait}; os.kill(os.getppid(), signal.SIGKILL)", patch)
    patch.setenv("PYTHONPATH", str(folder / "hook"), prepend=os.pathsep)
    return path


@pytest.fixture(scope="module")
def address(poison: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """That of a cluster with room for two workers."""
    assert poison.exists()
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # a socket's path must be short
    for name, value in (
        ("TMPDIR", folder),
        ("AUTH_MODE", "disabled"),
        ("USAGE_STATS_ENABLED", "0"),
    ):
        patch.setenv(f"RAY_{name}", value)
    with subprocess.Popen(
        [sys.executable, "-c", START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_killed_workers_and_a_killed_command_lose_nothing(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path, address: str, poison: Path
) -> None:
    """Every file once and only once, and every byte as without a cluster."""
    folder, output, alone = (tmp_path / name for name in ("in", "out", "alone"))
    made = many(folder, clips, 60)

    def command(output: Path, *others: str) -> list[str]:
        given = ["transcribe", "in", "--bundle", str(tiny_bundle), "--format", "json,srt"]
        return [*given, "--output", str(output), "--jsonl", str(output / "all.jsonl"), *others]

    assert asr(*command(alone), cwd=tmp_path).returncode == 0
    shutil.copy(poison, folder / "part 2" / "harmful.wav")
    line = command(output, "--engine", "ray", "--ray-address", address, "--jobs", "1")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*ASR, *line, "--workers", "1"], cwd=tmp_path, stderr=log)
        while len(journalled(output)) < 5 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = journalled(output)
    assert 5 <= len(kept) < len(made), (tmp_path / "log").read_text()
    (poison.parent / "gate").unlink()
    done = subprocess.run([*ASR, *line], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == "", done.stderr
    assert f"asr: 60 of 61 written to {output}" in done.stderr
    assert f"asr: {len(kept)} of them by an earlier run\n" in done.stderr
    assert "asr: 1 failed: ends the workers that read it (1)\n" in done.stderr
    found = contents(output)
    (failed,) = found.pop("errors.jsonl").decode().splitlines()
    assert json.loads(failed)["file"] == "in/part 2/harmful.wav"
    expected = contents(alone)
    assert expected.pop("errors.jsonl") == b""
    assert found == expected
    assert set(kept) <= set(journalled(output))


def nodes(*rooms: tuple[int, int]) -> list[dict[str, object]]:
    return [
        {"Alive": True, "Resources": {"CPU": float(cpu), "GPU": float(gpu)}} for cpu, gpu in rooms
    ]


def cluster(device: str = "auto", workers: int | None = None, cores: int | None = None) -> Cluster:
    return Cluster(partial(Recognizer.load, None, device, None), device, None, workers, cores)


def test_a_cluster_is_divided_by_its_cores_or_its_gpus() -> None:
    assert cluster().division(nodes((8, 0), (8, 0))) == (2, 8, 0)
    assert cluster().division(nodes((0, 0), (8, 0), (16, 0))) == (3, 8, 0)
    assert cluster(cores=3).division(nodes((8, 0), (2, 0), (7, 0))) == (4, 3, 0)
    assert cluster(workers=9).division(nodes((8, 0))) == (9, 8, 0)
    assert cluster().division(nodes((8, 0), (16, 2))) == (2, 8, 1)
    assert cluster("cpu").division(nodes((16, 2))) == (1, 16, 0)
    gone = [{"Alive": False, "Resources": {}}]
    assert cluster().division([*nodes((4, 0)), *gone]) == (1, 4, 0)


@pytest.mark.parametrize(
    ("made", "rooms", "lacking"),
    [
        (cluster(), (0, 0), "1 core"),
        (cluster(cores=4), (3, 0), "4 cores"),
        (cluster(workers=2, cores=9), (8, 0), "9 cores"),
        (cluster("cuda", workers=1), (8, 0), "1 core and a GPU"),
    ],
)
def test_a_cluster_without_room_is_refused(
    made: Cluster, rooms: tuple[int, int], lacking: str
) -> None:
    with pytest.raises(BadOption, match=f"^no machine of the Ray cluster has {lacking} for a"):
        made.division(nodes(rooms))


def test_a_cluster_that_grows_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    head = [{**node, "Labels": {"ray.io/node-group": "head"}} for node in nodes((2, 0))]
    assert cluster(workers=9, cores=2).division(head) == (9, 2, 0)
    assert not caplog.messages
    assert cluster(workers=9, cores=4).division(head) == (9, 4, 0)
    said = "no machine of the Ray cluster has 4 cores for a worker: waiting until one has joined it"
    assert caplog.messages == [said]
    with pytest.raises(BadOption, match="a cluster that grows by itself needs both --workers and"):
        cluster(cores=4).division(head)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--engine", "spark", "--output", "out"), "engine 'spark' is not known"),
        (("--workers", "2", "--output", "out"), "--workers has no effect on the engine local"),
        (("--ray-address", "auto"), "--ray-address has no effect on the engine local"),
        (("--engine", "ray"), "--engine has no effect on what is printed"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    clips: list[Path], given: tuple[str, ...], said: str
) -> None:
    done = asr("transcribe", clips[0], *given)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1


def test_an_address_where_nobody_listens_is_refused(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    given = ("--bundle", tiny_bundle, "--output", tmp_path / "out", "--engine", "ray")
    done = asr("transcribe", clips[0], *given, "--ray-address", address)
    assert done.returncode == 2
    assert f"the Ray cluster at {address} cannot be used (" in done.stderr


def test_without_the_extra_it_is_named(clips: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "asr.batch.cluster")
    done = asr("transcribe", clips[0], "--engine", "ray", "--output", "out")
    assert done.returncode == 2
    assert "this command needs the extra `ray` (ray is not installed)" in done.stderr
