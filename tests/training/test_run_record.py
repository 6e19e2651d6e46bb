"""The record of a run: how it ended, and its seeds."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from commands import asr
from full_disk import full_disk
from lightning.pytorch.callbacks import Callback
from runs import SMALL, TRAIN, command_line, ended, fit_here, start

from asr.errors import AsrError
from asr.training.callbacks.checkpoints import newest
from asr.training.command import fit
from asr.training.data.module import SpeechData
from asr.training.module import CtcTraining
from asr.training.run_report import write_report
from asr.training.run_sessions import read_sessions

pytestmark = pytest.mark.slow

SHORT = ("--trainer.max_epochs=1", "--trainer.max_steps=3", "--trainer.limit_val_batches=1")


class Terminated(Callback):
    """Asks its own process to end after the first step, as a scheduler does."""

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == 1:
            os.kill(os.getpid(), signal.SIGTERM)


class Interrupted(Callback):
    """Presses Ctrl-C after the first step."""

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == 1:
            os.kill(os.getpid(), signal.SIGINT)


class Killed(Callback):
    """Notes what readers of the run see, and kills its own process."""

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == 2:
            run = Path(trainer.default_root_dir)
            (run / "seen").write_text(read_sessions(run)[-1]["status"], encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)


class FullDisk(Callback):
    """From the first step on, what the run replaces lies on a disk without any space."""

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        folder = Path(trainer.default_root_dir)
        partials = (folder / ".run.json.partial", folder / "checkpoints" / ".last.ckpt.partial")
        for partial in partials if trainer.global_step == 2 else ():
            partial.unlink(missing_ok=True)
            partial.symlink_to("/dev/full")


def session(run: Path) -> dict[str, Any]:
    (entry,) = json.loads((run / "run.json").read_text(encoding="utf-8"))["sessions"]
    return dict(entry)


def train(run: Path, *more: str) -> None:
    fit_here(run, *SHORT, *more)


def test_a_run_that_was_asked_to_stop_says_so_and_names_both_seeds(tmp_path: Path) -> None:
    run = tmp_path / "run"
    seeds = ("--seed_everything=7", "--data.seed=5")
    process = start(train, run, *seeds, f"--trainer.callbacks={__name__}.Terminated")
    assert ended(process) == 128 + signal.SIGTERM
    assert session(run)["status"] == "stopped by SIGTERM"
    assert session(run)["seeds"] == {"seed_everything": 7, "data.seed": 5}
    write_report(run, tmp_path / "page.html", 0)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "stopped by SIGTERM" in page and "seed_everything 7, data.seed 5" in page
    earlier = session(run)
    del earlier["seeds"]
    record = json.dumps({"sessions": [{**earlier, "seed": 5}]})
    (run / "run.json").write_text(record, encoding="utf-8")
    write_report(run, tmp_path / "page.html", 0)
    assert "<td>data.seed 5" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_run_that_was_killed_is_not_said_to_be_running(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(train, run, f"--trainer.callbacks={__name__}.Killed")
    assert ended(process) == -signal.SIGKILL
    assert (run / "seen").read_text(encoding="utf-8") == "running" == session(run)["status"]
    status = read_sessions(run)[-1]["status"]
    assert re.fullmatch(r"ended without a word after \d{4}-.* UTC \(killed\?\)", status)


def test_ctrl_c_ends_a_run_when_the_step_is_saved(tmp_path: Path) -> None:
    run = tmp_path / "run"
    said = [tmp_path / "out", tmp_path / "err"]
    given = [*SMALL, f"--data.root={TRAIN}", f"--trainer.default_root_dir={run}", *SHORT]
    command = ["asr", "fit", *given, f"--trainer.callbacks={__name__}.Interrupted"]
    process = start(command_line, command, str(tmp_path), dict(os.environ), said)
    assert ended(process) == 128 + signal.SIGINT
    last_line = said[1].read_text(encoding="utf-8").splitlines()[-1]
    assert last_line == f"asr: stopped: `asr fit --resume {run}` goes on."
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 1 and session(run)["status"] == "stopped"


def test_ctrl_c_before_anything_is_saved_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    given = [*SMALL, f"--data.root={TRAIN}", f"--trainer.default_root_dir={tmp_path / 'run'}"]
    with monkeypatch.context() as patch:
        patch.setattr(SpeechData, "setup", interrupted)
        done = asr("fit", *given)
    assert done.returncode == 130 and not (tmp_path / "run").exists()
    assert done.stderr.splitlines()[-1].startswith("asr: stopped before a checkpoint was saved")


def test_the_best_checkpoint_is_not_one_that_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The errors of a model that writes nothing, and of two later ones that insert words."""
    errors = iter([(1.0, 1.0), (1.16, 0.8), (1.1, 0.9)])

    def report(self: CtcTraining, stage: str) -> None:
        self.log_dict(dict(zip((f"{stage}/wer", f"{stage}/cer"), next(errors), strict=True)))

    monkeypatch.setattr(CtcTraining, "_report", report)
    run = tmp_path / "run"
    given = [*SMALL, f"--data.root={TRAIN}", f"--trainer.default_root_dir={run}"]
    trainer = fit.run("fit", [*given, *SHORT[2:], "--trainer.max_epochs=3"])
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == 1
    warning, last = fit.what_next(trainer)
    assert "val/wer is above 90%" in warning and last.endswith("BUNDLE` puts it into a bundle.")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is full")
def test_a_full_disk_is_one_sentence_and_the_checkpoint_before_is_whole(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(AsrError, match=r"last\.ckpt cannot be written \(No space left") as caught:
        train(run, "--saving.every_steps=1", f"--trainer.callbacks={__name__}.FullDisk")
    assert "\n" not in str(caught.value) and f"asr fit --resume {run}" in str(caught.value)
    last = newest(run / "checkpoints")
    assert last is not None and last.name == "last.ckpt"
    assert not (run / "checkpoints" / ".last.ckpt.partial").is_symlink()  # its space is given back
    (run / ".run.json.partial").unlink(missing_ok=True)  # space has been made
    fit.run("fit", [*fit.resume_arguments(run), "--trainer.callbacks=null", *SHORT])
    assert newest(run / "checkpoints") == last


def test_a_disk_that_is_full_at_the_first_checkpoint_leaves_nothing_to_go_on_from(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    with (
        full_disk(30_000),
        pytest.raises(AsrError, match=r"last\.ckpt cannot be written") as caught,
    ):
        train(run, "--saving.every_steps=1")
    assert "start the run again" in str(caught.value) and "--resume" not in str(caught.value)
    assert newest(run / "checkpoints") is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is full")
def test_a_disk_that_is_full_from_the_start_leaves_the_config_it_has(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(run)
    before = (run / "config.yaml").read_text(encoding="utf-8")
    (run / ".config.yaml.partial").symlink_to("/dev/full")
    with pytest.raises(AsrError, match=r"no more can be written .No space left"):
        fit.run("fit", [*fit.resume_arguments(run), "--trainer.max_steps=5"])
    assert (run / "config.yaml").read_text(encoding="utf-8") == before
    assert yaml.safe_load(before)["trainer"]["max_steps"] == 3
