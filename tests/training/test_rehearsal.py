"""The most expensive batch is tried before the first step."""

import resource
import sys
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import soundfile
import torch
from runs import SMALL, TINY, corpus, ended, fitted, start

from asr.audio import SAMPLE_RATE
from asr.errors import AsrError
from asr.training.augmentation import Augment, SpecAugment, Speed
from asr.training.command import fit
from asr.training.module import CtcTraining
from asr.training.rehearsal import rehearse


class Rehearse(L.Callback):
    """Rehearses in the middle of training, and looks at what that moves."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        before = [weight.detach().clone() for weight in pl_module.parameters()]
        gradients = [weight.grad for weight in pl_module.parameters()]
        state = torch.get_rng_state()
        data = pl_module.data
        rehearse(pl_module, data.worst_batch(0.9), pl_module._loss_of, data.batch_seconds)
        assert torch.equal(torch.get_rng_state(), state)
        for weight, same, gradient in zip(pl_module.parameters(), before, gradients, strict=True):
            assert torch.equal(weight, same) and weight.grad is gradient
        trainer.rehearsed = True


def test_it_moves_nothing(tmp_path: Path) -> None:
    augment = Augment(speed=Speed((0.9,)), masks=SpecAugment())
    module = CtcTraining(network=TINY, augment=augment)
    trainer = fitted(module, Rehearse(), max_steps=1, default_root_dir=tmp_path)
    assert trainer.rehearsed  # type: ignore[attr-defined]


class Longest(L.Callback):
    """Compares the costliest batch with those of training."""

    def __init__(self) -> None:
        self.costliest = 0
        self.seen: list[int] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        self.costliest = pl_module.data.worst_batch(1.0).wave.numel()
        slow = pl_module.data.worst_batch(0.8)
        assert slow.wave.shape[1] == slow.wave_lengths.max() > 1.2 * self.costliest

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, _: int) -> None:  # noqa: ARG002
        self.seen.append(batch.wave.numel())


def test_no_batch_costs_more(tmp_path: Path) -> None:
    longest = Longest()
    fitted(CtcTraining(network=TINY), longest, max_steps=10, default_root_dir=tmp_path)
    assert max(longest.seen) == longest.costliest


class LittleMemory(L.Callback):
    """Leaves the process next to no memory beside what it holds once training starts."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        with open("/proc/self/statm", encoding="utf-8") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**25, used + 2**25))


def train(arguments: list[str], said: Path) -> None:
    torch.set_num_threads(1)
    try:
        fit.run("fit", arguments)
    except AsrError as error:
        said.write_text(str(error), encoding="utf-8")
        sys.exit(2)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_too_little_memory_is_one_sentence(tmp_path: Path) -> None:
    folder, said = corpus(tmp_path, train=slice(0, 1), dev=slice(1, 2)), tmp_path / "said"
    sound = np.random.default_rng(0).normal(0, 0.1, 300 * SAMPLE_RATE).astype(np.float32)
    soundfile.write(folder / "long.wav", sound, SAMPLE_RATE)
    line = '{"audio": "long.wav", "text": "a recording of five minutes in one piece"}\n'
    (folder / "train.jsonl").write_text(line, encoding="utf-8")
    arguments = [
        *SMALL, f"--data.root={folder}", f"--trainer.default_root_dir={tmp_path / 'run'}",
        "--data.train=train.jsonl", "--data.dev=dev.jsonl", "--data.batch_seconds=700",
        "--model.network.features.normalize=utterance", "--trainer.max_epochs=1",
        f"--trainer.callbacks={__name__}.LittleMemory",
    ]  # fmt: skip
    process = start(train, arguments, said)
    assert ended(process) == 2
    sentence = said.read_text(encoding="utf-8")
    assert "1 clip of up to 300.0 s" in sentence and "data.batch_seconds (now 700)" in sentence
    assert not (tmp_path / "run" / "checkpoints").exists()
