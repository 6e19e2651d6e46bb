"""Guarantee 4: training stopped after any step and resumed ends in the same weights."""

import json
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from asr.errors import BadOption
from asr.training.callbacks.checkpoints import newest
from asr.training.command import fit

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "tests" / "data" / "train"
HUNG = 1500  # seconds; how fast a process is decides nothing
STEPS = 15  # three epochs of ten batches, two to a step
LEARNING = [
    "--model.network.layers=2", "--model.network.hidden=8", "--model.network.channels=2",
    "--model.network.dropout=0.1", "--model.middle_layer=1", "--model.average=0.2",
    "--model.consistency.warmup_steps=4",
    "--model.augment.speed.factors=[0.9,1.0,1.1]", "--model.augment.reverb.share=0.5",
    "--model.augment.noise.share=0.7", "--model.augment.gain.decibels=[-6.0,3.0]",
    "--model.augment.masks.time_width=10",
    "--trainer.max_epochs=3", "--trainer.accumulate_grad_batches=2",
    "--trainer.gradient_clip_val=1.0", "--trainer.accelerator=cpu",
    "--trainer.num_sanity_val_steps=0", "--trainer.enable_progress_bar=false",
    "--trainer.precision=bf16-mixed",  # as the recipes have it; the LSTMs go back our own way
    "--data.batch_seconds=4", "--data.short_first=1", "--data.train=manifest.jsonl",
    "--data.dev=dev.jsonl", "--saving.every_steps=2",
]  # fmt: skip

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["asr.training.command.fit"])  # Lightning is imported once


class Kill(Callback):
    """Kills its process once a step is done, before anything is saved of it.

    Args:
        at: the hook in which that happens; `after` stands for the end of a batch, after the
            callbacks.
    """

    def __init__(self, step: int, by: int = signal.SIGKILL, at: str = "on_train_batch_end") -> None:
        self.step = step
        self.by = by
        if at != "after":
            setattr(self, at, self.kill)
        self.at = at

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:  # noqa: ARG002
        if self.at == "after":
            pl_module.on_train_batch_end = lambda *_: self.kill(trainer)

    def kill(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.by)


def train(arguments: list[str], resume: Path | None) -> None:
    torch.set_num_threads(1)
    multiprocessing.set_start_method("fork", force=True)  # loaders' own, as on the command line
    before = [] if resume is None else fit.resume_arguments(resume)
    fit.run("fit", [*before, *arguments])


def started(
    run: Path,
    *more: str,
    kill_at: int = -1,
    by: int = signal.SIGKILL,
    at: str = "on_train_batch_end",
    resume: bool = False,
) -> BaseProcess:
    arguments = [] if resume else [*LEARNING, f"--trainer.default_root_dir={run}"]
    arguments += [f"--data.root={run.parent}", *more]
    arguments += [f"--trainer.callbacks={__name__}.Kill", f"--trainer.callbacks.step={kill_at}"]
    arguments += [f"--trainer.callbacks.by={int(by)}", f"--trainer.callbacks.at={at}"]
    process = processes.Process(target=train, args=(arguments, run if resume else None))
    process.start()
    return process


def finished(run: Path, *more: str, **options: Any) -> int | None:
    process = started(run, *more, **options)
    process.join(HUNG)
    return process.exitcode


def checkpoint(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def assert_same(one: Any, other: Any, path: str = "") -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            assert_same(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same(left, right, f"{path}/{index}")
    else:
        assert one == other, path


def assert_same_end(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Weights, their average, and what the optimizer remembers."""
    assert one["global_step"] == other["global_step"] == STEPS
    for key in ("state_dict", "current_model_state", "averaging_state", "optimizer_states"):
        assert_same(one[key], other[key], key)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ten clips, a development set of two, and noise: speech of the others backwards."""
    folder = tmp_path_factory.mktemp("corpus")
    for path in TRAIN.glob("*.opus"):
        (folder / path.name).symlink_to(path)
    lines = (TRAIN / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    values = [json.loads(line) for line in lines]
    for line in values:
        del line["speaker"]  # the development set holds clips of the training set
    manifests = {"manifest": values, "dev": values[:2], "noise": values[-1:]}
    for name, chosen in manifests.items():
        text = "".join(json.dumps(line) + "\n" for line in chosen)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def whole(corpus: Path) -> dict[str, Any]:
    """The end of a run that nothing stopped."""
    assert finished(corpus / "whole") == 0
    return checkpoint(corpus / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_any_steps(workers: int, corpus: Path, whole: dict[str, Any]) -> None:
    run = corpus / f"killed{workers}"
    loaders = f"--data.workers={workers}"
    first, second = sorted(random.Random(workers).sample(range(3, STEPS), 2))
    assert finished(run, loaders, kill_at=first) == -signal.SIGKILL
    assert 0 < checkpoint(run)["global_step"] < first
    assert finished(run, loaders, kill_at=second, resume=True) == -signal.SIGKILL
    assert finished(run, loaders, resume=True) == 0
    assert_same_end(checkpoint(run), whole)


@pytest.mark.slow
def test_killed_at_any_moments(corpus: Path, whole: dict[str, Any]) -> None:
    """From outside, wherever it is: in a step, in a save, in a validation."""
    run, moments = corpus / "moments", random.Random(5)
    process = started(run, "--saving.every_steps=1")
    last = run / "checkpoints" / "last.ckpt"
    for _ in range(3):
        before = last.stat().st_mtime_ns if last.exists() else 0
        while process.is_alive() and not (last.exists() and last.stat().st_mtime_ns > before):
            time.sleep(0.005)
        time.sleep(moments.uniform(0.0, 0.3))
        process.kill()
        process.join()
        process = started(run, resume=True)
    process.join(HUNG)
    assert process.exitcode == 0
    assert_same_end(checkpoint(run), whole)


@pytest.mark.slow
def test_a_broken_checkpoint_gives_way_to_the_one_before(
    corpus: Path, whole: dict[str, Any]
) -> None:
    run = corpus / "broken"
    assert finished(run, kill_at=9) == -signal.SIGKILL
    last = run / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    last.write_bytes(content[: len(content) // 2])
    assert newest(last.parent) == last.with_name("previous.ckpt")
    last.write_bytes(content[:5000] + bytes(200) + content[5200:])
    assert newest(last.parent) == last.with_name("previous.ckpt")
    assert finished(run, resume=True) == 0
    assert_same_end(checkpoint(run), whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "at", ["on_train_batch_start", "on_train_batch_end", "after", "on_validation_start"]
)
def test_a_run_that_is_asked_to_stop_saves_first(
    at: str, corpus: Path, whole: dict[str, Any]
) -> None:
    run, never = corpus / f"asked-{at}", ["--saving.every_steps=0", "--saving.every_minutes=0"]
    step = 10 if at == "on_validation_start" else 7
    assert finished(run, *never, kill_at=step, by=signal.SIGTERM, at=at) == 128 + signal.SIGTERM
    assert checkpoint(run)["global_step"] in (step, step + 1)
    assert finished(run, resume=True) == 0
    assert_same_end(checkpoint(run), whole)


@pytest.mark.slow
def test_an_epoch_with_other_batches_is_not_resumed(corpus: Path) -> None:
    run = corpus / "others"
    assert finished(run, kill_at=4) == -signal.SIGKILL
    with pytest.raises(BadOption, match="inside epoch 0, which has other batches now"):
        fit.run("fit", [*fit.resume_arguments(run), "--data.seed=9", "--trainer.callbacks=null"])
