"""Priors of units, by a language model.

An acoustic model learns the priors of units too, so a language model counts them twice. Posteriors
divided by a power of the priors are closer to the likelihood of the audio, as in hybrid models
(Bourlard and Morgan, "Connectionist speech recognition", 1994; with CTC: Miao et al., "EESEN",
2015, who count the blank too; here it has no prior).

Shapes: V units, W words, S sequences.
"""

import numpy as np
from numpy.typing import NDArray

from asr.decoding.beam.lexicon import Boundaries, Spellings
from asr.lm.ngram import NGram
from asr.text import BLANK

_STEPS = 100  # steps of the Markov chain, until the shares converge


def log_shares(
    sequences: Spellings, unigram: NDArray[np.float32], boundaries: Boundaries
) -> NDArray[np.float32]:
    """`(V,)` natural log of the share of each unit in words with the probabilities of `unigram`.

    The sequences of a word share its probability evenly. The blank, which a language model does not
    know, gets 0; units that never occur count as rare as the rarest.
    """
    weights = np.exp(unigram.astype(np.float64))[sequences.words]
    weights /= np.bincount(sequences.words, minlength=len(unigram))[sequences.words]
    n_units = len(boundaries.separates)
    each = np.repeat(weights, sequences.lengths)
    shares = np.bincount(sequences.units, each, minlength=n_units).astype(np.float64)
    if not boundaries.led:
        shares[boundaries.separates] += weights.sum()
    return _logs(shares)


def log_shares_of_units(model: NGram) -> NDArray[np.float32]:
    """`(V,)` the same in a long text in which each unit depends on the one before it."""
    units = np.array([*range(1, model.bos), model.eos])
    _, states = model.score(np.zeros_like(units), units)
    states[-1] = model.start
    rows = [model.score(np.full(len(units), state), units)[0] for state in states]
    follow = np.exp(np.stack(rows).astype(np.float64))
    follow /= follow.sum(axis=1, keepdims=True)
    share = np.full(len(units), 1 / len(units))
    for _ in range(_STEPS):
        share = share @ follow
    return _logs(np.append(0.0, share[:-1]))


def _logs(shares: NDArray[np.float64]) -> NDArray[np.float32]:
    some = shares[BLANK + 1 :]
    logs = np.log(np.maximum(some, some[some > 0].min()) / some.sum())
    return np.append(0.0, logs).astype(np.float32)
