"""Words in frames: when each was said, and how sure the model was of it.

Shapes: U frames.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asr.decoding.confidence import logit
from asr.decoding.hypothesis import Hypothesis
from asr.text import Tokenizer

_LEAST = 1e-6  # of a certainty, so that its logarithm is finite


@dataclass(frozen=True)
class HeardWord:
    """A word that a lattice spells in the frames `[start, end)`."""

    text: str
    start: int
    end: int
    certainty: float
    """Of its least certain frame (see `asr.decoding.confidence`)."""
    doubt: float
    """Minus the sum over its frames of the logarithm of their certainty; 0 if all are certain."""
    posterior: float
    """Of its least probable unit."""

    def later(self, frames: int) -> "HeardWord":
        """The same word in a lattice that began so many frames earlier."""
        return replace(self, start=self.start + frames, end=self.end + frames)

    def features(self) -> tuple[float, float, float, float]:
        """What tells a right word from a wrong one.

        A certain frame may be certain of another unit than the one that a language model chose.
        """
        return logit(self.certainty), -self.doubt, math.log(len(self.text)), logit(self.posterior)


def heard_words(
    hypothesis: Hypothesis, tokenizer: Tokenizer, certainty: NDArray[np.float32]
) -> list[HeardWord]:
    """The words that a hypothesis spells, in order; they never overlap.

    A word lasts from the first frame of its first unit to the last frame of its last unit.

    Args:
        tokenizer: the one whose units the hypothesis is spelled in.
        certainty: `(U,)` of the lattice's frames.
    """
    spans = tokenizer.word_spans(hypothesis.units)
    if not spans:
        return []
    bounds = np.array([(hypothesis.starts[a], hypothesis.ends[b - 1]) for _, a, b in spans])
    sums = np.append(0.0, np.cumsum(-np.log(np.maximum(certainty, _LEAST)), dtype=np.float64))
    doubts = (sums[bounds[:, 1]] - sums[bounds[:, 0]]).tolist()
    # Of the runs between all bounds every other one is a word.
    least = np.minimum.reduceat(np.append(certainty, 1.0), bounds.ravel())[::2].tolist()
    return [
        HeardWord(text, start, end, sure, doubt, min(hypothesis.confidences[first:behind]))
        for (text, first, behind), (start, end), sure, doubt in zip(
            spans, bounds.tolist(), least, doubts, strict=True
        )
    ]


def stretches(words: Sequence[HeardWord], pause: float) -> Iterator[list[HeardWord]]:
    """Runs of words with less than `pause` frames between them."""
    run: list[HeardWord] = []
    for word in words:
        if run and word.start - run[-1].end >= pause:
            yield run
            run = []
        run.append(word)
    if run:
        yield run


def stretch_features(words: Sequence[HeardWord]) -> tuple[float, float, float]:
    """What tells speech from other sounds: letters, certainty of a frame, letters in a frame.

    All as logarithms: noise makes few letters, in unsure frames, now and then drawn out long.
    """
    letters = sum(len(word.text) for word in words)
    frames = sum(word.end - word.start for word in words)
    doubt = sum(word.doubt for word in words)
    return math.log(letters), -doubt / frames, math.log(letters / frames)
