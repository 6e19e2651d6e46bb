"""Guarantee 7 for the beam search: with beams that nothing falls out of it is brute force.

A hypothesis is a row of words: what the language model calls a word, or, where it has no name for
it, its units. All CTC paths that say a hypothesis count; of hypotheses with one text the best does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding.beam import BeamSearch, Spellings
from asr.lm import NGram
from asr.lm.ngram import NO_KEY, Kind
from asr.options import BeamSettings
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
EXHAUSTIVE, RECOMBINING = 10_000.0, 9_999.0  # both widths drop nothing that could matter
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
            np.array([*keys, NO_KEY]),
            np.array([entries[entry][0] for entry in order], np.float32),
            np.array([0.0, *(entries[entry][1] for entry in contexts)], np.float32),
        ),
    )
    return Model(entries, ngram)


Hypothesis = tuple[object, ...]
"""The words: an id, or the units of a word without one."""


@dataclass(frozen=True)
class Case:
    """Utterances, and what is known of their language."""

    tokenizer: Tokenizer
    utterances: list[list[list[float]]]
    """`[utterance][frame][unit]` log-probabilities."""
    settings: BeamSettings
    model: Model | None
    hotwords: list[str]

    def search(self) -> BeamSearch:
        return BeamSearch.by_spelling(self.tokenizer, self.model and self.model.ngram)

    def hypothesis(self, units: tuple[int, ...]) -> Hypothesis:
        """What a row of units says."""
        if self.model is not None and self.model.ngram.kind == "units":
            return units
        rows = [units[first:end] for _, first, end in self.tokenizer.word_spans(units)]
        return tuple(self.words.get(row, row) for row in rows)

    def language(self, units: tuple[int, ...]) -> float:
        """What a row of units earns besides its acoustic score."""
        spans = [(first, end) for _, first, end in self.tokenizer.word_spans(units)]
        rows = [units[first:end] for first, end in spans]
        earned = 0.0
        for phrase in self.hotwords:
            words = [tuple(self.tokenizer.encode(word)) for word in phrase.split()]
            found = sum(rows[place : place + len(words)] == words for place in range(len(rows)))
            unknown = sum(word not in self.words for word in words) if self.words else 0
            earned += found * self.settings.hotword_boost * len(phrase.replace(" ", ""))
            earned += found * self.settings.unknown_price * unknown
        if self.model is None:
            return earned
        if self.model.ngram.kind == "words":
            items = [self.words.get(row, 0) for row in rows]
            earned -= self.settings.unknown_price * items.count(0)
        else:
            items = list(units)
        earned += self.settings.word_bonus * len(items)
        return earned + self.settings.lm_weight * self.model.sentence(items)

    @property
    def words(self) -> dict[tuple[int, ...], int]:
        """Ids of the words that a word model knows, each spelled as the tokenizer would."""
        if self.model is None or self.model.ngram.kind == "units":
            return {}
        known = enumerate(self.model.ngram.vocabulary[1:-2], start=1)
        return {
            tuple(self.tokenizer.encode(word)): id
            for id, word in known
            if not self.tokenizer.unknown(word)
        }


def arrays(utterances: list[list[list[float]]], n_units: int) -> list[np.ndarray]:
    return [np.array(frames, dtype=np.float32).reshape(-1, n_units) for frames in utterances]


FRAME_SCORES = st.sampled_from([-0.25, -0.5, -1.0, -2.0, -8.0])


def weights(draw: st.DrawFn, size: int, n_units: int) -> BeamSettings:
    return BeamSettings(
        size=min(size, 2_048),
        choices=n_units - 1,
        reach=10_000.0,
        blank_skip=1.0,
        width=EXHAUSTIVE,
        lm_weight=draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])),
        word_bonus=draw(st.sampled_from([-1.0, 0.0, 1.5])),
        unknown_price=draw(st.sampled_from([0.0, 1.0, 6.0])),
        prior_weight=draw(st.sampled_from([0.0, 0.5])),
        hotword_boost=draw(st.sampled_from([0.0, 0.5, 2.0])),
    )


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
    frame = st.lists(FRAME_SCORES, min_size=n_units, max_size=n_units)
    longest = draw(st.sampled_from([2, 3, 4, 6]))
    return Case(
        tokenizer=tokenizer,
        utterances=draw(st.lists(st.lists(frame, max_size=longest), min_size=1, max_size=3)),
        settings=weights(draw, 2 * n_units**longest, n_units),
        model=model,
        hotwords=draw(hotwords) if hot else [],
    )


Expected = dict[str, tuple[float, float]]
"""Score and language of the best hypothesis of every text."""


def rows(frames: list[list[float]], own: list[float]) -> dict[tuple[int, ...], list[float]]:
    """Scores of all paths, by the units that they spell."""
    found: dict[tuple[int, ...], list[float]] = {}
    for path in product(range(len(own)), repeat=len(frames)):
        units = tuple(unit for unit, _ in groupby(path) if unit)
        score = sum(scores[unit] - own[unit] for scores, unit in zip(frames, path, strict=True))
        found.setdefault(units, []).append(score)
    return found


def brute_force(case: Case, frames: list[list[float]], common: list[float]) -> Expected:
    own = [case.settings.prior_weight * share for share in common]
    said: dict[Hypothesis, list[tuple[tuple[int, ...], float]]] = {}
    for units, scores in rows(frames, own).items():
        said.setdefault(case.hypothesis(units), []).extend((units, score) for score in scores)
    best: Expected = {}
    for paths in said.values():
        text = case.tokenizer.decode(paths[0][0])
        language = case.language(paths[0][0])
        total = language + math.log(math.fsum(math.exp(score) for _, score in paths))
        if text not in best or total > best[text][0]:
            best[text] = total, language
    return best


def check(search: BeamSearch, case_arrays: list[np.ndarray], settings: BeamSettings,
          hotwords: Sequence[str], expected: list[Expected]) -> None:  # fmt: skip
    """All texts have their scores; with hypotheses dropped early the first is still the best."""
    found = search(case_arrays, settings, hotwords, nbest=2_000)
    for paths, best in zip(found, expected, strict=True):
        assert {path.text for path in paths} == best.keys()
        for path in paths:
            assert path.score == pytest.approx(best[path.text][0], abs=TOLERANCE)
            assert path.language == pytest.approx(best[path.text][1], abs=TOLERANCE)
            assert path.score == pytest.approx(path.acoustic + path.language, abs=TOLERANCE)
        scores = [path.score for path in paths]
        assert scores == sorted(scores, reverse=True)
    # What is dropped early may be a space before or behind of what wins: a quarter is left.
    quick = replace(settings, width=RECOMBINING)
    firsts = search(case_arrays, quick, hotwords)
    for (first, *others), paths, best in zip(firsts, found, expected, strict=True):
        assert not others
        assert paths[0].score - math.log(4) - TOLERANCE <= first.score
        assert first.score <= best[first.text][0] + TOLERANCE
    several = search(case_arrays, quick, hotwords, nbest=3)
    assert [first for first, *_ in several] == [first for (first,) in firsts]
    for paths, best in zip(several, expected, strict=True):
        assert len({path.text for path in paths}) == len(paths) <= 3
        assert all(path.text in best for path in paths)


@pytest.mark.parametrize("hot", [False, True], ids=["", "hot words"])
@pytest.mark.parametrize("kind", [None, "words", "units"])
@FEW
@given(data=st.data())
def test_beam_search_is_brute_force(kind: Kind | None, hot: bool, data: st.DataObject) -> None:
    case = data.draw(cases(kind, hot))
    search = case.search()
    common = search.common.tolist()
    expected = [brute_force(case, frames, common) for frames in case.utterances]
    lattices = arrays(case.utterances, case.tokenizer.n_units)
    check(search, lattices, case.settings, case.hotwords, expected)


PHONES, GAP = 4, 1  # blank, gap, and two phones
SOUNDS: list[tuple[int, ...]] = [(2,), (3,), (2, 3), (3, 2), (2, 2), (3, 2, 3)]


@dataclass(frozen=True)
class Spoken:
    """Utterances in phones, and words by what they sound like."""

    utterances: list[list[list[float]]]
    sounds: list[tuple[int, tuple[int, ...]]]
    """Ids of words and their phones, in any number."""
    settings: BeamSettings
    model: Model
    hotwords: list[str]

    def hypotheses(self, units: tuple[int, ...]) -> list[tuple[tuple[int, ...], bool]]:
        """The rows of words that sound like that, and whether a last word is cut off."""
        words = [tuple(group) for gap, group in groupby(units, key=GAP.__eq__) if not gap]
        cut = bool(words) and units[-1] != GAP and words[-1] not in [s for _, s in self.sounds]
        if cut:
            last = words.pop()
            if not any(sound[: len(last)] == last for _, sound in self.sounds):
                return []
        choices = [sorted({id for id, sound in self.sounds if sound == word}) for word in words]
        return [(row, cut) for row in product(*choices)]

    def text(self, words: tuple[int, ...]) -> str:
        return " ".join(self.model.ngram.vocabulary[word] for word in words)

    def language(self, words: tuple[int, ...], cut: bool) -> float:
        earned = self.settings.lm_weight * self.model.sentence(words)
        earned += self.settings.word_bonus * len(words) - self.settings.unknown_price * cut
        names = self.text(words).split()
        for phrase in self.hotwords:
            wanted = phrase.split()
            found = sum(names[i : i + len(wanted)] == wanted for i in range(len(names)))
            earned += found * self.settings.hotword_boost * len("".join(wanted))
        return earned


@st.composite
def spoken(draw: st.DrawFn, hot: bool) -> Spoken:
    names = ["x", "yy", "zzz"]
    model = draw(models("words", names))
    sounds = draw(
        st.lists(
            st.tuples(st.integers(1, len(names)), st.sampled_from(SOUNDS)), min_size=1, max_size=6
        )
    )
    frame = st.lists(FRAME_SCORES, min_size=PHONES, max_size=PHONES)
    longest = draw(st.sampled_from([2, 3, 4, 5]))
    sounding = [names[id - 1] for id in sorted({id for id, _ in sounds})]
    phrase = st.lists(st.sampled_from(sounding), min_size=1, max_size=2).map(" ".join)
    return Spoken(
        utterances=draw(st.lists(st.lists(frame, max_size=longest), min_size=1, max_size=2)),
        sounds=sounds,
        settings=weights(draw, 2_048, PHONES),
        model=model,
        hotwords=draw(st.lists(phrase, min_size=1, max_size=3, unique=True)) if hot else [],
    )


@pytest.mark.parametrize("hot", [False, True], ids=["", "hot words"])
@FEW
@given(data=st.data())
def test_words_by_sound_are_brute_force(hot: bool, data: st.DataObject) -> None:
    case = data.draw(spoken(hot))
    search = BeamSearch.by_sound(Spellings.of(case.sounds), case.model.ngram, PHONES, GAP)
    own = [case.settings.prior_weight * share for share in search.common.tolist()]
    expected: list[Expected] = []
    for frames in case.utterances:
        masses: dict[tuple[tuple[int, ...], bool], list[float]] = {}
        for units, scores in rows(frames, own).items():
            for hypothesis in case.hypotheses(units):
                masses.setdefault(hypothesis, []).extend(scores)
        best: Expected = {}
        for (words, cut), scores in masses.items():
            language = case.language(words, cut)
            total = language + math.log(math.fsum(map(math.exp, scores)))
            text = case.text(words)
            if text not in best or total > best[text][0]:
                best[text] = total, language
        expected.append(best)
    check(search, arrays(case.utterances, PHONES), case.settings, case.hotwords, expected)
