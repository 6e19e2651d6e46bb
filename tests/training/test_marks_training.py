"""`asr fit` with `task: punctuation`: models of marks and capitals, and their way to a bundle."""

import json
import lzma
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import asr
from random_marks import random_checkpoint
from typer.testing import CliRunner

from asr.bundle import Bundle
from asr.cli.app import app
from asr.errors import BadBundle, BadData, BadOption
from asr.export import export
from asr.punctuation.marks import COMMA, NONE, QUESTION, STOP
from asr.runtime import Recognizer
from asr.training.checkpoint import PunctuationCheckpoint
from asr.training.command import fit, plan
from asr.training.punctuation.module import PunctuationTraining
from asr.training.punctuation.texts import (
    ENDED,
    WITHIN,
    Vocabulary,
    mixed_forms,
    plain_text,
    spoken_text,
    written_text,
)
from asr.training.punctuation.windows import Drawer

ROOT = Path(__file__).parents[2]
NAMES = ("John", "Mary", "McDonald", "Ann")
VERBS = ("runs", "sleeps", "sings")
SPOKEN = {
    "id": "a",
    "written": "When Ann runs, Mary sings.",
    "times": [[0.0, 0.2], [0.3, 0.5], [0.5, 0.9], [1.5, 1.9], [1.9, 2.4]],
}


def sentences(count: int) -> list[str]:
    """Sentences of a small grammar, whose marks and capitals follow from their words."""
    made = []
    for at in range(count):
        one, other = NAMES[at % 4], NAMES[at // 4 % 4]
        verb, second = VERBS[at % 3], VERBS[at // 3 % 3]
        made.append(
            (
                f"When {one} {verb}, {other} {second}.",
                f"Does {one} know who {verb}?",
                f"The old man says that {one} {verb}.",
            )[at * 7 % 3]
        )
    return made


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a written text, the same as plain sentences, and speech."""
    folder = tmp_path_factory.mktemp("texts")
    lines = [" ".join(sentences(600)[at : at + 6]) for at in range(0, 600, 6)]
    (folder / "book.txt").write_text("\n".join(lines) + "\n")
    with lzma.open(folder / "plain.txt.xz", "wt") as file:
        file.write("".join(f"{line.strip('.?').upper()}\n" for line in sentences(90)))
    lines = [json.dumps({**SPOKEN, "id": str(number)}) for number in range(20)]
    (folder / "spoken.jsonl").write_text("\n".join(lines))
    return folder


def arguments(corpus: Path, run: Path, **keys: str) -> list[str]:
    given = {
        "task": "punctuation",
        "model.network.rows": "256",
        "model.network.width": "8",
        "model.network.hidden": "8",
        "model.network.layers": "1",
        "model.network.dropout": "0",
        "model.average": "0",
        "data.root": str(corpus),
        "data.texts": json.dumps([{"file": "book.txt"}]),
        "data.batch_words": "256",
        "data.longest": "32",
        "data.epoch_words": "512",
        "trainer.default_root_dir": str(run),
        "trainer.accelerator": "cpu",
        "trainer.max_epochs": "2",
        "trainer.limit_val_batches": "1",
        "trainer.num_sanity_val_steps": "0",
        "trainer.enable_progress_bar": "false",
        "trainer.enable_model_summary": "false",
        **keys,
    }
    return [f"--{key}={value}" for key, value in given.items()]


def fitted(corpus: Path, run: Path, **keys: str) -> dict[str, Any]:
    """`last.ckpt` of a run."""
    fit.run("fit", arguments(corpus, run, **keys))
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.fixture(scope="module")
def learnt(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a model that has learnt the small grammar."""
    run = tmp_path_factory.mktemp("runs") / "learnt"
    keys = {"data.epoch_words": "40000", "model.optimizer.learning_rate": "1e-2"}
    fitted(corpus, run, **keys, **{"trainer.limit_val_batches": "1.0", "model.average": "0.1"})
    return run


@pytest.fixture(scope="module")
def bundle(learnt: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with that model, put there as a user would."""
    folder = tmp_path_factory.mktemp("written") / "bundle"
    export(tiny_checkpoint, folder)
    checkpoint = learnt / "checkpoints" / "best.ckpt"
    added = CliRunner().invoke(app, ["punctuation", "add", str(folder), str(checkpoint)])
    assert added.exit_code == 0, added.output
    return folder


@pytest.mark.slow
def test_a_small_grammar_is_learnt(learnt: Path, bundle: Path, corpus: Path) -> None:
    rows = (learnt / "csv" / "version_0" / "metrics.csv").read_text().splitlines()
    assert rows and (learnt / "run.json").is_file() and (learnt / "config.yaml").is_file()
    assert "book.txt" in json.loads((learnt / "run.json").read_text())["sessions"][0]["data"]
    scored = asr(
        "evaluate", str(corpus / "book.txt"), "--written", "--last", "0.05", "--bundle", str(bundle)
    )
    assert scored.returncode == 0, scored.stderr
    table = {line[:18].strip(): line.split() for line in scored.stdout.splitlines()[2:]}
    for name in ("full stop", "comma", "question mark", "sentence starts", "inside sentences"):
        assert float(table[name][-1]) > 95, scored.stdout
    punctuator = Recognizer.load(bundle).punctuator
    assert punctuator is not None and punctuator.forms == {"mcdonald": "McDonald"}
    assert Bundle.open(bundle).info.punctuation["words"] > 2_000  # type: ignore[index]
    assert "marks and capitals" in (bundle / "README.md").read_text()


@pytest.mark.slow
def test_its_run_has_a_page(learnt: Path, tmp_path: Path) -> None:
    done = asr("report", learnt, "--out", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for said in ("F1 of marks", "full stops", "Least loss", "Data: book.txt", "finished"):
        assert said in page
    assert page.count("<svg") == 4  # losses, marks, learning rate, norm of the gradient


@pytest.mark.slow
@pytest.mark.parametrize("last", [3, 4, 6])  # steps before it breaks: within an epoch, at its end
def test_a_resumed_run_ends_in_the_same_weights(
    last: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"data.epoch_words": "1024", "model.network.dropout": "0.3", "saving.every_steps": "3"}
    whole = fitted(corpus, tmp_path / "whole", **keys)  # two epochs of four steps
    step = PunctuationTraining.training_step

    def breaks(self: PunctuationTraining, *batch: Any) -> Any:
        if self.trainer.global_step == last:
            raise RuntimeError("the power fails")
        return step(self, *batch)

    run = tmp_path / "parts"
    with monkeypatch.context() as patch:
        patch.setattr(PunctuationTraining, "training_step", breaks)
        with pytest.raises(RuntimeError, match="the power fails"):
            fitted(corpus, run, **keys)
    fit.run("fit", fit.resume_arguments(run))
    parts = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert whole["global_step"] == parts["global_step"] == 8
    one, other = whole["state_dict"], parts["state_dict"]
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["punctuation", "punctuation_en"])
def test_the_recipes_train(name: str, corpus: Path, tmp_path: Path) -> None:
    """As they are, but for the texts, the sizes and the number of steps."""
    small = ("data.root", "data.texts", "model.network.rows", "model.network.hidden", "trainer.")
    kept = [one for one in arguments(corpus, tmp_path / "run") if one[2:].startswith(small)]
    config = ROOT / "configs" / f"{name}.yaml"
    spoken = [f"--data.spoken.file={corpus / 'spoken.jsonl'}"] if name == "punctuation_en" else []
    words = ["--data.epoch_words=8192", "--trainer.max_epochs=1"]
    fit.run("fit", ["--config", str(config), *kept, *spoken, *words])
    PunctuationCheckpoint.read(tmp_path / "run" / "checkpoints" / "best.ckpt")


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_every_cell_comes_to_a_bundle(
    cell: str, corpus: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    fitted(corpus, tmp_path / "run", **{"model.network.cell": cell})
    export(tiny_checkpoint, tmp_path / "bundle")
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    added = CliRunner().invoke(
        app, ["punctuation", "add", str(tmp_path / "bundle"), str(checkpoint)]
    )
    assert added.exit_code == 0, added.output
    assert Recognizer.load(tmp_path / "bundle").punctuator is not None


# Key -> the value that other weights come of, and the keys beside which they do.
MISTAKES = {"data.mistakes": "0.9"}
HEARD = {"data.spoken.file": "spoken.jsonl", "data.heard": "1.0"}
WEIGHTS: dict[str, tuple[str, dict[str, str]]] = {
    "seed_everything": ("7", {}),
    "data.batch_words": ("128", {}),
    "data.epoch_words": ("1024", {}),
    "data.heard": ("0.0", HEARD),
    "data.held_out": ("0.5", {}),
    "data.longest": ("64", {}),
    "data.mistakes": ("0.0", MISTAKES),
    "data.seed": ("5", {}),
    "data.spoken.file": ("spoken.jsonl", {}),
    "data.spoken.share": ("0.9", {"data.spoken.file": "spoken.jsonl"}),
    "data.texts": (
        json.dumps([{"file": "book.txt"}, {"file": "plain.txt.xz", "plain": True, "share": 2.0}]),
        {},
    ),
    "model.average": ("0.5", {}),
    "model.network.cell": ("gru", {}),
    "model.network.dropout": ("0.4", {}),
    "model.network.hidden": ("9", {}),
    "model.network.layers": ("2", {}),
    "model.network.rows": ("200", {}),
    "model.network.width": ("9", {}),
    "model.optimizer.final": ("0.5", {}),
    "model.optimizer.learning_rate": ("2e-3", {}),
    "model.optimizer.schedule": ("one-cycle", {}),
    "model.optimizer.warmup": ("0.9", {}),
    "model.optimizer.weight_decay": ("0.5", {}),
    "model.paragraph_weight": ("2.0", {}),
}
ELSEWHERE = {"task", "data.root", "data.sources"}


@cache
def keys() -> set[str]:
    return {
        key
        for key in plan.keys("punctuation")
        if key.startswith(("data.", "model.", "seed_everything", "task"))
    }


def test_every_key_is_spoken_for() -> None:
    groups = {key for key in keys() if any(other.startswith(f"{key}.") for other in keys())}
    assert keys() - groups == set(WEIGHTS) - groups | ELSEWHERE


@pytest.fixture(scope="module")
def trained(
    corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., dict[str, Any]]:
    @cache
    def train(given: tuple[tuple[str, str], ...]) -> dict[str, Any]:
        return fitted(corpus, tmp_path_factory.mktemp("run") / "run", **dict(given))

    return lambda **given: train(tuple(sorted(given.items())))


@pytest.mark.slow  # all of them together
@pytest.mark.parametrize("key", WEIGHTS)
def test_a_key_changes_what_is_learnt(key: str, trained: Callable[..., dict[str, Any]]) -> None:
    value, beside = WEIGHTS[key]
    one = trained(**beside)["state_dict"]
    other = trained(**{**beside, key: value})["state_dict"]
    assert one.keys() != other.keys() or any(
        not torch.equal(one[name], other[name]) for name in one
    )


@pytest.mark.parametrize(
    ("keys", "error", "said"),
    [
        ({"data.texts": "null"}, BadOption, "names no text"),
        ({"data.texts": '[{"file": "gone.txt"}]'}, BadData, "cannot be read"),
        ({"data.texts": '[{"file": "spoken.jsonl", "share": 0}]'}, BadOption, "above 0"),
        ({"data.spoken.file": "book.txt"}, BadData, "asr punctuation listen"),
        ({"data.held_out": "0"}, BadOption, "held_out"),
        ({"data.longest": "4"}, BadOption, "longest"),
        ({"model.network.rows": "1"}, BadOption, "at least 2 rows"),
        ({"model.network.cell": "xlstm"}, BadOption, "cell"),
        ({"data.train": "x"}, BadOption, "there is no key"),
        ({"task": "translation"}, BadOption, "task"),
    ],
)
def test_a_config_that_cannot_be_is_refused(
    keys: dict[str, str], error: type[Exception], said: str, corpus: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        fit.run("fit", arguments(corpus, tmp_path / "run", **keys))


def test_checkpoints_of_the_other_kind_are_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="task: punctuation"):
        PunctuationCheckpoint.read(tiny_checkpoint)
    with pytest.raises(BadBundle, match="asr punctuation add"):
        export(random_checkpoint(tmp_path / "marks.ckpt"), tmp_path / "out")


def test_texts_become_arrays() -> None:
    vocabulary = Vocabulary()
    lines = ["Yes, Ann. In 1862 he ran.", "MY HEADING IS HERE", "McDonald and McDonald? So"]
    text = written_text(lines, vocabulary, apart=False)
    assert text.marks.tolist() == [COMMA, STOP, NONE, NONE, STOP, NONE, NONE, QUESTION, NONE]
    assert text.cases.tolist() == [1, 1, 1, 0, 0, 3, 0, 3, 1]
    assert text.paragraphs.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert text.ends.tolist() == [3, 3, 3, 9, 9, 9, 9, 9, 9]
    assert mixed_forms([text]) == {"mcdonald": "McDonald"}
    plain = plain_text(["HE RAN", "MC DONALD"], vocabulary, [])
    assert plain.marks.tolist() == [WITHIN, ENDED, WITHIN, ENDED]
    assert (plain.cases == -1).all() and (plain.paragraphs == -1).all()


def test_sentences_that_are_held_out_are_left_out() -> None:
    vocabulary = Vocabulary()
    held = written_text(["It was the best of times, it was the worst."], vocabulary, apart=False)
    lines = ["it was the best of times it was", "another one stays here as it is"]
    kept = plain_text(lines, vocabulary, [held])
    assert len(kept) == 7


def test_windows_lie_within_stretches(corpus: Path) -> None:
    vocabulary = Vocabulary()
    lines = [f"{line} 1862" for line in sentences(200)]
    texts = [written_text(lines, vocabulary, apart=True)]
    spoken, ids = spoken_text(corpus / "spoken.jsonl", vocabulary)
    assert len(ids) == 20 and spoken.sound is not None
    drawer = Drawer([*texts, spoken], [0.5, 0.5], vocabulary.pieces(64), 512, 24, 0.2, 1.0)
    for seed in range(30):
        drawn = drawer.draw(np.random.default_rng(seed))
        again = drawer.draw(np.random.default_rng(seed))
        assert torch.equal(drawn.pieces, again.pieces) and torch.equal(drawn.sound, again.sound)
        for row, length in enumerate(drawn.lengths.tolist()):
            assert 1 <= length <= 24
            ends = drawn.marks[row, :length]
            assert int(((ends == STOP) | (ends == QUESTION)).sum()) <= 1  # one sentence a stretch
            assert (drawn.marks[row, length:] == -1).all()
            assert (drawn.sound[row, length - 1, :2] == 0).all()
