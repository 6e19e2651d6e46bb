"""Small language models for tests, and a slow reading of ARPA files to compare them with."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from asr.lm import NGram
from asr.lm.arpa import write_arpa
from asr.lm.estimation import Estimate, from_text
from asr.text import Tokenizer


@contextmanager
def silent(name: str) -> Iterator[object]:  # noqa: ARG001
    yield lambda done, total: None  # noqa: ARG005


def quiet(done: int, total: int) -> None:
    pass


def estimated(
    folder: Path,
    sentences: Sequence[str],
    order: int,
    cutoffs: Sequence[int] = (),
    tokenizer: Tokenizer | None = None,
    words: int | None = 1_000,
) -> Estimate:
    """The model of a few sentences, whose words are all known."""
    text = folder / "text.txt"
    text.write_text("\n".join(sentences), encoding="utf-8")
    return from_text(text, order, silent, cutoffs=cutoffs, tokenizer=tokenizer, words=words)


@dataclass(frozen=True)
class Dictionary:
    """A back-off model as ARPA defines it, one dictionary lookup after the other."""

    scores: dict[tuple[str, ...], float]
    backoffs: dict[tuple[str, ...], float]

    @classmethod
    def of(cls, model: NGram, folder: Path) -> "Dictionary":
        """The model, by way of an ARPA file."""
        path = folder / "model.arpa"
        write_arpa(model, path, quiet)
        scores, backoffs = {}, {}
        length = 0
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.endswith("-grams:"):
                length = int(line[1:].split("-")[0])
            elif length and line and not line.startswith("\\"):
                score, *words = line.split()
                gram = tuple(words[:length])
                scores[gram] = float(score) * math.log(10)
                backoffs[gram] = float((*words, 0)[length]) * math.log(10)
        return cls(scores, backoffs)

    def score(self, history: tuple[str, ...], word: str) -> float:
        """Natural log of P(word | history)."""
        if (*history, word) in self.scores:
            return self.scores[*history, word]
        if not history:
            return self.scores["<unk>",]
        return self.backoffs.get(history, 0.0) + self.score(history[1:], word)

    def contexts(self) -> list[tuple[str, ...]]:
        """All contexts that n-grams have, the empty one too."""
        return sorted({gram[:-1] for gram in self.scores})
