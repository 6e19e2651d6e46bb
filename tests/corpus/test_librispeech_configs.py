"""The configs for LibriSpeech, on a made corpus in its layout: from the folder to a checkpoint."""

import subprocess
import sys
from pathlib import Path

import layouts
import pytest
import torch

ROOT = Path(__file__).parents[2]
ASR = [sys.executable, "-c", "from asr.cli import main; main()"]
PARTS = {100: ["train-clean-100"], 960: ["train-clean-100", "train-clean-360", "train-other-500"]}


@pytest.mark.parametrize("hours", PARTS)
def test_its_commands_and_two_steps(hours: int, tmp_path: Path) -> None:
    def asr(*arguments: object) -> None:
        command = [*ASR, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=tmp_path)
        assert done.returncode == 0, done.stderr

    for number, part in enumerate(PARTS[hours]):
        clips = layouts.CLIPS[2 * number :][: 8 // len(PARTS[hours])]
        layouts.librispeech(tmp_path, part, clips, first=10 * number + 1)
    layouts.librispeech(tmp_path, "dev-clean", layouts.CLIPS[:2], first=100)
    manifests = tmp_path / "manifests"
    asr("data", "librispeech", tmp_path, manifests)
    if hours == 960:  # as the config's first lines say: cat train-*.jsonl > train-960.jsonl
        parts = [(manifests / f"{part}.jsonl").read_text(encoding="utf-8") for part in PARTS[960]]
        (manifests / "train-960.jsonl").write_text("".join(parts), encoding="utf-8")
    asr(
        "fit", "--config", ROOT / "configs" / f"librispeech_{hours}.yaml",
        "--data.root", manifests, "--data.units.size", 32, "--data.batch_seconds", 8,
        "--data.workers", 0, "--model.network.hidden", 16, "--trainer.max_steps", 2,
        "--trainer.accelerator", "cpu", "--trainer.limit_val_batches", 1,
    )  # fmt: skip
    checkpoint = tmp_path / "runs" / f"librispeech_{hours}" / "checkpoints" / "last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["global_step"] == 2
