"""A back-off n-gram model as arrays, so that questions of a whole beam are a few gathers.

An n-gram is an entry; entries are sorted by length, context and word. A state is a context that
the model tells apart: 0 is the empty one, `e + 1` that of entry `e`. The entries that follow state
`s` have the keys `s * V + word`, which ascend over all entries: one binary search finds any of
them, on CPU and CUDA alike.

Shapes: N questions, V vocabulary, E entries of any length, I states (0 and the entries shorter
than the order).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from asr.errors import BadOption
from asr.text import Tokenizer

UNKNOWN, START, END = "<unk>", "<s>", "</s>"
NEVER = -99 * 2.302585093  # what ARPA files write for <s>, which nothing predicts
_BLOCK = 1 << 20  # questions that are put together while a model is made
NO_KEY = torch.iinfo(torch.int64).max

Kind: TypeAlias = Literal["words", "units"]


@dataclass(frozen=True)
class NGram:
    """The model; all logarithms are natural ones. Immutable, safe to use from several threads."""

    kind: Kind
    vocabulary: tuple[str, ...]
    """`<unk>`, the words (or the spellings of the units from 1 on), `<s>`, `</s>`."""
    sizes: tuple[int, ...]
    """Number of entries of length 1, 2, ..."""
    keys: Tensor
    """`(E + 1,)` int64, ascending; that of a single word is its id; NO_KEY behind them."""
    scores: Tensor
    """`(E,)` float32: log P(word | context)."""
    backoffs: Tensor
    """`(I,)` float32: added where the context is not followed by the word in any entry."""
    shorter: Tensor
    """`(I,)` int64: the longest state that ends like this one."""
    leads: Tensor
    """`(E,)` bool: the entry is a context told apart; for others a shorter one stands."""

    @classmethod
    def build(
        cls,
        kind: Kind,
        vocabulary: Sequence[str],
        sizes: Sequence[int],
        entries: tuple[Tensor, Tensor, Tensor],
        leads: Tensor | None = None,
    ) -> "NGram":
        """The model with what can be derived.

        Args:
            sizes: number of entries of each length; those of length 1 are the whole vocabulary.
            entries: keys, scores, and the back-offs of states.
            leads: where it is known already; made the model's own.
        """
        keys, scores, backoffs = entries
        if leads is None:
            leads = torch.zeros(len(scores), dtype=torch.bool)
            contexts = torch.unique_consecutive(keys[:-1] // len(vocabulary))
            leads[contexts[1:] - 1] = True  # the first one is the empty context
        leads[: len(backoffs) - 1] |= backoffs[1:] != 0
        shorter = torch.zeros(len(backoffs), dtype=torch.int64)
        model = cls(kind, tuple(vocabulary), tuple(sizes), keys, scores, backoffs, shorter, leads)
        model._link()
        return model

    def _link(self) -> None:
        """Fills `shorter`, from short contexts to long ones."""
        first = len(self.vocabulary)
        for length, size in enumerate(self.sizes[1:-1], start=2):
            for entries in torch.split(torch.arange(first, first + size), _BLOCK):
                leading = entries[self.leads[entries]]
                context, word = self.context_and_word(leading)
                found = self._find(self.shorter[context], word, length - 1)
                self.shorter[leading + 1] = found[1]
            first += size

    @property
    def order(self) -> int:
        """Length of the longest entries."""
        return len(self.sizes)

    @property
    def bos(self) -> int:
        """Id of `<s>`."""
        return len(self.vocabulary) - 2

    @property
    def eos(self) -> int:
        """Id of `</s>`, which ends every sentence."""
        return len(self.vocabulary) - 1

    @property
    def spellable(self) -> list[str]:
        """The item of each id as text has it; empty for the three signs, which text never has."""
        signs = (0, self.bos, self.eos)
        return ["" if id in signs else item for id, item in enumerate(self.vocabulary)]

    @property
    def start(self) -> int:
        """State at the start of a sentence."""
        return self.bos + 1 if bool(self.leads[self.bos]) else 0

    @property
    def unigram(self) -> Tensor:
        """`(V,)` float32: log P(word) without context."""
        return self.scores[: len(self.vocabulary)]

    def context_and_word(self, entries: Tensor) -> tuple[Tensor, Tensor]:
        """States and word ids of some entries."""
        keys = self.keys[entries]
        context = keys // len(self.vocabulary)
        return context, keys - context * len(self.vocabulary)

    def score(self, states: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """`(N,)` float32 log P(word | state), and the `(N,)` states after the words.

        Args:
            states: `(N,)` int64.
            words: `(N,)` int64 ids.
        """
        return self._find(states, words, self.order)

    def _find(self, states: Tensor, words: Tensor, lengths: int) -> tuple[Tensor, Tensor]:
        """The same for states of fewer than `lengths` words."""
        contexts = [states]  # longest first; the last one is empty
        for _ in range(lengths - 1):
            contexts.append(self.shorter[contexts[-1]])
        context = torch.stack(contexts)  # (lengths, N)
        key = context * len(self.vocabulary) + words
        entry = torch.searchsorted(self.keys, key)
        found = self.keys[entry] == key
        hits = found.cumsum(0)
        entry = torch.where(found, entry, 0)
        parts = torch.where(hits == 0, self.backoffs[context], 0.0)
        parts = torch.where(found & (hits == 1), self.scores[entry], parts)
        # Longer states have higher numbers.
        after = torch.where(found & self.leads[entry], entry + 1, 0).amax(0)
        return parts.sum(0), after

    def check(self, tokenizer: Tokenizer) -> None:
        """Raises BadOption if the model cannot be used with the units of a tokenizer."""
        if self.kind == "units":
            fits = self.vocabulary[1:-2] == tokenizer.spellings[1:]
        else:
            fits = any(not tokenizer.unknown(word) for word in self.vocabulary[1:-2])
        if not fits:
            raise BadOption(
                f"the language model is over {self.kind} that the bundle's units do not spell; "
                "build one for them with `asr lm build`."
            )

    def to(self, device: torch.device | str) -> "NGram":
        """The same model on a device."""
        names = ("keys", "scores", "backoffs", "shorter", "leads")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def save(self, path: Path) -> None:
        """Writes the model, quantised to 256 values a length; a loaded one loses nothing more."""
        from asr.decoding.ngram_file import write

        write(self, path)

    @classmethod
    def load(cls, path: Path) -> "NGram":
        """The model in a file that `save` wrote.

        Raises:
            BadData: it is missing, damaged, or something else.
        """
        from asr.decoding.ngram_file import read

        return read(path)
