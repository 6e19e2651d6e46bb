"""Training of a grapheme-to-phoneme model, and its error rates on held-out words."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asr.errors import BadData, BadOption
from asr.text.pronunciations.alignment import align
from asr.text.pronunciations.dictionary import Phones, Pronunciations
from asr.text.pronunciations.estimation import estimate, largest, losses
from asr.text.pronunciations.g2p import G2P

ORDER = 7
"""Graphones of the longest n-grams; longer ones gain nothing (docs/results.md)."""
MAX_SIZE = 2_000_000
"""Bytes of the file."""
_RELATED = 5  # letters: words with such a common prefix count as forms of one another


@dataclass(frozen=True)
class Trained:
    """A model, and the words that it could not learn from."""

    g2p: G2P
    left_out: tuple[str, ...]
    """Words with more than two phones per letter, such as abbreviations that are spelled out."""


@dataclass(frozen=True)
class Measured:
    """Error rates of a model on words with known pronunciations."""

    words: int
    phone_errors: float
    """Phone error rate against the nearest known pronunciation."""
    words_wrong: float
    """Share of words whose first guess is not a known pronunciation."""
    words_missed: float
    """Share of words with no known pronunciation among the first four guesses."""
    spelled: float
    """Share of words that are the first guessed spelling of their most common pronunciation."""
    spelled_among: float
    """Share of words among the first five guessed spellings."""


def train(pronunciations: Pronunciations, order: int = ORDER, max_size: int = MAX_SIZE) -> Trained:
    """A model of these pronunciations; the same words in the same order give the same model.

    Args:
        order: graphones of the longest n-grams, 2 to 10.
        max_size: bytes of its file; the n-grams that matter least are removed.

    Raises:
        BadOption: `order` is out of range, or even the single graphones exceed `max_size`.
        BadData: there is no word to learn from.
    """
    if not 2 <= order <= 10:
        raise BadOption(f"order {order} is not from 2 to 10; {ORDER} is a good one.")
    entries = [(word, said) for word in pronunciations.words for said in pronunciations.of(word)]
    letter = _numbered(sorted({letter for word, _ in entries for letter in word}))
    phone = _numbered(pronunciations.phones)
    alignment = align(
        [([letter[c] for c in word], [phone[p] for p in said]) for word, said in entries]
    )
    if not alignment.rows:
        raise BadData("no word has at most two phones to a letter; there is nothing to learn from.")
    graphones = alignment.graphones
    letters, phones = np.unique(graphones[:, 0]), np.unique(np.append(graphones[:, 1:], 0))[1:]
    numbers = np.append(np.searchsorted(phones, np.arange(len(phone) + 1)) + 1, 0)
    numbers[0] = 0
    graphones = np.column_stack(
        [np.searchsorted(letters, graphones[:, 0]) + 1, numbers[graphones[:, 1:]]]
    )
    model, history = estimate(list(alignment.rows.values()), len(graphones) + 2, order)
    g2p = G2P(
        "".join(list(letter)[number - 1] for number in letters),
        tuple(pronunciations.phones[number - 1] for number in phones),
        graphones,
        model,
    )
    learnt = {entries[entry][0] for entry in alignment.rows}
    left_out = tuple(word for word in pronunciations.words if word not in learnt)
    return Trained(_fitted(g2p, history, max_size), left_out)


def _numbered(symbols: Sequence[str]) -> dict[str, int]:
    return {symbol: number for number, symbol in enumerate(symbols, start=1)}


def _fitted(g2p: G2P, history: NDArray[np.float64], max_size: int) -> G2P:
    """The model with as many n-grams as fit into the file."""
    size = len(g2p.packed())
    if size <= max_size:
        return g2p
    loss = losses(g2p.model, history)
    count, least = len(loss), g2p.model.vocabulary
    while count > least:
        # Fewer n-grams compress worse: aim a little below, and repeat.
        count = max(min(int(count * max_size / size * 0.99), count - 1), least)
        smaller = replace(g2p, model=largest(g2p.model, loss, count))
        size = len(smaller.packed())
        if size <= max_size:
            return smaller
    raise BadOption(f"the single graphones alone take {size / 1e6:.3f} MB; allow more.")


def split(
    pronunciations: Pronunciations, share: float, related: bool = True
) -> tuple[Pronunciations, Pronunciations]:
    """The words to train on, and a share of words to measure with; deterministic.

    Args:
        related: keeps words with the same first letters together, so that the model is not trained
            on forms of the words it is measured with; else words are drawn one by one, as for
            published figures.
    """
    parts: tuple[dict[str, tuple[Phones, ...]], ...] = ({}, {})
    for word in pronunciations.words:
        key = word.replace("'", "")[:_RELATED] if related else word
        digest = hashlib.sha256(key.encode("utf-8")).digest()
        held = int.from_bytes(digest[:4], "big") < share * 2**32
        parts[held][word] = pronunciations.of(word)
    return Pronunciations(parts[0]), Pronunciations(parts[1])


def measure(g2p: G2P, pronunciations: Pronunciations) -> Measured:
    """Error rates of a model on words that it was not trained on.

    Raises:
        BadData: there are none.
    """
    words = [word for word in pronunciations.words if not g2p.unknown(word)]
    if not words:
        raise BadData("no held-out words to measure with; give a larger dictionary or share.")
    errors = phones = wrong = missed = 0
    for word, guesses in zip(words, g2p.pronounce_all(words, 4), strict=True):
        known = pronunciations.of(word)
        distance, length = min((_distance(guesses[0].phones, k), len(k)) for k in known)
        errors, phones, wrong = errors + distance, phones + length, wrong + (distance > 0)
        missed += not any(guess.phones in known for guess in guesses)
    said = {word: pronunciations.of(word)[0] for word in words}
    # A phone that the model has never met cannot be spelled: such a word counts as wrong.
    readable = [word for word in words if set(said[word]) <= set(g2p.phones)]
    rows = g2p.spell_all([said[word] for word in readable], 5)
    spellings = [[s.word for s in row] for row in rows]
    first = sum(row[:1] == [word] for word, row in zip(readable, spellings, strict=True))
    among = sum(word in row for word, row in zip(readable, spellings, strict=True))
    n = len(words)
    return Measured(n, errors / phones, wrong / n, missed / n, first / n, among / n)


def _distance(one: Phones, other: Phones) -> int:
    """The Levenshtein distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        above, row = row, [i]
        for j, b in enumerate(other, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
    return row[-1]
