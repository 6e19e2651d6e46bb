"""Estimation, compared with hand computation, the definition, and KenLM if installed."""

import gzip
import importlib.util
import itertools
import lzma
import math
import random
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngrams import Dictionary, estimated, quiet, silent

from asr.errors import BadData, BadOption
from asr.lm.arpa import read_arpa, write_arpa
from asr.lm.estimation import from_text, texts
from asr.lm.estimation.counts import count_ngrams
from asr.lm.estimation.kneser_ney import discounts
from asr.lm.estimation.perplexity import fit
from asr.lm.estimation.temporary import TemporaryArrays
from asr.text import CharacterTokenizer

ROOT = Path(__file__).parents[2]


def test_a_case_computed_by_hand(tmp_path: Path) -> None:
    """Three sentences: too few for discounts of their own, so 0.5, 1 and 1.5 are taken off.

    Different words before a: <s>, b; b: <s>, a; c: a; </s>: a, b, c; eight in all. Five words can
    follow (<unk> a b c </s>), so each has a fifth of (1 + 1 + 0.5 + 1.5) / 8 to begin with.
    """
    model = estimated(tmp_path, ["a b", "a c", "b a"], 2).model
    found = Dictionary.of(model, tmp_path)
    unigrams = {"<unk>": 0.1, "a": 0.225, "b": 0.225, "c": 0.1625, "</s>": 0.2875}
    for word, p in unigrams.items():
        assert math.exp(found.score((), word)) == pytest.approx(p, abs=1e-5)
    # After a came b, c, </s>, once each: 1.5 of 3 go to the words alone.
    assert math.exp(found.score(("a",), "b")) == pytest.approx(0.5 / 3 + 0.5 * 0.225, abs=1e-5)
    assert math.exp(found.score(("a",), "a")) == pytest.approx(0.5 * 0.225, abs=1e-5)
    # A sentence began with a twice, with b once.
    assert math.exp(found.score(("<s>",), "a")) == pytest.approx(1 / 3 + 0.5 * 0.225, abs=1e-5)
    assert math.exp(found.score(("<s>",), "b")) == pytest.approx(0.5 / 3 + 0.5 * 0.225, abs=1e-5)


def test_discounts_by_the_formula() -> None:
    counts = np.repeat([1, 2, 3, 4, 9], [40, 20, 10, 5, 3])
    y = 40 / (40 + 2 * 20)
    expected = [0, 1 - 2 * y * 20 / 40, 2 - 3 * y * 10 / 20, 3 - 4 * y * 5 / 10]
    assert discounts(counts).tolist() == pytest.approx(expected)
    assert discounts(np.array([1, 1, 2, 3])).tolist() == [0.0, 0.5, 1.0, 1.5]


def textbook(sentences: list[str], order: int) -> dict[tuple[str, ...], float]:
    """P(last word | words before) of all n-grams of the highest order, by Chen and Goodman."""
    padded = [["<s>", *sentence.split(), "</s>"] for sentence in sentences]
    grams = [
        Counter(tuple(words[i : i + n]) for words in padded for i in range(len(words) - n + 1))
        for n in range(1, order + 1)
    ]
    counts = [
        Counter(
            {
                gram: number if gram[0] == "<s>" else len({g[0] for g in longer if g[1:] == gram})
                for gram, number in level.items()
            }
        )
        for level, longer in itertools.pairwise(grams)
    ] + [grams[-1]]
    del counts[0]["<s>",]
    words = {gram[0] for gram in counts[0]} | {"<unk>"}

    def p(gram: tuple[str, ...]) -> float:
        if not gram:
            return 1 / len(words)
        level = counts[len(gram) - 1]
        cut = discounts(np.array(list(level.values())))
        same = [number for g, number in level.items() if g[:-1] == gram[:-1]]
        if not same:
            return p(gram[1:])
        seen, given = level[gram], sum(cut[min(number, 3)] for number in same)
        return float((seen - cut[min(seen, 3)] + given * p(gram[1:])) / sum(same))

    return {gram: p(gram) for gram in grams[-1]}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from("abc"), min_size=1, max_size=9).map(" ".join),
        min_size=1,
        max_size=12,
    ),
    st.integers(2, 4),
)
def test_probabilities_by_the_textbook(sentences: list[str], order: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        found = Dictionary.of(estimated(Path(name), sentences, order).model, Path(name))
    for gram, p in textbook(sentences, order).items():
        assert math.exp(found.score(gram[:-1], gram[-1])) == pytest.approx(p, rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=15),
    st.integers(1, 4),
    st.integers(1, 9),
)
def test_counting_in_blocks_gives_the_counts(
    sentences: list[list[int]], order: int, block: int
) -> None:
    size = 7  # 5 and 6 are <s> and </s>
    padded = [[5, *sentence, 6] for sentence in sentences]
    tokens = np.array([token for sentence in padded for token in sentence], np.int32)
    with tempfile.TemporaryDirectory() as name:
        levels = count_ngrams(tokens, size, order, TemporaryArrays(Path(name)), quiet, block)
        known: list[tuple[int, ...]] = [()]
        for length, level in enumerate(levels, start=1):
            grams = [(*known[key // size], key % size) for key in level.keys.tolist()]
            found = {g: n for g, n in zip(grams, level.counts.tolist(), strict=True) if n}
            assert found == Counter(
                tuple(words[i : i + length])
                for words in padded
                for i in range(len(words) - length + 1)
            )
            known = grams


def test_cutoffs_leave_rare_ngrams_out(tmp_path: Path) -> None:
    sentences = ["a b c", "a b c", "a b d", "c a"]
    model = estimated(tmp_path, sentences, 3, [0, 0, 1]).model
    found = Dictionary.of(model, tmp_path)
    trigrams = {gram for gram in found.scores if len(gram) == 3}
    assert trigrams == {("<s>", "a", "b"), ("a", "b", "c"), ("b", "c", "</s>")}
    assert ("b", "d") in found.scores


def test_rare_words_are_unknown_and_unknown_has_their_share(tmp_path: Path) -> None:
    model = estimated(tmp_path, ["a b a", "b a x", "a b y"], 2, words=None).model
    assert model.vocabulary == ("<unk>", "a", "b", "<s>", "</s>")  # x and y came once
    assert estimated(tmp_path, ["a b a", "b a x"], 2, words=1).model.vocabulary[1:-2] == ("a",)
    found = Dictionary.of(model, tmp_path)
    assert ("<unk>", "</s>") in found.scores
    assert found.score((), "<unk>") > math.log(0.1)


@pytest.mark.parametrize("suffix", [".txt", ".gz", ".xz"])
def test_texts_are_read_packed_and_in_normal_form(tmp_path: Path, suffix: str) -> None:
    content = "THE Cat's away.\r\n\r\n  \nThe “mice” play…\n".encode()
    path = tmp_path / f"text{suffix}"
    path.write_bytes({".txt": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[suffix](content))
    assert list(texts.sentences(path, quiet)) == [["the", "cat's", "away"], ["the", "mice", "play"]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"good\n\xff\xfe\n", r"line 2: not UTF-8 \(byte 0xff\); convert"),
        ("a.txt", b"good\n" + b"x" * 1_000_002, "line 2: too long"),
        ("a.txt", b"\n ... \n", "has no words"),
        ("a.txt", b"one two three", "no word of .* occurs 2 times"),
        ("a.gz", b"no gzip", "cannot be read"),
        ("a.xz", b"no xz", "cannot be read"),
        ("a.gz", gzip.compress(b"good words\n" * 9, mtime=0)[:-9], "cannot be read"),
        ("a.xz", lzma.compress(b"good words\n" * 9)[:-20], "cannot be read"),
    ],
)
def test_texts_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadData, match=message):
        from_text(tmp_path / name, 2, silent)
    with pytest.raises(BadData, match=r"missing\.txt cannot be read"):
        from_text(tmp_path / "missing.txt", 2, silent)


def test_units_that_spell_nothing_of_a_text(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no sentence that the units can spell"):
        estimated(tmp_path, ["abc", "a b"], 2, tokenizer=CharacterTokenizer(" xyz"))
    model = estimated(tmp_path, ["abc", "xz y"], 2, tokenizer=CharacterTokenizer(" xyz")).model
    assert model.sizes[0] == 7


@pytest.mark.parametrize(
    ("order", "cutoffs", "message"),
    [(0, [0], "order 0"), (11, [0], "order 11"), (3, [0, 2, 1], "fall"), (2, [-1], "negative")],
)
def test_options_that_cannot_be(
    tmp_path: Path, order: int, cutoffs: list[int], message: str
) -> None:
    with pytest.raises(BadOption, match=message):
        estimated(tmp_path, ["a b"], order, cutoffs)


def test_the_rarest_words_are_forgotten_when_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "MOST_WORDS", 50)
    path = tmp_path / "text.txt"
    path.write_text("\n".join(f"common other{number} common" for number in range(300)))
    words, _ = texts.frequent_words(path, None, 1, quiet)
    assert words[0] == "common" and len(words) <= 51


def real_sentences() -> list[str]:
    """Real text: what this project says of itself, cut after eight words a line."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    words = [
        word for page in pages for word in texts.normalise(page.read_text(encoding="utf-8")).split()
    ]
    return [" ".join(words[start : start + 8]) for start in range(0, len(words), 8)]


LMPLZ, KENLM = shutil.which("lmplz"), importlib.util.find_spec("kenlm")


@pytest.mark.skipif(LMPLZ is None, reason="KenLM's lmplz is not installed")
@pytest.mark.parametrize("order", [2, 3, 4])
def test_perplexity_is_that_of_kenlm(tmp_path: Path, order: int) -> None:
    lines = real_sentences()
    random.Random(0).shuffle(lines)
    cut = len(lines) // 10
    held, text = lines[:cut], lines[cut:]
    theirs = tmp_path / "theirs.arpa"
    subprocess.run(
        [str(LMPLZ), "-o", str(order), "--discount_fallback", "--arpa", str(theirs), "-S", "50M"],
        input="\n".join(text).encode(),
        check=True,
        capture_output=True,
    )
    ours = estimated(tmp_path, text, order, words=100_000).model
    held_text = tmp_path / "held.txt"
    held_text.write_text("\n".join(held), encoding="utf-8")
    ppl = [
        fit(model, texts.known_sentences(held_text, model, None, quiet)).perplexity_of_known
        for model in (ours, read_arpa(theirs, None, quiet))
    ]
    assert ppl[0] == pytest.approx(ppl[1], rel=0.005)


@pytest.mark.skipif(KENLM is None, reason="KenLM's Python package is not installed")
def test_kenlm_reads_our_arpa_files_as_we_do(tmp_path: Path) -> None:
    import kenlm

    lines = real_sentences()
    model = estimated(tmp_path, lines[50:], 3, words=100_000).model
    write_arpa(model, tmp_path / "ours.arpa", quiet)
    theirs = kenlm.Model(str(tmp_path / "ours.arpa"))
    for line in lines[:50]:
        held = tmp_path / "line.txt"
        held.write_text(line, encoding="utf-8")
        found = fit(model, texts.known_sentences(held, model, None, quiet)).log_probability
        assert found == pytest.approx(theirs.score(line) * math.log(10), abs=1e-2)
