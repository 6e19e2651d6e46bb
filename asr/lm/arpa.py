"""ARPA files, the exchange format of n-gram models: errors name the line.

Words are taken in normal form, units in the spellings of a tokenizer ("▁" for a space).
Shapes: E n-grams of one length, K words of each, V vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from asr.errors import BadData, BadOption
from asr.files import writing
from asr.lm.estimation.temporary import blocks
from asr.lm.estimation.texts import Progress, opened
from asr.lm.ngram import END, NEVER, NO_KEY, START, UNKNOWN, Kind, NGram
from asr.text import DEFAULT_LANGUAGE, Tokenizer, normalise

_BLOCK = 1 << 16
"""Lines parsed or written at a time."""
_LOG_10 = math.log(10)
_SPECIAL = (UNKNOWN, START, END)
_HIGHEST = 1_000.0
"""The largest absolute base-10 logarithm that a model may have."""


def read_arpa(
    path: Path,
    tokenizer: Tokenizer | None,
    progress: Progress,
    language: str = DEFAULT_LANGUAGE,
) -> NGram:
    """The model in an ARPA file, plain or compressed (.gz, .xz).

    Args:
        tokenizer: for a model over units; None for a model over words.
        language: of the words, which decides their normal form.

    Raises:
        BadData: the file is wrong; the message names the line.
        BadOption: the model is over other units.
    """
    with opened(path) as (file, told):
        total = path.stat().st_size
        lines = _Lines(path, file, lambda: progress(told(), total))
        announced = _header(lines)
        vocabulary, ids, section = _unigrams(lines, announced[0], tokenizer, language)
        sections = [section]
        for length, size in enumerate(announced[1:], start=2):
            keys = np.concatenate([section.keys for section in sections])
            sections.append(_ngrams(lines, (length, size), ids, keys, len(vocabulary)))
        lines.expect(b"\\end\\")
    columns = (
        [*(section.keys for section in sections), np.array([NO_KEY])],
        [section.scores for section in sections],
        [np.zeros(1, np.float32), *(section.backoffs for section in sections[:-1])],
    )
    keys, scores, backoffs = (np.concatenate(column) for column in columns)
    kind: Kind = "words" if tokenizer is None else "units"
    sizes = [len(section.keys) for section in sections]
    return NGram.build(kind, vocabulary, sizes, (keys, scores, backoffs))


@dataclass(frozen=True)
class _Section:
    """N-grams of one length; logarithms are natural ones."""

    keys: NDArray[np.int64]
    scores: NDArray[np.float32]
    backoffs: NDArray[np.float32]
    numbers: NDArray[np.int64]
    """Their line numbers."""

    def sorted(self, lines: "_Lines") -> "_Section":
        """The same n-grams by key; BadData if one stands there twice."""
        order = np.argsort(self.keys, kind="stable")
        keys, numbers = self.keys[order], self.numbers[order]
        same = np.flatnonzero(np.diff(keys) == 0)
        if len(same):
            first, second = numbers[same[0]], numbers[same[0] + 1]
            raise lines.wrong(f"the n-gram of line {first} stands here again", second)
        return _Section(keys, self.scores[order], self.backoffs[order], numbers)


class _Lines:
    """The lines of a file in order, with their numbers for error messages."""

    def __init__(self, path: Path, file: IO[bytes], told: Callable[[], None]) -> None:
        self.path, self._file, self._told = path, file, told
        self._number = 0
        self._waiting: bytes | None = None

    def peek(self) -> bytes:
        """The next line that is not empty, stripped of spaces; b"" at the end."""
        while self._waiting is None:
            line = self._file.readline()
            self._number += 1
            if (stripped := line.strip()) or not line:
                self._waiting = stripped
        return self._waiting

    def next(self) -> bytes:
        """Takes the next line that is not empty."""
        line = self.peek()
        self._waiting = None
        return line

    def expect(self, wanted: bytes) -> None:
        """Takes the next line; BadData unless it is `wanted`."""
        if self.next() != wanted:
            raise self.wrong(f"{wanted.decode()} must stand here")

    def wrong(self, reason: str, number: int | None = None) -> BadData:
        """An error about the line just read, or about line `number`."""
        where = self._number if number is None else number
        return BadData(f"{self.path}, line {where}: {reason}; mend the ARPA file.")

    def section(
        self, length: int, size: int, key: Callable[[list[list[bytes]], list[int]], NDArray[Any]]
    ) -> _Section:
        """The `size` n-grams under the next headline.

        Args:
            key: returns the `(E,)` keys of a block of n-grams, given their words and line numbers.

        Raises:
            BadData: a line is no n-gram of this length, or there are fewer.
        """
        self.expect(b"\\%d-grams:" % length)
        parts: list[_Section] = []
        done = 0
        while done < size:
            words: list[list[bytes]] = []
            numbers: list[int] = []
            values: list[tuple[float, float]] = []
            for _ in range(min(_BLOCK, size - done)):
                if not (line := self.peek()) or line.startswith(b"\\"):
                    count = done + len(words)
                    raise self.wrong(f"only {count} {length}-grams, and the header says {size}")
                fields = self.next().split()
                values.append(self._numbers(fields, length))
                words.append(fields[1 : length + 1])
                numbers.append(self._number)
            scores, backoffs = (np.array(values) * _LOG_10).astype(np.float32).T
            parts.append(_Section(key(words, numbers), scores, backoffs, np.array(numbers)))
            done += len(words)
            self._told()
        columns = ("keys", "scores", "backoffs", "numbers")
        return _Section(*(np.concatenate([getattr(p, name) for p in parts]) for name in columns))

    def _numbers(self, fields: Sequence[bytes], length: int) -> tuple[float, float]:
        """Log-probability and back-off, base 10."""
        if not length < len(fields) <= length + 2:
            raise self.wrong(f"a log-probability, {length} words and a back-off must stand here")
        try:
            score, backoff = float(fields[0]), float((*fields, b"0")[length + 1])
        except ValueError:
            score = backoff = math.nan
        # NaN fails every comparison.
        if not (-_HIGHEST <= score <= 1e-5 and -_HIGHEST <= backoff <= _HIGHEST):
            raise self.wrong("its log-probability or back-off is no number that can be")
        return min(score, 0.0), backoff


def _header(lines: _Lines) -> list[int]:
    """The number of n-grams of each length, from the file's header."""
    while (line := lines.next()) != b"\\data\\":
        if not line or line.startswith(b"\\"):
            raise lines.wrong("no \\data\\ so far, which every ARPA file begins with")
    sizes: list[int] = []
    while lines.peek().startswith(b"ngram"):
        name, _, number = lines.next().partition(b"=")
        if name.split() != [b"ngram", b"%d" % (len(sizes) + 1)] or not number.strip().isdigit():
            raise lines.wrong(f"`ngram {len(sizes) + 1}=COUNT` must stand here")
        sizes.append(int(number))
    if not sizes or not all(sizes):
        raise lines.wrong("`ngram 1=COUNT` must stand above, with a COUNT that is not 0")
    return sizes


def _unigrams(
    lines: _Lines, size: int, tokenizer: Tokenizer | None, language: str
) -> tuple[tuple[str, ...], dict[bytes, int], _Section]:
    """The vocabulary, the id of each word as the file writes it, and the whole vocabulary."""
    spelled: list[bytes] = []

    def place(words: list[list[bytes]], numbers: list[int]) -> NDArray[Any]:
        spelled.extend(word for (word,) in words)
        return np.array(numbers)

    rows = lines.section(1, size, place)
    items = [
        _item(lines, word, number, language if tokenizer is None else None)
        for word, number in zip(spelled, rows.numbers.tolist(), strict=True)
    ]
    if missing := {START, END}.difference(items):
        raise lines.wrong(f"no 1-gram is {min(missing)}, as every sentence needs")
    units = items if tokenizer is None else tokenizer.spellings[1:]
    vocabulary = (UNKNOWN, *(item for item in units if item not in _SPECIAL), START, END)
    table = {item: id for id, item in enumerate(vocabulary)}
    if foreign := set(items) - table.keys():
        raise BadOption(
            f"{lines.path} is a model of other units than the bundle's, which have no "
            f"{min(foreign)!r}; take one of its units, or leave --units out for one of words."
        )
    ids = np.array([table[item] for item in items])
    ordered = replace(rows, keys=ids).sorted(lines)
    scores = np.full(len(vocabulary), NEVER, np.float32)
    backoffs = np.zeros(len(vocabulary), np.float32)
    scores[ordered.keys], backoffs[ordered.keys] = ordered.scores, ordered.backoffs
    scores[-2] = NEVER
    whole = _Section(np.arange(len(vocabulary)), scores, backoffs, ordered.numbers)
    return vocabulary, dict(zip(spelled, ids.tolist(), strict=True)), whole


def _item(lines: _Lines, word: bytes, number: int, language: str | None) -> str:
    """A word of a language in normal form, if it has one; a unit as it is."""
    try:
        text = word.decode("utf-8")
    except UnicodeDecodeError as error:
        raise lines.wrong(f"{word!r} is not UTF-8", number) from error
    if text.lower() in _SPECIAL:
        return text.lower()
    normal = text if language is None else normalise(text, language)
    return normal if normal and " " not in normal else text


def _ngrams(
    lines: _Lines,
    announced: tuple[int, int],
    ids: Mapping[bytes, int],
    known: NDArray[np.int64],
    vocabulary: int,
) -> _Section:
    """The n-grams of the length and number `announced`; `known` are the keys of shorter ones."""
    length, size = announced

    def key(words: list[list[bytes]], numbers: list[int]) -> NDArray[Any]:
        rows = np.array([[ids.get(word, -1) for word in row] for row in words])  # (E, K)
        if len(wrong := np.argwhere(rows < 0)):
            row, column = wrong[0]
            word = words[row][column].decode("utf-8", "replace")
            raise lines.wrong(f"{word!r} is none of the 1-grams", numbers[row])
        keys = rows[:, 0].copy()
        for column in range(1, length):
            place = np.searchsorted(known, keys).clip(max=len(known) - 1)
            if len(missing := np.flatnonzero(known[place] != keys)):
                number = numbers[missing[0]]
                raise lines.wrong(f"the {column}-gram that it begins with is missing", number)
            keys = (place + 1) * vocabulary + rows[:, column]
        return keys

    return lines.section(length, size, key).sorted(lines)


def write_arpa(model: NGram, path: Path, progress: Progress) -> None:
    """Writes the model as an ARPA file, without changing spellings.

    Raises:
        BadOption: the file cannot be written; an older one stays.
    """
    with writing(path) as file:
        file.writelines(line.encode("utf-8") for line in _lines(model, progress))


def _lines(model: NGram, progress: Progress) -> Iterator[str]:
    spelled = np.array(model.vocabulary, dtype=object)
    done = 0
    yield "\\data\\\n"
    yield from (f"ngram {n}={size}\n" for n, size in enumerate(model.sizes, start=1))
    for length, size in enumerate(model.sizes, start=1):
        yield f"\n\\{length}-grams:\n"
        for part in blocks(size, _BLOCK):
            entries = np.arange(done + part.start, done + part.stop)
            yield from _written(model, entries, length, spelled)
            progress(done + part.stop, len(model.scores))
        done += size
    yield "\n\\end\\\n"


def _written(
    model: NGram, entries: NDArray[np.int64], length: int, spelled: NDArray[Any]
) -> Iterator[str]:
    """Lines of n-grams of one length."""
    # Scores are coded in few bits, and 1 may come back as slightly more: KenLM refuses that.
    scores = np.minimum(model.scores[entries] / _LOG_10, 0.0).tolist()
    columns = []
    state = entries + 1
    for _ in range(length):
        state, word = model.context_and_word(state - 1)
        columns.append(spelled[word])
    words = map(" ".join, zip(*columns[::-1], strict=True))
    if length == model.order:
        return (f"{score:.6f}\t{text}\n" for score, text in zip(scores, words, strict=True))
    backoffs = (model.backoffs[entries + 1] / _LOG_10).tolist()
    rows = zip(scores, words, backoffs, strict=True)
    return (f"{score:.6f}\t{text}\t{backoff:.6f}\n" for score, text, backoff in rows)
