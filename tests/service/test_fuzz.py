"""The service survives mutated files and texts, and the collection of harmful files."""

import subprocess
import sys
from pathlib import Path

import pytest
from serving import Client, assert_shape, metric

ROOT = Path(__file__).parents[2]
NASTY = sorted((ROOT / "tests" / "data" / "nasty").glob("*.bin"))


@pytest.mark.slow
def test_mutated_files_and_texts_are_read_or_refused(tiny_bundle: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "fuzz.py"), "--files", "800"]
    command += ["--seed", "7", "--bundle", str(tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "800 files" in done.stdout and "0 decoders replaced, 0 faults" in done.stdout


@pytest.mark.slow
def test_wrong_events_and_broken_frames_end_no_service(tiny_bundle: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "fuzz_live.py"), "--sessions", "60"]
    command += ["--seed", "7", "--bundle", str(tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 sessions" in done.stdout and "0 faults" in done.stdout


@pytest.mark.slow
def test_the_corpus_of_nasty_files_is_read_or_refused(client: Client, clip: Path) -> None:
    assert len(NASTY) > 50
    before = metric(client.http, "earshot_worker_restarts_total", kind="decoder")
    seen = set()
    for path in NASTY:
        answer = client.http.post("/v1/transcribe", content=path.read_bytes())
        seen.add(answer.status_code)
        assert answer.status_code in (200, 413, 415), path
        if answer.status_code != 200:
            assert_shape(answer)
    assert seen == {200, 413, 415}
    assert metric(client.http, "earshot_worker_restarts_total", kind="decoder") == before
    assert client.http.post("/v1/transcribe", content=clip.read_bytes()).status_code == 200
