"""Two processes train as one does; figures of a development set cover the whole set."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from runs import SMALL, corpus, ended, free_port, start

from asr.errors import AsrError
from asr.training.command import fit

TOGETHER = ["--trainer.devices=2", "--trainer.strategy=ddp"]
ONE_BY_ONE = ["--trainer.accumulate_grad_batches=2"]


class Witness(Callback):
    """Writes down what each process ends with."""

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        found = {name: weight.tolist() for name, weight in pl_module.named_parameters()}
        found["val/wer"] = trainer.callback_metrics["val/wer"].item()
        found["val/loss"] = trainer.callback_metrics["val/loss"].item()
        found["heard"] = len(pl_module.results)
        path = Path(trainer.default_root_dir) / f"rank{trainer.global_rank}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found), encoding="utf-8")


class KillRank(Callback):
    """Kills the second process once a step is done."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == self._step and trainer.global_rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def train(arguments: list[str], environment: dict[str, str]) -> None:
    torch.set_num_threads(1)
    os.environ |= environment
    if arguments[0] == "--resume":
        arguments = [*fit.resume_arguments(Path(arguments[1])), *arguments[2:]]
    try:
        fit.run("fit", arguments)
    except AsrError as error:  # as `asr` itself says it
        Path(environment["SAID"]).write_text(f"{error}\n", encoding="utf-8")
        sys.exit(2)


def ranks(arguments: list[str], said: Path = Path("/dev/null")) -> Iterator[BaseProcess]:
    """Two processes, told of each other as torchrun tells them."""
    shared = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "test",
        "SAID": str(said),
    }  # fmt: skip
    for rank in ("0", "1"):
        yield start(train, arguments, {**shared, "RANK": rank, "LOCAL_RANK": rank})


def plan(folder: Path, run: str) -> list[str]:
    return [
        *SMALL, f"--data.root={folder}", f"--trainer.default_root_dir={folder / run}",
        "--data.train=train.jsonl", "--data.dev=dev.jsonl", "--data.batch_seconds=4",
        "--trainer.max_epochs=2", "--model.loss_per=utterance",
        f"--trainer.callbacks={__name__}.Witness",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # An odd development set: one process reads a clip twice, so that the other does not wait.
    return corpus(tmp_path_factory.mktemp("corpus"), train=slice(0, 8), dev=slice(0, 3))


@pytest.mark.slow
def test_two_processes_end_where_one_does(folder: Path) -> None:
    processes = [*ranks([*plan(folder, "two"), *TOGETHER])]
    processes.append(start(train, [*plan(folder, "one"), *ONE_BY_ONE], {}))
    assert [ended(process) for process in processes] == [0, 0, 0]
    first, second, alone = (
        json.loads((folder / run / f"rank{rank}.json").read_text(encoding="utf-8"))
        for run, rank in (("two", 0), ("two", 1), ("one", 0))
    )
    assert first == second
    assert first["heard"] == alone["heard"] == 3
    for name, values in alone.items():
        torch.testing.assert_close(
            torch.tensor(first[name]), torch.tensor(values), rtol=1e-3, atol=1e-4, msg=name
        )
    files = [
        {re.sub(r"\.\d{10}\..*", "", path.relative_to(folder / run).as_posix()) for path in found}
        for run in ("one", "two")
        for found in [[path for path in (folder / run).rglob("*") if path.suffix != ".json"]]
    ]
    assert files[0] == files[1]  # the second process writes nothing


@pytest.mark.slow
def test_two_processes_are_resumed_where_one_was_killed(folder: Path) -> None:
    keys = [*plan(folder, "killed"), *TOGETHER, "--saving.every_steps=1"]
    killed = [*keys, f"--trainer.callbacks+={__name__}.KillRank", "--trainer.callbacks.step=3"]
    first, second = ranks(killed)
    assert ended(second) == -signal.SIGKILL
    first.kill()  # as torchrun and SLURM do to the others
    first.join()
    run = folder / "killed"
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] in (2, 3)  # the first process may save what the second did not see
    resumed = ["--resume", str(run), f"--trainer.callbacks={__name__}.Witness"]
    assert [ended(process) for process in [*ranks(resumed)]] == [0, 0]
    found = json.loads((run / "rank0.json").read_text(encoding="utf-8"))
    whole = json.loads((folder / "two" / "rank0.json").read_text(encoding="utf-8"))
    assert found == whole


@pytest.mark.slow
def test_a_bad_line_ends_all_processes_with_one_sentence(folder: Path) -> None:
    bad, said = folder / "bad.jsonl", folder / "said"
    bad.write_text('{"audio": "gone.wav", "text": "gone"}\n', encoding="utf-8")
    arguments = [*plan(folder, "bad"), *TOGETHER, "--data.train=bad.jsonl"]
    assert [ended(process) for process in [*ranks(arguments, said)]] == [2, 2]
    assert said.read_text(encoding="utf-8").count("bad.jsonl:1: error: there is no file") == 1
