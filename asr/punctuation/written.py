"""Plain words, and what a model says of them -> each word as people write it."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Generic, TypeVar

from asr.punctuation.given import GivenForms
from asr.punctuation.marks import CAPITAL, DASH, LOWER, MARKS, NONE, QUESTION, STOP, cased
from asr.punctuation.model import Answer, Asked, Punctuator, Timed
from asr.punctuation.numbers import digit_words, numbers

PAUSE_S = 0.8
"""No number goes on over a pause of this length."""
_LONGEST_RUN = 400
"""Words that are looked at together for numbers, where no mark and no pause comes earlier."""
_WORDS_OF_ONE_LETTER = frozenset("aeiouyàèéó")
Word = TypeVar("Word", bound=Timed)


@dataclass(frozen=True)
class WrittenWord(Generic[Word]):
    """A word, and how it is written."""

    word: Word
    written: str
    """With the mark behind it; empty if it is part of the number that the word before it begins."""
    ends_paragraph: bool


class Writer(Generic[Word]):
    """Writes words that come one after the other.

    Args:
        language: in which numbers are written in digits; None leaves them in words.
        given: words whose capitals the caller has given.
    """

    def __init__(
        self, punctuator: Punctuator, language: str | None, given: GivenForms | None = None
    ) -> None:
        self._given = given or GivenForms()
        self._asked = Asked(punctuator)
        self._forms, self._language = punctuator.forms, language
        self._digits = digit_words(language) if language is not None else frozenset()
        self._waiting: deque[Word] = deque()  # for an answer
        self._run: list[tuple[Word, Answer]] = []
        self._starts = False  # whether a sentence has just ended

    def add(self, words: Iterable[Word]) -> Iterator[WrittenWord[Word]]:
        """The words that are settled with the next ones: what follows does not change them."""
        for word in words:
            self._waiting.append(word)
            for answer in self._asked.add(word):
                yield from self._answered(self._waiting.popleft(), answer)

    def end(self) -> Iterator[WrittenWord[Word]]:
        """The last words, when no more come."""
        for answer in self._asked.end():
            yield from self._answered(self._waiting.popleft(), answer)
        yield from self._written()

    def _answered(self, word: Word, answer: Answer) -> Iterator[WrittenWord[Word]]:
        if self._run and self._ends_before(word):
            yield from self._written()
        if self._starts and answer.case == LOWER:
            answer = replace(answer, case=CAPITAL)
        self._starts = answer.mark == STOP
        self._run.append((word, answer))
        may_go_on = answer.mark == NONE or (answer.mark != QUESTION and word.text in self._digits)
        if not may_go_on or len(self._run) == _LONGEST_RUN:
            yield from self._written()

    def _ends_before(self, word: Word) -> bool:
        last, answer = self._run[-1]
        long = word.start - last.end >= PAUSE_S
        return long or (answer.mark != NONE and word.text not in self._digits)

    def _written(self) -> Iterator[WrittenWord[Word]]:
        run, self._run = self._run, []
        for part in _parts(run, self._digits, self._language):
            yield from _run(part, self._forms, self._given, self._language)


def written_words(
    punctuator: Punctuator, words: Iterable[Word], language: str | None
) -> Iterator[WrittenWord[Word]]:
    """Each word as it is written, in order, as soon as that does not depend on what follows.

    Args:
        language: as of `Writer`.
    """
    writer = Writer[Word](punctuator, language)
    yield from writer.add(words)
    yield from writer.end()


def _parts(
    run: list[tuple[Word, Answer]], digits: Set[str], language: str | None
) -> Iterator[list[tuple[Word, Answer]]]:
    """The run cut at its marks, but for those in a number that is said digit by digit: they stand
    for its pauses, as in a telephone number, unless there is one behind every digit."""
    marked = {place for place, (_, answer) in enumerate(run[:-1]) if answer.mark != NONE}
    if marked and language is not None:
        words = [word.text for word, _ in run]
        for number in numbers(words, language):
            inside = marked.intersection(range(number.first, number.end - 1))
            is_row = digits >= set(words[number.first : number.end])
            if is_row and 2 * len(inside) <= number.end - number.first:
                marked -= inside
    first = 0
    for end in (*(place + 1 for place in sorted(marked)), len(run)):
        yield run[first:end]
        first = end


def _run(
    run: Sequence[tuple[Word, Answer]],
    forms: Mapping[str, str],
    given: GivenForms,
    language: str | None,
) -> Iterator[WrittenWord[Word]]:
    """Words without a mark or a long pause between them."""
    cases = _cases(run)
    spelled = [cased(word.text, case, forms) for (word, _), case in zip(run, cases, strict=True)]
    words = [word.text for word, _ in run]
    given.put(words, cases, spelled)
    if language is not None:
        for number in numbers(words, language):
            count = number.end - number.first
            spelled[number.first : number.end] = [number.text, *([""] * (count - 1))]
    last = max((place for place, text in enumerate(spelled) if text), default=0)
    for place, (word, answer) in enumerate(run):
        text = spelled[place]
        if place == last:
            text += _behind(run[-1][1].mark)
        yield WrittenWord(word, text, answer.paragraph)


def _cases(run: Sequence[tuple[Word, Answer]]) -> list[int]:
    """The case of each word; letters that spell something, one by one, have the same."""
    cases = [answer.case for _, answer in run]
    letters = [place for place, (word, _) in enumerate(run) if len(word.text) == 1]
    for _, row in groupby(enumerate(letters), lambda one: one[1] - one[0]):  # without a gap
        places = [place for _, place in row]
        sure = [place for place in places if run[place][0].text not in _WORDS_OF_ONE_LETTER]
        if len(sure) > 1 and any(cases[place] != LOWER for place in sure):
            cases[sure[0] : sure[-1] + 1] = [CAPITAL] * (sure[-1] + 1 - sure[0])
    return cases


def _behind(mark: int) -> str:
    return f" {MARKS[mark]}" if mark == DASH else MARKS[mark]
