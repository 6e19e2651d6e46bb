"""What training reads: manifests, shards, and the order of their batches."""

from pathlib import Path

import pytest
from runs import TRAIN, fit_here

from asr.corpus import read_manifest
from asr.corpus.sharding import write_shards

pytestmark = pytest.mark.filterwarnings("ignore")


def test_shards_are_read_by_the_same_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shards = tmp_path / "shards"
    write_shards(read_manifest(TRAIN / "manifest.jsonl")[0], shards, 4, 0, lambda *_: None)
    last = fit_here(
        tmp_path / "run", f"--data.train={shards}", f"--data.cache={tmp_path / 'cache'}",
        "--trainer.max_epochs=1", "--trainer.limit_val_batches=1", "--data.workers=1",
        f"--data.dev={shards}",
    )  # fmt: skip
    assert last["global_step"] == 10
    assert f"{shards}: 10 clips" in caplog.text


def test_the_workers_load_what_the_process_would(tmp_path: Path) -> None:
    more = ["--trainer.max_steps=3", "--trainer.max_epochs=1", "--trainer.limit_val_batches=0"]
    alone, helped = (
        fit_here(tmp_path / workers, f"--data.workers={workers}", *more)["state_dict"]
        for workers in ("0", "2")
    )
    assert all((alone[name] == helped[name]).all() for name in alone)
