"""Requests of every kind, jobs and live sessions, as `benchmarks/soak.py` sends them for hours."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_request_is_answered_as_it_should_be(tiny_bundle: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "soak.py"), "--requests", "500"]
    command += ["--jobs", "1", "--live", "1", "--seed", "7", "--bundle", str(tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "growth after the first tenth" in done.stdout
