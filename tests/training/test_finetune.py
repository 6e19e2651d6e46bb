"""Training that starts from a trained model: a bundle or a checkpoint."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runs import SMALL, corpus

from asr.bundle import Bundle
from asr.errors import BadBundle, BadData, BadOption
from asr.model import AcousticModel, ModelConfig
from asr.text import CharacterTokenizer, SubwordTokenizer
from asr.training.callbacks.checkpoints import newest
from asr.training.command import fit
from asr.training.initial_weights import Freeze, InitialWeights

pytestmark = pytest.mark.slow

SHAPE = ModelConfig(layers=2, hidden=16, channels=4)  # of the tiny bundle
LAYERS = ["--model.network.layers=2", "--model.network.hidden=16", "--model.network.channels=4"]


def test_a_bundle_gives_its_weights_and_its_head(tiny_bundle: Path) -> None:
    start = InitialWeights.read(tiny_bundle)
    network = AcousticModel(SHAPE, start.tokenizer.n_units)
    start.load_into(network, start.tokenizer)
    for name, weight in start.model.state_dict().items():
        assert torch.equal(network.state_dict()[name], weight), name
    assert network.features.mean.any()  # statistics of the features come along


def test_a_checkpoint_does_too(tiny_checkpoint: Path, tiny_bundle: Path) -> None:
    weights = InitialWeights.read(tiny_checkpoint).model.state_dict()
    for name, weight in InitialWeights.read(tiny_bundle).model.state_dict().items():
        torch.testing.assert_close(weight, weights[name], rtol=1e-3, atol=1e-3)  # float16


def test_characters_that_both_spell_keep_their_rows(tiny_bundle: Path) -> None:
    start, new = InitialWeights.read(tiny_bundle), CharacterTokenizer("éab 'zc")
    network = AcousticModel(SHAPE, new.n_units)
    fresh = network.head.weight.detach().clone()
    start.load_into(network, new)
    old = start.model.head
    for char in "ab 'zc":
        to, of = new.encode(char)[0], start.tokenizer.encode(char)[0]
        assert torch.equal(network.head.weight[to], old.weight[of])
        assert torch.equal(network.head.bias[to], old.bias[of])
    assert torch.equal(network.head.weight[0], old.weight[0])  # the blank
    assert torch.equal(network.head.weight[1], fresh[1])  # é is new
    assert torch.equal(
        network.recurrent.layers[1].ahead.weight_hh_l0,
        start.model.recurrent.layers[1].ahead.weight_hh_l0,
    )


def test_subwords_start_with_a_new_head(tiny_bundle: Path) -> None:
    new = SubwordTokenizer.learn(["the cat sat on the mat and the hat"] * 9, 14)
    network = AcousticModel(SHAPE, new.n_units)
    fresh = network.head.weight.detach().clone()
    start = InitialWeights.read(tiny_bundle)
    start.load_into(network, new)
    assert torch.equal(network.head.weight[1:], fresh[1:])
    assert torch.equal(network.head.weight[0], start.model.head.weight[0])


def test_self_conditioning_is_gained_without_effect_at_first(tiny_bundle: Path) -> None:
    start = InitialWeights.read(tiny_bundle)
    gaining = AcousticModel(replace(SHAPE, self_conditioning=1), start.tokenizer.n_units).eval()
    start.load_into(gaining, start.tokenizer)
    wave, lengths = torch.randn(1, 9000), torch.tensor([9000])
    torch.testing.assert_close(gaining(wave, lengths), start.model(wave, lengths))
    conditioned = InitialWeights(Path("grown"), gaining, start.tokenizer, {})
    again = AcousticModel(gaining.config, start.tokenizer.n_units)
    conditioned.load_into(again, start.tokenizer)  # what it has learnt comes along
    assert again.recurrent.conditioning is not None and gaining.recurrent.conditioning is not None
    assert torch.equal(
        again.recurrent.conditioning.head.weight, gaining.recurrent.conditioning.head.weight
    )
    with pytest.raises(BadOption, match=r"self_conditioning=1 \(not 0\)"):
        conditioned.check_layers(SHAPE)  # nor is it lost in silence


def test_layers_for_letters_are_gained_and_phones_read_as_before(tiny_bundle: Path) -> None:
    tokenizer = InitialWeights.read(tiny_bundle).tokenizer
    trained = AcousticModel(SHAPE, tokenizer.n_units, 7).eval()
    start = InitialWeights(Path("trained"), trained, tokenizer, {})
    layers = replace(SHAPE, layers=SHAPE.layers + 1, phone_layer=SHAPE.layers)
    higher = AcousticModel(layers, tokenizer.n_units, 7).eval()
    start.load_into(higher, tokenizer)
    wave, lengths = torch.randn(1, 9000), torch.tensor([9000])
    phones = slice(tokenizer.n_units, None)
    found, before = higher(wave, lengths)[0], trained(wave, lengths)[0]
    torch.testing.assert_close(found[..., phones], before[..., phones])
    again = AcousticModel(layers, tokenizer.n_units, 7).eval()
    InitialWeights(Path("higher"), higher, tokenizer, {}).load_into(again, tokenizer)
    torch.testing.assert_close(again(wave, lengths)[0], found)
    with pytest.raises(BadOption, match=r"layers=2 \(not 3\)"):  # else phones would be above them
        start.check_layers(replace(layers, phone_layer=0))


def test_a_model_may_go_on_with_other_frames(tiny_bundle: Path) -> None:
    start = InitialWeights.read(tiny_bundle)
    finer = AcousticModel(replace(SHAPE, subsampling=2), start.tokenizer.n_units)
    start.load_into(finer, start.tokenizer)
    trained = start.model.state_dict()
    assert all(torch.equal(weight, trained[name]) for name, weight in finer.state_dict().items())
    wave, lengths = torch.randn(1, 16_000), torch.tensor([16_000])
    assert (finer(wave, lengths)[1] + 1) // 2 == start.model(wave, lengths)[1]


def test_other_layers_are_named(tiny_bundle: Path) -> None:
    start = InitialWeights.read(tiny_bundle)
    with pytest.raises(BadOption, match=r"hidden=16 \(not 24\)") as caught:
        start.load_into(
            AcousticModel(ModelConfig(layers=2, hidden=24, channels=4), 29), start.tokenizer
        )
    assert "layers=" not in str(caught.value) and str(tiny_bundle) in str(caught.value)
    start.load_into(
        AcousticModel(ModelConfig(layers=2, hidden=16, channels=4, dropout=0.5), 29),
        start.tokenizer,
    )  # dropout has no weights


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(b"no checkpoint")
    for path in (tmp_path, tmp_path / "x.ckpt", tmp_path / "gone"):
        with pytest.raises(BadBundle, match=str(path)):
            InitialWeights.read(path)


def test_the_front_is_subsampling_and_lower_layers() -> None:
    network = AcousticModel(SHAPE, 29)
    names = {id(weight): name for name, weight in network.named_parameters()}
    held = {names[id(weight)].rsplit(".", 2)[0] for weight in Freeze(1, 1).held(network)}
    assert {name.split(".")[0] for name in held} == {"subsampling", "recurrent"}
    assert not any("layers.1" in names[id(weight)] for weight in Freeze(1, 1).held(network))
    assert len(list(Freeze(0, 1).held(network))) == 6


@pytest.fixture(scope="module")
def finetuned(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run from the tiny bundle: the front held for one of two epochs, an old set beside."""
    folder = corpus(
        tmp_path_factory.mktemp("c"), train=slice(0, 4), dev=slice(4, 6), old=slice(6, 9)
    )
    run = folder / "run"
    fit.run(
        "fit",
        [
            *SMALL, *LAYERS, f"--data.root={folder}", f"--trainer.default_root_dir={run}",
            "--data.train=train.jsonl", "--data.dev=dev.jsonl", "--data.old_dev=old.jsonl",
            "--data.units=null", f"--model.init_from={tiny_bundle}", "--model.freeze.layers=1",
            "--trainer.max_epochs=2", "--model.average=0.5", "--saving.every_steps=2",
        ],
    )  # fmt: skip
    return run


def test_the_front_is_held_and_then_let_go(finetuned: Path, tiny_bundle: Path) -> None:
    before = InitialWeights.read(tiny_bundle).model.state_dict()
    # The step checkpoint before the end lies in the second epoch, that of the first at its end.
    held = newest(finetuned / "checkpoints")
    assert held is not None
    after = torch.load(held, weights_only=True)["current_model_state"]
    for name in ("subsampling.first.weight", "recurrent.layers.0.ahead.weight_ih_l0"):
        assert not torch.equal(after[f"network.{name}"], before[name])


def test_the_units_are_kept(finetuned: Path, tiny_bundle: Path) -> None:
    last = torch.load(finetuned / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["earshot"]["tokenizer"] == InitialWeights.read(tiny_bundle).tokenizer.state()


def test_a_run_says_what_it_forgot(finetuned: Path) -> None:
    rows: list[dict[str, str]] = []
    for path in finetuned.glob("csv/*/metrics.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows += list(csv.DictReader(file))
    old = [float(row["old/wer"]) for row in rows if row.get("old/wer")]
    new = [float(row["val/wer"]) for row in rows if row.get("val/wer")]
    forgotten = [float(row["old/forgotten"]) for row in rows if row.get("old/forgotten")]
    assert len(old) == len(new) == len(forgotten) == 2
    before = {round(after - lost, 6) for after, lost in zip(old, forgotten, strict=True)}
    assert len(before) == 1  # measured once, before training
    last = torch.load(finetuned / "checkpoints" / "last.ckpt", weights_only=True)
    assert round(last["callbacks"]["Forgetting"]["before"], 6) in before


def test_it_is_resumed_without_its_bundle(finetuned: Path, tiny_bundle: Path) -> None:
    before = Bundle.open(tiny_bundle).info.training.to_dict()
    config = finetuned / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("init_from: ", "init_from: /moved"), encoding="utf-8")
    fit.run("fit", [*fit.resume_arguments(finetuned), "--trainer.max_epochs=3"])
    last = torch.load(finetuned / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 2
    assert last["earshot"]["training"] | {"hours": 0} == {
        "epochs": 3,
        "steps": last["global_step"],
        "hours": 0,
        "before": before,
    }


def test_it_is_validated_without_the_old_set(
    finetuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config", str(finetuned / "config.yaml"), "--ckpt_path"]
    fit.run("validate", [*arguments, str(finetuned / "checkpoints" / "best.ckpt")])
    assert "val/wer" in capsys.readouterr().out
    with pytest.raises(BadBundle, match=r"config\.yaml is damaged"):
        fit.run("validate", [*arguments, str(finetuned / "config.yaml")])


def test_an_old_set_needs_a_model_that_knew_it(tmp_path: Path) -> None:
    folder = corpus(tmp_path, train=slice(0, 2), dev=slice(4, 6), old=slice(6, 9))
    with pytest.raises(BadOption, match=r"data.old_dev is there to .* give model.init_from too"):
        fit.run("fit", [*SMALL, f"--data.root={folder}", "--data.old_dev=old.jsonl"])


def test_an_old_set_that_is_not_there_is_named(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = corpus(tmp_path, train=slice(0, 2), dev=slice(4, 6))
    paths = [f"--data.root={folder}", "--data.train=train.jsonl", "--data.dev=dev.jsonl"]
    start = [f"--model.init_from={tiny_bundle}", "--data.old_dev=gone.jsonl"]
    run = folder / "run"
    with pytest.raises(BadData, match=r"gone\.jsonl: there is no such manifest"):
        fit.run("fit", [*SMALL, *LAYERS, *paths, *start, f"--trainer.default_root_dir={run}"])
    assert not (run / "checkpoints").exists()


def test_held_weights_stand_still(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = corpus(tmp_path, train=slice(0, 2), dev=slice(4, 6))
    fit.run(
        "fit",
        [
            *SMALL, *LAYERS, f"--data.root={folder}",
            f"--trainer.default_root_dir={folder / 'run'}", "--data.train=train.jsonl",
            "--data.dev=dev.jsonl", f"--model.init_from={tiny_bundle}",
            "--model.freeze.layers=1", "--model.freeze.epochs=2", "--trainer.max_epochs=2",
            "--trainer.limit_val_batches=0",
        ],
    )  # fmt: skip
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    start = InitialWeights.read(tiny_bundle).model
    held = {name for name, weight in start.named_parameters()} - {
        name
        for name, weight in start.named_parameters()
        if not torch.equal(weight, last["state_dict"][f"network.{name}"])
    }
    assert {name.split(".")[0] for name in held} == {"subsampling", "recurrent"}
    assert not any(name.startswith(("recurrent.layers.1", "recurrent.norms.1")) for name in held)
    assert sum(name.startswith("recurrent.layers.0") for name in held) == 8
