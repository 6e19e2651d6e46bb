"""A language model from a text, no larger than wanted."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from asr.decoding.estimation.counts import count_ngrams
from asr.decoding.estimation.kneser_ney import Estimate, estimate
from asr.decoding.estimation.pruning import largest, losses
from asr.decoding.estimation.spool import Spool
from asr.decoding.estimation.texts import Progress, frequent_words, unit_tokens, word_tokens
from asr.decoding.ngram import Kind, NGram
from asr.decoding.ngram_file import packed
from asr.errors import BadOption
from asr.text import Tokenizer

Stage = Callable[[str], AbstractContextManager[Progress]]
"""Begins a part of the work under a name; gives what is to be told of progress in it."""
MOST_ORDER = 10
_BYTES = 1.9
"""What an n-gram takes in a file, more or less."""
_TRIALS = 5
_AIM, _NEAR = 0.995, 0.985
"""Of the largest size: where a trial is aimed, and what is large enough."""


def from_text(
    text: Path,
    order: int,
    stage: Stage,
    *,
    cutoffs: Sequence[int] = (),
    tokenizer: Tokenizer | None = None,
    words: int | None = None,
) -> Estimate:
    """A modified Kneser-Ney model of a text, a sentence a line, in memory that does not grow
    with it, but with the n-grams that the cut-offs leave.

    Args:
        cutoffs: for each length, n-grams that occur no oftener are left out; the last one holds
            for longer ones too.
        tokenizer: whose units the model is over; None for words.
        words: how many of the most frequent words the model knows; all that occur more than once
            by default.

    Raises:
        BadData: the text cannot be read, or is empty.
        BadOption: the options cannot be.
    """
    limits = _limits(order, cutoffs)
    spool = Spool(Path(tempfile.gettempdir()))
    try:
        if tokenizer is None:
            with stage("words") as progress:
                fewest = 2 if words is None else 1
                known = frequent_words(text, words, fewest, progress)
            with stage("reading") as progress:
                vocabulary, tokens = word_tokens(text, known, spool, progress)
        else:
            with stage("reading") as progress:
                vocabulary, tokens = unit_tokens(text, tokenizer, spool, progress)
        with stage("counting") as progress:
            levels = count_ngrams(tokens, len(vocabulary), order, spool, progress)
        with stage("estimating"):
            kind: Kind = "words" if tokenizer is None else "units"
            return estimate(kind, vocabulary, levels, limits, spool)
    except OSError as error:
        raise BadOption(
            f"counts cannot be kept in {tempfile.gettempdir()} ({error.strerror}); name a folder "
            "with more room in TMPDIR."
        ) from error


def _limits(order: int, cutoffs: Sequence[int]) -> list[int]:
    """A cut-off for each length."""
    if not 1 <= order <= MOST_ORDER:
        raise BadOption(f"order {order} is out of range; choose 1 to {MOST_ORDER}.")
    limits = [*cutoffs, *[cutoffs[-1] if cutoffs else 0] * order][:order]
    if any(limit < 0 for limit in limits) or limits != sorted(limits):
        raise BadOption(
            f"cut-offs {limits} must not be negative nor fall with the length; correct them."
        )
    return limits


def fitted(found: Estimate, most_bytes: int, stage: Stage) -> NGram:
    """The model, pruned by relative entropy until its file is no larger than `most_bytes`.

    Raises:
        BadOption: its words alone take more.
    """
    model = found.model
    with stage("pruning") as progress:
        loss = losses(model, found.history, progress)
        best = largest(model, loss, 0)
        words, least = len(best.scores), len(packed(best))
        if least > most_bytes:
            raise BadOption(
                f"the words alone take {least / 1e6:.2f} MB of {most_bytes / 1e6:.2f}; allow a "
                "larger size or fewer words."
            )
        longer = (_AIM * most_bytes - least) / _BYTES  # n-grams longer than one word
        for _ in range(_TRIALS):
            trial = largest(model, loss, words + int(longer))
            size = len(packed(trial))
            if size <= most_bytes and len(trial.scores) > len(best.scores):
                best = trial
            whole = len(trial.scores) == len(model.scores)
            if size <= most_bytes and (whole or size > _NEAR * most_bytes):
                break
            longer *= (_AIM * most_bytes - least) / max(size - least, 1)
    return best
