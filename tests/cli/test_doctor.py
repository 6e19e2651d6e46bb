"""`asr doctor` on a machine that works, and on what does not."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ASR = [sys.executable, "-c", "from asr.cli import main; main()"]


def asr(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ASR, *arguments], capture_output=True, text=True, timeout=120)


def test_all_is_well_here() -> None:
    done = asr("doctor", "--device", "cpu")
    assert done.returncode == 0, done.stdout
    lines = {line[2:16].strip(): line[17:] for line in done.stdout.splitlines() if line}
    assert lines["torch"] == version("torch")
    assert {lines[name] for name in ("wav", "flac", "mp3", "ogg", "opus", "m4a", "webm")} == {
        "read"
    }
    assert lines["runs on"] == "cpu"
    assert " sir " in lines["a real clip"]


def test_a_damaged_bundle_is_marked(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text("{", encoding="utf-8")
    done = asr("doctor", "--bundle", str(tmp_path))
    assert done.returncode == 1
    (marked,) = [line for line in done.stdout.splitlines() if line.startswith("!")]
    assert marked.startswith("! bundle") and str(tmp_path) in marked
    assert done.stdout.endswith("Wrong: 1.\n") and not done.stderr


def test_the_version_is_printed() -> None:
    done = asr("--version")
    assert done.stdout == f"earshot {version('earshot')}\n"
