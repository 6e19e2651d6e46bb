"""Hot words: words and phrases that a request makes likelier.

Each time a hot word or phrase is read whole, from the start of a word to the end of one, its
letters earn a boost each, and if the language model does not know its words they cost no
`unknown_price`. Both are granted unit by unit while the spelling agrees and taken back when it
parts, so that a rare name lives long enough to be compared as a whole.

The phrases share one automaton (Aho and Corasick, 1975), in which a match may begin only where a
word does. Shapes: B batch, K beams, C columns of a frame, V units, H states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr.decoding.frames import Frame
from asr.decoding.fusion import Advance, Selection
from asr.decoding.lexicon import ROOT, UNKNOWN, Boundaries, Lexicon, grow
from asr.decoding.settings import BeamSettings
from asr.errors import BadOption
from asr.text import BLANK, Tokenizer, normalise

MAX_LETTERS = 20_000
"""Bounds the automaton: states are at most letters and spaces of the hot words."""
_OFF = UNKNOWN  # within a word that no match goes through


@dataclass(frozen=True)
class Automaton:
    """What hot words make of each unit in each state."""

    target: Tensor
    """`(H * V,)` int32: the state that follows."""
    gain: Tensor
    """`(H * V,)` float32: natural logs granted, or taken back."""
    finish: Tensor
    """`(H,)` float32: the same at the end of the utterance."""

    def start(self, batch: int, size: int) -> "HotwordKnowledge":
        """Of a beam that has read nothing yet."""
        state = torch.full((batch, size), ROOT, device=self.target.device)
        return HotwordKnowledge(self, state)


@dataclass(frozen=True)
class HotwordKnowledge:
    """The automaton's state for each prefix of the beam, `(B, K)`."""

    automaton: Automaton
    state: Tensor

    def extend(self, frame: Frame) -> tuple[Tensor, Advance]:
        n_units = len(self.automaton.target) // len(self.automaton.finish)
        cells = self.state[:, :, None] * n_units + frame.units[:, None, :]
        gain = self.automaton.gain.index_select(0, cells.view(-1))
        return gain.view(cells.shape), partial(self._advance, cells)

    def _advance(self, cells: Tensor, selection: Selection) -> "HotwordKnowledge":
        chosen = selection.of_cell(cells)
        state = self.automaton.target.index_select(0, chosen.view(-1)).long()
        return HotwordKnowledge(self.automaton, state.view(chosen.shape))

    def future(self) -> Tensor:
        return self.state

    def rows(self, rows: slice) -> "HotwordKnowledge":
        return HotwordKnowledge(self.automaton, self.state[rows])

    def finish(self) -> Tensor:
        return self.automaton.finish[self.state]


def automaton(
    hotwords: Sequence[str],
    tokenizer: Tokenizer,
    lexicon: Lexicon | None,
    settings: BeamSettings,
) -> Automaton:
    """The automaton of hot words in any writing.

    Args:
        lexicon: of the word model that the search goes by, on the CPU; None without such a model.

    Raises:
        BadOption: a hot word has letters that no unit spells, or none at all; or there are too
            many of them.
    """
    boundaries = Boundaries.of(tokenizer)
    spellings = [tokenizer.encode(phrase) for phrase in _phrases(hotwords, tokenizer)]
    longest = max(map(len, spellings))
    places = np.array([units + [-1] * (longest - len(units)) for units in spellings]).T
    parents, unit, phrase = grow(np.arange(1, len(spellings) + 1), list(places), tokenizer.n_units)
    credit, whole = _credits(parents, unit, boundaries, lexicon, settings)
    target, gained = _links(parents, unit, np.where(phrase > 0, whole, 0.0), boundaries)
    gain = np.where(boundaries.parts, gained[:, None], 0.0) + credit[target] - credit[:, None]
    target[:, BLANK] = np.arange(len(target))
    gain[:, BLANK] = 0.0
    return Automaton(
        target=torch.from_numpy(target.ravel()),
        gain=torch.from_numpy(gain.astype(np.float32).ravel()),
        finish=torch.from_numpy((gained - credit).astype(np.float32)),
    )


def _phrases(hotwords: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    """Hot words in normal form, each once."""
    phrases = {normalise(hotword): hotword for hotword in hotwords}
    for phrase, hotword in phrases.items():
        if not phrase:
            raise BadOption(f"hot word {hotword!r} has no letters; leave it out.")
        if unknown := tokenizer.unknown(phrase):
            letters = ", ".join(map(repr, sorted(unknown)))
            raise BadOption(
                f"hot word {hotword!r} has {letters}, which this model cannot spell; "
                "write it in the model's letters."
            )
    if (letters_in_all := sum(map(len, phrases))) > MAX_LETTERS:
        raise BadOption(
            f"the hot words have {letters_in_all} letters, over the limit of {MAX_LETTERS}; "
            "give fewer."
        )
    return list(phrases)


def _credits(
    parents: list[NDArray[np.int64]],
    unit: NDArray[np.int64],
    boundaries: Boundaries,
    lexicon: Lexicon | None,
    settings: BeamSettings,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`(H,)` natural logs that a match holds while it goes on, and where it ends."""
    letters, unknown, ended, node = (np.zeros(len(unit), dtype=np.int64) for _ in range(4))
    first = len(parents[0])
    for parent in parents[1:]:
        here = slice(first, first + len(parent))
        letters[here] = letters[parent] + boundaries.letters[unit[here]]
        if lexicon is not None:
            node[here] = lexicon.follow(node[parent], unit[here])
            unknown[here] = np.where(boundaries.parts[unit[here]], ended[parent], unknown[parent])
            ended[here] = unknown[here] + (lexicon.word.numpy()[node[here]] == 0)
        first = here.stop
    boost = settings.hotword_boost * letters
    return (
        boost + settings.unknown_price * (unknown + (node == UNKNOWN)),
        boost + settings.unknown_price * ended,
    )


def _links(
    parents: list[NDArray[np.int64]],
    unit: NDArray[np.int64],
    earned: NDArray[np.float64],
    boundaries: Boundaries,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """`(H, V)` the state that follows, and `(H,)` what all matches that end in a state earn.

    A state's match falls back on the longest one that began at a later word.
    """
    idle = np.where(boundaries.parts & (boundaries.letters == 0), ROOT, _OFF)
    target = np.empty((len(unit), len(idle)), dtype=np.int32)
    target[[ROOT, _OFF]] = idle
    fallback = np.full(len(unit), _OFF)
    gained = earned.copy()
    first = len(parents[0])
    for depth, parent in enumerate(parents[1:]):
        here = np.arange(first, first + len(parent))
        if depth:
            fallback[here] = target[fallback[parent], unit[here]]
        else:  # a word that begins here may follow any other
            parting = boundaries.parts[unit[here]]
            target[_OFF, unit[here][parting]] = here[parting]
        target[parent, unit[here]] = here
        target[here] = target[fallback[here]]
        gained[here] += gained[fallback[here]]
        first += len(parent)
    return target, gained
