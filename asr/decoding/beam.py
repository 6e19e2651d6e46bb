"""Prefix beam search over a batch of lattices, with what is known of the language.

Each frame keeps or extends the prefixes of the last one; equal prefixes are merged and the best are
kept (see `asr.decoding.prefixes`). Time and memory depend on batch, frames, beam and choices alone,
whatever the lattices hold.

Shapes: B batch, U frames of the lattice, T frames that are read, K beams, V units, N results.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr.decoding.commonness import log_shares
from asr.decoding.frames import Frames
from asr.decoding.fusion import Knowledge, Selection, UnitPrices, WordPrices
from asr.decoding.hotwords import automaton
from asr.decoding.lexicon import Boundaries, Lexicon
from asr.decoding.ngram import NGram
from asr.decoding.prefixes import Prefixes
from asr.decoding.settings import BeamSettings
from asr.text import BLANK, Tokenizer


@dataclass(frozen=True)
class Path:
    """A row of units that a lattice may spell, with natural logarithms of how well."""

    units: tuple[int, ...]
    """Units without blanks."""
    score: float
    """`acoustic + language`: what paths are ranked by."""
    acoustic: float
    """Log-probability of all CTC paths in the beam that spell the units, less how common these
    are as far as `prior_weight` says."""
    language: float
    """Weighted language model, word bonuses, prices and boosts."""


class BeamSearch:
    """A beam search in the units of one tokenizer; immutable, safe to use from several threads."""

    def __init__(
        self, tokenizer: Tokenizer, lm: NGram | None = None, device: torch.device | str = "cpu"
    ) -> None:
        """The search, with a language model or without one.

        Args:
            lm: over words, or over the units of the tokenizer.
            device: where lattices are searched; results are the same on each.

        Raises:
            BadOption: the language model is of other units.
        """
        self._tokenizer = tokenizer
        self._device = torch.device(device)
        self._lm = lm.to(self._device) if lm is not None else None
        self._parts = torch.from_numpy(Boundaries.of(tokenizer).parts).to(self._device)
        self._lexicon: Lexicon | None = None
        self._common = torch.zeros(tokenizer.n_units, device=self._device)
        if lm is not None:
            lm.check(tokenizer)
            self._common = log_shares(tokenizer, lm).to(self._device)
        if lm is not None and lm.kind == "words":
            scores = lm.unigram.cpu().numpy()
            self._lexicon = Lexicon.build(tokenizer, lm.spellable, scores)

    def __call__(
        self,
        log_probs: Tensor,
        lengths: Tensor,
        settings: BeamSettings,
        hotwords: Sequence[str] = (),
        nbest: int = 1,
    ) -> list[list[Path]]:
        """The best paths of each utterance, of different texts, the best first.

        Args:
            log_probs: `(B, U, V)` natural logs; what lies behind a length is never looked at.
            lengths: `(B,)` frames of each utterance, 0 allowed.
            hotwords: words or phrases that become likelier, in any writing.
            nbest: how many paths are wanted; there may be fewer.

        Raises:
            BadOption: hot words that the tokenizer cannot spell.
        """
        with torch.inference_mode():
            scores = log_probs.to(self._device) - settings.prior_weight * self._common
            frames = Frames.of(scores, lengths.to(self._device), self._parts, settings)
            known = self._knowledge(len(log_probs), settings, hotwords)
            beam = Prefixes.start(len(log_probs), settings.size, known, self._device)
            # Twins are worth their place only as further results.
            alone = nbest == 1 and self._lm is not None
            ended: list[tuple[Tensor, Tensor]] = []  # the last utterances first
            trail: list[Selection] = []
            for rows, run in frames.runs():
                ended.append(beam.rows(slice(rows, None)).finish())
                beam = beam.rows(slice(rows))
                for frame in run:
                    beam, selection = beam.step(frame)
                    trail.append(selection)
                    if alone:
                        beam = beam.without_twins()
            ended.append(beam.finish())
            acoustic, language = (torch.cat(part[::-1]) for part in zip(*ended, strict=True))
            found = self._paths(acoustic + frames.offset[:, None], language, trail, nbest)
        return [found[place] for place in frames.order.argsort().tolist()]

    def _knowledge(
        self, batch: int, settings: BeamSettings, hotwords: Sequence[str]
    ) -> list[Knowledge]:
        """What prefixes are judged by besides the lattice."""
        known: list[Knowledge] = []
        if self._lm is not None and self._lexicon is not None:
            words = WordPrices.of(self._lexicon, self._lm, settings)
            known.append(words.start(batch, settings.size))
        elif self._lm is not None:
            known.append(UnitPrices(self._lm, settings).start(batch, settings.size))
        if hotwords:
            listened = automaton(hotwords, self._tokenizer, self._lexicon, settings)
            known.append(listened.start(batch, settings.size))
        return known

    def _paths(
        self, acoustic: Tensor, language: Tensor, trail: Sequence[Selection], nbest: int
    ) -> list[list[Path]]:
        """The best prefixes of the last beam that spell different texts."""
        size = acoustic.shape[1] if nbest > 1 else 1  # equal texts may take several places
        score, beam = (acoustic + language).topk(size, dim=1)
        units = _units(beam, trail).cpu().numpy()
        columns = (score, acoustic.gather(1, beam), language.gather(1, beam).double())
        scores = torch.stack(columns, dim=2).tolist()
        found: list[list[Path]] = []
        for rows, numbers in zip(units, scores, strict=True):
            paths: dict[str, Path] = {}
            for row, (total, *parts) in zip(rows, numbers, strict=True):
                if len(paths) == nbest or total == -math.inf:
                    break
                path = Path(tuple(row[row != BLANK].tolist()), total, *parts)
                paths.setdefault(self._tokenizer.decode(path.units), path)
            found.append(list(paths.values()))
        return found


def _units(beam: Tensor, trail: Sequence[Selection]) -> Tensor:
    """`(B, N, T)` units by frame, blanks between, of the prefixes at `beam` `(B, N)` in the end."""
    units = torch.full((len(trail), *beam.shape), BLANK, device=beam.device)
    beam = beam.clone()
    for frame in reversed(range(len(trail))):
        selection = trail[frame]
        rows = slice(len(selection.unit))  # the others were over before
        units[frame, rows] = selection.unit.gather(1, beam[rows])
        beam[rows] = selection.parent.gather(1, beam[rows])
    return units.permute(1, 2, 0)  # (T, B, N) -> (B, N, T)
