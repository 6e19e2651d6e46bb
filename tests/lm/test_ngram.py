"""The arrays of an n-gram model against a dictionary, and its file."""

import io
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngrams import Dictionary, estimated, quiet, silent

from asr.decoding.beam import BeamSearch
from asr.errors import BadData, BadOption
from asr.lm import NGram, read_ngram, write_ngram
from asr.lm.estimation import Estimate, fitted, largest, losses
from asr.lm.file_format import packed
from asr.text import CharacterTokenizer

SENTENCES = st.lists(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=8).map(" ".join), min_size=1, max_size=12
)


def pruned(found: Estimate, share: float) -> NGram:
    """The model with a share of its n-grams."""
    loss = losses(found.model, found.history, quiet)
    return largest(found.model, loss, int(share * len(loss)))


def chain(model: NGram, words: list[str]) -> list[float]:
    """Scores of the words of a sentence, one after the other."""
    state = np.array([model.start])
    scores = []
    for word in words:
        known = model.vocabulary.index(word) if word in model.vocabulary else 0
        score, state = model.score(state, np.array([known]))
        scores.append(score.item())
    return scores


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    SENTENCES,
    st.integers(1, 4),
    st.integers(0, 2),
    st.floats(0.2, 1.0),
    st.lists(st.sampled_from(["a", "b", "c", "d", "z", "</s>"]), max_size=12),
)
def test_scores_are_those_of_a_dictionary(
    sentences: list[str], order: int, cutoff: int, share: float, words: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        model = pruned(estimated(Path(name), sentences, order, [0, cutoff]), share)
        reference = Dictionary.of(model, Path(name))
    history = ("<s>",)
    for word, score in zip(words, chain(model, words), strict=True):
        assert score == pytest.approx(reference.score(history[-order:], word), abs=2e-4)
        history = (*history, word)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(SENTENCES, st.integers(1, 4), st.integers(0, 2), st.floats(0.2, 1.0))
def test_every_context_sums_to_1_before_pruning_and_after(
    sentences: list[str], order: int, cutoff: int, share: float
) -> None:
    with tempfile.TemporaryDirectory() as name:
        found = estimated(Path(name), sentences, order, [0, cutoff])
        for model in (found.model, pruned(found, share)):
            reference = Dictionary.of(model, Path(name))
            vocabulary = [word for word in model.vocabulary if word != "<s>"]
            for context in reference.contexts():
                total = sum(math.exp(reference.score(context, word)) for word in vocabulary)
                assert total == pytest.approx(1.0, abs=1e-4), context


def test_questions_are_answered_alone_as_together(tmp_path: Path) -> None:
    model = estimated(tmp_path, ["a b c a b", "b a c c", "c a"], 3).model
    states, words = np.divmod(np.arange(6 * len(model.backoffs)), 6)
    scores, after = model.score(states, words)
    for row in range(len(states)):
        alone = model.score(states[row : row + 1], words[row : row + 1])
        assert (scores[row], after[row]) == (alone[0].item(), alone[1].item())


def test_a_file_holds_the_model_in_steps_of_a_tenth(tmp_path: Path) -> None:
    found = estimated(tmp_path, ["a b c a b", "b a c c", "c a", "a b c"] * 3, 4)
    write_ngram(found.model, tmp_path / "lm.npz")
    loaded = read_ngram(tmp_path / "lm.npz")
    assert (loaded.keys == found.model.keys).all()
    assert (loaded.shorter == found.model.shorter).all()
    assert (loaded.leads == found.model.leads).all()
    assert np.abs(loaded.scores - found.model.scores).max() <= 0.0501
    assert np.abs(loaded.backoffs - found.model.backoffs).max() <= 0.0501
    assert (loaded.vocabulary, loaded.sizes) == (found.model.vocabulary, found.model.sizes)
    again = tmp_path / "again.npz"
    write_ngram(loaded, again)
    assert again.read_bytes() == (tmp_path / "lm.npz").read_bytes()


def test_start_leads_like_the_first_word(tmp_path: Path) -> None:
    model = estimated(tmp_path, ["a b", "a c", "b a"], 2).model
    assert model.start == model.bos + 1
    assert estimated(tmp_path, ["a b"], 1).model.start == 0
    assert model.unigram.shape == (len(model.vocabulary),)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 torn", b"\\data\\\nngram 1=1\n", b"\x93NUMPY\x01\x00"]
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lm.npz"
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"lm.npz is no language model of this earshot"):
        read_ngram(path)
    with pytest.raises(BadData, match="cannot be read"):
        read_ngram(tmp_path / "missing.npz")


def test_a_torn_or_changed_file_is_refused(tmp_path: Path) -> None:
    content = packed(estimated(tmp_path, ["a b c", "b c a"], 3).model)
    path = tmp_path / "lm.npz"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadData, match="no language model"):
        read_ngram(path)
    arrays = dict(np.load(io.BytesIO(content)))
    for name in arrays:
        np.savez(path, **{key: value for key, value in arrays.items() if key != name})
        with pytest.raises(BadData, match="no language model"):
            read_ngram(path)
        np.savez(path, **(arrays | {name: arrays[name][:-1]}))
        with pytest.raises(BadData, match="no language model"):
            read_ngram(path)
    np.savez(path, **(arrays | {"words.2": arrays["words.2"] + 200}))
    with pytest.raises(BadData, match="no language model"):
        read_ngram(path)


def test_a_model_is_pruned_to_the_size_of_its_file(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    words = [f"w{number}" for number in range(60)]
    sentences = [" ".join(generator.choice(words, 8)) for _ in range(400)]
    found = estimated(tmp_path, sentences, 3)
    whole = len(packed(found.model))
    model = fitted(found, whole // 2, silent)
    assert 0.9 * (whole // 2) < len(packed(model)) <= whole // 2
    assert (fitted(found, 2 * whole, silent).keys == found.model.keys).all()
    with pytest.raises(BadOption, match=r"the words alone take 0.00 MB of 0.00"):
        fitted(found, 100, silent)


def test_a_model_of_other_units_is_refused(tmp_path: Path) -> None:
    units = CharacterTokenizer(" ab")
    over_units = estimated(tmp_path, ["a b", "ab"], 2, tokenizer=units).model
    assert over_units.vocabulary == ("<unk>", "▁", "a", "b", "<s>", "</s>")
    over_words = estimated(tmp_path, ["ab ba"], 2).model
    for model in (over_units, over_words):
        BeamSearch.by_spelling(units, model)
        with pytest.raises(BadOption, match="language model is over"):
            BeamSearch.by_spelling(CharacterTokenizer(" xyz"), model)
