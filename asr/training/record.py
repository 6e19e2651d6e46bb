"""What a run says of itself: `run.json`, and the utterances of its last validation.

`run.json` has one entry for each time that the run was started or resumed, so that a reader sees
by which commands, versions and data its weights came about.
"""

import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import jiwer
import lightning as L
import numpy as np
import torch
import yaml
from lightning.pytorch.callbacks import Callback

from asr.audio import SAMPLE_RATE
from asr.training.data import SpeechData
from asr.training.module import CtcTraining

RECORD, HEARD = "run.json", "heard.jsonl"
_PACKAGES = ("earshot", "torch", "torchaudio", "lightning", "numpy")
_BINS = 30  # of the histogram of lengths


class RunRecord(Callback):
    """Keeps `run.json` and `heard.jsonl` in the run's folder, and logs the gradient's norm.

    Args:
        folder: the run's folder.
        config: the name of the run's config in it.
    """

    def __init__(self, folder: Path, config: str) -> None:
        self._folder = folder
        self._config = config
        self._began = 0.0
        self._session: dict[str, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data = _data(trainer)
        self._began = time.monotonic()
        self._session = {
            "command": sys.argv,
            "started": _now(),
            "status": "running",
            "from_step": trainer.global_step,
            "seed": data.seed,
            "commit": _commit(),
            "versions": {name: version(name) for name in _PACKAGES} | {"python": sys.version},
            "machine": _machine(trainer),
            "config": self._read_config(),
            "data": {name: _measured(data, name) for name in data.parts},
            "parameters": sum(weight.numel() for weight in pl_module.parameters()),
        }
        self._write(trainer)

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if trainer.global_step % every == 0:
            gradients = [
                weight.grad
                for group in optimizer.param_groups
                for weight in group["params"]
                if weight.grad is not None
            ]
            pl_module.log("train/gradient_norm", torch.nn.utils.get_total_norm(gradients))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        module = cast(CtcTraining, pl_module)
        lines = [
            {
                "id": utterance.id,
                "audio": str(utterance.audio.resolve()),
                "text": utterance.text,
                "heard": heard,
                "wer": round(jiwer.wer(utterance.text, heard), 4),
            }
            for utterance, heard in module.heard
        ]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (self._folder / HEARD).write_text(text, encoding="utf-8")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        self._write(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        self._session["status"] = "stopped" if trainer.interrupted else "finished"
        self._write(trainer)

    def on_exception(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002
        exception: BaseException,
    ) -> None:
        if self._session:
            stopped = isinstance(exception, KeyboardInterrupt)
            reason = " ".join(str(exception).split())[:500]
            self._session["status"] = "stopped" if stopped else f"failed: {reason}"
            self._write(trainer)
        elif trainer.is_global_zero and not (self._folder / self._config).exists():
            self._leave_nothing(trainer)

    def _leave_nothing(self, trainer: L.Trainer) -> None:
        """Take away what loggers have opened for a run that never began."""
        for logger in trainer.loggers:
            logger.finalize("failed")
        for events in self._folder.glob(f"events.out.tfevents.*.{os.getpid()}.*"):
            events.unlink()
        for folder in (*self._folder.glob("csv/version_*"), self._folder / "csv", self._folder):
            with suppress(OSError):  # it is not there, or holds something
                folder.rmdir()

    def _read_config(self) -> Any:
        path = self._folder / self._config
        return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None

    def _write(self, trainer: L.Trainer) -> None:
        """Replace this session's entry, or add it."""
        if not trainer.is_global_zero:
            return
        self._session |= {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "seconds": round(time.monotonic() - self._began, 1),
            "peak_memory_bytes": _peak_memory(),
        }
        path = self._folder / RECORD
        sessions = json.loads(path.read_text(encoding="utf-8"))["sessions"] if path.exists() else []
        others = [entry for entry in sessions if entry["started"] != self._session["started"]]
        partial = path.with_suffix(".partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"sessions": [*others, self._session]}, indent=1, default=str)
        partial.write_text(text + "\n", encoding="utf-8")
        os.replace(partial, path)


def _data(trainer: L.Trainer) -> SpeechData:
    data: SpeechData = trainer.datamodule  # type: ignore[attr-defined]
    return data


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _commit() -> str | None:
    """The checkout's commit, with a `+` where files differ from it; None outside a checkout."""
    folder = Path(__file__).parent
    git = ["git", "-C", str(folder)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True)
    except OSError:  # git is not installed
        return None
    if commit.returncode != 0:
        return None
    return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")


def _machine(trainer: L.Trainer) -> dict[str, Any]:
    device = trainer.strategy.root_device
    cuda = device.type == "cuda"
    return {
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(device) if cuda else device.type,
        "processes": trainer.world_size,
    }


def _measured(data: SpeechData, name: str) -> dict[str, Any]:
    """What a manifest holds: its hash, size, and how long its clips are."""
    part = data.parts[name]
    seconds = part.lengths / SAMPLE_RATE
    counts, edges = np.histogram(seconds, bins=_BINS)
    path = data.root / str(data.names[name])
    return {
        "manifest": str(data.names[name]),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None,
        "clips": len(seconds),
        "hours": round(part.hours, 3),
        "lengths": {"counts": counts.tolist(), "edges": np.round(edges, 3).tolist()},
    }


def _peak_memory() -> dict[str, int]:
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available():
        peak["cuda"] = torch.cuda.max_memory_allocated()
    return peak
