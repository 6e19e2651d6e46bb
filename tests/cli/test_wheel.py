"""The wheel: installed elsewhere, it brings the bundle and the clips and finds them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_the_wheel_transcribes_in_a_fresh_environment(tmp_path: Path) -> None:
    def run(*command: object) -> str:
        environment = {
            k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")
        }
        done = subprocess.run(
            list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=280,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("uv", "build", "--wheel", ROOT, "--out-dir", tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    run("uv", "venv", tmp_path / "fresh")
    # The versions that this environment has, so that nothing large is fetched again.
    frozen = run("uv", "pip", "freeze", "--python", ROOT / ".venv", "--exclude-editable")
    (tmp_path / "constraints.txt").write_text(frozen, encoding="utf-8")
    python = tmp_path / "fresh" / "bin" / "python"
    run("uv", "pip", "install", "--python", python, "-c", tmp_path / "constraints.txt", wheel)
    clip = ROOT / "samples" / "1272-141231-0000.flac"
    here = subprocess.run(
        [Path(sys.executable).parent / "asr", "transcribe", clip],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert here.stdout.strip()
    assert run(tmp_path / "fresh" / "bin" / "asr", "transcribe", clip) == here.stdout
    assert run(tmp_path / "fresh" / "bin" / "asr", "demo").count("heard: ") == 6
