"""Sentences of a text file, and the text as a row of numbers."""

import gzip
import io
import lzma
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from asr.decoding.estimation.spool import Spool
from asr.decoding.ngram import END, START, UNKNOWN, NGram
from asr.errors import BadData, BadOption
from asr.text import Tokenizer, normalise

Progress = Callable[[int, int], None]
LONGEST_LINE = 1_000_000
"""Bytes; a line is a sentence."""
MOST_WORDS = 2_000_000
"""Different words that are counted at a time."""
_LINES = 10_000  # between two reports of progress

_normalise = lru_cache(1 << 18)(normalise)  # texts repeat their words


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """A file, plain or packed as its suffix says, and a function that tells how far it is read.

    Raises:
        BadData: it cannot be read.
    """
    try:
        with path.open("rb") as raw:
            packed: Any = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix)
            with io.BufferedReader(packed(raw)) if packed else raw as file:
                yield file, raw.tell
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadData(f"{path} cannot be read ({reason}); give a text, .gz or .xz.") from error


def sentences(path: Path, progress: Progress) -> Iterator[list[str]]:
    """The words of each line that has some, in normal form.

    Raises:
        BadData: the file cannot be read, is not UTF-8, or has lines that no sentence has.
    """
    total = path.stat().st_size if path.is_file() else 0
    with opened(path) as (file, told):
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise BadData(f"{path}, line {number}: too long; write a sentence a line.")
            if number % _LINES == 0:
                progress(told(), total)
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise BadData(f"{path}, line {number}: not UTF-8; convert the text.") from error
            # Word by word it comes to the same, since no sign joins over a space.
            if words := " ".join(map(_normalise, text.split())).split():
                yield words
        progress(total, total)


def frequent_words(path: Path, most: int | None, fewest: int, progress: Progress) -> list[str]:
    """Words that occur at least `fewest` times, at most `most` of them, the most frequent first.

    Past MOST_WORDS different words the rarest are forgotten (lossy counting: Manku and Motwani,
    2002), so memory is bounded and frequent words are never lost.

    Raises:
        BadData: the text has no such words.
    """
    counts: Counter[str] = Counter()
    forgotten = 0
    for words in sentences(path, progress):
        counts.update(words)
        while len(counts) > MOST_WORDS:
            forgotten += 1
            counts = Counter({word: n for word, n in counts.items() if n > forgotten})
    ranked = sorted((-n, word) for word, n in counts.items() if n >= fewest)
    if not ranked:
        if counts:
            raise BadData(f"no word of {path} occurs {fewest} times; choose a --vocabulary.")
        raise no_words(path)
    return [word for _, word in ranked[:most]]


def no_words(path: Path) -> BadData:
    """The error of a text in which nothing is to be counted."""
    return BadData(f"{path} has no words; give a text with a sentence a line.")


def word_tokens(
    path: Path, words: Sequence[str], spool: Spool, progress: Progress
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """The vocabulary of a model of these words, and the text in its ids, one sentence after the
    other, each between `<s>` and `</s>`."""
    vocabulary = (UNKNOWN, *words, START, END)
    ids = {word: id for id, word in enumerate(words, start=1)}
    rows = (_ids(sentence, ids) for sentence in sentences(path, progress))
    return vocabulary, _spooled(rows, len(vocabulary), spool)


def unit_tokens(
    path: Path, tokenizer: Tokenizer, spool: Spool, progress: Progress
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """The same in units, which keep their numbers; sentences that they cannot spell are left out.

    Raises:
        BadData: that leaves none.
    """
    vocabulary = (UNKNOWN, *tokenizer.spellings[1:], START, END)
    tokens = _spooled(_spelled(path, tokenizer, progress), len(vocabulary), spool)
    if not len(tokens):
        raise BadData(f"{path} has no sentence that the units can spell; see --units.")
    return vocabulary, tokens


def known_sentences(
    path: Path, model: NGram, tokenizer: Tokenizer | None, progress: Progress
) -> Iterator[list[int]]:
    """The sentences of a text in the ids of a model.

    Args:
        tokenizer: for a model over units.

    Raises:
        BadOption: the model is over other units, or over words.
    """
    if tokenizer is not None:
        model.check(tokenizer)
    if model.kind == "words":
        ids = {word: id for id, word in enumerate(model.vocabulary[:-2]) if id}
        yield from (_ids(sentence, ids) for sentence in sentences(path, progress))
    elif tokenizer is None:
        raise BadOption("the language model is over units; give those with --units.")
    else:
        yield from _spelled(path, tokenizer, progress)


def _ids(sentence: Sequence[str], ids: Mapping[str, int]) -> list[int]:
    return [ids.get(word, 0) for word in sentence]


def _spelled(path: Path, tokenizer: Tokenizer, progress: Progress) -> Iterator[list[int]]:
    for words in sentences(path, progress):
        text = " ".join(words)
        if not tokenizer.unknown(text):
            yield tokenizer.encode(text)


def _spooled(rows: Iterable[list[int]], size: int, spool: Spool) -> NDArray[np.int32]:
    tokens = spool.growing(np.int32)
    row: list[int] = []
    for sentence in rows:
        row += (size - 2, *sentence, size - 1)
        if len(row) > 1 << 20:
            tokens.append(np.array(row))
            row = []
    tokens.append(np.array(row, np.int32))
    return tokens.finish()
