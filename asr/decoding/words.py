"""Decoded words: their frames, and the model's certainty.

Shapes: U frames.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asr.decoding.confidence import logit
from asr.decoding.hypothesis import Hypothesis
from asr.scripts import begins_token, is_unspaced
from asr.text import SPACE_SIGN

_LEAST = 1e-6  # of a certainty, so that its logarithm is finite
_HINT = 0.1  # frames, for the same reason


@dataclass(frozen=True)
class DecodedWord:
    """A word that a lattice spells in the frames `[start, end)`."""

    text: str
    start: int
    end: int
    certainty: float
    """Of its least certain frame (see `asr.decoding.confidence`)."""
    doubt: float
    """The negative sum of its frames' log certainties; 0 if all are certain."""
    posterior: float
    """Of its least probable unit."""
    spelled: float
    """How many of its frames spell a unit and not blank: the sum of their probabilities."""

    def later(self, frames: int) -> "DecodedWord":
        """The same word in a lattice that starts so many frames earlier."""
        return replace(self, start=self.start + frames, end=self.end + frames)

    def features(self) -> tuple[float, float, float, float]:
        """Features that separate right words from wrong ones.

        A frame may be certain of another unit than the one that a language model chose.
        """
        return logit(self.certainty), -self.doubt, math.log(len(self.text)), logit(self.posterior)


def by_character(
    spans: Iterable[tuple[str, int, int]], units: Sequence[int], spellings: Sequence[str]
) -> Iterator[tuple[str, int, int]]:
    """Spans of words; those of scripts without spaces are cut after each character.

    A unit of several characters is not cut.

    Args:
        spans: `(word, first, end)` of each: it is spelled by the `units` `[first, end)`.
        spellings: of the units.
    """
    for text, first, end in spans:
        if not is_unspaced(text):
            yield text, first, end
            continue
        spelled = [spellings[unit].strip(SPACE_SIGN) for unit in units[first:end]]
        at, whole = 0, ""
        for place, more in enumerate(spelled):
            if whole and more and begins_token(whole[-1], more[0]):
                yield whole, first + at, first + place
                at, whole = place, ""
            whole += more
        yield whole, first + at, end


def decoded_words(
    hypothesis: Hypothesis,
    spans: Sequence[tuple[str, int, int]],
    certainty: NDArray[np.float32],
    blank: NDArray[np.float32],
) -> list[DecodedWord]:
    """The words that a hypothesis spells, in order; they never overlap.

    A word lasts from the first frame of its first unit to the last frame of its last unit.

    Args:
        spans: `(word, first, end)` of each: it is spelled by the units `[first, end)`.
        certainty: `(U,)` of the lattice's frames.
        blank: `(U,)`, the log-probability of blank in them.
    """
    if not spans:
        return []
    bounds = np.array([(hypothesis.starts[a], hypothesis.ends[b - 1]) for _, a, b in spans])
    doubts = _sums(-np.log(np.maximum(certainty, _LEAST)), bounds)
    spelled = _sums(1 - np.exp(blank), bounds)
    # Every other run between bounds is a word.
    least = np.minimum.reduceat(np.append(certainty, 1.0), bounds.ravel())[::2].tolist()
    return [
        DecodedWord(
            text, start, end, sure, doubt, min(hypothesis.confidences[first:behind]), not_blank
        )
        for (text, first, behind), (start, end), sure, doubt, not_blank in zip(
            spans, bounds.tolist(), least, doubts, spelled, strict=True
        )
    ]


def _sums(frames: NDArray[np.float32], bounds: NDArray[np.int64]) -> list[float]:
    """Sums over the frames between each pair of bounds `(N, 2)`."""
    sums = np.append(0.0, np.cumsum(frames, dtype=np.float64))
    between: list[float] = (sums[bounds[:, 1]] - sums[bounds[:, 0]]).tolist()
    return between


def stretches(words: Iterable[DecodedWord], pause: float) -> Iterator[list[DecodedWord]]:
    """Runs of words with less than `pause` frames between them, each as soon as the next begins."""
    run: list[DecodedWord] = []
    for word in words:
        if run and word.start - run[-1].end >= pause:
            yield run
            run = []
        run.append(word)
    if run:
        yield run


def stretch_features(words: Sequence[DecodedWord]) -> tuple[float, float, float, float]:
    """Features that separate speech from other sounds, also where only one word was said.

    Logarithms of the number of letters, of the mean certainty, of letters per frame, and of spelled
    frames per letter. Noise gives few letters, in uncertain frames, sometimes over a long time; a
    language model makes words of it where the acoustic model spells next to nothing.
    """
    letters = sum(len(word.text) for word in words)
    frames = sum(word.end - word.start for word in words)
    doubt = sum(word.doubt for word in words)
    spelled = sum(word.spelled for word in words)
    return (
        math.log(letters),
        -doubt / frames,
        math.log(letters / frames),
        math.log((spelled + _HINT) / letters),
    )
