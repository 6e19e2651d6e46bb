"""The model of marks and capitals in a bundle: words and their times -> written words.

Shapes: T words, C classes of all questions.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from asr.errors import BadBundle
from asr.punctuation.marks import CAPITAL, CASES, COMMA, ENDS, MARKS, NONE, QUESTION
from asr.punctuation.pieces import pieces
from asr.punctuation.sound import sound

FORMAT = 1
CLASSES = (len(CASES), len(MARKS), 2)
"""Of the questions that are asked of each word: case, mark, and whether a paragraph ends."""
BLOCK, BEFORE, AFTER = 48, 48, 32
"""Words are answered in blocks; for each block the model reads some words before and after it, so
that an answer depends on nothing else, and is known once `AFTER` more words are."""
# Added to log-probabilities. The most probable mark gives the fewest errors, and too few marks:
# their F1 is best where one is put from a probability of about 0.4 on, and a comma or a question
# mark a little sooner than a full stop, which also takes a capital. Windows of training begin and
# end anywhere, recordings mostly with a sentence. Chosen on a third of dev-librispeech
# (docs/results.md).
_EASE = np.zeros(len(MARKS), np.float32)
_EASE[NONE], _EASE[COMMA], _EASE[QUESTION] = -0.5, 0.3, 0.3
_EASE_AT_THE_END = np.where(np.isin(np.arange(len(MARKS)), sorted(ENDS)), 1.0, 0.0)
_EASE_AT_THE_START = np.where(np.arange(len(CASES)) == CAPITAL, 1.0, 0.0)


@dataclass(frozen=True)
class Answer:
    """What the model says of one word."""

    case: int
    mark: int
    paragraph: bool
    """Whether a paragraph ends behind it."""


class Timed(Protocol):
    """A plain word with its times in seconds."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


class Session(Protocol):
    """What is asked of ONNX Runtime."""

    def run(self, outputs: list[str], inputs: dict[str, Any]) -> Any: ...
    def get_modelmeta(self) -> Any: ...


class Punctuator:
    """Immutable, and safe to use from several threads.

    Args:
        session: of the graph that `asr punctuation add` wrote.

    Raises:
        BadBundle: it is another one.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        about = session.get_modelmeta().custom_metadata_map
        try:
            if int(about["format"]) != FORMAT:
                raise BadBundle(
                    f"the model of marks has format {about['format']} and this earshot reads "
                    f"{FORMAT}: use the earshot that wrote it."
                )
            self.rows = int(about["rows"])
            self.forms: dict[str, str] = dict(json.loads(about["forms"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BadBundle(f"the model of marks is damaged ({error!r}): add it again.") from error

    def answers(self, words: Iterable[Timed]) -> Iterator[Answer]:
        """What the model says of each word, in order."""
        asked = Asked(self)
        for word in words:
            yield from asked.add(word)
        yield from asked.end()

    def block(self, words: Sequence[Timed], first: int, count: int) -> Iterator[Answer]:
        """What it says of `count` words from `first` on, by these words alone."""
        texts = [word.text for word in words]
        starts, ends = [word.start for word in words], [word.end for word in words]
        log_probs = self.log_probs(texts, sound(texts, starts, ends))[first : first + count]
        cases, marks, paragraphs = np.split(log_probs, np.cumsum(CLASSES)[:-1], axis=1)
        marks = marks + _EASE
        if first == 0:  # nothing comes before
            cases[0] += _EASE_AT_THE_START
        if first + count == len(words):  # nothing follows
            marks[-1] += _EASE_AT_THE_END
        for row in range(count):
            case, mark = int(cases[row].argmax()), int(marks[row].argmax())
            yield Answer(case, mark, bool(paragraphs[row].argmax()))

    def log_probs(self, words: Sequence[str], heard: NDArray[np.float32]) -> NDArray[np.float32]:
        """`(T, C)` for words that are read in one piece.

        Args:
            heard: `(T, SOUND)`, as `asr.punctuation.sound` has it, or zeros.
        """
        inputs = {
            "pieces": pieces(words, self.rows)[None],
            "sound": heard[None],
            "lengths": np.array([len(words)]),
        }
        (found,) = self._session.run(["log_probs"], inputs)
        return np.asarray(found[0])


class Asked:
    """Asks a model of words that come one by one."""

    def __init__(self, punctuator: Punctuator) -> None:
        self._punctuator = punctuator
        self._held: list[Timed] = []
        self._first = 0  # the place of the first word held
        self._answered = 0

    def add(self, word: Timed) -> Iterator[Answer]:
        """The answers that are known with the next word: about `AFTER` words late."""
        self._held.append(word)
        if self._first + len(self._held) == self._answered + BLOCK + AFTER:
            yield from self._block(BLOCK)

    def end(self) -> Iterator[Answer]:
        """The last answers, when no more words come."""
        while left := self._first + len(self._held) - self._answered:
            yield from self._block(min(BLOCK, left))

    def _block(self, count: int) -> Iterator[Answer]:
        at = self._answered - self._first
        begin = max(0, at - BEFORE)
        words = self._held[begin : at + count + AFTER]
        yield from self._punctuator.block(words, at - begin, count)
        self._answered += count
        kept = max(0, self._answered - BEFORE - self._first)
        del self._held[:kept]
        self._first += kept
