"""The configs for LibriSpeech, on made corpora in its layout: from the folder to a checkpoint."""

from pathlib import Path

import commands
import layouts
import pytest
import torch

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PARTS = {
    "mini_librispeech": ["train-clean-5"],
    "librispeech_100": ["train-clean-100"],
    "librispeech_960": ["train-clean-100", "train-clean-360", "train-other-500"],
}


@pytest.mark.parametrize("name", PARTS)
def test_its_commands_and_two_steps(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asr(*arguments: object) -> None:
        done = commands.asr(*arguments)
        assert done.returncode == 0, done.stderr

    monkeypatch.chdir(tmp_path)
    parts = PARTS[name]
    for number, part in enumerate(parts):
        clips = layouts.CLIPS[2 * number :][: 8 // len(parts)]
        layouts.librispeech(tmp_path, part, clips, first=10 * number + 1)
    dev = "dev-clean-2" if name == "mini_librispeech" else "dev-clean"
    layouts.librispeech(tmp_path, dev, layouts.CLIPS[:2], first=100)
    asr("data", "librispeech", tmp_path, "manifests")
    if len(parts) > 1:  # as the config's first lines say: cat train-*.jsonl > train-960.jsonl
        lines = [Path("manifests", f"{part}.jsonl").read_text(encoding="utf-8") for part in parts]
        Path("manifests", "train-960.jsonl").write_text("".join(lines), encoding="utf-8")
    asr(
        "fit", "--config", ROOT / "configs" / f"{name}.yaml", "--data.root", "manifests",
        "--data.batch_seconds", 8, "--data.workers", 0, "--model.network.hidden", 16,
        "--trainer.max_steps", 2, "--trainer.accelerator", "cpu", "--trainer.limit_val_batches", 1,
        "--trainer.enable_progress_bar", "false",
    )  # fmt: skip
    checkpoint = tmp_path / "runs" / name / "checkpoints" / "last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["global_step"] == 2
