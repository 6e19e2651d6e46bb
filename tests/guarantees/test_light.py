"""Guarantee 11: what transcribes, evaluates and serves needs no torch, whose wheels have 3 GB."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "samples" / "1272-141231-0000.flac"
MANIFEST = ROOT / "tests" / "data" / "clips" / "check-clips.jsonl"
WITHOUT_TORCH = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchaudio", "lightning", "lhotse"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


def without_torch(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TORCH + program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("transcribe", CLIP),
        ("transcribe", CLIP, "--decoder", "greedy", "--format", "srt"),
        ("evaluate", MANIFEST),
        ("check", MANIFEST),
        ("lm", "info", ROOT / "models" / "en" / "lm.npz"),
        ("serve", "--print-config"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments[:1])),
)
def test_a_command_runs_without_torch(arguments: tuple[object, ...]) -> None:
    done = without_torch("from asr.cli import main; main()", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize(("more", "extra"), [((), "gpu"), (("-o", "page.html"), "train")])
def test_what_needs_torch_says_which_extra_brings_it(more: tuple[str, ...], extra: str) -> None:
    done = without_torch("from asr.cli import main; main()", "inspect", CLIP, *more)
    assert done.returncode == 2
    assert f"this command needs the extra `{extra}` (torch is not installed)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_gpu_is_refused_without_torch() -> None:
    done = without_torch("import asr; asr.load(device='cuda')")
    assert "the extra `gpu` is not installed" in done.stderr


def test_importing_and_loading_brings_no_torch_even_where_it_is_installed() -> None:
    program = f"""
import sys, asr, service.app
asr.load(device="cpu").transcribe({str(CLIP)!r})
print(sorted({{"torch", "lightning", "lhotse"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_an_export_says_that_it_needs_the_extra_train(tmp_path: Path) -> None:
    done = without_torch("from asr.cli import main; main()", "export", "x.ckpt", tmp_path / "out")
    assert done.returncode == 2
    assert "`train`" in done.stderr and "Traceback" not in done.stderr
