"""A back-off n-gram model as arrays, so that many queries take a few array operations.

Each n-gram is an entry; entries are sorted by length, context and word. A state is a context that
the model distinguishes: state 0 is the empty context, state `e + 1` is that of entry `e`. The
entries that follow state `s` have the keys `s * V + word`. Keys ascend over all entries, so one
binary search finds any entry.

Shapes: N queries, V vocabulary, E entries of any length, I states (0 and the entries shorter
than the order).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr.errors import BadOption
from asr.text import Tokenizer

UNKNOWN, START, END = "<unk>", "<s>", "</s>"
NEVER = -99 * 2.302585093  # the value in ARPA files for <s>, which is never predicted
_BLOCK = 1 << 20  # queries computed together while a model is built
NO_KEY = np.iinfo(np.int64).max

Kind: TypeAlias = Literal["words", "units"]
Ids: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class NGram:
    """The model; all logarithms are natural ones. Immutable, safe to use from several threads."""

    kind: Kind
    vocabulary: tuple[str, ...]
    """`<unk>`, the words (or the spellings of the units from 1 on), `<s>`, `</s>`."""
    sizes: tuple[int, ...]
    """Number of entries of length 1, 2, ..."""
    keys: Ids
    """`(E + 1,)` int64, ascending; the key of a single word is its id; NO_KEY comes last."""
    scores: NDArray[np.float32]
    """`(E,)` float32: log P(word | context)."""
    backoffs: NDArray[np.float32]
    """`(I,)` float32: added if no entry has the word after this context."""
    shorter: Ids
    """`(I,)` int64: the longest state that ends like this one."""
    leads: NDArray[np.bool_]
    """`(E,)`: the entry is a context of its own; others are represented by a shorter one."""

    @classmethod
    def build(
        cls,
        kind: Kind,
        vocabulary: Sequence[str],
        sizes: Sequence[int],
        entries: tuple[Ids, NDArray[np.float32], NDArray[np.float32]],
        leads: NDArray[np.bool_] | None = None,
    ) -> "NGram":
        """The model, with the arrays that can be derived from its entries.

        Args:
            sizes: number of entries of each length; those of length 1 are the whole vocabulary.
            entries: keys `(E + 1,)`, scores `(E,)`, and the back-offs of states `(I,)`.
            leads: if it is known already; the model takes it over.
        """
        keys, scores, backoffs = entries
        if leads is None:
            leads = np.zeros(len(scores), np.bool_)
            contexts = keys[:-1] // len(vocabulary)
            new = np.flatnonzero(np.diff(contexts)) + 1  # the first one is the empty context
            leads[contexts[new] - 1] = True
        leads[: len(backoffs) - 1] |= backoffs[1:] != 0
        shorter = np.zeros(len(backoffs), np.int64)
        model = cls(kind, tuple(vocabulary), tuple(sizes), keys, scores, backoffs, shorter, leads)
        model._link()
        return model

    def _link(self) -> None:
        """Fills `shorter`, from short contexts to long ones."""
        first = len(self.vocabulary)
        for length, size in enumerate(self.sizes[1:-1], start=2):
            for start in range(first, first + size, _BLOCK):
                part = slice(start, min(start + _BLOCK, first + size))
                leading = part.start + np.flatnonzero(self.leads[part])
                context, word = self.context_and_word(leading)
                result = self._find(self.shorter[context], word, length - 1)
                self.shorter[leading + 1] = result[1]
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
        """The item of each id as in text; empty for the three symbols that no text has."""
        signs = (0, self.bos, self.eos)
        return ["" if id in signs else item for id, item in enumerate(self.vocabulary)]

    @property
    def start(self) -> int:
        """State at the start of a sentence."""
        return self.bos + 1 if bool(self.leads[self.bos]) else 0

    @property
    def unigram(self) -> NDArray[np.float32]:
        """`(V,)` float32: log P(word) without context."""
        return self.scores[: len(self.vocabulary)]

    def context_and_word(self, entries: Ids) -> tuple[Ids, Ids]:
        """States and word ids of some entries."""
        context, word = np.divmod(self.keys[entries], len(self.vocabulary))
        return context, word

    def score(self, states: Ids, words: Ids) -> tuple[NDArray[np.float32], Ids]:
        """`(N,)` float32 log P(word | state), and the `(N,)` states after the words.

        Args:
            states: `(N,)` int64.
            words: `(N,)` int64 ids.
        """
        return self._find(states, words, self.order)

    def _find(self, states: Ids, words: Ids, lengths: int) -> tuple[NDArray[np.float32], Ids]:
        """As `score`, for states of fewer than `lengths` words."""
        contexts = [states]  # longest first; the last one is empty
        for _ in range(lengths - 1):
            contexts.append(self.shorter[contexts[-1]])
        context = np.stack(contexts)  # (lengths, N)
        key = context * len(self.vocabulary) + words
        entry = np.searchsorted(self.keys, key)
        matches = self.keys[entry] == key
        hits = matches.cumsum(0)
        entry = np.where(matches, entry, 0)
        parts = np.where(hits == 0, self.backoffs[context], np.float32(0.0))
        parts = np.where(matches & (hits == 1), self.scores[entry], parts)
        # Longer states have higher numbers.
        after = np.where(matches & self.leads[entry], entry + 1, 0).max(0)
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
