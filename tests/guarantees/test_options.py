"""Guarantee 6 for `asr fit`: every key of a config has its effect or is refused."""

import csv
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from asr.errors import BadData, BadOption
from asr.text.phones import ENGLISH_PHONES
from asr.training.command import fit, plan
from asr.training.data.module import SpeechData

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "tests" / "data" / "train"
BUNDLE = ROOT / "models" / "en"
SMALL = {
    "model.network.layers": "2",
    "model.network.hidden": "8",
    "model.network.channels": "2",
    "data.root": str(TRAIN),
    "data.train": "manifest.jsonl",
    "data.dev": "manifest.jsonl",
    "data.batch_seconds": "4",
    "trainer.accelerator": "cpu",
    "trainer.max_steps": "2",
    "trainer.max_epochs": "2",
    "trainer.limit_val_batches": "0",
    "trainer.enable_progress_bar": "false",
    "trainer.enable_model_summary": "false",
    "trainer.logger": "false",
}
MASKS = {"model.augment.masks.time_width": "40"}
SUBWORDS = {"data.units.kind": "sentencepiece", "data.units.size": "40"}
PHONES = {"data.units.kind": "phones", "data.lexicon": "lexicon.tsv"}
OTHERS = '[{"manifest": "manifest.jsonl", "share": 0.5}]'
NOISE = {"model.augment.noise.manifest": "manifest.jsonl", "model.augment.noise.share": "1.0"}
CYCLE = {"model.optimizer.warmup": "0.0"}
CLIPPED = {"trainer.gradient_clip_val": "0.01", "trainer.gradient_clip_algorithm": "norm"}
ONE_BATCH = {"trainer.limit_train_batches": "1"}  # to an epoch
FREEZE = {"model.freeze.layers": "1"}

# `trainer.precision` is asked for float16, for which Lightning takes bfloat16 on a CPU.
pytestmark = pytest.mark.filterwarnings("ignore:You passed .*accelerator='cpu', precision='16-mix")


def checkpoint(run: Path, **keys: str) -> dict[str, Any]:
    given = {**SMALL, "trainer.default_root_dir": str(run), **keys}
    fit.run("fit", [f"--{key}={value}" for key, value in given.items()])
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """The checkpoint of a run with such keys, trained once."""

    @cache
    def train(keys: tuple[tuple[str, str], ...]) -> dict[str, Any]:
        return checkpoint(tmp_path_factory.mktemp("run") / "run", **dict(keys))

    return lambda **keys: train(tuple(sorted(keys.items())))


RESIDUAL = {"model.network.residual": "true"}
# Key -> the value that other weights come of, and the keys beside which they do.
WEIGHTS: dict[str, tuple[str, dict[str, str]]] = {
    "seed_everything": ("7", {}),
    "data.alone_last": ("1.0", {"data.shares": OTHERS}),
    "data.shares": (OTHERS, {}),
    "data.units.phones": (json.dumps(ENGLISH_PHONES[::-1]), PHONES),
    "model.phone_weight": ("0.1", PHONES),
    "data.corpora": ("[LibriSpeech train-clean-5]", {}),
    "data.seed": ("5", {}),
    "data.short_first": ("0", {}),
    "data.units.kind": ("sentencepiece", {"data.units.size": "40"}),
    "data.units.alphabet": (" 'abcdefghijklmnopqrstuvwxyzé", {}),
    "data.units.size": ("50", SUBWORDS),
    "model.augment.first_epoch": ("1", MASKS),
    "model.augment.gain.decibels": ("[-9.0,-6.0]", {}),
    "model.augment.masks.frequency_masks": ("1", MASKS),
    "model.augment.masks.frequency_width": ("40", MASKS),
    "model.augment.masks.time_share": ("0.05", MASKS),
    "model.augment.masks.time_width": ("9", MASKS),
    "model.augment.noise.share": ("0.0", NOISE),
    "model.augment.noise.snr": ("[0.0,1.0]", NOISE),
    "model.augment.noise.without": ("3", NOISE),
    "model.augment.reverb.decay": ("[0.1,0.2]", {"model.augment.reverb.share": "1.0"}),
    "model.augment.reverb.direct": ("[0.0,1.0]", {"model.augment.reverb.share": "1.0"}),
    "model.augment.reverb.share": ("1.0", {}),
    "model.augment.speed.factors": ("[0.9]", {}),
    "model.average": ("0.5", {}),
    "model.consistency.weight": ("0.4", MASKS),
    "model.consistency.warmup_steps": ("1", {**MASKS, "model.consistency.weight": "0.4"}),
    "model.freeze.layers": ("2", FREEZE),
    "model.freeze.epochs": ("2", {**FREEZE, **ONE_BATCH}),
    "model.init_from": (str(BUNDLE), {}),
    "model.loss_per": ("utterance", {}),
    "model.middle_layer": ("1", {}),
    "model.middle_weight": ("0.6", {"model.middle_layer": "1"}),
    "model.network.cell": ("gru", {}),
    "model.network.channels": ("3", {}),
    "model.network.directions": ("1", {}),
    "model.network.dropout": ("0.4", {}),
    "model.network.features.hop_ms": ("12", {}),
    "model.network.features.mels": ("60", {}),
    "model.network.features.normalize": ("utterance", {}),
    "model.network.features.window_ms": ("20", {}),
    "model.network.forget_bias": ("0.0", {}),
    "model.network.hidden": ("9", {}),
    "model.network.layers": ("3", {}),
    "model.network.norm": ("behind", RESIDUAL),
    "model.network.phone_layer": ("1", PHONES),
    "model.network.projection": ("6", {}),
    "model.network.residual": ("true", {}),
    "model.network.self_conditioning": ("1", {"model.middle_layer": "1"}),
    "model.network.subsampling": ("3", {}),
    "model.optimizer.final": ("0.5", CYCLE),
    "model.optimizer.learning_rate": ("2e-3", {}),
    "model.optimizer.schedule": ("one-cycle", {}),
    "model.optimizer.warmup": ("0.9", {}),
    "model.optimizer.weight_decay": ("0.5", {}),
    "trainer.accumulate_grad_batches": ("2", {}),
    "trainer.gradient_clip_val": ("0.01", {}),
    "trainer.gradient_clip_algorithm": ("value", CLIPPED),
    "trainer.limit_train_batches": ("1", {"trainer.max_steps": "-1"}),
    "trainer.max_epochs": ("1", {"trainer.max_steps": "-1", **ONE_BATCH}),
    "trainer.max_steps": ("3", {}),
    "trainer.precision": ("bf16-mixed", {}),
}
# Key -> a value that cannot be, or that needs another key, and a word of the sentence it gets.
REFUSED: dict[str, tuple[str, str]] = {
    "data.batch_seconds": ("2", "more than a whole batch"),
    "data.dev": ("gone.jsonl", "there is no such manifest"),
    "data.language": ("Klingonish", "is no language"),
    "data.lexicon": ("lexicon.tsv", "no effect unless data.units.kind is phones"),
    "data.old_dev": ("gone.jsonl", "give model.init_from too"),
    "data.most_dropped": ("1.5", "no share"),
    "data.root": ("/nowhere", "there is no corpus folder"),
    "data.train": ("gone.jsonl", "there is no such manifest"),
    "data.units": ("null", "model.init_from"),
    "data.units.fewest": ("2", "no effect here"),
    "data.workers": ("-1", "workers -1"),
    "model.augment.noise.manifest": ("gone.jsonl", "there is no manifest of noise"),
    "model.n_phones": ("5", "data.units"),
    "model.n_units": ("5", "data.units"),
    "model.patience": ("-1", "patience -1"),
    "saving.every_minutes": ("-1", "-1.0 minutes"),
    "trainer.limit_predict_batches": ("1", "no effect"),
    "trainer.model_registry": ("x", "no effect"),
    "trainer.overfit_batches": ("1", "no effect"),
    "trainer.sync_batchnorm": ("true", "no effect"),
    "trainer.use_distributed_sampler": ("true", "no effect"),
}
# Keys whose effect has a test of its own here, or in the file named.
ELSEWHERE = {
    "data.bad_lines": "tests/training/test_fit.py",
    "data.cache": "",
    "data.shared_speakers": "tests/training/test_data.py",
    "data.sources": "",
    "data.test": "tests/training/test_fit.py",
    "data.test_share": "tests/training/test_data.py",
    "task": "tests/training/test_marks_training.py",
    "saving.every_steps": "tests/guarantees/test_resume.py",
    "trainer.callbacks": "tests/guarantees/test_resume.py",
    "trainer.check_val_every_n_epoch": "",
    "trainer.default_root_dir": "",
    "trainer.devices": "tests/training/test_processes.py",
    "trainer.enable_checkpointing": "",
    "trainer.fast_dev_run": "",
    "trainer.limit_val_batches": "",
    "trainer.log_every_n_steps": "",
    "trainer.logger": "",
    "trainer.num_sanity_val_steps": "",
    "trainer.strategy": "tests/training/test_processes.py",
    "trainer.val_check_interval": "",
}
# Lightning's own, on which nothing here leans.
LIGHTNINGS = {
    "trainer.accelerator", "trainer.barebones", "trainer.benchmark", "trainer.detect_anomaly",
    "trainer.deterministic", "trainer.enable_autolog_hparams", "trainer.enable_model_summary",
    "trainer.enable_progress_bar", "trainer.inference_mode", "trainer.limit_test_batches",
    "trainer.max_time", "trainer.min_epochs", "trainer.min_steps", "trainer.num_nodes",
    "trainer.plugins", "trainer.profiler", "trainer.reload_dataloaders_every_n_epochs",
}  # fmt: skip
NO_KEYS = {"config", "help", "print_config", "print_shtab"}


def test_every_key_is_spoken_for() -> None:
    found = set(plan.keys()) - NO_KEYS
    groups = {key for key in found if any(other.startswith(f"{key}.") for other in found)}
    spoken_for = [WEIGHTS, REFUSED, ELSEWHERE, LIGHTNINGS]
    assert found - (groups - REFUSED.keys()) == set().union(*spoken_for)
    assert sum(map(len, spoken_for)) == len(set().union(*spoken_for))


@pytest.mark.slow  # all of them together
@pytest.mark.parametrize("key", WEIGHTS)
def test_a_key_changes_what_is_learnt(key: str, trained: Callable[..., dict[str, Any]]) -> None:
    value, beside = WEIGHTS[key]
    if key == "model.init_from":
        beside = {"model.network.hidden": "256", "model.network.channels": "32"}
        beside["model.network.layers"] = "4"
    before, after = trained(**beside), trained(**{**beside, key: value})
    one, other = before["state_dict"], after["state_dict"]
    assert any(not torch.equal(one[name], other[name]) for name in one if name in other) or (
        one.keys() != other.keys()
    )


@pytest.mark.parametrize("key", REFUSED)
def test_what_cannot_be_is_refused(key: str, tmp_path: Path) -> None:
    value, words = REFUSED[key]
    with pytest.raises((BadOption, BadData), match=words):
        checkpoint(tmp_path / "run", **{key: value})
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model.network.hiden", "3", "no key model.network.hiden; did you mean .*hidden"),
        ("model.network.hidd", "3", "did you mean model.network.hidden"),  # no abbreviations
        ("model.augment.speed.factor", "[1.0]", "did you mean model.augment.speed.factors"),
        ("optimizer", "Adam", "did you mean model.optimizer"),
        ("model.augment.noise.share", "2", "noise.share 2.0 does not fit: give a share"),
        ("model.augment.speed.factors", "[0.905]", "whole hundredths"),
        ("model.augment.reverb.decay", "[0.0,0.2]", "more than 0 seconds"),
        ("model.augment.gain.decibels", "[6.0,0.0]", "lower end first"),
        ("model.augment.masks.frequency_masks", "-1", "none below 0"),
        ("model.augment.masks.time_width", "0", "at least 1 frame"),
        ("model.average", "0.99", "at most 0.5"),
        ("model.consistency.weight", "0.2", "model.augment.masks"),
        ("model.freeze.layers", "3", "freeze.layers 3"),
        ("model.freeze.epochs", "0", "at least one epoch"),
        ("model.middle_layer", "2", "model.middle_layer below 2"),
        ("model.network.cell", "lsmt", "cell does not fit: give lstm, gru or rnn, not 'lsmt'"),
        ("model.augment", "3", "model.augment does not fit: give its keys, not '3'"),
        ("data.units.kind", "letters", "characters, sentencepiece or phones, not 'letters'.$"),
        ("data.workers", "1.5", "give a whole number, not '1.5'"),
        ("data.shares", "some", "give a list in brackets or null, not 'some'"),
        ("model.network.directions", "3", "model.network.directions does not fit"),
        ("model.network.norm", "behind", "no effect without residual"),
        ("model.network.phone_layer", "1", "no effect on units without phones"),
        ("model.network.phone_layer", "2", "a layer below 2"),
        ("model.network.projection", "-1", "give a size, or 0"),
        ("model.network.self_conditioning", "2", "a layer below 2"),
        ("model.network.subsampling", "5", "model.network.subsampling does not fit"),
        ("model.network.self_conditioning", "1", "set model.middle_layer 1 too"),
        ("model.optimizer.final", "2", "optimizer.final"),
        ("model.optimizer.learning_rate", "fast", "learning_rate does not fit"),
        ("model.init_from", str(BUNDLE), r"trained with model.network .*hidden=256 \(not 8\)"),
        ("data.test_share", "1", "below 1 alone, or 0"),
        ("trainer.devices", "0", "devices"),
        ("trainer.devices", "x", "the trainer cannot be set up: .*devices"),
        ("trainer.precision", "16-mixed", "needs a GPU"),
    ],
)
def test_the_sentence_says_what_to_do(key: str, value: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=words) as caught:
        checkpoint(tmp_path / "run", **{key: value})
    assert "\n" not in str(caught.value)


def test_a_forget_bias_needs_a_forget_gate(tmp_path: Path) -> None:
    keys = {"model.network.cell": "gru", "model.network.forget_bias": "0.0"}
    with pytest.raises(BadOption, match=r"forget_bias 0\.0 has no effect"):
        checkpoint(tmp_path / "run", **keys)


def test_a_key_of_a_file_is_refused_too(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("model:\n  augment:\n    masks:\n      time_widht: 3\n", encoding="utf-8")
    with pytest.raises(BadOption, match=r"time_widht; did you mean .*masks\.time_width"):
        fit.run("fit", ["--config", str(config)])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("trainer: {}\n".encode("utf-16"), "is not UTF-8: save it as that"),
        (b"data:\n\ttrain: a\n", r"config\.yaml:2: .*indent with spaces, not tabs"),
        (b"", "has no keys"),
        (b"- data\n", "has no keys"),
        (b"trainer: 5\n", r"config\.yaml:1: trainer takes keys below it"),
        (b"data:\n  train: a\n\ndata:\n  dev: b\n", r"yaml:4: data stands in line 1 already"),
        (b"data:\n  shares:\n  - {share: 0.1, share: 0.2}\n", "yaml:3: share stands in line 3"),
    ],
)
def test_a_file_that_is_no_config_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_bytes(content)
    with pytest.raises(BadOption, match=words):
        fit.run("fit", ["--config", str(config)])


@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize(
    ("group", "content", "words"),
    [
        ("data", "seed: 1\nseed: 2\n", "keys.yaml:2: seed stands in line 1 already"),
        ("data.units", "kind: phones\nkind: phones\n", "keys.yaml:2: kind stands in line 1"),
        ("model", "- a\n", "keys.yaml has no keys: write them as `KEY: VALUE`"),
        ("data", "sedd: 1\n", "there is no key data.sedd; did you mean data.seed"),
    ],
)
def test_a_file_of_a_group_is_checked_too(
    within: bool, group: str, content: str, words: str, tmp_path: Path
) -> None:
    smoke = ["--config", str(ROOT / "configs" / "smoke.yaml")]
    (tmp_path / "keys.yaml").write_text(content, encoding="utf-8")
    more = [f"--{group}", str(tmp_path / "keys.yaml")]
    if within:
        outer = tmp_path / "outer.yaml"
        top, _, below = group.partition(".")
        outer.write_text(f"{top}: {{{below}: keys.yaml}}\n" if below else f"{top}: keys.yaml\n")
        more = ["--config", str(outer)]
    with pytest.raises(BadOption, match=words):
        fit.run("fit", [*smoke, *more])


def test_the_short_name_of_config_is_the_same(tmp_path: Path) -> None:
    twice, marks = tmp_path / "twice.yaml", tmp_path / "marks.yaml"
    twice.write_text("data: {seed: 1, seed: 2}\n", encoding="utf-8")
    with pytest.raises(BadOption, match="seed stands in line 1 already"):
        fit.run("fit", ["-c", str(twice)])
    marks.write_text("task: punctuation\ndata: {batch_seconds: 3}\n", encoding="utf-8")
    with pytest.raises(BadOption, match=r"no key data\.batch_seconds"):
        fit.run("fit", ["-c", str(marks)])


def test_a_config_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"there is no config .*none\.yaml"):
        fit.run("fit", ["--config", str(tmp_path / "none.yaml")])


def test_a_config_of_windows_is_read(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_bytes(b"\xef\xbb\xbfdata:\r\n  trian: a\r\n")
    with pytest.raises(BadOption, match=r"no key data\.trian"):
        fit.run("fit", ["--config", str(config)])


@pytest.mark.slow
def test_where_a_run_keeps_what(tmp_path: Path) -> None:
    keys = {
        "data.cache": str(tmp_path / "cache"),
        "data.sources": "clips of ours",
        "trainer.limit_val_batches": "1",
        "trainer.check_val_every_n_epoch": "2",
        "trainer.max_steps": "-1",
        "trainer.logger": "lightning.pytorch.loggers.CSVLogger",
        "trainer.logger.init_args.save_dir": str(tmp_path / "logs"),
        "trainer.log_every_n_steps": "3",
        "trainer.num_sanity_val_steps": "0",
    }
    about = checkpoint(tmp_path / "run", **keys)["earshot"]
    assert about["sources"] == "clips of ours"
    assert len(list((tmp_path / "cache").glob("*.i16"))) == 1  # both sets hold the same clips
    (log,) = (tmp_path / "logs").rglob("metrics.csv")
    with log.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    validated = [int(row["epoch"]) for row in rows if row["val/wer"]]
    assert validated == [1]
    assert [int(row["step"]) % 3 for row in rows if row["train/loss"]][:1] == [2]
    heard = (tmp_path / "run" / "heard.jsonl").read_text(encoding="utf-8").splitlines()
    assert 0 < len([json.loads(line) for line in heard]) < 10  # one batch of the set
    assert {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()} == {
        "best.ckpt", "last.ckpt", "previous.ckpt",
    }  # fmt: skip


class Count(Callback):
    """How often validation ran, sanity checks apart."""

    validations = 0
    sanity_checks = 0

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        type(self).validations += not trainer.sanity_checking
        type(self).sanity_checks += trainer.sanity_checking


def test_when_validation_runs(tmp_path: Path) -> None:
    Count.validations = Count.sanity_checks = 0
    checkpoint(
        tmp_path / "run",
        **{
            "trainer.val_check_interval": "2",
            "trainer.max_steps": "4",
            "trainer.limit_val_batches": "1",
            "trainer.num_sanity_val_steps": "1",
            "trainer.callbacks": f"{__name__}.Count",
        },
    )
    assert (Count.validations, Count.sanity_checks) == (2, 1)


@pytest.mark.parametrize("key", ["trainer.enable_checkpointing", "trainer.fast_dev_run"])
def test_nothing_is_saved_where_nothing_should_be(key: str, tmp_path: Path) -> None:
    value = "true" if key == "trainer.fast_dev_run" else "false"
    with pytest.raises(FileNotFoundError):
        checkpoint(tmp_path / "run", **{key: value})


@pytest.mark.parametrize("workers", [0, 3])
def test_workers_load_batches(workers: int) -> None:
    data = SpeechData(root=str(TRAIN), train="manifest.jsonl", workers=workers)
    assert data.workers == workers


def test_minutes_save_as_steps_do(tmp_path: Path) -> None:
    checkpoint(tmp_path / "run", **{"saving.every_minutes": "1e-9", "trainer.max_steps": "3"})
    before = torch.load(tmp_path / "run" / "checkpoints" / "previous.ckpt", weights_only=True)
    assert before["global_step"] == 2
