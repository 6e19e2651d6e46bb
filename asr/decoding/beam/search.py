"""Prefix beam search over utterances, with a lexicon, a language model and hot words.

Shapes: U frames, V units, W words.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from heapq import heappop, heappush
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr.cache import release
from asr.decoding.beam import kernel
from asr.decoding.beam.hotwords import Known, hot_words, phrases, short
from asr.decoding.beam.lexicon import ROOT, UNKNOWN, Boundaries, Lexicon, Spellings, frozen
from asr.decoding.beam.priors import log_shares, log_shares_of_units
from asr.errors import BadOption
from asr.lm.ngram import NGram
from asr.options import LIMITS, BeamSettings
from asr.scripts import joined
from asr.text import Tokenizer

_KEPT = 4
"""Lexicons with additional hot words, and look-aheads by other weights, that are kept."""
Pronounce: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[Sequence[int]]]]
"""For each word in normal form its sequences of units; empty if it cannot be pronounced."""
_TRIALS = 20
"""Histories that are tried for each requested result: some have the same text."""
_History: TypeAlias = "tuple[tuple[int, int], _History] | None"
"""A linked list: a unit and -1, or -1 and the word that ends; and what follows."""


@dataclass(frozen=True)
class PathWord:
    """A word of a path: it is spelled or pronounced by `units[start:end]`."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Path:
    """A sequence of words for a lattice, with its scores as natural logarithms."""

    words: tuple[PathWord, ...]
    units: tuple[int, ...]
    """The most probable sequence of units, without blanks, for these words."""
    score: float
    """`acoustic + language`: what paths are ranked by."""
    acoustic: float
    """Log-probability of all CTC paths in the beam for these words, less the log priors of their
    units times `prior_weight`."""
    language: float
    """Weighted language model, word bonuses, prices and boosts."""

    @property
    def text(self) -> str:
        """The words, with spaces between where the script has them."""
        return joined(word.text for word in self.words)


@dataclass(frozen=True, eq=False)
class BeamSearch:
    """A search in the units of one acoustic model; immutable, safe to use from several threads."""

    lexicon: Lexicon
    vocabulary: tuple[str, ...]
    """`(W,)` the text of each word; item 0 stands for unknown ones."""
    tokenizer: Tokenizer | None
    """Spells words that are not in the lexicon; None if there can be none."""
    sequences: Spellings
    """What the lexicon was built from."""
    model: kernel.Model
    unigram: NDArray[np.float32]
    """`(W,)` natural log of each word's unigram probability, item 0 for unknown words."""
    common: NDArray[np.float32]
    """`(V,)` log of the share of each unit in text, 0 for the blank."""
    pronounce: Pronounce | None = None
    """Pronounces hot words that the lexicon lacks, if the units are phones."""
    guessed: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)
    """The results of `pronounce` for hot words that the language model does not know either."""

    @classmethod
    def by_spelling(cls, tokenizer: Tokenizer, lm: NGram | None = None) -> "BeamSearch":
        """The search for units that spell, with a language model or without one.

        Args:
            lm: over words, or over the units of the tokenizer.

        Raises:
            BadOption: the language model is of other units.
        """
        if lm is not None:
            lm.check(tokenizer)
        boundaries = Boundaries.of(tokenizer)
        words = tuple(lm.spellable) if lm is not None and lm.kind == "words" else ("",)
        sequences = Spellings.by(tokenizer, words)
        unigram = lm.unigram if lm is not None else np.zeros(1, np.float32)
        lexicon = Lexicon.build(sequences, unigram, boundaries, open=True)
        common = np.zeros(tokenizer.n_units, np.float32)
        if lm is not None and lm.kind == "words":
            common = log_shares(sequences, unigram, boundaries)
        elif lm is not None:
            common = log_shares_of_units(lm)
        model = _model(lm)
        return cls(lexicon, words, tokenizer, sequences, model, unigram, common)

    @classmethod
    def by_sound(
        cls,
        pronunciations: Spellings,
        lm: NGram,
        n_units: int,
        space: int,
        pronounce: Pronounce | None = None,
    ) -> "BeamSearch":
        """The search for units that are phones, with a space between words.

        Args:
            pronunciations: by ids of the language model's words; a word without one is never read,
                unless it is a hot word.
            lm: over words.
            space: the unit between words.
            pronounce: pronounces hot words that have no sequence of units; without it they are
                refused.
        """
        boundaries = Boundaries.spaced(n_units, space)
        unigram = lm.unigram
        lexicon = Lexicon.build(pronunciations, unigram, boundaries)
        common = log_shares(pronunciations, unigram, boundaries)
        words = tuple(lm.spellable)
        return cls(lexicon, words, None, pronunciations, _model(lm), unigram, common, pronounce)

    def release(self) -> None:
        """Gives back the memory of what is mapped from a file, until a search reads it again."""
        release(self.common)

    def __call__(
        self,
        log_probs: Sequence[NDArray[np.float32]],
        settings: BeamSettings,
        hotwords: Sequence[str] = (),
        nbest: int = 1,
        threads: int = 1,
    ) -> list[list[Path]]:
        """The best paths of each utterance, of different texts, the best first.

        Args:
            log_probs: of each utterance `(U, V)` natural logs.
            hotwords: words or phrases to favour, in any case and spelling.
            nbest: the most paths to return. It does not change the first.
            threads: the most utterances at a time.

        Raises:
            BadOption: hot words that the units cannot spell.
        """
        written = phrases(hotwords, self.tokenizer)
        if new := self._unknown(written):
            return self._extended(new)(log_probs, settings, written, nbest, threads)
        weights = self._weights(settings, nbest)
        weighed = settings.lm_weight, settings.word_bonus, settings.unknown_price
        lookahead = self._lookahead(*weighed)
        prior = (settings.prior_weight * self.common).astype(np.float32)
        hot = hot_words(
            written,
            self._known,
            self.lexicon.letters,
            len(self.vocabulary),
            settings.hotword_boost,
            settings.unknown_price if self.model.kind == kernel.WORDS else 0.0,
        )

        def one(rows: NDArray[np.float32]) -> list[Path]:
            rows = np.require(rows, np.float32, ["C", "A"])  # another type is compiled anew
            work = self._work(len(rows), weights)
            count = kernel.search(
                rows, prior, lookahead, self.lexicon, self.model, hot, weights, work
            )
            return self._paths(work, count, nbest)

        workers = min(threads, len(log_probs))
        if workers < 2:
            return [one(rows) for rows in log_probs]
        with ThreadPoolExecutor(workers, thread_name_prefix="search") as pool:
            return list(pool.map(one, log_probs))

    def _weights(self, settings: BeamSettings, nbest: int) -> kernel.Weights:
        skip = math.log(settings.blank_skip) if settings.blank_skip < 1.0 else math.inf
        return kernel.Weights(
            size=int(settings.size),
            width=float(settings.width),
            choices=int(settings.choices),
            reach=float(settings.reach),
            skip=skip,
            lm=float(settings.lm_weight),
            word_bonus=float(settings.word_bonus),
            unknown_price=float(settings.unknown_price),
            open=self.lexicon.open,
            recombine=settings.width < LIMITS["width"][1],
            joins=nbest > 1,
        )

    @cached_property
    def _lookahead(self) -> Callable[[float, float, float], NDArray[np.float32]]:
        """The look-ahead by the weights that it depends on; the last few are kept."""
        return lru_cache(_KEPT)(self._looked_ahead)

    def _looked_ahead(
        self, lm_weight: float, word_bonus: float, unknown_price: float
    ) -> NDArray[np.float32]:
        """`(N,)` provisional score of a hypothesis for its unfinished word.

        The best unigram below its node stands in for the word's score (look-ahead: Ortmanns, Ney,
        Eiden, 1996), so that a word costs something while it is spelled.
        """
        if self.model.kind != kernel.WORDS:
            return np.zeros(len(self.lexicon.best), np.float32)
        lookahead = lm_weight * self.lexicon.best + np.float32(word_bonus)
        lookahead[UNKNOWN] -= unknown_price
        return np.where(self.lexicon.spelled, lookahead, 0.0).astype(np.float32)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: id for id, word in enumerate(self.vocabulary) if word}

    @cached_property
    def _by_word(self) -> NDArray[np.int64]:
        """The sequences in the order of their words."""
        return np.argsort(self.sequences.words, kind="stable")

    def knows(self, word: str) -> bool:
        """Whether the language model has the word."""
        return word in self._ids

    def _known(self, word: str) -> list[Known]:
        """All ways to say a word of the hot words.

        Raises:
            BadOption: there is none.
        """
        if self.tokenizer is not None:
            units = self.tokenizer.encode(word)
            nodes = self._nodes(units)
            id = self._ids.get(word, 0)
            return [Known(id, units, [node == UNKNOWN for node in nodes])]
        if not (ways := self._pronounced(word)):
            raise BadOption(
                f"hot word {short(word)} is not among the words that this model can pronounce; "
                "leave it out."
            )
        id = self._ids.get(word, 0)
        return [Known(id, units, [False] * len(units)) for units in ways]

    def _pronounced(self, word: str) -> list[list[int]]:
        """The sequences of units of a word; none if it has none."""
        if word in self._ids:
            return self._sequences(self._ids[word])
        return [list(units) for units in self.guessed.get(word, ())]

    def _unknown(self, written: Sequence[str]) -> tuple[str, ...]:
        """The words of hot words that the lexicon lacks and that may be pronounced."""
        if self.pronounce is None:
            return ()
        words = dict.fromkeys(word for phrase in written for word in phrase.split())
        return tuple(word for word in words if not self._pronounced(word))

    @cached_property
    def _extended(self) -> "Callable[[tuple[str, ...]], BeamSearch]":
        """The search with words that the lexicon lacks; the last few are kept."""
        return lru_cache(_KEPT)(self._extend)

    def _extend(self, words: tuple[str, ...]) -> "BeamSearch":
        assert self.pronounce is not None
        guesses = dict(zip(words, self.pronounce(words), strict=True))
        more = Spellings.of(
            (self._ids.get(word, 0), units) for word in words for units in guesses[word]
        )
        sequences = self.sequences.joined(more)
        lexicon = self.lexicon.extended(more, self.unigram)
        # Nothing more can be pronounced: what is unknown to the new search is refused by it.
        guessed = {word: ways for word, ways in guesses.items() if word not in self._ids}
        return replace(self, lexicon=lexicon, sequences=sequences, guessed=guessed, pronounce=None)

    @cached_property
    def _names(self) -> dict[tuple[int, ...], str]:
        """The word of each guessed sequence; of words that sound alike the first."""
        pairs = [(tuple(units), word) for word, ways in self.guessed.items() for units in ways]
        return dict(reversed(pairs))

    def _nodes(self, units: Sequence[int]) -> list[int]:
        """The nodes on the path of a word's units."""
        nodes = [ROOT]
        for unit in units:
            separated = self.lexicon.separates[unit]
            after = self.lexicon.entry[unit] if separated else self.lexicon.follow(nodes[-1], unit)
            nodes.append(int(after))
        return nodes[1:]

    def _sequences(self, word: int) -> list[list[int]]:
        """The units of a word, in each of its sequences."""
        order = self._by_word
        low, high = np.searchsorted(self.sequences.words, [word, word + 1], sorter=order)
        starts, units = self.sequences.starts, self.sequences.units
        return [units[starts[row] : starts[row + 1]].tolist() for row in order[low:high]]

    def _work(self, frames: int, weights: kernel.Weights) -> kernel.Work:
        """Memory for the search of an utterance; pages that are not touched cost nothing."""
        n_units = len(self.lexicon.separates)
        size, tried = weights.size, min(weights.choices, n_units)
        separators = min(tried, int(self.lexicon.separates.sum()))
        arcs = 2 * tried + separators * self.most_words
        most = size * (1 + arcs)
        records = frames * size * (8 if weights.joins else 2) + 1
        return kernel.Work(
            beam=np.empty((size, 6), np.int64),
            masses=np.empty((size, 4), np.float64),
            spare=np.empty((size, 6), np.int64),
            spare_masses=np.empty((size, 4), np.float64),
            candidates=np.empty((most, 9), np.int64),
            sums=np.empty((most, 4), np.float64),
            same_future=np.empty(most, np.int64),
            totals=np.empty(most, np.float64),
            ranked=np.empty(max(most, n_units), np.float64),
            slots=np.empty(kernel.SLOTS, np.int32),
            same_slot=np.empty(most, np.int32),
            arcs=np.empty((arcs, 7), np.int64),
            arc_gains=np.empty(arcs, np.float64),
            scores=np.empty(n_units, np.float64),
            chosen=np.empty(n_units, np.float64),
            tried=np.empty(n_units, np.int64),
            separators=np.empty(n_units, np.int64),
            visited_by=np.full(n_units, -1),
            cached_questions=np.full(kernel.CACHED, -1),
            cached_scores=np.empty(kernel.CACHED, np.float64),
            cached_states=np.empty(kernel.CACHED, np.int64),
            records=np.empty((records, 4), np.int32),
            losses=np.empty((records if weights.joins else 1, 2), np.float32),
            ends=np.empty((size * self.most_words, 4), np.int64),
            end_scores=np.empty((size * self.most_words, 2), np.float64),
        )

    @cached_property
    def most_words(self) -> int:
        """Most words of a node."""
        return max(1, int(np.diff(self.lexicon.word_first).max()))

    def _paths(self, work: kernel.Work, count: int, nbest: int) -> list[Path]:
        """The best hypotheses of different texts."""
        ends = _merged(work.ends[:count].tolist(), work.end_scores[:count].tolist())
        found: dict[str, Path] = {}
        for history, score, language in self._histories(work, ends, _TRIALS * nbest):
            path = self._path(history, score, language)
            found.setdefault(path.text, path)
            if len(found) == nbest:
                break
        return list(found.values())

    def _histories(
        self, work: kernel.Work, ends: Sequence[tuple[list[int], float, float]], most: int
    ) -> "Iterator[tuple[_History, float, float]]":
        """The histories of hypotheses and their scores, the best first, at most `most`.

        Histories that were recombined with that of a hypothesis are included.
        """
        heap: list[tuple[float, int, float, int, _History]] = []
        for (trace, node, word, _), score, language in ends[:most]:  # no other can be among them
            history = self._before(None, node, kernel.NO_UNIT, word)
            heap.append((-score, len(heap), language, trace, history))
        pushed = len(heap)  # so that equal scores keep their order
        for _ in range(most):
            if not heap:
                return
            loss, _, language, trace, history = heappop(heap)
            while trace >= 0:
                trace, node, unit, word = work.records[here := trace].tolist()
                if word == kernel.JOIN:
                    less, of_language = work.losses[here].tolist()
                    heappush(heap, (loss + less, pushed, language - of_language, node, history))
                    pushed += 1
                else:
                    history = self._before(history, node, unit, word)
            yield history, -loss, language

    def _before(self, history: "_History", node: int, unit: int, word: int) -> "_History":
        """The history with the content of a record in front of it."""
        if unit >= 0:
            history = (unit, kernel.NO_WORD), history
        if word >= 0:
            history = (kernel.NO_UNIT, word), history
        while node > UNKNOWN:
            history = (int(self.lexicon.unit[node]), kernel.NO_WORD), history
            node = int(self.lexicon.parent[node])
        return history

    def _path(self, history: "_History", score: float, language: float) -> Path:
        """The path of units and word ends."""
        units: list[int] = []
        words: list[PathWord] = []
        start = 0
        while history is not None:
            (unit, word), history = history
            if unit >= 0:
                units.append(unit)
                if start == len(units) - 1 and self.lexicon.entry[unit] == ROOT:
                    start += 1  # a space in front of the word
                continue
            text = self.vocabulary[word] if word else self._spelled(units[start:])
            words.append(PathWord(text, start, len(units)))
            start = len(units)
        return Path(tuple(words), tuple(units), score, score - language, language)

    def _spelled(self, units: Sequence[int]) -> str:
        if self.tokenizer is None:
            return self._names.get(tuple(units), "")
        return self.tokenizer.decode(units)


def _merged(
    ends: list[list[int]], scores: list[list[float]]
) -> list[tuple[list[int], float, float]]:
    """Ends with their scores by rank; equal words are one end with the best history."""
    found: dict[int, tuple[list[int], float, float]] = {}
    ranked = sorted(zip(ends, scores, strict=True), key=lambda one: -one[1][0])
    for end, (total, language) in ranked:
        if same := found.get(end[kernel.END_HASH]):
            end, total = same[0], float(np.logaddexp(same[1], total))
        found[end[kernel.END_HASH]] = end, total, language
    return sorted(found.values(), key=lambda one: -one[1])


def _model(lm: NGram | None) -> kernel.Model:
    """A language model in the form that the search reads."""
    if lm is None:
        one, nothing = np.zeros(1, np.int32), np.zeros(1, np.float32)
        model = kernel.Model(one, one, nothing, nothing, one, one > 0, 0, 0, kernel.NO_MODEL)
        return frozen(model)
    size = len(lm.vocabulary)
    keys = lm.keys[:-1]
    context = keys // size
    model = kernel.Model(
        first=np.searchsorted(context, np.arange(len(lm.backoffs) + 1)).astype(np.int32),
        word=(keys - context * size).astype(np.int32),
        scores=lm.scores,
        backoffs=lm.backoffs,
        shorter=lm.shorter.astype(np.int32),
        leads=lm.leads,
        start=lm.start,
        end=lm.eos,
        kind=kernel.WORDS if lm.kind == "words" else kernel.UNITS,
    )
    return frozen(model)
