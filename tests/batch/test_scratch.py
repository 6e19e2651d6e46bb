"""Temporary folders: kept while their process lives, and removed by the next one."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from asr.scratch import scratch

KILLED = """
import os, signal
from asr.scratch import scratch
with scratch("ours-") as folder:
    (folder / "much").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_what_a_killed_process_leaves_is_removed_and_what_lives_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "ours-not").mkdir()
    assert subprocess.run([sys.executable, "-c", KILLED]).returncode == -signal.SIGKILL
    (left,) = tmp_path.glob("ours-*/much")
    with scratch("others-"):
        assert left.exists()
    with scratch("ours-") as one:
        assert not left.parent.exists()
        with scratch("ours-") as another:
            assert one.is_dir() and another.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["ours-not"]
