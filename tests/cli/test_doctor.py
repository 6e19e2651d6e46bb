"""`asr doctor` on a machine where everything works, and with faults."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from commands import asr


@pytest.mark.slow
def test_all_is_well_here() -> None:
    done = asr("doctor", "--device", "cpu")
    assert done.returncode == 0, done.stdout
    lines = {line[2:16].strip(): line[17:] for line in done.stdout.splitlines() if line}
    assert lines["onnxruntime"] == version("onnxruntime")
    assert lines["extra gpu"] == "installed"
    assert {lines[name] for name in ("wav", "flac", "mp3", "ogg", "opus", "m4a", "webm")} == {
        "read"
    }
    assert lines["runs on"] == "cpu"
    assert "nats a frame from fp32, as where it was exported" in lines["int8"]
    assert " sir" in lines["a real clip"].lower()
    assert " files, " in lines["cache"]


def test_a_damaged_bundle_is_marked(tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text("{", encoding="utf-8")
    done = asr("doctor", "--bundle", str(tmp_path))
    assert done.returncode == 1
    (marked,) = [line for line in done.stdout.splitlines() if line.startswith("!")]
    assert marked.startswith("! bundle") and str(tmp_path) in marked
    assert done.stdout.endswith("Wrong: 1.\n") and not done.stderr


def test_without_ffmpeg_formats_are_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # an import of it fails
    done = asr("doctor", "--bundle", str(tmp_path))
    assert done.returncode == 1
    assert done.stdout.count("not tried: import of av halted") == 7


def test_the_version_is_printed() -> None:
    done = asr("--version")
    assert done.stdout == f"earshot {version('earshot')}\n"
