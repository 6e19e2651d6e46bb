"""Hot words: words and phrases that a request makes more probable.

A complete match of a hot word or phrase, from the start of a word to the end of one, earns a boost
for each letter, and words that the language model does not know cost no `unknown_price` in it. Both
are granted unit by unit while the hypothesis matches, and taken back when it stops matching, so
that a rare name stays in the beam until it can be compared as a whole.

All phrases share one automaton (Aho and Corasick, 1975) over units and words: the units of a word
lead from its start to its end, and its id leads from there to the next word. So among words that
sound alike only the given one is boosted. A match can start only at the start of a word.

Shapes: V units, H states.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr.counting import counted
from asr.errors import BadOption
from asr.text import Normaliser, Tokenizer, normalise

MAX_LETTERS = 20_000
"""Bounds the automaton: its states are at most letters, units and spaces of the hot words."""
_NAMED = 10  # letters and hot words that a message names
_LONGEST_NAMED = 200  # characters
BETWEEN, OFF = 0, 1
"""The states without a match: between words, and inside a word."""
MULTIPLIER, SHIFT = -7_046_029_254_386_353_131, 29  # 2 ** 64 / golden ratio, odd and signed
LOW_BITS = (1 << (64 - SHIFT)) - 1


class HotWords(NamedTuple):
    """The automaton as the compiled search reads it."""

    active: bool
    n_units: int
    symbols: int
    """Units and words are numbered together: word `w` is the symbol `n_units + w`."""
    keys: NDArray[np.int64]
    """Keys of a hash table: `state * symbols + symbol`, -1 for empty slots."""
    targets: NDArray[np.int64]
    """The state of each key."""
    fallback: NDArray[np.int64]
    """`(H,)` the state of the longest match that starts at a later word."""
    between: NDArray[np.bool_]
    """`(H,)` whether the state is between words."""
    rest: NDArray[np.int64]
    """`(H,)` the state to continue from: another one where no phrase continues."""
    credit: NDArray[np.float64]
    """`(H,)` boost granted for the match so far, as a natural log."""
    earned: NDArray[np.float64]
    """`(H,)` boost of all phrases that end here, as a natural log."""


@dataclass(frozen=True)
class Known:
    """A way to spell or pronounce a word."""

    word: int
    """Its id; 0 if the language model does not know it."""
    units: Sequence[int]
    lost: Sequence[bool]
    """For each unit, whether no word of the lexicon has this prefix."""


Speller: TypeAlias = Callable[[str], Sequence[Known]]
"""All spellings or pronunciations of a word in normal form; empty if there is none."""


def phrases(
    hotwords: Sequence[str], tokenizer: Tokenizer | None = None, normal: Normaliser = normalise
) -> list[str]:
    """Hot words in normal form, each once.

    Args:
        tokenizer: whose units must spell them; None where words are not spelled.
        normal: gives them their normal form.

    Raises:
        BadOption: one has no letters, or some that no unit spells; or there are too many.
    """
    written = {normal(hotword): hotword for hotword in hotwords}
    faulty: dict[str, set[str]] = {}
    for phrase, hotword in written.items():
        if not phrase:
            raise BadOption(f"hot word {short(hotword)} has no letters; leave it out.")
        if unknown := tokenizer.unknown(phrase) if tokenizer is not None else set():
            faulty[hotword] = unknown
    if faulty:
        first, unknown = next(iter(faulty.items()))
        letters = ", ".join(map(repr, sorted(unknown)[:_NAMED]))
        others = list(faulty)[1:]
        named = ", ".join([*map(short, others[:_NAMED]), *(["…"] if others[_NAMED:] else [])])
        have = "have" if others[1:] else "has"
        more = f", and so {have} {counted(len(others), 'other')} ({named})" if others else ""
        raise BadOption(
            f"hot word {short(first)} has {letters}, which this model cannot spell{more}; "
            "write it in the model's letters, numbers as words."
        )
    if (letters_in_all := sum(map(len, written))) > MAX_LETTERS:
        raise BadOption(
            f"the hot words have {letters_in_all} letters, over the limit of {MAX_LETTERS}; "
            "give fewer."
        )
    return list(written)


def short(hotword: str) -> str:
    """The hot word as messages quote it."""
    return repr(hotword if len(hotword) <= _LONGEST_NAMED else f"{hotword[:_LONGEST_NAMED]}…")


@dataclass
class _States:
    """The automaton under construction."""

    children: list[dict[int, int]] = field(default_factory=lambda: [{}, {}])
    place: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0), (-1, 0)])
    """Words before each state, and units of the next one."""
    credit: list[float] = field(default_factory=lambda: [0.0, 0.0])
    whole: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def grow(self, parent: int, symbol: int, place: tuple[int, int], credit: float) -> int:
        """The state that a symbol leads to."""
        children = self.children[parent]
        if symbol not in children:
            children[symbol] = self.new(place, credit)
        return children[symbol]

    def new(self, place: tuple[int, int], credit: float) -> int:
        """Adds a state that no symbol leads to yet."""
        self.children.append({})
        self.place.append(place)
        self.credit.append(credit)
        self.whole.append(0.0)
        return len(self.children) - 1

    def past(self, fallback: list[int], state: int, symbol: int, otherwise: int) -> int:
        """The state after a symbol, by fallback to later matches if necessary."""
        while state != OFF:
            if symbol in self.children[state]:
                return self.children[state][symbol]
            state = fallback[state]
        return otherwise


def hot_words(
    words: Sequence[str],
    spell: Speller,
    letters: NDArray[np.int64],
    n_words: int,
    boost: float,
    unknown_price: float,
) -> HotWords:
    """The automaton of hot words in normal form.

    Args:
        letters: `(V,)` see `Boundaries`.
        n_words: number of word ids, that of unknown words included.

    Raises:
        BadOption: `spell` does.
    """
    states = _States()
    for phrase in words:
        _add(states, phrase, spell, letters, boost, unknown_price)
    n_units = len(letters)
    fallback, rest, earned = _links(states, n_units)
    symbols = n_units + n_words
    edges = [
        (state * symbols + symbol, target)
        for state, children in enumerate(states.children)
        for symbol, target in children.items()
    ]
    keys, targets = _table(edges)
    return HotWords(
        active=bool(edges),
        n_units=n_units,
        symbols=symbols,
        keys=keys,
        targets=targets,
        fallback=np.array(fallback),
        between=np.array([units == 0 and words >= 0 for words, units in states.place]),
        rest=np.array(rest),
        credit=np.array(states.credit),
        earned=np.array(earned),
    )


def _add(
    states: _States,
    phrase: str,
    spell: Speller,
    letters: NDArray[np.int64],
    boost: float,
    unknown_price: float,
) -> None:
    at, held = BETWEEN, 0.0
    n_units = len(letters)
    for place, word in enumerate(phrase.split()):
        ends: list[tuple[int, int]] = []
        for known in spell(word):
            state, heard = at, 0
            for depth, (unit, lost) in enumerate(zip(known.units, known.lost, strict=True), 1):
                heard += int(letters[unit])
                credit = held + boost * heard + unknown_price * lost
                state = states.grow(state, unit, (place, depth), credit)
            ends.append((state, n_units + known.word))
        held += boost * len(word) + unknown_price * all(end[1] == n_units for end in ends)
        known_ends = [states.children[state].get(symbol) for state, symbol in ends]
        at = next((end for end in known_ends if end is not None), -1)
        if at < 0:
            at = states.new((place + 1, 0), held)
        for state, symbol in ends:
            states.children[state][symbol] = at
    states.whole[at] = held


def _links(states: _States, n_units: int) -> tuple[list[int], list[int], list[float]]:
    """`(H,)` fallback, rest and earned, from short matches to long ones."""
    count = len(states.children)
    fallback, rest, earned = [OFF] * count, list(range(count)), [0.0] * count
    for state in sorted(range(count), key=states.place.__getitem__):
        for symbol, target in states.children[state].items():
            otherwise = OFF if symbol < n_units else BETWEEN
            fallback[target] = states.past(fallback, fallback[state], symbol, otherwise)
            if symbol >= n_units:
                earned[target] = states.whole[target] + earned[fallback[target]]
                if not states.children[target]:
                    rest[target] = rest[fallback[target]]
    return fallback, rest, earned


def _table(edges: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A hash table of keys and their targets, as `kernel` looks them up."""
    size = 4
    while size < 2 * len(edges):
        size *= 2
    keys, targets = np.full(size, -1), np.zeros(size, np.int64)
    product = (np.array([key for key, _ in edges], dtype=np.int64) ^ 1) * np.int64(MULTIPLIER)
    starts = (product ^ (product >> SHIFT & LOW_BITS)).tolist()
    for (key, target), start in zip(edges, starts, strict=True):
        slot = start & (size - 1)
        while keys[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        keys[slot], targets[slot] = key, target
    return keys, targets
