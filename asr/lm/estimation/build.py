"""A language model from a text, with a limit on its size."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from asr.counting import counted
from asr.errors import BadOption
from asr.lm.estimation.counts import count_ngrams
from asr.lm.estimation.kneser_ney import Estimate, estimate
from asr.lm.estimation.pruning import largest, losses
from asr.lm.estimation.temporary import TemporaryArrays
from asr.lm.estimation.texts import Progress, frequent_words, unit_tokens, word_tokens
from asr.lm.file_format import packed
from asr.lm.ngram import Kind, NGram
from asr.text import DEFAULT_LANGUAGE, Tokenizer

Stage = Callable[[str], AbstractContextManager[Progress]]
"""Starts a stage of the work with a name; returns the function that is told of progress."""
MOST_ORDER = 10
_BYTES = 1.9
"""Approximate size of an n-gram in a file."""
_TRIALS = 5
_AIM, _NEAR = 0.995, 0.985
"""Shares of the largest size: the target of a trial, and what is close enough."""


def from_text(
    text: Path,
    order: int,
    stage: Stage,
    *,
    cutoffs: Sequence[int] = (),
    tokenizer: Tokenizer | None = None,
    words: int | None = None,
    language: str = DEFAULT_LANGUAGE,
    spells: Callable[[str], bool] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Estimate:
    """A modified Kneser-Ney model of a text with one sentence per line.

    Memory grows with the n-grams that the cut-offs leave, not with the text.

    Args:
        cutoffs: for each length, n-grams that occur at most so often are left out; the last value
            also applies to longer n-grams.
        tokenizer: for a model over units; None for words.
        words: the size of the vocabulary, the most frequent words first; by default all words
            that occur more than once.
        language: of the text, which decides its normal form.
        spells: whether a word may be in the vocabulary; by default any may.
        say: is told how many words are left out because they occur once.

    Raises:
        BadData: the text cannot be read, or is empty.
        BadOption: an option has an impossible value.
    """
    limits = _limits(order, cutoffs)
    arrays = TemporaryArrays(Path(tempfile.gettempdir()))
    try:
        if tokenizer is None:
            with stage("words") as progress:
                fewest = 2 if words is None else 1
                known, rare = frequent_words(text, words, fewest, progress, language)
            if rare and words is None:
                every = rare + len(known)
                say(
                    f"left out, as they occur once: {rare:,} of "
                    f"{counted(every, 'different word')}; `--vocabulary {every}` keeps them"
                )
            if spells is not None:
                known = list(filter(spells, known))
            with stage("reading") as progress:
                vocabulary, tokens = word_tokens(text, known, arrays, progress, language)
        else:
            with stage("reading") as progress:
                vocabulary, tokens = unit_tokens(text, tokenizer, arrays, progress, language)
        with stage("counting") as progress:
            levels = count_ngrams(tokens, len(vocabulary), order, arrays, progress)
        with stage("estimating"):
            kind: Kind = "words" if tokenizer is None else "units"
            return estimate(kind, vocabulary, levels, limits, arrays)
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


def fitted(estimate: Estimate, most_bytes: int, stage: Stage) -> NGram:
    """The model, pruned by relative entropy until its file is no larger than `most_bytes`.

    Raises:
        BadOption: the single words alone take more.
    """
    model = estimate.model
    with stage("pruning") as progress:
        loss = losses(model, estimate.history, progress)
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
