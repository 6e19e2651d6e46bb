"""Every config that ships trains: two steps on real clips, for each cell and kind of unit."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr.errors import BadOption
from asr.training.command import fit

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(
    path
    for path in (ROOT / "configs").glob("*.yaml")
    # The first are in tests/corpus, on a corpus of that layout; the others train on texts.
    if not path.stem.startswith(("librispeech_", "punctuation"))
)


def corpus_of(folder: Path) -> Path:
    """A corpus folder of real clips, with noise beside them as some configs want it."""
    corpus = folder / "corpus"
    if not corpus.exists():
        shutil.copytree(ROOT / "tests" / "data" / "train", corpus)
        noise = np.random.default_rng(3).standard_normal(16_000) * 0.1
        soundfile.write(corpus / "hiss.wav", noise, 16_000)
        (corpus / "noise.jsonl").write_text('{"audio": "hiss.wav"}\n', encoding="utf-8")
        manifest = (corpus / "manifest.jsonl").read_text(encoding="utf-8")
        for name in ("pseudo-commonvoice", "synthetic"):
            (corpus / f"{name}.jsonl").write_text(manifest, encoding="utf-8")
    return corpus


def two_steps(config: Path, run: Path, *more: str) -> dict[str, torch.Tensor]:
    fit.run(
        "fit",
        [
            "--config", str(config),
            "--trainer.default_root_dir", str(run),
            "--trainer.max_steps", "2",
            "--trainer.max_epochs", "1",
            "--trainer.check_val_every_n_epoch", "1",
            "--trainer.limit_val_batches", "1",
            "--trainer.accelerator", "cpu",
            "--trainer.enable_progress_bar", "false",
            "--data.root", str(corpus_of(run.parent)),
            "--data.train", "manifest.jsonl",
            "--data.dev", "manifest.jsonl",
            "--data.cache", str(run / "cache"),
            "--data.batch_seconds", "10",
            *more,
        ],
    )  # fmt: skip
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_config_trains(config: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    small = ["--model.network.hidden", "16"]
    if config.stem == "finetune":  # layers are those of the model it starts from
        small += ["--model.network.layers", "2", "--model.network.channels", "4"]
        small += ["--model.init_from", str(tiny_bundle)]
    checkpoint = two_steps(config, tmp_path / "run", *small)
    assert checkpoint["global_step"] == 2
    weights = [value for value in checkpoint["state_dict"].values() if value.is_floating_point()]
    assert all(value.isfinite().all() for value in weights)


def test_a_resumed_run_ends_in_the_weights_of_a_whole_one(tmp_path: Path) -> None:
    """Guarantee 4 between epochs, the rest read by a loader's process, which the whole had not.

    Callbacks of a config stay beside ours.
    """
    smoke, kept = ROOT / "configs" / "smoke.yaml", tmp_path / "kept"
    plan = [
        "--model.network.hidden", "8", "--data.batch_seconds", "6",
        "--trainer.max_steps", "-1", "--trainer.max_epochs", "4",
    ]  # fmt: skip
    every_epoch = [
        "--trainer.callbacks", "ModelCheckpoint", "--trainer.callbacks.dirpath", str(kept),
        "--trainer.callbacks.filename", "{epoch}", "--trainer.callbacks.save_top_k", "-1",
    ]  # fmt: skip
    whole = two_steps(smoke, tmp_path / "whole", *plan, *every_epoch)
    assert {path.name for path in kept.iterdir()} == {f"epoch={epoch}.ckpt" for epoch in range(4)}
    saved = ["--data.workers", "1", "--ckpt_path", str(kept / "epoch=1.ckpt")]
    rest = two_steps(smoke, tmp_path / "rest", *plan, *saved)
    assert rest["global_step"] == whole["global_step"]
    for name, weight in whole["state_dict"].items():
        assert torch.equal(weight, rest["state_dict"][name]), name


def test_masks_are_drawn_in_the_training_step(tmp_path: Path) -> None:
    smoke = ROOT / "configs" / "smoke.yaml"
    plain = two_steps(smoke, tmp_path / "plain", "--model.network.hidden", "8")
    masked = two_steps(
        smoke,
        tmp_path / "masked",
        "--model.network.hidden",
        "8",
        "--model.augment.masks.time_share",
        "0.3",
    )
    name = "network.head.weight"
    assert not torch.equal(plain["state_dict"][name], masked["state_dict"][name])


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_the_cell_is_one_key(cell: str, tmp_path: Path) -> None:
    checkpoint = two_steps(
        ROOT / "configs" / "smoke.yaml", tmp_path / "run", "--model.network.cell", cell
    )
    assert checkpoint["earshot"]["model"]["cell"] == cell
    rows = checkpoint["state_dict"]["network.recurrent.layers.0.ahead.weight_ih_l0"].shape[0]
    assert rows == {"gru": 3, "rnn": 1}[cell] * 128


def test_subwords_are_one_key_and_travel_with_the_checkpoint(tmp_path: Path) -> None:
    checkpoint = two_steps(
        ROOT / "configs" / "smoke.yaml",
        tmp_path / "run",
        "--data.units.kind",
        "sentencepiece",
        "--data.units.size",
        "48",
    )
    assert checkpoint["state_dict"]["network.head.weight"].shape[0] == 48
    assert checkpoint["earshot"]["tokenizer"]["kind"] == "sentencepiece"


def test_the_readme_says_what_another_language_takes(tmp_path: Path) -> None:
    """Its options, on clips whose texts have letters that English lacks."""
    corpus = corpus_of(tmp_path)
    manifest = (corpus / "manifest.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in manifest.splitlines()]
    texts = [json.dumps(line | {"text": f"größe {line['text']}"}) for line in lines]
    (corpus / "manifest.jsonl").write_text("\n".join(texts), encoding="utf-8")
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    said = re.search(r"another language, such as German, add `(.*?)` and `(.*?)`\.", readme)
    assert said
    checkpoint = two_steps(
        ROOT / "configs" / "default_en.yaml",
        tmp_path / "run",
        *("--data.shares", "null", "--model.augment.noise", "null"),
        *(option for part in said.groups() for option in shlex.split(part)),
    )
    assert checkpoint["earshot"]["language"] == "de"
    assert {"ö", "ß"} <= set(checkpoint["earshot"]["tokenizer"]["alphabet"])


def test_a_checkpoint_of_other_units_is_told_by_their_kind_and_number(tmp_path: Path) -> None:
    smoke, run = ROOT / "configs" / "smoke.yaml", tmp_path / "run"
    two_steps(smoke, run)
    with pytest.raises(
        BadOption, match="in 29 units of kind characters, the config has 48 units of"
    ):
        fit.run(
            "validate",
            [
                *("--config", str(smoke), "--data.root", str(corpus_of(tmp_path))),
                *("--data.units.kind", "sentencepiece", "--data.units.size", "48"),
                *("--ckpt_path", str(run / "checkpoints" / "last.ckpt")),
            ],
        )
