"""Sentences of a text file, and the text as an array of ids.

Shapes: T tokens of the text.
"""

import gzip
import io
import json
import lzma
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from asr.counting import counted
from asr.errors import BadData, BadOption
from asr.lm.estimation.temporary import TemporaryArrays
from asr.lm.ngram import END, START, UNKNOWN, NGram
from asr.scripts import joined
from asr.text import DEFAULT_LANGUAGE, Tokenizer, normalise
from asr.text.pronunciations import is_pronunciation

Progress = Callable[[int, int], None]
LONGEST_LINE = 1_000_000
"""In bytes; each line is a sentence."""
MOST_WORDS = 2_000_000
"""Different words counted at a time."""
_LINES = 10_000  # between two reports of progress

_normalise = lru_cache(1 << 18)(normalise)  # texts repeat their words


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """A file, decompressed by its suffix, and a function that returns how many bytes are read.

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


def sentences(
    path: Path, progress: Progress, language: str = DEFAULT_LANGUAGE
) -> Iterator[list[str]]:
    """The words of each line in normal form, in a manifest those of its text; lines without words
    are skipped.

    Raises:
        BadData: the file cannot be read, is not UTF-8, has a line that is too long, is a manifest
            with a line that has no text, or begins with a pronunciation.
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
            text = _decoded(line, path, number)
            if path.suffix == ".jsonl" and text.strip():
                text = _text_of(text, path, number)
            elif number == 1 and is_pronunciation(text):
                raise BadData(
                    f"{path} has pronunciations in place of sentences: give those to `asr lexicon "
                    "add`."
                )
            # Word by word gives the same result, since nothing combines across a space.
            normal = (_normalise(word, language) for word in text.split())
            if words := joined(normal).split():
                yield words
        progress(total, total)


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8-sig")  # as files of some programs begin, which are concatenated
    except UnicodeDecodeError as error:
        byte = f"0x{error.object[error.start]:02x}"
        wide = line.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        raise BadData(
            f"{path}, line {number}: not UTF-8 (byte {byte}); convert the text, such as by "
            f"`iconv -f {'utf-16' if wide else 'latin1'} -t utf-8`."
        ) from error


def _text_of(line: str, path: Path, number: int) -> str:
    """The text of a manifest's line."""
    try:
        text = json.loads(line)["text"]
    except (ValueError, TypeError, KeyError):
        text = None
    if not isinstance(text, str):
        raise BadData(f"{path}, line {number}: no line of a manifest with a `text`; mend it.")
    return text


def frequent_words(
    path: Path,
    most: int | None,
    fewest: int,
    progress: Progress,
    language: str = DEFAULT_LANGUAGE,
) -> tuple[list[str], int]:
    """Words that occur at least `fewest` times, at most `most` of them, the most frequent first;
    and how many others there are.

    Beyond MOST_WORDS different words the rarest are dropped (lossy counting: Manku and Motwani,
    2002). So memory is bounded, and frequent words are never lost.

    Raises:
        BadData: the text has no such words.
    """
    counts: Counter[str] = Counter()
    forgotten = 0
    for words in sentences(path, progress, language):
        counts.update(words)
        while len(counts) > MOST_WORDS:
            forgotten += 1
            counts = Counter({word: n for word, n in counts.items() if n > forgotten})
    ranked = sorted((-n, word) for word, n in counts.items() if n >= fewest)
    if not ranked:
        if counts:
            raise BadData(
                f"no word of {path} occurs {counted(fewest, 'time')}; choose a --vocabulary."
            )
        raise no_words(path)
    chosen = [word for _, word in ranked[:most]]
    return chosen, len(counts) - len(chosen)


def no_words(path: Path) -> BadData:
    """The error for a text without words."""
    return BadData(f"{path} has no words; give a text with a sentence a line.")


def word_tokens(
    path: Path,
    words: Sequence[str],
    arrays: TemporaryArrays,
    progress: Progress,
    language: str = DEFAULT_LANGUAGE,
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """The vocabulary of a model of these words, and the text in its ids, `(T,)`: all sentences in a
    row, each between `<s>` and `</s>`."""
    vocabulary = (UNKNOWN, *words, START, END)
    ids = {word: id for id, word in enumerate(words, start=1)}
    rows = (_ids(sentence, ids) for sentence in sentences(path, progress, language))
    return vocabulary, _stored(rows, len(vocabulary), arrays)


def unit_tokens(
    path: Path,
    tokenizer: Tokenizer,
    arrays: TemporaryArrays,
    progress: Progress,
    language: str = DEFAULT_LANGUAGE,
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """As `word_tokens` in units, which keep their ids; sentences they cannot spell are left out.

    Raises:
        BadData: no sentence is left.
    """
    vocabulary = (UNKNOWN, *tokenizer.spellings[1:], START, END)
    tokens = _stored(_spelled(path, tokenizer, progress, language), len(vocabulary), arrays)
    if not len(tokens):
        raise BadData(f"{path} has no sentence that the units can spell; see --units.")
    return vocabulary, tokens


def known_sentences(
    path: Path,
    model: NGram,
    tokenizer: Tokenizer | None,
    progress: Progress,
    language: str = DEFAULT_LANGUAGE,
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
        yield from (_ids(sentence, ids) for sentence in sentences(path, progress, language))
    elif tokenizer is None:
        raise BadOption("the language model is over units; give those with --units.")
    else:
        yield from _spelled(path, tokenizer, progress, language)


def _ids(sentence: Sequence[str], ids: Mapping[str, int]) -> list[int]:
    return [ids.get(word, 0) for word in sentence]


def _spelled(
    path: Path, tokenizer: Tokenizer, progress: Progress, language: str
) -> Iterator[list[int]]:
    for words in sentences(path, progress, language):
        text = " ".join(words)
        if not tokenizer.unknown(text):
            yield tokenizer.encode(text)


def _stored(rows: Iterable[list[int]], size: int, arrays: TemporaryArrays) -> NDArray[np.int32]:
    tokens = arrays.growing(np.int32)
    row: list[int] = []
    for sentence in rows:
        row += (size - 2, *sentence, size - 1)
        if len(row) > 1 << 20:
            tokens.append(np.array(row))
            row = []
    tokens.append(np.array(row, np.int32))
    return tokens.finish()
