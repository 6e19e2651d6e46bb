"""What long recordings took is free again when they are done."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import ended, service, speech, wav

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="it is not Linux"),
]

MIB = 2**20


def anonymous_bytes(pid: int) -> int:
    """The process' own memory: no files, and nothing shared."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("Anonymous:"))
    return 1024 * int(line.split()[1])


def device_process(parent: int) -> int:
    """The child that holds the device."""
    for task in Path(f"/proc/{parent}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"service.engine.device" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    raise AssertionError("there is no such process")


@pytest.fixture
def two_cores() -> Iterator[None]:
    """With more there are more threads, each with a heap of its own."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:2])
    yield
    os.sched_setaffinity(0, cores)


@pytest.mark.usefixtures("two_cores")
def test_windows_of_minutes_leave_no_memory_behind(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    clip, long = clips[0].read_bytes(), wav(speech(clips[0], 400 * 16_000))
    with service(tiny_bundle, tmp_path) as (process, http):
        device = device_process(process.pid)
        assert http.post("/v1/transcribe", content=clip).status_code == 200
        before = anonymous_bytes(device)
        ids = [http.post("/v1/jobs", files={"file": long}).json()["id"] for _ in range(2)]
        while len(ended(http, ids)) < len(ids):
            time.sleep(0.1)
        # The next request has the device forget the jobs.
        assert http.post("/v1/transcribe", content=clip).status_code == 200
        assert anonymous_bytes(device) < before + 12 * MIB
