"""The service survives mutated files and texts, and the collection of harmful files."""

import subprocess
import sys
from pathlib import Path

import pytest
from serving import Client, assert_shape, metric

ROOT = Path(__file__).parents[2]
NASTY = sorted((ROOT / "tests" / "data" / "nasty").glob("*.bin"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("benchmark", "what", "count", "said"),
    [
        ("fuzz.py", "files", 800, "0 decoders replaced, 0 faults"),
        ("fuzz_live.py", "sessions", 60, "0 faults"),
    ],
)
def test_what_is_mutated_or_broken_is_read_or_refused(
    tiny_bundle: Path, benchmark: str, what: str, count: int, said: str
) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / benchmark), f"--{what}", str(count)]
    command += ["--seed", "7", "--bundle", str(tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count} {what}" in done.stdout and said in done.stdout


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
