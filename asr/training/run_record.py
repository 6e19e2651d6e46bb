"""The record of a run: `run.json`, and the results of its last validation.

`run.json` has one entry for each time that the run was started or resumed. It shows which commands,
versions and data produced the weights.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import jiwer
import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from asr.files import replacing
from asr.scratch import locked
from asr.training.run_sessions import LOCK, RECORD, RUNNING

HEARD = "heard.jsonl"
_PACKAGES = ("earshot", "torch", "torchaudio", "lightning", "numpy")


class RunData(Protocol):
    """What a record asks of the data of a run."""

    seed: int

    def measured(self) -> dict[str, Any]:
        """What is trained and validated on, by name: plain values."""


class RunRecord(Callback):
    """Writes a run's config, `run.json` and `heard.jsonl`, and logs the gradient norm.

    Nothing is written before the first step, so that a resume that is refused changes no run.

    Args:
        config: where the run's config is written, in the run's folder.
        dumped: gives its content.
    """

    def __init__(self, config: Path, dumped: Callable[[], str]) -> None:
        self._folder = config.parent
        self._config = config
        self._dumped = dumped
        self._began = 0.0
        self._session: dict[str, Any] = {}
        self._lock: BinaryIO | None = None

    @property
    def has_begun(self) -> bool:
        """Whether training went on; a run that is resumed may have reached its end before."""
        return bool(self._session)

    def on_train_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        if not self.has_begun:
            self._begin(trainer, pl_module)

    def _begin(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        data, config = _data(trainer), self._dumped()
        if trainer.is_global_zero:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._config, shared=False) as file:
                file.write(config.encode("utf-8"))
            # Shared, and waited for: a reader of the run has it for a moment.
            self._lock = locked(self._folder / LOCK, shared=True, waits=True)
        self._began = time.monotonic()
        self._session = {
            "command": sys.argv,
            "started": _now(),
            "status": RUNNING,
            "from_step": trainer.global_step,
            "seeds": {"seed_everything": _seed(), "data.seed": data.seed},
            "commit": _commit(),
            "versions": {name: version(name) for name in _PACKAGES} | {"python": sys.version},
            "machine": _machine(trainer),
            "config": yaml.safe_load(config),
            "data": data.measured(),
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
        results = getattr(pl_module, "results", None)
        if trainer.sanity_checking or not trainer.is_global_zero or results is None:
            return
        lines = [
            {
                "id": utterance.id,
                "audio": str(utterance.audio.resolve()),
                "start": utterance.start,
                "end": utterance.end,
                "speaker": utterance.speaker,
                "text": utterance.text,
                "heard": recognised,
                "wer": round(jiwer.wer(utterance.text, recognised), 4),
            }
            for utterance, recognised in results
        ]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        with replacing(self._folder / HEARD, shared=False) as file:
            file.write(text.encode("utf-8"))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        self._write(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        self._end(trainer, "stopped" if trainer.interrupted else "finished")

    def on_exception(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002
        exception: BaseException,
    ) -> None:
        if self.has_begun:
            with suppress(OSError):  # a full or missing disk may be the cause
                self._end(trainer, _status(exception))
        elif trainer.is_global_zero and not self._config.exists():
            self._leave_nothing(trainer)

    def _end(self, trainer: L.Trainer, status: str) -> None:
        try:
            self._session["status"] = status
            self._write(trainer)
        finally:
            if self._lock is not None:
                self._lock.close()

    def _leave_nothing(self, trainer: L.Trainer) -> None:
        """Deletes the files that loggers opened for a run that never started."""
        for logger in trainer.loggers:
            logger.finalize("failed")
        for events in self._folder.glob(f"events.out.tfevents.*.{os.getpid()}.*"):
            events.unlink()
        for folder in (*self._folder.glob("csv/version_*"), self._folder / "csv", self._folder):
            with suppress(OSError):  # it is missing or not empty
                folder.rmdir()

    def _write(self, trainer: L.Trainer) -> None:
        """Adds or replaces the entry of this session, if it has begun."""
        if not trainer.is_global_zero or not self.has_begun:
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
        text = json.dumps({"sessions": [*others, self._session]}, indent=1, default=str)
        with replacing(path, shared=False) as file:
            file.write(f"{text}\n".encode())


def _data(trainer: L.Trainer) -> RunData:
    data: RunData = trainer.datamodule  # type: ignore[attr-defined]
    return data


def _status(exception: BaseException) -> str:
    """How a run that did not finish has ended."""
    if isinstance(exception, KeyboardInterrupt):
        return "stopped"
    if isinstance(exception, SIGTERMException):
        return "stopped by SIGTERM"
    reason = " ".join(str(exception).split())[:500]
    return f"failed: {reason or type(exception).__name__}"


def _seed() -> int | None:
    """The value of `seed_everything`: the seed of the random initial weights."""
    seed = os.environ.get("PL_GLOBAL_SEED", "")
    return int(seed) if seed.isdigit() else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _commit() -> str | None:
    """The checkout's commit, with a `+` if files have changed; None outside a checkout."""
    folder = Path(__file__).parent
    # Without locks: on a full disk one would stay behind, and no commit could be made any more.
    git = ["git", "--no-optional-locks", "-C", str(folder)]
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


def _peak_memory() -> dict[str, int]:
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.cuda.is_available():
        peak["cuda"] = torch.cuda.max_memory_allocated()
    return peak
