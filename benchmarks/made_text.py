"""A text of any length that an n-gram model makes, a sentence a line, to try `asr lm build` on.

    python benchmarks/made_text.py lm.npz made.txt --words 300000000
    /usr/bin/time -v asr lm build made.txt made.npz --max-size 30

Words follow each other as often as in the text of the model, and new pairs and triples of them
keep coming, so that counts grow as those of a real text do.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.lm import NGram, read_ngram

SENTENCES = 200_000
"""Made side by side, if so many are wanted."""
SHORTEST = 5
"""Words of a sentence on the average, at least."""
LONGEST = 80
"""Words of a sentence that does not end by itself."""


class Words:
    """Draws the word after a state.

    Where the draw falls outside what a state lists, it is repeated in the next shorter state.
    Words that the longer one lists are not left out there, which makes them a little likelier.
    """

    def __init__(self, model: NGram) -> None:
        states = np.arange(len(model.backoffs) + 1)
        self.first = np.searchsorted(model.keys, states * len(model.vocabulary))
        chances = np.exp(model.scores.astype(np.float64))
        chances[[0, model.bos]] = 0.0
        self.sums = np.concatenate([[0.0], np.cumsum(chances)])
        self.shorter = model.shorter
        context, self.words = model.context_and_word(np.arange(len(model.scores)))
        self.after = np.concatenate(
            [
                model.score(context[part], self.words[part])[1]
                for part in np.array_split(np.arange(len(context)), 64)
            ]
        )

    def draw(
        self, states: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The words, and the states after them."""
        entries = np.zeros(len(states), np.int64)
        left, at = np.arange(len(states)), states
        while len(left):
            low, high = self.sums[self.first[at]], self.sums[self.first[at + 1]]
            drawn = low + random.random(len(at)) * np.where(at > 0, 1.0, high - low)
            inside = drawn < high
            entries[left[inside]] = np.searchsorted(self.sums, drawn[inside], side="right") - 1
            left, at = left[~inside], self.shorter[at[~inside]]
        return self.words[entries], self.after[entries]


def sentences(model: NGram, words: int, random: np.random.Generator) -> Iterator[str]:
    """Sentences of so many words in all, and the rest of the last one."""
    following, spelled = Words(model), model.spellable
    together = min(SENTENCES, 1 + words // SHORTEST)
    while words > 0:
        made = np.full((together, LONGEST), model.eos)
        running = np.arange(together)
        states = np.full(together, model.start)
        for place in range(LONGEST):
            drawn, states = following.draw(states, random)
            made[running, place] = drawn
            going = drawn != model.eos
            running, states = running[going], states[going]
        lengths = (made != model.eos).sum(1)
        for row, length in zip(made, lengths.tolist(), strict=True):
            yield " ".join([spelled[word] for word in row[:length].tolist()])
            words -= length
            if words <= 0:
                return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a model of words, as `asr lm build` writes it")
    parser.add_argument("out", type=Path)
    parser.add_argument("--words", type=int, default=300_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    model, random = read_ngram(arguments.model), np.random.default_rng(arguments.seed)
    with arguments.out.open("w", encoding="utf-8") as file:
        for sentence in sentences(model, arguments.words, random):
            file.write(sentence + "\n")


if __name__ == "__main__":
    main()
