"""The training path as a user drives it: the command line, on real speech."""

import csv
import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from runs import asr
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asr.evaluation import evaluate
from asr.runtime import Recognizer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "tests" / "data" / "train" / "manifest.jsonl"


def metrics(run: Path) -> list[dict[str, str]]:
    rows = []
    for path in sorted(run.glob("csv/*/metrics.csv")):
        with path.open(encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    return rows


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run of configs/smoke.yaml."""
    run = tmp_path_factory.mktemp("runs") / "first run"
    done = asr("fit", "--config", "configs/smoke.yaml", "--trainer.default_root_dir", run)
    assert done.returncode == 0, done.stderr
    best = run / "checkpoints" / "best.ckpt"
    assert done.stderr.splitlines()[-1].endswith(
        f"`asr export '{best}' BUNDLE` puts it into a bundle."
    )
    assert "TPU" not in done.stderr
    return run


def test_smoke_overfits_ten_clips_to_no_errors(smoke: Path) -> None:
    rows = [row for row in metrics(smoke) if row.get("val/wer")]
    assert float(rows[0]["val/wer"]) > 0.5
    assert float(rows[-1]["val/wer"]) == 0.0
    assert float(rows[-1]["val/loss"]) < 0.1
    assert 0.0 < float(rows[-1]["val/blank"]) < 1.0
    events = EventAccumulator(str(smoke))
    events.Reload()
    assert "val/loss" in events.Tags()["scalars"]
    assert "val/example/text_summary" in events.Tags()["tensors"]
    assert {path.name for path in (smoke / "checkpoints").iterdir()} == {
        "best.ckpt", "last.ckpt", "previous.ckpt",
    }  # fmt: skip


def test_its_bundle_reads_the_clips_by_the_other_doors(smoke: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    done = asr("export", smoke / "checkpoints" / "last.ckpt", bundle, "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    result = evaluate(Recognizer.load(bundle, device="cpu"), TRAIN)
    assert result.score.wer == 0.0
    assert len(result.score.utterances) == 10


def test_a_run_says_what_it_was_and_makes_a_page(smoke: Path, tmp_path: Path) -> None:
    (session,) = json.loads((smoke / "run.json").read_text(encoding="utf-8"))["sessions"]
    assert session["status"] == "finished"
    last = torch.load(smoke / "checkpoints" / "last.ckpt", weights_only=True)
    assert session["step"] == last["global_step"]
    assert session["config"]["seed_everything"] == 1 and session["data"]["train"]["clips"] == 10
    assert session["data"]["train"]["sha256"] == hashlib.sha256(TRAIN.read_bytes()).hexdigest()
    assert sum(session["data"]["train"]["lengths"]["counts"]) == 10
    assert session["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert session["peak_memory_bytes"]["host"] > 1e8
    done = asr("report", smoke, "--out", tmp_path / "pages" / "run.html", "--worst", 3)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "pages" / "run.html").read_text(encoding="utf-8")
    for title in ("Loss", "Error rate", "blank", "Learning rate", "gradient", "train: 10 clips"):
        assert title in page
    assert page.count("<svg") == 8 and page.count("data:audio/wav;base64,") == 3
    for outside in re.findall(r"(?:src|href)=\"([^\"]*)", page):
        assert outside.startswith(("data:", "#"))


def test_what_is_no_run_is_not_reported(tmp_path: Path) -> None:
    done = asr("report", tmp_path)
    assert done.returncode == 2 and not list(tmp_path.iterdir())
    assert done.stderr.count("\n") == 1 and str(tmp_path) in done.stderr


def test_a_run_is_resumed_and_the_command_line_wins(smoke: Path) -> None:
    before = torch.load(smoke / "checkpoints" / "last.ckpt", weights_only=True)
    done = asr("fit", "--resume", smoke)
    assert done.returncode == 0 and "not empty" not in done.stderr
    assert "max_epochs 50 before" in done.stderr and f"--resume '{smoke}' --tr" in done.stderr
    assert str(smoke / "checkpoints" / "best.ckpt") in done.stderr.splitlines()[-1]
    done = asr(
        "fit", "--trainer.max_epochs", 60, f"--resume={smoke}",
        "--model.optimizer.weight_decay", 0.5, "--model.optimizer.learning_rate", 1e-5,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    after = torch.load(smoke / "checkpoints" / "last.ckpt", weights_only=True)
    assert after["epoch"] > before["epoch"] and after["epoch"] == 59
    assert after["optimizer_states"][0]["param_groups"][0]["weight_decay"] == 0.5
    assert (
        max(
            float(row["train/learning_rate"])
            for row in metrics(smoke)[-9:]
            if row["train/learning_rate"]
        )
        < 2e-5
    )
    assert len(list(smoke.glob("csv/*/metrics.csv"))) == 2  # the first part's log is still there


def test_a_resume_that_is_refused_changes_nothing(smoke: Path) -> None:
    before = {path: path.read_bytes() for path in smoke.rglob("*") if path.is_file()}
    done = asr("fit", "--resume", smoke, "--trainer.max_epochs", 20)
    assert done.returncode == 2 and done.stderr.count("\nasr: ") <= 1
    assert "beyond trainer.max_epochs 20" in done.stderr.splitlines()[-1]
    assert before == {path: path.read_bytes() for path in smoke.rglob("*") if path.is_file()}


def test_a_moved_run_is_resumed_where_it_lies(smoke: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(smoke, moved)
    before = (smoke / "checkpoints" / "last.ckpt").read_bytes()
    done = asr("fit", "--resume", moved, "--trainer.max_epochs", 61)
    assert done.returncode == 0, done.stderr
    assert (smoke / "checkpoints" / "last.ckpt").read_bytes() == before
    assert torch.load(moved / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 60


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--data.units.kind", "sentencepiece", "--data.units.size", 48), "sentencepiece"),
        (("--data.units.alphabet", " abc"), "units"),
        (("--model.network.hidden", 64), "hidden=128 (not 64)"),
        (("--model.network.dropout", 2), "dropout 2"),
    ],
)
def test_what_a_checkpoint_cannot_become_is_one_sentence(
    arguments: tuple[object, ...], named: str, smoke: Path
) -> None:
    done = asr("fit", "--resume", smoke, *arguments)
    assert done.returncode == 2
    assert named in done.stderr and "Traceback" not in done.stderr


def test_a_run_is_never_started_over_another(smoke: Path) -> None:
    done = asr("fit", "--config", "configs/smoke.yaml", "--trainer.default_root_dir", smoke)
    assert done.returncode == 2
    assert f"`asr fit --resume '{smoke}'`" in done.stderr
    assert "Traceback" not in done.stderr


def test_resuming_what_is_no_run_says_what_is_missing(tmp_path: Path) -> None:
    done = asr("fit", "--resume", tmp_path)
    assert done.returncode == 2
    assert "config.yaml is not there" in done.stderr


def test_an_unknown_key_is_refused() -> None:
    done = asr("fit", "--config", "configs/smoke.yaml", "--model.network.layerz", 3)
    assert done.returncode == 2
    assert "layerz" in done.stderr


def test_help_shows_our_keys_first_and_lightnings_on_request() -> None:
    short, whole = asr("fit", "--help").stdout, asr("fit", "--help-all").stdout
    for key in ("model.network.residual", "model.network.features.mels", "data.batch_seconds"):
        assert f"--{key} " in short and f"--{key} " in whole
    assert "Feature frames for each output frame." in short
    for text in (
        "--model.augment.masks.time_width ",
        "Largest width of a time mask",
        "--data.units.kind ",
    ):
        assert text in short and text in whole
    assert ".masks.help" not in short
    assert short.index("--data.batch_seconds") < short.index("--trainer.max_epochs")
    for key in ("trainer.callbacks", "trainer.sync_batchnorm", "weights_only"):
        assert f"--{key} " not in short and f"--{key} " in whole
    assert "`asr fit --help-all`" in short
    assert "data.epoch_words" in asr("fit", "--task", "punctuation", "--help").stdout


def test_no_corpus_folder_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSHOT_DATA", raising=False)
    done = asr("fit", "--config", "configs/default_en.yaml")
    assert done.returncode == 2
    assert "EARSHOT_DATA" in done.stderr and "`audio` and `text`" in done.stderr


def test_bad_lines_are_named_before_training_starts(tmp_path: Path) -> None:
    good = [json.loads(line) for line in TRAIN.read_text(encoding="utf-8").splitlines()]
    for line in good:
        line["audio"] = str(TRAIN.parent / line["audio"])
        del line["speaker"]  # the development set is the same clips
    crammed = {
        **good[2],
        "id": "crammed",
        "text": good[2]["text"] * 9,
    }  # more letters than output frames
    bad = [{**good[0], "text": "CAFÉ"}, {**good[1], "audio": "gone.wav"}, {"audio": "x"}]
    manifest = tmp_path / "m.jsonl"
    arguments = [
        "fit", "--config", "configs/smoke.yaml", "--data.root", tmp_path,
        "--data.train", "m.jsonl", "--data.dev", TRAIN, "--trainer.max_epochs", 1,
        "--trainer.default_root_dir", tmp_path / "run",
    ]  # fmt: skip
    manifest.write_text("\n".join(map(json.dumps, [*good, *bad])), encoding="utf-8")
    done = asr(*arguments)
    assert done.returncode == 2 and not (tmp_path / "run").exists()
    for number, reason in ((11, "cannot spell 'é'"), (12, "no file"), (13, "no `text`")):
        assert any(
            f"m.jsonl:{number}: error:" in line and reason in line
            for line in done.stderr.splitlines()
        )
    manifest.write_text("\n".join(map(json.dumps, [*good, crammed])), encoding="utf-8")
    done = asr(*arguments, "--data.bad_lines", "drop")
    assert done.returncode == 0, done.stderr
    assert "m.jsonl:11: error: unreachable" in done.stderr
    assert "m.jsonl: 10 clips" in done.stderr
    assert re.search(r"epoch 0: \d+ seconds of speech per second, [\d.]+% .* waiting", done.stderr)
    few = ("--data.bad_lines", "drop", "--data.most_dropped", 0.05)
    done = asr(*arguments, *few, "--trainer.default_root_dir", tmp_path / "other")
    assert done.returncode == 2 and not (tmp_path / "other").exists()
    assert "of it would be left out" in done.stderr


def test_corpora_chooses_lines_of_the_manifest(tmp_path: Path) -> None:
    done = asr(
        "fit", "--config", "configs/mini_librispeech.yaml", "--data.root", TRAIN.parent,
        "--data.train", TRAIN.name, "--data.dev", TRAIN.name, "--data.cache", tmp_path,
        "--data.corpora", "[LibriSpeech train-clean-5]", "--model.network.hidden", 16,
        "--trainer.max_steps", 1, "--trainer.default_root_dir", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{TRAIN.name}: 9 clips" in done.stderr  # without LJSpeech's
    assert f"{TRAIN.name}: 10 clips" in done.stderr  # development sets are never filtered


def test_a_checkpoint_is_validated_and_tested(smoke: Path) -> None:
    last = smoke / "checkpoints" / "last.ckpt"
    config = ("--config", smoke / "config.yaml", "--ckpt_path", last)
    done = asr("validate", *config)
    assert done.returncode == 0, done.stderr
    assert "WER 0.00%" in done.stderr
    done = asr("test", *config)
    assert done.returncode == 2
    assert "data.test is not set" in done.stderr
    done = asr("test", *config, "--data.test", TRAIN.name)
    assert done.returncode == 0, done.stderr
    assert "WER 0.00%" in done.stderr
