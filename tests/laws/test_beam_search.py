"""Law 7 for the beam search: with beams that nothing falls out of it is brute force."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr.decoding import BeamSearch, BeamSettings, NGram, Path
from asr.decoding.commonness import log_shares
from asr.decoding.ngram import NO_KEY, Kind
from asr.text import CharacterTokenizer, SubwordTokenizer, Tokenizer

FEW = settings(max_examples=30, deadline=None, derandomize=True)
TOLERANCE = 1e-3
TOKENIZERS: list[Tokenizer] = [
    CharacterTokenizer(" a"),
    CharacterTokenizer(" ab"),
    SubwordTokenizer.learn(["a aa"], 4),  # ▁a, ▁, a
    SubwordTokenizer.learn(["a b ab"], 4),  # ▁, a, b
]
WORDS = ("a", "b", "ab", "ba", "aba")
PHRASES = ("a", "aa", "b", "ab", "a a", "b ab", "aba a")

Entries = dict[tuple[int, ...], tuple[float, float]]
"""Score and back-off of every n-gram of a model, by its words."""


@dataclass(frozen=True)
class Model:
    """An n-gram model twice: as a dictionary to look up one by one, and as the search has it."""

    entries: Entries
    ngram: NGram

    def log_prob(self, history: tuple[int, ...], word: int) -> float:
        """Back-off as the ARPA format defines it."""
        if (*history, word) in self.entries:
            return self.entries[*history, word][0]
        backoff = self.entries[history][1] if history in self.entries else 0.0
        return backoff + self.log_prob(history[1:], word)

    def sentence(self, words: Sequence[int]) -> float:
        """Of the words and the end of the sentence."""
        row = (self.ngram.bos, *words, self.ngram.eos)
        order = self.ngram.order
        return sum(
            self.log_prob(row[max(0, place - order + 1) : place], row[place])
            for place in range(1, len(row))
        )


@st.composite
def models(draw: st.DrawFn, kind: Kind, items: Sequence[str]) -> Model:
    """Models of order 1 to 3 over items, with arbitrary n-grams and scores."""
    vocabulary = ("<unk>", *items, "<s>", "</s>")
    number = st.sampled_from([-0.25, -0.5, -1.0, -2.0, -4.0])
    entries: Entries = {(word,): (draw(number), draw(number)) for word in range(len(vocabulary))}
    levels = [sorted(entries)]
    for _ in range(draw(st.integers(0, 2))):
        longer = [(*entry, word) for entry in levels[-1] for word in range(len(vocabulary))]
        chosen = draw(st.sets(st.sampled_from(longer), min_size=1, max_size=8))
        entries |= {entry: (draw(number), draw(number)) for entry in chosen}
        levels.append(sorted(chosen))
    order = [entry for level in levels for entry in level]
    state = {entry: place + 1 for place, entry in enumerate(order)} | {(): 0}
    keys = [state[entry[:-1]] * len(vocabulary) + entry[-1] for entry in order]
    contexts = [entry for level in levels[:-1] for entry in level] if len(levels) > 1 else []
    ngram = NGram.build(
        kind,
        vocabulary,
        [len(level) for level in levels],
        (
            torch.tensor([*keys, NO_KEY]),
            torch.tensor([entries[entry][0] for entry in order]),
            torch.tensor([0.0, *(entries[entry][1] for entry in contexts)]),
        ),
    )
    return Model(entries, ngram)


@dataclass(frozen=True)
class Case:
    """Utterances, and what is known of their language."""

    tokenizer: Tokenizer
    utterances: list[list[list[float]]]
    """`[utterance][frame][unit]` log-probabilities."""
    settings: BeamSettings
    model: Model | None
    hotwords: list[str]

    def language(self, units: tuple[int, ...]) -> float:
        """What a row of units earns besides its acoustic score."""
        spans = [(first, end) for _, first, end in self.tokenizer.word_spans(units)]
        earned = 0.0
        for phrase in self.hotwords:
            row = tuple(self.tokenizer.encode(phrase))
            found = [
                first
                for first, _ in spans
                if units[first : first + len(row)] == row
                and first + len(row) in [end for _, end in spans]
            ]
            words = [tuple(self.tokenizer.encode(word)) for word in phrase.split()]
            unknown = sum(word not in self.words for word in words) if self.words is not None else 0
            earned += len(found) * self.settings.hotword_boost * len(phrase.replace(" ", ""))
            earned += len(found) * self.settings.unknown_price * unknown
        if self.model is None:
            return earned
        if self.words is not None:
            items = [self.words.get(units[first:end], 0) for first, end in spans]
            earned -= self.settings.unknown_price * items.count(0)
        else:
            items = list(units)
        earned += self.settings.word_bonus * len(items)
        return earned + self.settings.lm_weight * self.model.sentence(items)

    @property
    def words(self) -> dict[tuple[int, ...], int] | None:
        """Ids of the words that a word model knows, each spelled as the tokenizer would."""
        if self.model is None or self.model.ngram.kind == "units":
            return None
        known = enumerate(self.model.ngram.vocabulary[1:-2], start=1)
        return {
            tuple(self.tokenizer.encode(word)): id
            for id, word in known
            if not self.tokenizer.unknown(word)
        }

    def lattices(self) -> tuple[Tensor, Tensor]:
        """`(B, U, V)` log-probabilities, garbage behind the `(B,)` lengths."""
        lengths = [len(frames) for frames in self.utterances]
        log_probs = torch.full((len(lengths), max(lengths), self.tokenizer.n_units), math.nan)
        for row, frames in zip(log_probs, self.utterances, strict=True):
            row[: len(frames)] = torch.tensor(frames).view(-1, self.tokenizer.n_units)
        return log_probs, torch.tensor(lengths)


@st.composite
def cases(draw: st.DrawFn, kind: Kind | None, hot: bool) -> Case:
    tokenizer = draw(st.sampled_from(TOKENIZERS))
    model = None
    if kind == "words":
        words = {"a", *draw(st.sets(st.sampled_from(WORDS)))}
        model = draw(models(kind, sorted(words)))
    elif kind == "units":
        model = draw(models(kind, tokenizer.spellings[1:]))
    spellable = [phrase for phrase in PHRASES if not tokenizer.unknown(phrase)]
    hotwords = st.lists(st.sampled_from(spellable), min_size=1, max_size=3, unique=True)
    n_units = tokenizer.n_units
    number = st.sampled_from([-0.25, -0.5, -1.0, -2.0, -8.0])
    frame = st.lists(number, min_size=n_units, max_size=n_units)
    longest = draw(st.sampled_from([2, 3, 4, 6]))
    return Case(
        tokenizer=tokenizer,
        utterances=draw(st.lists(st.lists(frame, max_size=longest), min_size=1, max_size=3)),
        settings=BeamSettings(
            size=sum((n_units - 1) ** length for length in range(longest + 1)),
            choices=n_units - 1,
            reach=10_000.0,
            blank_skip=1.0,
            lm_weight=draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])),
            word_bonus=draw(st.sampled_from([-1.0, 0.0, 1.5])),
            unknown_price=draw(st.sampled_from([0.0, 1.0, 6.0])),
            prior_weight=draw(st.sampled_from([0.0, 0.5])),
            hotword_boost=draw(st.sampled_from([0.0, 0.5, 2.0])),
        ),
        model=model,
        hotwords=draw(hotwords) if hot else [],
    )


def brute_force(case: Case, frames: list[list[float]]) -> dict[str, Path]:
    """The best row of units of every text that any path spells."""
    common = [0.0] * case.tokenizer.n_units
    if case.model is not None:
        common = log_shares(case.tokenizer, case.model.ngram).tolist()
    own = [case.settings.prior_weight * share for share in common]
    masses: dict[tuple[int, ...], list[float]] = {}
    for path in product(range(case.tokenizer.n_units), repeat=len(frames)):
        units = tuple(unit for unit, _ in groupby(path) if unit)
        score = sum(scores[unit] - own[unit] for scores, unit in zip(frames, path, strict=True))
        masses.setdefault(units, []).append(score)
    best: dict[str, Path] = {}
    for units, scores in masses.items():
        acoustic = math.log(math.fsum(map(math.exp, scores)))
        language = case.language(units)
        text = case.tokenizer.decode(units)
        if text not in best or acoustic + language > best[text].score:
            best[text] = Path(units, acoustic + language, acoustic, language)
    return best


@pytest.mark.parametrize("hot", [False, True], ids=["", "hot words"])
@pytest.mark.parametrize("kind", [None, "words", "units"])
@FEW
@given(data=st.data())
def test_beam_search_is_brute_force(kind: Kind | None, hot: bool, data: st.DataObject) -> None:
    case = data.draw(cases(kind, hot))
    search = BeamSearch(case.tokenizer, case.model and case.model.ngram)

    found = search(*case.lattices(), case.settings, case.hotwords, nbest=2_000)

    for frames, paths in zip(case.utterances, found, strict=True):
        expected = brute_force(case, frames)
        read = {case.tokenizer.decode(path.units): path for path in paths}
        assert read.keys() == expected.keys()
        for text, path in read.items():
            assert path.score == pytest.approx(expected[text].score, abs=TOLERANCE)
            assert path.score == pytest.approx(path.acoustic + path.language, abs=TOLERANCE)
            assert path.language == pytest.approx(case.language(path.units), abs=TOLERANCE)
        scores = [path.score for path in paths]
        assert scores == sorted(scores, reverse=True)
    for paths, best in zip(
        found, search(*case.lattices(), case.settings, case.hotwords), strict=True
    ):
        assert [path.score for path in best] == [paths[0].score]
