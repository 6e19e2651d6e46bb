"""Two heads on one encoder: letters, and the phones of a lexicon."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import TRAIN, fit_here

from asr.audio import load
from asr.bundle import Bundle, put_lexicon
from asr.cli import data, lm
from asr.cli import lexicon as pronunciations
from asr.errors import BadData, BadOption
from asr.export import export
from asr.runtime import Recognizer
from asr.text import PhoneTokenizer, normalise
from asr.text.pronunciations import Pronunciations
from asr.training.checkpoint import Checkpoint

pytestmark = pytest.mark.slow

PHONES = ("a", "e", "i", "o", "u", "t")


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words of the ten clips, as if they were said by their vowels and a "t"."""
    lines = (TRAIN / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    words = {word for line in lines for word in normalise(json.loads(line)["text"]).split()}
    rows = [f"{word}\t{' '.join(c for c in word if c in 'aeiou') or 't'}\n" for word in words]
    path = tmp_path_factory.mktemp("lexicon") / "lexicon.tsv"
    path.write_text("".join(sorted(rows)), encoding="utf-8")
    return path


def options(lexicon: Path) -> list[str]:
    units = json.dumps({"kind": "phones", "phones": PHONES})
    return [f"--data.units={units}", f"--data.lexicon={lexicon}", "--model.middle_layer=1"]


@pytest.fixture(scope="module")
def run(lexicon: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "phones"
    share = json.dumps([{"manifest": "manifest.jsonl", "share": 0.5, "synthetic": True}])
    fit_here(
        folder,
        *options(lexicon),
        f"--data.shares={share}",
        "--trainer.max_epochs=2",
        "--trainer.log_every_n_steps=1",
    )
    return folder


def test_both_heads_learn_and_phone_errors_choose_the_best(run: Path) -> None:
    rows = (run / "csv" / "version_0" / "metrics.csv").read_text(encoding="utf-8")
    assert "val/per" in rows.splitlines()[0] and "train/phone_loss" in rows.splitlines()[0]
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert any("val/per" in str(state) for state in best["callbacks"].values())


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle") / "phones"
    return export(run / "checkpoints" / "last.ckpt", folder, "fp32")


def test_a_bundle_reads_as_its_checkpoint_does(run: Path, bundle: Bundle) -> None:
    trained = Checkpoint.read(run / "checkpoints" / "last.ckpt")

    assert isinstance(bundle.tokenizer, PhoneTokenizer)
    assert bundle.tokenizer.phones == PHONES
    audio = load(
        TRAIN / json.loads((TRAIN / "manifest.jsonl").read_text().splitlines()[0])["audio"]
    )
    (lattice,) = Recognizer.load(bundle.path).lattices([audio])
    letters = bundle.tokenizer.n_units
    assert lattice.shape[1] == letters + bundle.tokenizer.n_phones
    totals = np.exp(lattice)
    assert np.allclose(totals[:, :letters].sum(1), 1.0, atol=1e-4)
    assert np.allclose(totals[:, letters:].sum(1), 1.0, atol=1e-4)
    torch_probs, _ = Bundle.open(bundle.path).acoustic_model()(
        torch.from_numpy(audio.samples)[None], torch.tensor([len(audio.samples)])
    )
    assert np.abs(lattice - torch_probs[0].detach().numpy()).max() < 1e-3
    assert trained.tokenizer.state() == bundle.tokenizer.state()


def test_a_beam_reads_phones_and_writes_the_words_of_a_lexicon(
    bundle: Bundle, lexicon: Path, tmp_path: Path
) -> None:
    """The tiny model hears nothing rightly, but what it writes are words that the lexicon has."""
    shutil.copytree(bundle.path, tmp_path / "bundle")
    text = tmp_path / "text.txt"
    words = Pronunciations.load(lexicon).words
    text.write_text("\n".join([*words, *reversed(words)]), encoding="utf-8")
    lm.build(text, tmp_path / "lm.npz")
    put_lexicon(tmp_path / "bundle", Pronunciations.load(lexicon))
    lm.add(tmp_path / "lm.npz", tmp_path / "bundle")
    recognizer = Recognizer.load(tmp_path / "bundle")
    clip = next(TRAIN.glob("*.opus"))

    by_sound = recognizer.transcribe(clip, beam_size=8, prior_weight=0.0, word_bonus=5.0)
    by_letters = recognizer.transcribe(clip, decoder="greedy")

    known = Pronunciations.load(lexicon)
    assert by_sound.words and all(word.text in known for word in by_sound.words)
    assert all(
        0 <= word.start < word.end <= by_sound.duration and 0 <= word.confidence <= 1
        for word in by_sound.words
    )
    assert by_letters.text == recognizer.transcribe([clip], decoder="greedy")[0].text


def test_a_lexicon_and_a_model_are_added_for_words_that_have_no_pronunciation(
    bundle: Bundle, lexicon: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle.path, folder)
    pronunciations.train([lexicon], tmp_path / "g2p.npz", order=3)
    text = tmp_path / "text.txt"
    text.write_text("\n".join([*Pronunciations.load(lexicon).words, "tatu"] * 2), encoding="utf-8")
    lm.build(text, tmp_path / "lm.npz")
    own = tmp_path / "own.tsv"
    own.write_text("a\tt o t\n", encoding="utf-8")

    pronunciations.add([own, lexicon], folder, tmp_path / "g2p.npz", "made up for a test")
    before = Pronunciations.load_saved(folder / "lexicon.txt")
    lm.add(tmp_path / "lm.npz", folder)
    after = Pronunciations.load_saved(folder / "lexicon.txt")

    assert "tatu" not in before and after["tatu"]
    assert after["a"] == before["a"] == (("t", "o", "t"),)
    assert after == Pronunciations.load(folder / "lexicon.txt", PHONES)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"a lexicon of {len(after)} words with {len(after)} pronunciations" in card
    assert "Pronunciations: made up for a test." in card
    assert f"{len(before)} words with pronunciations, " in capsys.readouterr().out
    own.write_text("Tatoú\tt a t u\nnowhere\tt o\n", encoding="utf-8")
    pronunciations.add([own], folder)
    assert Pronunciations.load_saved(folder / "lexicon.txt")["tatou"] == (("t", "a", "t", "u"),)
    assert "not in the language model: tatou, nowhere. " in capsys.readouterr().err
    recognizer = Recognizer.load(folder)
    clip = next(TRAIN.glob("*.opus"))
    hot = recognizer.transcribe(clip, hotwords=["otatu"], hotword_boost=10.0, prior_weight=0.0)
    assert "otatu" in hot.text.split()
    with pytest.raises(BadOption, match="cannot spell"):
        recognizer.transcribe(clip, hotwords=["Łódź"])
    with pytest.raises(BadOption, match="there is nothing to add"):
        pronunciations.add(None, folder)
    own.write_text("a\tX\n", encoding="utf-8")
    with pytest.raises(BadData, match="unknown phone 'X'"):
        pronunciations.add([own], folder)


def test_a_letters_model_goes_on_with_phones(
    tiny_checkpoint: Path, lexicon: Path, tmp_path: Path
) -> None:
    network = ["--model.network.hidden=16", "--model.network.channels=4"]
    start = [f"--model.init_from={tiny_checkpoint}", *network, "--trainer.max_steps=0"]
    content = fit_here(tmp_path / "run", *options(lexicon), *start[:-1], "--trainer.max_steps=1")

    assert content["state_dict"]["network.phone_head.weight"].shape[0] == len(PHONES) + 2


def test_a_model_says_which_pronunciation_it_hears(
    bundle: Bundle, lexicon: Path, tmp_path: Path
) -> None:
    both = tmp_path / "both.tsv"
    both.write_text(
        "".join(f"{row}\n{row.split()[0]}\tt\n" for row in lexicon.read_text().splitlines())
    )
    out = tmp_path / "said.jsonl"

    data.pronounce(TRAIN / "manifest.jsonl", out, both, bundle.path)

    ways = Pronunciations.load(both)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 10
    for line in lines:
        said = [tuple(word.split()) for word in line["phones"].split("|")]
        words = normalise(line["text"]).split()
        assert all(way in ways[word] for way, word in zip(said, words, strict=True))
    content = fit_here(
        tmp_path / "run",
        options(lexicon)[0],
        f"--data.lexicon={lexicon}",
        f"--data.train={out}",
        f"--data.dev={out}",
        "--trainer.max_steps=1",
    )
    assert "network.phone_head.weight" in content["state_dict"]


def test_a_bundle_lends_its_lexicon(bundle: Bundle, lexicon: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle.path, tmp_path / "bundle"))
    units, _, middle = options(lexicon)
    with pytest.raises(BadOption, match=r"need data\.lexicon"):
        fit_here(tmp_path / "none", units, f"--data.lexicon={folder}")
    with pytest.raises(BadOption, match="has no lexicon"):
        data.pronounce(TRAIN / "manifest.jsonl", tmp_path / "said.jsonl", bundle=folder)
    put_lexicon(folder, Pronunciations.load(lexicon))
    data.pronounce(TRAIN / "manifest.jsonl", tmp_path / "said.jsonl", bundle=folder)
    assert (tmp_path / "said.jsonl").read_text(encoding="utf-8").count('"phones"') == 10
    lent = fit_here(
        tmp_path / "run", units, middle, f"--data.lexicon={folder}", "--trainer.max_steps=1"
    )
    assert "network.phone_head.weight" in lent["state_dict"]
    with pytest.raises(BadOption, match="in other phones"):
        fit_here(tmp_path / "others", "--data.units.kind=phones", f"--data.lexicon={folder}")


def test_settings_that_do_not_fit_are_refused(lexicon: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"need data\.lexicon"):
        fit_here(tmp_path / "a", options(lexicon)[0])
    with pytest.raises(BadOption, match=r"data\.lexicon has no effect"):
        fit_here(tmp_path / "b", options(lexicon)[1])
    with pytest.raises(BadOption, match=r"leave a share to data\.train"):
        share = json.dumps([{"manifest": "manifest.jsonl", "share": 0.5}] * 2)
        fit_here(tmp_path / "c", f"--data.shares={share}")
    short = tmp_path / "short.tsv"
    short.write_text("but\tu t\n", encoding="utf-8")
    with pytest.raises(BadData, match=r"the lexicon does not have .*weren't"):
        fit_here(tmp_path / "d", options(lexicon)[0], f"--data.lexicon={short}")
