"""What a language model adds to the prefixes of a beam.

A word model scores a word where it ends; on the way there the best unigram below the node of the
lexicon stands in for it (look-ahead: Ortmanns, Ney, Eiden, 1996), so that words are priced while
they are spelled and the sum is exact at the end of each. A unit model scores every unit.

Shapes: B batch, K beams, C columns of a frame, V units, N nodes of the lexicon.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, Self, TypeAlias

import torch
from torch import Tensor

from asr.decoding.frames import Frame
from asr.decoding.lexicon import ROOT, UNKNOWN, Lexicon
from asr.decoding.ngram import NGram
from asr.decoding.settings import BeamSettings
from asr.text import BLANK


@dataclass(frozen=True)
class Selection:
    """Where the prefixes of the next beam come from, `(B, K)` int64 each."""

    parent: Tensor
    """The prefix that was kept or extended."""
    cell: Tensor
    """`parent * C` plus the column of the unit."""
    unit: Tensor
    """What it was extended by; the blank where it was kept as it is."""

    def of_parent(self, values: Tensor) -> Tensor:
        """`(B, K)` -> `(B, K)`."""
        return values.gather(1, self.parent)

    def of_cell(self, values: Tensor) -> Tensor:
        """`(B, K, C)` -> `(B, K)`."""
        return values.flatten(1).gather(1, self.cell)


class Knowledge(Protocol):
    """What one source of knowledge says of all prefixes in the beam; immutable."""

    def extend(self, frame: Frame) -> "tuple[Tensor, Advance]":
        """`(B, K, C)` natural logs that the units of a frame add, 0 for the blank.

        And a function that gives, once the next beam is selected, the knowledge of that one.
        """
        ...

    def future(self) -> Tensor:
        """`(B, K)` int64, equal where all that may follow is judged alike."""
        ...

    def rows(self, rows: slice) -> Self:
        """The knowledge of some of the utterances."""
        ...

    def finish(self) -> Tensor:
        """`(B, K)` natural logs that the end of the utterance adds."""
        ...


Advance: TypeAlias = Callable[[Selection], Knowledge]


@dataclass(frozen=True)
class WordPrices:
    """What `settings` make of a lexicon, `(N,)` float32 each; see the module's text."""

    lexicon: Lexicon
    model: NGram
    weight: float
    ahead: Tensor
    """What a prefix holds on account of its unfinished word."""
    toll: Tensor
    """What the end of the word adds to its weighted log-probability."""

    @classmethod
    def of(cls, lexicon: Lexicon, model: NGram, settings: BeamSettings) -> "WordPrices":
        ahead = settings.lm_weight * lexicon.best + settings.word_bonus
        ahead[UNKNOWN] -= settings.unknown_price
        price = settings.unknown_price * (lexicon.word == 0)
        spelled = lexicon.word >= 0
        return cls(
            lexicon=lexicon,
            model=model,
            weight=settings.lm_weight,
            ahead=torch.where(spelled, ahead, 0.0),
            toll=torch.where(spelled, settings.word_bonus - price - ahead, 0.0),
        )

    def start(self, batch: int, size: int) -> "WordKnowledge":
        """Of a beam that has read nothing yet."""
        device = self.ahead.device
        history = torch.full((batch, size), self.model.start, device=device)
        return WordKnowledge(
            prices=self,
            node=torch.full((batch, size), ROOT, dtype=torch.int32, device=device),
            history=history,
            after=history,
            end=torch.zeros((batch, size), device=device),
            due=torch.zeros((batch, size), dtype=torch.bool, device=device),
        )


@dataclass(frozen=True)
class WordKnowledge:
    """An n-gram model over words, guided by a lexicon; `(B, K)` each."""

    prices: WordPrices
    node: Tensor
    """Of the lexicon: what the unfinished word spells."""
    history: Tensor
    """State of the model before that word."""
    after: Tensor
    """State of the model if the word ends here."""
    end: Tensor
    """What the end of the word adds here."""
    due: Tensor
    """`after` and `end` are still to be asked for: most prefixes are gone before a word may end."""

    def extend(self, frame: Frame) -> tuple[Tensor, Advance]:
        prices = self.prices
        after, end, due = self._settled(frame.ending)
        node = prices.lexicon.children(self.node, frame.units, frame.column)  # (B, K, C)
        ahead = prices.ahead.index_select(0, node.view(-1)).view(node.shape)
        held = prices.ahead.index_select(0, self.node.view(-1)).view(self.node.shape)
        # Within a word the account is carried on; where a word ends it is settled first.
        settled, parting = (end + held)[:, :, None], frame.parting[:, None, :]
        gain = (ahead - held[:, :, None]).addcmul_(settled, parting)
        return gain, partial(self._advance, node, after, end, due)

    def _advance(
        self, nodes: Tensor, after: Tensor, end: Tensor, due: Tensor, selection: Selection
    ) -> "WordKnowledge":
        of_parent = selection.of_parent
        node = selection.of_cell(nodes)
        after = of_parent(after)
        parted = self.prices.lexicon.parts.index_select(0, selection.unit.view(-1))
        parted = parted.view(node.shape)
        moved = parted | (node != of_parent(self.node))
        return WordKnowledge(
            prices=self.prices,
            node=node,
            history=torch.where(parted, after, of_parent(self.history)),
            after=after,
            end=of_parent(end),
            due=moved | of_parent(due),
        )

    def _settled(self, ending: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`after`, `end` and `due` once those are asked for that lie in `ending` rows, `(B, 1)`."""
        index = (self.due & ending).view(-1).nonzero()[:, 0]
        if not len(index):
            return self.after, self.end, self.due
        node = self.node.view(-1).index_select(0, index)
        history = self.history.view(-1).index_select(0, index)
        word = self.prices.lexicon.word.index_select(0, node)
        toll = self.prices.toll.index_select(0, node)
        score, state = self.prices.model.score(history, word.clamp(min=0).long())
        spelled = word >= 0
        state = torch.where(spelled, state, history)
        cost = torch.where(spelled, self.prices.weight * score, 0.0) + toll
        shape = self.node.shape
        return (
            self.after.view(-1).index_copy(0, index, state).view(shape),
            self.end.view(-1).index_copy(0, index, cost).view(shape),
            self.due & ~ending,
        )

    def future(self) -> Tensor:
        return self.history * len(self.prices.ahead) + self.node

    def rows(self, rows: slice) -> "WordKnowledge":
        tensors = (self.node, self.history, self.after, self.end, self.due)
        return WordKnowledge(self.prices, *(tensor[rows] for tensor in tensors))

    def finish(self) -> Tensor:
        model = self.prices.model
        after, end, _ = self._settled(torch.ones_like(self.due))
        score, _ = model.score(after.view(-1), torch.full_like(after.view(-1), model.eos))
        return end + self.prices.weight * score.view(end.shape)


@dataclass(frozen=True)
class UnitPrices:
    """An n-gram model over units and what `settings` make of it."""

    model: NGram
    settings: BeamSettings

    def start(self, batch: int, size: int) -> "UnitKnowledge":
        """Of a beam that has read nothing yet."""
        state = torch.full((batch, size), self.model.start, device=self.model.keys.device)
        return UnitKnowledge(self, state)


@dataclass(frozen=True)
class UnitKnowledge:
    """An n-gram model over units: its state for each prefix of the beam, `(B, K)`."""

    prices: UnitPrices
    state: Tensor

    def extend(self, frame: Frame) -> tuple[Tensor, Advance]:
        shape = (*self.state.shape, frame.units.shape[1])
        state = self.state[:, :, None].expand(shape).reshape(-1)
        # The model numbers units as the tokenizer does.
        units = frame.units[:, None, :].expand(shape).reshape(-1)
        score, after = self.prices.model.score(state, units)
        gain = self.prices.settings.lm_weight * score + self.prices.settings.word_bonus
        gain, after = gain.view(shape), after.view(shape)
        gain[:, :, BLANK] = 0.0
        after[:, :, BLANK] = self.state
        return gain, lambda selection: UnitKnowledge(self.prices, selection.of_cell(after))

    def future(self) -> Tensor:
        return self.state

    def rows(self, rows: slice) -> "UnitKnowledge":
        return UnitKnowledge(self.prices, self.state[rows])

    def finish(self) -> Tensor:
        last = torch.full_like(self.state.view(-1), self.prices.model.eos)
        score, _ = self.prices.model.score(self.state.view(-1), last)
        return self.prices.settings.lm_weight * score.view(self.state.shape)
