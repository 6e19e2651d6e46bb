"""Small training runs on ten real clips, in this process or in others."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import lightning as L
import torch

from asr.model import ModelConfig
from asr.training.command import fit
from asr.training.data.module import SpeechData
from asr.training.module import CtcTraining

ROOT = Path(__file__).parents[1]
TRAIN = ROOT / "tests" / "data" / "train"
TINY = ModelConfig(layers=2, hidden=8, channels=2, dropout=0.0)
SMALL = [
    "--model.network.layers=2", "--model.network.hidden=8", "--model.network.channels=2",
    "--model.network.dropout=0", "--data.train=manifest.jsonl", "--data.dev=manifest.jsonl",
    "--data.batch_seconds=4", "--trainer.accelerator=cpu", "--trainer.num_sanity_val_steps=0",
    "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false",
]  # fmt: skip

HUNG = 1500
"""Seconds after which a process is given up. Generous: how fast one is decides no test."""

processes = multiprocessing.get_context("forkserver")
# What takes eight seconds to import is imported once, and each process begins with it.
processes.set_forkserver_preload(["asr.cli.app", "asr.export.exporter", "asr.training.command.fit"])


def fitted(
    module: CtcTraining, *callbacks: L.Callback, steps: int = 4, **trainer: Any
) -> L.Trainer:
    """The trainer that has trained a module on the ten clips."""
    options = {"max_steps": steps, "max_epochs": 9, "limit_val_batches": 0, **trainer}
    made = L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=list(callbacks),
        **options,
    )
    made.fit(module, datamodule=small_data())
    return made


def small_data(**options: Any) -> SpeechData:
    given = {"train": "manifest.jsonl", "dev": "manifest.jsonl", "batch_seconds": 4, **options}
    return SpeechData(root=str(TRAIN), **given)


def fit_here(run: Path, *more: str) -> dict[str, Any]:
    """`last.ckpt` of a run by the command line's own function."""
    given = [*SMALL, f"--data.root={TRAIN}", f"--trainer.default_root_dir={run}", *more]
    fit.run("fit", given)
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def corpus(folder: Path, **manifests: slice) -> Path:
    """A folder with manifests of some of the ten clips, without their speakers."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (TRAIN / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    values = [json.loads(line) for line in lines]
    for line in values:
        line["audio"] = str(TRAIN / line["audio"])
        del line["speaker"]
    for name, chosen in manifests.items():
        text = "".join(json.dumps(line) + "\n" for line in values[chosen])
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(target: Any, *arguments: Any) -> BaseProcess:
    process = processes.Process(target=target, args=arguments)
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """The exit status of a process, once it has ended by itself."""
    process.join(HUNG)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"a process has not ended in {HUNG} s")
    return process.exitcode


def asr(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command `asr` in a process of its own."""
    command = ["asr", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        said = [Path(folder) / name for name in ("out", "err")]
        process = start(command_line, command, str(cwd), dict(os.environ), said)
        code = ended(process)
        texts = [path.read_text(encoding="utf-8") for path in said]
    return subprocess.CompletedProcess(command, code, *texts)


def command_line(
    command: list[str], cwd: str, environment: dict[str, str], said: list[Path]
) -> None:
    """Runs `asr` in this process, its stdout and stderr in two files."""
    from asr.cli import main

    for descriptor, path in enumerate(said, start=1):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    multiprocessing.set_start_method("fork", force=True)  # loaders' own, as on the command line
    sys.argv = command
    main()
