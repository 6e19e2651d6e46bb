"""Log-probabilities -> words and transcripts, many recordings at a time.

Shapes: B batch, U frames, V units.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.decoding import (
    BeamSearch,
    Calibration,
    HeardWord,
    Hypothesis,
    Path,
    align,
    certainty,
    greedy,
    heard_words,
    part,
    transcript,
)
from asr.runtime.options import Options
from asr.runtime.windows import batches
from asr.text import Tokenizer
from asr.transcript import Alternative, Transcript

PART_SECONDS = 30.0
"""Longest part of a recording that a beam search reads at once."""


@dataclass(frozen=True)
class Heard:
    """What was heard in a recording, or in a part of one."""

    words: tuple[HeardWord, ...]
    readings: tuple[Alternative, ...] = ()
    """Of a beam search: as many as were asked for, the best first."""


@dataclass(frozen=True)
class Reader:
    """Reads the lattices of one bundle; safe to use from several threads."""

    tokenizer: Tokenizer
    frame_seconds: float
    batch_frames: float
    """Padded frames read at a time."""
    search: BeamSearch | None
    """For the decoder `beam`; `greedy` needs none."""
    calibrations: Mapping[str, Calibration]
    """By the decoder's name."""

    def read(
        self, lattices: Sequence[Tensor], durations: Sequence[float], options: Options
    ) -> list[Transcript]:
        """The transcript of each lattice `(U, V)`, of a recording of so many seconds."""
        calibration = self.calibrations.get(options.decoder)
        found = []
        for heard, duration in zip(self.hear(lattices, options), durations, strict=True):
            one = transcript(heard.words, self.frame_seconds, duration, calibration)
            if options.nbest > 1 and not one.no_speech:
                best, *others = heard.readings
                # What was no speech is not in the transcript, and so not in its best reading.
                others = [other for other in others if other.text != one.text]
                one = replace(one, alternatives=(Alternative(one.text, best.score), *others))
            found.append(one)
        return found

    def hear(self, lattices: Sequence[Tensor], options: Options) -> list[Heard]:
        """What was heard in each lattice `(U, V)`, before any calibration."""
        parts = [
            (index, first, end)
            for index, lattice in enumerate(lattices)
            for first, end in self._parts(lattice, options)
        ]
        found: dict[int, Heard] = {}
        for batch in batches([end - first for _, first, end in parts], self.batch_frames):
            chosen = [parts[position] for position in batch]
            pieces = [lattices[index][first:end] for index, first, end in chosen]
            found.update(zip(batch, self._decode(pieces, options), strict=True))
        heard: list[list[tuple[int, Heard]]] = [[] for _ in lattices]
        for position, (index, first, _) in enumerate(parts):
            heard[index].append((first, found[position]))
        return [_joined(one, options.nbest) for one in heard]

    def _parts(self, lattice: Tensor, options: Options) -> list[tuple[int, int]]:
        if options.decoder == "greedy":
            return [(0, len(lattice))]
        return part(lattice, int(PART_SECONDS / self.frame_seconds))

    def _decode(self, lattices: Sequence[Tensor], options: Options) -> Iterator[Heard]:
        log_probs = pad_sequence(list(lattices), batch_first=True)  # (B, U, V)
        lengths = torch.tensor([len(lattice) for lattice in lattices])
        sure = certainty(log_probs).cpu().numpy()  # (B, U)
        hypotheses, readings = self._hypotheses(log_probs, lengths, options)
        for hypothesis, row, found in zip(hypotheses, sure, readings, strict=True):
            yield Heard(tuple(heard_words(hypothesis, self.tokenizer, row)), found)

    def _hypotheses(
        self, log_probs: Tensor, lengths: Tensor, options: Options
    ) -> tuple[list[Hypothesis], list[tuple[Alternative, ...]]]:
        """The chosen text of each utterance with its times, and the readings beside it."""
        if self.search is None:
            return greedy(log_probs, lengths), [()] * len(lengths)
        settings, hotwords = options.beam_settings(), options.hotwords
        chosen = [best for best, *_ in self.search(log_probs, lengths, settings, hotwords)]
        # Searched for by itself, since a beam that must hold many readings finds a worse best one.
        others: list[list[Path]] = [[] for _ in chosen]
        if options.nbest > 1:
            others = self.search(log_probs, lengths, settings, hotwords, options.nbest)
        readings = [
            self._readings([best, *found])[: options.nbest]
            for best, found in zip(chosen, others, strict=True)
        ]
        return align(log_probs, lengths, [best.units for best in chosen]), readings

    def _readings(self, paths: Sequence[Path]) -> tuple[Alternative, ...]:
        """The different texts of paths, the first path first and the others from best to worst."""
        texts: dict[str, float] = {}
        for path in paths:
            texts.setdefault(self.tokenizer.decode(path.units), path.score)
        return tuple(Alternative(text, score) for text, score in texts.items())


def _joined(parts: Sequence[tuple[int, Heard]], nbest: int) -> Heard:
    """What was heard in a recording, of parts with their first frames."""
    words = tuple(word.later(first) for first, part in parts for word in part.words)
    best = [Alternative("", 0.0)]
    for _, part_heard in parts:
        together = [
            Alternative(f"{before.text} {reading.text}".strip(), before.score + reading.score)
            for before in best
            for reading in part_heard.readings
        ]
        distinct = {one.text: one for one in sorted(together, key=lambda one: one.score)}
        best = nlargest(nbest, distinct.values(), key=lambda one: one.score)
    return Heard(words, tuple(best))
