"""The commands of docs/training.md on learning, at smoke size, and the scripts for clusters."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from runs import HUNG, ROOT, corpus

from asr.cli.app import app

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8").partition("## Learning")[2]
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line
]
SMOKE = (
    "--trainer.limit_val_batches=1 --trainer.enable_progress_bar=false --trainer.accelerator=cpu"
)
TINY = f"--model.network.hidden=8 --trainer.max_epochs=1 {SMOKE}"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the checkout, to run in."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("configs", "models", "tests"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def last(run: Path) -> dict[str, object]:
    return dict(torch.load(run / "checkpoints" / "last.ckpt", weights_only=True))


def outside(command: str, checkout: Path, **environment: str) -> None:
    """Run a command line as a shell does, with the `asr` of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=checkout,
        env=given,
        capture_output=True,
        text=True,
        timeout=HUNG,
    )
    assert done.returncode == 0, done.stderr


def test_every_command_is_run_by_one_of_these() -> None:
    assert len(COMMANDS) == 6


def test_a_run_is_started_and_resumed(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    for number, (command, more) in enumerate(
        [(COMMANDS[0], TINY), (COMMANDS[1], f"{SMOKE} --trainer.max_epochs=2")]
    ):
        app(shlex.split(f"{command} {more}")[1:], standalone_mode=False)
        assert last(checkout / "runs" / "first")["epoch"] == number
    app(shlex.split(COMMANDS[5])[1:], standalone_mode=False)
    assert (checkout / "runs" / "first" / "report.html").is_file()


def test_two_processes_by_a_key(checkout: Path) -> None:
    outside(f"{COMMANDS[2]} {TINY}", checkout)
    assert last(checkout / "runs" / "two")["global_step"] == 5  # ten batches, two at a time


def test_torchrun(checkout: Path) -> None:
    assert COMMANDS[3].startswith("PROCESSES=2 ")
    outside(f"{COMMANDS[3]} {TINY}".replace("PROCESSES=2", "PROCESSES=1"), checkout)
    assert last(checkout / "runs" / "three")["global_step"] == 10


def script(folder: Path, name: str, line: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def test_slurm_starts_and_goes_on(checkout: Path, tmp_path: Path) -> None:
    """With a `srun` that starts the one task of a job with the variables that SLURM sets."""
    script(tmp_path / "slurm", "srun", 'SLURM_PROCID=0 SLURM_LOCALID=0 exec "$@"')
    script(tmp_path / "echo", "asr", f'echo "$@" > {tmp_path}/said')
    job = {
        "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "asr", "SLURM_NNODES": "1", "SLURM_NTASKS": "1",
        "SLURM_NTASKS_PER_NODE": "1", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost",
        "MASTER_ADDR": "127.0.0.1",
    }  # fmt: skip
    command = f"configs/cluster/slurm.sbatch runs/job --config configs/smoke.yaml {TINY}"
    slurm = f"PATH={tmp_path / 'slurm'}:$PATH"
    outside(f"PATH={tmp_path / 'echo'}:$PATH; {slurm} {command}", checkout, **job)
    said = (tmp_path / "said").read_text(encoding="utf-8")
    assert said.startswith("fit --config configs/smoke.yaml") and "--resume" not in said
    assert "--trainer.default_root_dir runs/job" in said and "--trainer.num_nodes 1" in said
    shutil.copytree(checkout / "runs" / "first", checkout / "runs" / "job")
    outside(f"{slurm} {command} --trainer.max_epochs=3", checkout, **job)
    assert last(checkout / "runs" / "job")["epoch"] == 2
    assert last(checkout / "runs" / "first")["epoch"] == 1


def test_fine_tuning(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    folder = corpus(checkout / "own", train=slice(0, 2), dev=slice(2, 3), old=slice(3, 4))
    command = COMMANDS[4].replace("FOLDER", str(folder))
    more = "--trainer.max_steps=1 --trainer.max_epochs=1 --data.old_dev=old.jsonl"
    app(shlex.split(f"{command} {more} {SMOKE}")[1:], standalone_mode=False)
    assert last(checkout / "runs" / "finetune")["global_step"] == 1
