"""How common each unit is, as a language model has it.

An acoustic model learns that too, and what a language model then adds counts it twice. Its
log-probabilities less a part of the units' own are nearer to what the sound alone says, as hybrid
models divide posteriors by priors (Bourlard and Morgan, 1994; with CTC: Miao et al., 2015).

Shapes: V units, W words and signs of the model's vocabulary.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr.decoding.lexicon import Boundaries, spell
from asr.decoding.ngram import NGram
from asr.text import BLANK, Tokenizer

_STEPS = 100  # of a row of units, until the share of each stands still


def log_shares(tokenizer: Tokenizer, model: NGram) -> Tensor:
    """`(V,)` float32: natural log of the share of each unit in what the model foretells.

    0 for the blank, of which it knows nothing. Units that it never foretells are taken to be as
    rare as the rarest.
    """
    shares = _of_words(tokenizer, model) if model.kind == "words" else _of_units(model)
    some = shares[BLANK + 1 :]
    logs = np.log(np.maximum(some, some[some > 0].min()) / some.sum())
    return torch.from_numpy(np.append(0.0, logs).astype(np.float32))


def _of_words(tokenizer: Tokenizer, model: NGram) -> NDArray[np.float64]:
    """Of the words' spellings, each as probable as the word is without context."""
    boundaries = Boundaries.of(tokenizer)
    ids, spellings = spell(tokenizer, model.spellable, boundaries.parts)
    weights = model.unigram.cpu().double().exp().numpy()[ids]
    shares = np.zeros(tokenizer.n_units)
    for units in spellings:
        there = units >= 0
        shares += np.bincount(units[there], weights[there], minlength=len(shares))
    if not boundaries.parts[spellings[0]].any():  # then a space stands between words
        shares[boundaries.parts] += weights.sum()
    return shares


def _of_units(model: NGram) -> NDArray[np.float64]:
    """Of a long text in which each unit depends on the one before it."""
    device = model.keys.device
    units = torch.tensor([*range(1, model.bos), model.eos], device=device)
    _, states = model.score(torch.zeros_like(units), units)
    states[-1] = model.start
    rows = [model.score(state.expand(len(units)), units)[0] for state in states]
    follow = torch.stack(rows).double().exp().cpu().numpy()
    follow /= follow.sum(axis=1, keepdims=True)
    share = np.full(len(units), 1 / len(units))
    for _ in range(_STEPS):
        share = share @ follow
    return np.append(0.0, share[:-1])
