"""Log-probabilities -> words and transcripts, many recordings at a time.

Shapes: B batch, U frames, V units.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from typing import TYPE_CHECKING

from asr.decoding import (
    Calibration,
    DecodedWord,
    align,
    certainty,
    decoded_words,
    greedy,
    segments,
    transcript,
)
from asr.options import Options
from asr.runtime.engine import LogProbs, stacked
from asr.runtime.windows import batches
from asr.text import Tokenizer
from asr.transcript import Alternative, Transcript

if TYPE_CHECKING:
    from asr.decoding.beam import BeamSearch

SEGMENT_SECONDS = 30.0
"""Longest segment of a recording that a beam search takes at once."""


@dataclass(frozen=True)
class Decoded:
    """The words decoded in a recording, or in a segment of one."""

    words: tuple[DecodedWord, ...]
    readings: tuple[Alternative, ...] = ()
    """Of a beam search: as many as requested, the best first."""


@dataclass(frozen=True)
class Reader:
    """Decodes the lattices of one bundle; safe to use from several threads."""

    tokenizer: Tokenizer
    frame_seconds: float
    batch_frames: float
    """Padded frames decoded at a time."""
    search: "BeamSearch | None"
    """For the decoder `beam`; `greedy` needs none."""
    columns: slice
    """Columns of a lattice that are decoded: of letters or subwords, or of phones."""
    calibrations: Mapping[str, Calibration]
    """By the decoder's name."""
    threads: int
    """Segments that are searched at a time."""

    def read(
        self, lattices: Sequence[LogProbs], durations: Sequence[float], options: Options
    ) -> list[Transcript]:
        """The transcript of each lattice `(U, V)`, of a recording of so many seconds."""
        calibration = self.calibrations.get(options.decoder)
        transcripts = []
        for decoded, duration in zip(self.decode(lattices, options), durations, strict=True):
            result = transcript(decoded.words, self.frame_seconds, duration, calibration)
            if options.nbest > 1 and not result.no_speech:
                best, *others = decoded.readings
                # Words that are not speech are not in the transcript, nor in its best reading.
                others = [other for other in others if other.text != result.text]
                result = replace(
                    result, alternatives=(Alternative(result.text, best.score), *others)
                )
            transcripts.append(result)
        return transcripts

    def decode(self, lattices: Sequence[LogProbs], options: Options) -> list[Decoded]:
        """The words of each lattice `(U, V)`, before any calibration."""
        lattices = [lattice[:, self.columns] for lattice in lattices]
        cuts = [
            (index, first, end)
            for index, lattice in enumerate(lattices)
            for first, end in self._segments(lattice, options)
        ]
        decoded: dict[int, Decoded] = {}
        for batch in batches([end - first for _, first, end in cuts], self.batch_frames):
            chosen = [cuts[position] for position in batch]
            pieces = [lattices[index][first:end] for index, first, end in chosen]
            decoded.update(zip(batch, self._decode_batch(pieces, options), strict=True))
        by_lattice: list[list[tuple[int, Decoded]]] = [[] for _ in lattices]
        for position, (index, first, _) in enumerate(cuts):
            by_lattice[index].append((first, decoded[position]))
        return [_joined(pieces, options.nbest) for pieces in by_lattice]

    def _segments(self, lattice: LogProbs, options: Options) -> list[tuple[int, int]]:
        if options.decoder == "greedy":
            return [(0, len(lattice))]
        return segments(lattice, int(SEGMENT_SECONDS / self.frame_seconds))

    def _decode_batch(self, lattices: Sequence[LogProbs], options: Options) -> Iterator[Decoded]:
        log_probs, lengths = stacked(lattices)  # (B, U, V), (B,)
        sure = certainty(log_probs)  # (B, U)
        if self.search is None:
            for hypothesis, row in zip(greedy(log_probs, lengths), sure, strict=True):
                spans = self.tokenizer.word_spans(hypothesis.units)
                yield Decoded(tuple(decoded_words(hypothesis, spans, row)))
            return
        paths = self.search(
            lattices, options.beam_settings(), options.hotwords, options.nbest, self.threads
        )
        aligned = align(log_probs, lengths, [best.units for best, *_ in paths])
        for hypothesis, row, (best, *others) in zip(aligned, sure, paths, strict=True):
            spans = [(word.text, word.start, word.end) for word in best.words]
            readings = tuple(Alternative(path.text, path.score) for path in (best, *others))
            yield Decoded(tuple(decoded_words(hypothesis, spans, row)), readings)


def _joined(pieces: Sequence[tuple[int, Decoded]], nbest: int) -> Decoded:
    """The words of a recording from its segments, each with its first frame."""
    words = tuple(word.later(first) for first, piece in pieces for word in piece.words)
    best = [Alternative("", 0.0)]
    for _, piece in pieces:
        together = [
            Alternative(f"{before.text} {reading.text}".strip(), before.score + reading.score)
            for before in best
            for reading in piece.readings
        ]
        together.sort(key=_score)
        distinct = {alternative.text: alternative for alternative in together}
        best = nlargest(nbest, distinct.values(), key=_score)
    return Decoded(words, tuple(best))


def _score(alternative: Alternative) -> float:
    return alternative.score
