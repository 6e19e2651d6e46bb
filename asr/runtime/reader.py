"""Log-probabilities -> words and transcripts, many recordings at a time.

Shapes: B batch, U frames, V units.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from itertools import chain
from typing import TYPE_CHECKING

from asr import scripts
from asr.decoding import (
    PAUSE_SECONDS,
    Calibration,
    Cutter,
    DecodedWord,
    align,
    by_character,
    certainty,
    cut,
    decoded_words,
    greedy,
    stretches,
    transcript,
)
from asr.options import Options
from asr.punctuation import GivenForms, Punctuator, Writer
from asr.runtime.engine import LogProbs, Wave, stacked
from asr.runtime.windows import batches
from asr.sampling import SAMPLE_RATE
from asr.text import BLANK, Tokenizer
from asr.transcript import Alternative, Segment, Transcript, Word, sentences

if TYPE_CHECKING:
    from asr.decoding.beam import BeamSearch

PIECE_SECONDS = 30.0
"""Longest piece of a recording that a beam search takes at once."""


@dataclass(frozen=True)
class Decoded:
    """The words decoded in a recording, or in a piece of one."""

    words: tuple[DecodedWord, ...]
    readings: tuple[Alternative, ...] = ()
    """Of a beam search: as many as requested, the best first."""

    def later(self, frames: int) -> "Decoded":
        """The same in a lattice that starts so many frames earlier."""
        return replace(self, words=tuple(word.later(frames) for word in self.words))


@dataclass
class Length:
    """How long a recording is, which is known when it has been read."""

    seconds: float = math.inf

    def of(self, waves: Iterable[Wave]) -> Iterator[Wave]:
        """The pieces of a recording, after the last of which its length is known."""
        samples = 0
        for wave in waves:
            samples += len(wave)
            yield wave
        self.seconds = samples / SAMPLE_RATE


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
    """Pieces that are searched at a time."""
    punctuator: Punctuator | None
    """Writes words as people do, where that is asked for."""
    language: str
    """Of the words."""
    hotwords: Sequence[str] = ()
    """In normal form."""
    given: GivenForms | None = None
    """How hot words are written."""

    def read(
        self, lattices: Sequence[LogProbs], durations: Sequence[float], options: Options
    ) -> list[Transcript]:
        """The transcript of each lattice `(U, V)`, of a recording of so many seconds."""
        return [
            self.transcript(decoded, duration, options)
            for decoded, duration in zip(self.decode(lattices, options), durations, strict=True)
        ]

    def transcript(self, decoded: Decoded, duration: float, options: Options) -> Transcript:
        """The transcript of a recording of so many seconds from all that was decoded in it."""
        calibration = self.calibrations.get(options.decoder)
        plain = transcript(decoded.words, self.frame_seconds, duration, calibration)
        writer = self.writer(options)
        result = plain if writer is None else plain.with_words([*_written(plain.words, writer)])
        if options.nbest == 1 or result.no_speech:
            return result
        best, *others = decoded.readings
        # Words that are not speech are not in the transcript, nor in its best reading.
        others = [other for other in others if other.text != plain.text]
        return replace(result, alternatives=(Alternative(plain.text, best.score), *others))

    def writer(self, options: Options) -> Writer[Word] | None:
        """Writes words as people do, if that is asked for."""
        if self.punctuator is None:
            return None
        language = self.language if options.digits == "always" else None
        return Writer(self.punctuator, language, self.given)

    def decode(self, lattices: Sequence[LogProbs], options: Options) -> list[Decoded]:
        """The words of each lattice `(U, V)`, before any calibration."""
        cuts = [
            (index, first, piece)
            for index, lattice in enumerate(lattices)
            for first, piece in cut(lattice[:, self.columns], self.longest)
        ]
        found = self._decode_all([piece for *_, piece in cuts], options)
        by_lattice: list[list[Decoded]] = [[] for _ in lattices]
        for (index, first, _), decoded in zip(cuts, found, strict=True):
            by_lattice[index].append(decoded.later(first))
        return [joined(pieces, options.nbest) for pieces in by_lattice]

    def decode_parts(
        self, parts: Iterable[Sequence[LogProbs]], options: Options
    ) -> Iterator[Decoded]:
        """The words of one lattice `(U, V)`, piece by piece, while its parts come.

        Args:
            parts: in order, several at a time; pieces that end in them are searched together.
        """
        cutter = Cutter(self.longest)
        for together in parts:
            cuts = [piece for part in together for piece in cutter.add(part[:, self.columns])]
            yield from self.decode_cuts(cuts, options)
        yield from self.decode_cuts([cutter.end()], options)

    def decode_cuts(
        self, cuts: Sequence[tuple[int, LogProbs]], options: Options
    ) -> Iterator[Decoded]:
        """The words of pieces of one lattice, each given with its first frame."""
        found = self._decode_all([piece for _, piece in cuts], options)
        if self.search is not None:
            self.search.release()  # the next windows need the memory
        return (decoded.later(first) for (first, _), decoded in zip(cuts, found, strict=True))

    @property
    def longest(self) -> int:
        """Frames of the longest piece that is searched at once."""
        return int(PIECE_SECONDS / self.frame_seconds)

    def _decode_all(self, lattices: Sequence[LogProbs], options: Options) -> list[Decoded]:
        """What each lattice spells, in their order, decoded in batches of like length."""
        decoded: dict[int, Decoded] = {}
        for batch in batches([len(lattice) for lattice in lattices], self.batch_frames):
            found = self._decode_batch([lattices[index] for index in batch], options)
            decoded.update(zip(batch, found, strict=True))
        return [decoded[index] for index in range(len(lattices))]

    def _decode_batch(self, lattices: Sequence[LogProbs], options: Options) -> Iterator[Decoded]:
        log_probs, lengths = stacked(lattices)  # (B, U, V), (B,)
        sure, blank = certainty(log_probs), log_probs[..., BLANK]  # (B, U)
        if self.search is None:
            for hypothesis, *rows in zip(greedy(log_probs, lengths), sure, blank, strict=True):
                spans = self._tokens(self.tokenizer.word_spans(hypothesis.units), hypothesis.units)
                yield Decoded(tuple(decoded_words(hypothesis, spans, *rows)))
            return
        paths = self.search(
            lattices, options.beam_settings(), self.hotwords, options.nbest, self.threads
        )
        aligned = align(log_probs, lengths, [best.units for best, *_ in paths])
        for hypothesis, *rows, (best, *others) in zip(aligned, sure, blank, paths, strict=True):
            spans = [(word.text, word.start, word.end) for word in best.words]
            if self.search.tokenizer is not None:  # whose units are letters
                spans = self._tokens(spans, best.units)
            readings = tuple(Alternative(path.text, path.score) for path in (best, *others))
            yield Decoded(tuple(decoded_words(hypothesis, spans, *rows)), readings)

    def _tokens(
        self, spans: Iterable[tuple[str, int, int]], units: Sequence[int]
    ) -> list[tuple[str, int, int]]:
        return list(by_character(spans, units, self.tokenizer.spellings))


def _written(
    words: Iterable[Word], writer: Writer[Word] | None, last: bool = True
) -> Iterator[Word]:
    """The words that are settled with these, which know how they are written.

    Args:
        last: whether no more words come.
    """
    if writer is None:
        yield from words
        return
    for found in chain(writer.add(words), writer.end() if last else ()):
        yield replace(found.word, written=found.written, ends_paragraph=found.ends_paragraph)


class Partial:
    """The transcript of one recording while the parts of its lattice come.

    A segment comes as soon as what follows it is known. Together they are those of the transcript.

    Args:
        place: gives words their place in the recording, before pauses cut them into segments.
    """

    def __init__(self, reader: Reader, options: Options, place: Callable[[Word], Word]) -> None:
        self._reader = reader
        self._options = options
        self._place = place
        self._cutter = Cutter(reader.longest)
        self._decoded: list[DecodedWord] = []  # after the last long pause
        self._words: list[Word] = []  # of the segment that may go on
        self._writer = reader.writer(options)

    def add(self, parts: Sequence[LogProbs]) -> list[Segment]:
        """The segments that are known with the next parts `(U, V)`, which are searched together."""
        columns = self._reader.columns
        cuts = [piece for part in parts for piece in self._cutter.add(part[:, columns])]
        *known, self._decoded = self._stretches(cuts) or [[]]
        *segments, last = self._segments(known, math.inf) or [Segment(())]
        self._words = list(last.words)
        return segments

    def end(self, duration: float) -> list[Segment]:
        """The last segments of the recording, of so many seconds, after at least one part."""
        return self._segments(self._stretches([self._cutter.end()]), duration, last=True)

    def _stretches(self, cuts: Sequence[tuple[int, LogProbs]]) -> list[list[DecodedWord]]:
        reader = self._reader
        pieces = reader.decode_cuts(cuts, self._options)
        words = [*self._decoded, *(word for piece in pieces for word in piece.words)]
        # Words before a long pause do not depend on what comes after it.
        return list(stretches(words, PAUSE_SECONDS / reader.frame_seconds))

    def _segments(
        self, runs: Sequence[list[DecodedWord]], duration: float, last: bool = False
    ) -> list[Segment]:
        reader = self._reader
        calibration = reader.calibrations.get(self._options.decoder)
        said = [transcript(run, reader.frame_seconds, duration, calibration) for run in runs]
        plain = (word for one in said for word in one.words)
        words = map(self._place, _written(plain, self._writer, last))
        return list(sentences([*self._words, *words]))


def joined(pieces: Iterable[Decoded], nbest: int) -> Decoded:
    """The words of a recording from those of its pieces."""
    pieces = list(pieces)
    words = tuple(word for piece in pieces for word in piece.words)
    best = [Alternative("", 0.0)]
    for piece in pieces:
        together = [
            Alternative(
                scripts.joined(filter(None, (before.text, reading.text))),
                before.score + reading.score,
            )
            for before in best
            for reading in piece.readings
        ]
        together.sort(key=_score)  # of equal texts the last one stays: the best
        distinct = {alternative.text: alternative for alternative in together}
        best = nlargest(nbest, distinct.values(), key=_score)
    return Decoded(words, tuple(best))


def _score(alternative: Alternative) -> float:
    return alternative.score
