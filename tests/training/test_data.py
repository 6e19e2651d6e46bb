"""What training reads: manifests, shards, and the order of their batches."""

import json
from pathlib import Path

import pytest
import yaml
from runs import ROOT, TRAIN, corpus, fit_here, small_data
from typer.testing import CliRunner

from asr.cli.app import app
from asr.corpus import read_manifest
from asr.corpus.shards.writing import write_shards
from asr.errors import BadData, BadOption


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_workers_load_what_the_process_would(tmp_path: Path) -> None:
    more = ["--trainer.max_steps=3", "--trainer.max_epochs=1", "--trainer.limit_val_batches=0"]
    alone, helped = (
        fit_here(tmp_path / workers, f"--data.workers={workers}", *more)["state_dict"]
        for workers in ("0", "2")
    )
    assert all((alone[name] == helped[name]).all() for name in alone)


def test_speakers_who_are_set_apart_are_tested_on_and_never_validated_on(tmp_path: Path) -> None:
    """The same ones as by `asr data split`."""
    parts = {}
    data = small_data(test_share=0.4)
    for stage, name in (("validate", "dev"), ("test", "test")):
        data.setup(stage)
        examples = [data.splits[name].dataset[at] for at in range(len(data.splits[name].dataset))]
        parts[name] = {str(example.utterance.speaker) for example in examples}
    out = [tmp_path / "most.jsonl", tmp_path / "apart.jsonl"]
    split = ["data", "split", str(TRAIN / "manifest.jsonl"), *map(str, out), "--share", "0.4"]
    assert CliRunner().invoke(app, split).exit_code == 0
    said = [{str(one.speaker) for one in read_manifest(path)[0]} for path in out]
    assert [parts["dev"], parts["test"]] == said and not said[0] & said[1] and all(said)
    with pytest.raises(BadOption, match=r"set apart beside data\.test other"):
        small_data(test_share=0.2, test="other")


@pytest.fixture
def one_voice(tmp_path: Path) -> Path:
    """A corpus whose training and development clips have the same speaker."""
    folder = corpus(tmp_path / "corpus", train=slice(0, 2), dev=slice(2, 4))
    for path in folder.glob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        text = "".join(json.dumps({**line, "speaker": "me"}) + "\n" for line in lines)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.slow
def test_one_voice_is_trained_and_judged_on_where_that_is_allowed(
    one_voice: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    given = [f"--data.root={one_voice}", "--data.train=train.jsonl", "--data.dev=dev.jsonl"]
    given += ["--trainer.max_steps=1", "--trainer.limit_val_batches=1"]
    with pytest.raises(
        BadData, match=r"speaker 'me' is also in dev\.jsonl: .* or set data\.shared_sp"
    ):
        fit_here(run, *given)
    assert fit_here(run, *given, "--data.shared_speakers=allow")["global_step"] == 1


def test_the_check_follows_the_config_and_dev_by_name_is_still_compared(
    one_voice: Path, tmp_path: Path
) -> None:
    config = yaml.safe_load((ROOT / "configs" / "smoke.yaml").read_text(encoding="utf-8"))
    config["data"] |= {"root": str(one_voice), "train": "train.jsonl", "dev": "dev.jsonl"}
    path, train = tmp_path / "config.yaml", str(one_voice / "train.jsonl")
    for shared, more, code in (
        ("refuse", [], 2),
        ("allow", [], 0),
        ("allow", ["--dev", str(one_voice / "dev.jsonl")], 2),
    ):
        config["data"]["shared_speakers"] = shared
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        done = CliRunner().invoke(app, ["check", train, "--config", str(path), *more])
        assert done.exit_code == code, done.output
        assert ("the speaker 'me' is also in dev.jsonl" in done.output) == (code == 2)


def test_the_recipe_for_a_voice_of_ones_own_allows_it() -> None:
    config = yaml.safe_load((ROOT / "configs" / "finetune.yaml").read_text(encoding="utf-8"))
    assert config["data"]["shared_speakers"] == "allow"
