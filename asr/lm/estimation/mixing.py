"""A language model and a text of one's own: one model, interpolated.

P(w | h) = a P_text(w | h) + (1 - a) P_old(w | h). The weight a is the most probable one for
sentences of the text that its model has not seen (by expectation maximisation), at most 0.5, since
what is said goes beyond any text of one's own. A sentence that stands in the text several times is
seen or held out with all of them, else it would tell that the text knows what will be said. The
mixture has every n-gram of both, and back-offs that make each context sum to 1, as SRILM's
`-mix-lm`.

Shapes: E entries of one length, I states, V vocabulary of the mixture, T tokens.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from asr.errors import BadData, BadOption
from asr.lm.estimation.build import Stage, from_text
from asr.lm.estimation.perplexity import scored
from asr.lm.estimation.pruning import normalised
from asr.lm.estimation.temporary import blocks
from asr.lm.estimation.texts import Progress, sentences
from asr.lm.ngram import END, NEVER, NO_KEY, START, UNKNOWN, Ids, NGram

_HELD = 10  # one different sentence in so many is held out
FEWEST = 100
"""Different sentences of a text from which a weight can be told."""
OF_FEW = 0.03
"""The weight of a text with fewer: its words are known then, and little else changes."""
MOST = 0.5
"""The largest weight that held-out sentences may tell."""
_BLOCK = 1 << 20
_LEAST, _ROUNDS = 0.01, 40


@dataclass(frozen=True)
class Mixed:
    """A mixture and what became of the text."""

    model: NGram
    weight: float
    """Of the text."""
    sentences: int
    new: tuple[str, ...]
    """Words that the old model lacks, the most frequent first."""
    lost: Mapping[str, int]
    """Words that the units cannot spell, with their counts, the most frequent first."""
    held_out: int
    """Sentences that were not learnt to tell the weight by; of few sentences it may be none."""
    before: float
    """Perplexity of the held-out sentences by the old model, without words that it lacks."""
    after: float
    """The same of the mixture, of the same words."""
    unknown: float
    """Share of the held-out words that the old model lacks."""


def mix(
    old: NGram,
    text: Path,
    stage: Stage,
    *,
    spells: Callable[[str], bool],
    language: str,
    weight: float | None = None,
    plain: Callable[[str], str] = lambda word: word,
) -> Mixed:
    """The old model and a text with one sentence per line, interpolated.

    Args:
        spells: whether the units spell a word; others are unknown in the mixture, and counted.
        language: of the text, which decides its normal form.
        weight: of the text; without it, held-out sentences tell, or it is `OF_FEW`.
        plain: a word in normal form -> the word in letters that the units have.

    Raises:
        BadData: the text cannot be read, or has no words.
        BadOption: the old model is over units, or the weight cannot be.
    """
    if old.kind != "words":
        raise BadOption("a language model over units cannot be mixed: build one over words.")
    if weight is not None and not 0 < weight < 1:
        raise BadOption(f"the weight {weight:g} of the text must be above 0 and below 1.")
    with tempfile.TemporaryDirectory() as folder, stage("reading") as progress:
        whole, seen, held = (Path(folder) / name for name in ("whole", "seen", "held"))
        read = ([plain(word) for word in line] for line in sentences(text, progress, language))
        lines, different, counts = _parted(read, whole, seen, held)
        if different < FEWEST and weight is None:
            weight = OF_FEW
        if not any(map(spells, counts)):
            raise BadData(f"{text} has no words that the bundle's units spell.")
        if not seen.stat().st_size:  # a few sentences, all of which would be held out
            seen, held = held, seen
        rows = [line.split() for line in held.read_text(encoding="utf-8").splitlines()]
        own, learnt = (
            from_text(path, old.order, stage, words=max(1, len(counts)), spells=spells).model
            for path in (whole, seen)
        )
        by_old, known = _probabilities(old, rows)
        by_text, _ = _probabilities(learnt, rows)
        chosen = _weight(by_text, by_old) if weight is None else weight
    model = mixture(own, old, chosen, stage)
    mixed_by = chosen * by_text + (1 - chosen) * by_old
    vocabulary = set(old.vocabulary)
    ranked = [word for word, _ in counts.most_common()]
    return Mixed(
        model=model,
        weight=chosen,
        sentences=lines,
        held_out=len(rows),
        new=tuple(word for word in ranked if word not in vocabulary and spells(word)),
        lost={word: counts[word] for word in ranked if not spells(word)},
        before=_perplexity(by_old[known]),
        after=_perplexity(mixed_by[known]),
        unknown=1 - float(known.mean()) if len(known) else 0.0,
    )


def mixture(one: NGram, other: NGram, weight: float, stage: Stage) -> NGram:
    """The mixture of two models over words, `one` with this weight."""
    words = dict.fromkeys((*other.vocabulary[1:-2], *one.vocabulary[1:-2]))
    vocabulary = (UNKNOWN, *words, START, END)
    views = [_View.of(model, vocabulary) for model in (one, other)]
    keys: list[Ids] = []
    scores: list[NDArray[np.float32]] = []
    with stage("mixing") as progress:
        for length in range(1, max(one.order, other.order) + 1):
            level = _together([view.keys(length) for view in views])
            score, states = _scores(views, (weight, 1 - weight), level, progress)
            scores.append(score)
            first = sum(map(len, keys))
            for view, after in zip(views, states, strict=True):
                view.place(length, level, first, after)
            keys.append(level)
    scores[0][-2] = NEVER
    sizes = [len(level) for level in scores]
    entries = (
        np.append(np.concatenate(keys), NO_KEY),
        np.concatenate(scores),
        np.zeros(1 + sum(sizes[:-1]), np.float32),
    )
    return normalised(NGram.build("words", vocabulary, sizes, entries))


class _View:
    """One of two models, in the ids and states of their mixture."""

    def __init__(self, model: NGram, to_own: Ids, from_own: Ids) -> None:
        self._model = model
        self._to_own = to_own  # (V,): -1 for words that the model lacks
        self._from_own = from_own
        self._state = np.zeros(1, np.int64)  # of the model, in each state of the mixture so far
        self._placed = np.zeros(len(model.backoffs), np.int64)
        """The state of the mixture for each of the model."""

    @classmethod
    def of(cls, model: NGram, vocabulary: Sequence[str]) -> "_View":
        own = {word: id for id, word in enumerate(model.vocabulary)}
        to_own = np.array([own.get(word, -1) for word in vocabulary], np.int64)
        from_own = np.zeros(len(own), np.int64)
        known = np.flatnonzero(to_own >= 0)
        from_own[to_own[known]] = known
        return cls(model, to_own, from_own)

    def keys(self, length: int) -> Ids:
        """The keys in the mixture of the model's entries of this length, as they stand there."""
        sizes = self._model.sizes
        if length > len(sizes):
            return np.zeros(0, np.int64)
        first = sum(sizes[: length - 1])
        entries = np.arange(first, first + sizes[length - 1])
        context, word = self._model.context_and_word(entries)
        return self._placed[context] * len(self._to_own) + self._from_own[word]

    def score(self, context: Ids, word: Ids) -> tuple[NDArray[np.float32], Ids]:
        """Log-probabilities of words in states of the mixture, and the model's own states after."""
        own = self._to_own[word]
        score, after = self._model.score(self._state[context], np.maximum(own, 0))
        return np.where(own < 0, -np.inf, score), np.where(own < 0, 0, after)

    def place(self, length: int, level: Ids, first: int, after: Ids) -> None:
        """Learns where the model's entries of this length are in the mixture.

        Args:
            level: `(E,)` the mixture's keys of this length.
            first: entries before them.
            after: `(E,)` the model's own states after them.
        """
        own = self.keys(length)
        if length < self._model.order:
            start = 1 + sum(self._model.sizes[: length - 1])
            self._placed[start : start + len(own)] = 1 + first + np.searchsorted(level, own)
        self._state = np.append(self._state, after)


def _together(keys: Sequence[Ids]) -> Ids:
    """The different keys of all, ascending; most stand in that order already."""
    joined: Ids = np.sort(np.concatenate(keys), kind="stable")
    return np.asarray(joined[np.diff(joined, prepend=-1) != 0])


def _scores(
    views: Sequence[_View], shares: Sequence[float], level: Ids, progress: Progress
) -> tuple[NDArray[np.float32], list[Ids]]:
    """`(E,)` log-probabilities of the mixture for entries with these keys, and each view's own
    `(E,)` states after them."""
    scores = np.empty(len(level), np.float32)
    states = [np.empty(len(level), np.int64) for _ in views]
    size = len(views[0]._to_own)
    for part in blocks(len(level), _BLOCK):
        context, word = np.divmod(level[part], size)
        total = np.zeros(len(context))
        for view, share, after in zip(views, shares, states, strict=True):
            score, after[part] = view.score(context, word)
            total += share * np.exp(score.astype(np.float64))
        scores[part] = np.log(np.maximum(total, 1e-30))
        progress(part.stop, len(level))
    return scores, states


def _parted(
    lines: Iterator[list[str]], whole: Path, seen: Path, held: Path
) -> tuple[int, int, Counter[str]]:
    """Writes all sentences, those to learn from and those held out; their number, that of different
    ones as far as `FEWEST`, and words."""
    counts: Counter[str] = Counter()
    some: set[str] = set()
    number = 0
    with (
        whole.open("w", encoding="utf-8") as all_of_them,
        seen.open("w", encoding="utf-8") as learnt,
        held.open("w", encoding="utf-8") as apart,
    ):
        for words in lines:
            number += 1
            counts.update(words)
            line = " ".join(words) + "\n"
            if len(some) < FEWEST:
                some.add(line)
            all_of_them.write(line)
            (apart if crc32(line.encode()) % _HELD == 0 else learnt).write(line)
    return number, len(some), counts


def _probabilities(
    model: NGram, rows: Sequence[Sequence[str]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """`(T,)` of each word and end: its probability, 0 if the model lacks it; whether it has it."""
    ids = {word: id for id, word in enumerate(model.vocabulary)}
    sentences = [[ids.get(word, 0) for word in row] for row in rows]
    found = list(scored(model, sentences))
    if not found:
        return np.zeros(0), np.zeros(0, np.bool_)
    words = np.concatenate([words for words, _ in found])
    scores = np.concatenate([scores for _, scores in found]).astype(np.float64)
    return np.where(words == 0, 0.0, np.exp(scores)), words != 0


def _weight(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The most probable weight of `one` in a mixture of two sources of `(T,)` tokens."""
    possible = (one + other) > 0
    if not possible.any():
        return _LEAST
    one, other, weight = one[possible], other[possible], 0.5
    for _ in range(_ROUNDS):
        share = weight * one / (weight * one + (1 - weight) * other)
        weight = min(max(float(share.mean()), _LEAST), MOST)
    return weight


def _perplexity(probabilities: NDArray[np.float64]) -> float:
    return (
        float(np.exp(-np.log(np.maximum(probabilities, 1e-30)).mean()))
        if len(probabilities)
        else 1.0
    )
