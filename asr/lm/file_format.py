"""The file of an n-gram model: a compressed .npz without pickles, about two bytes per n-gram.

`about` is JSON. For each length, `words` holds the difference of each word id to the one before it
in the same context, and `follow` the number of longer n-grams that begin with each n-gram. Both
are stored byte by byte, all lowest bytes first, which compresses best. `scores` and `backoffs` are
quantised natural logarithms; code 0 stands for exactly 0.
"""

import io
import json
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.errors import BadData
from asr.files import write_atomically
from asr.lm.ngram import END, NEVER, NO_KEY, START, UNKNOWN, NGram

FORMAT_VERSION = 1
_STEP = 0.1  # nats: larger steps cost perplexity, smaller ones only bytes


def write_ngram(model: NGram, path: Path) -> None:
    """Writes the model atomically, quantised to 256 values per length.

    Writing a model that was read from such a file loses nothing more.

    Raises:
        BadOption: the file cannot be written.
    """
    write_atomically(path, packed(model))


def packed(model: NGram) -> bytes:
    """The content of the model's file; equal models give equal bytes."""
    size = len(model.vocabulary)
    context, word = np.divmod(model.keys[:-1], size)
    follow = np.bincount(context, minlength=len(model.backoffs))
    scores = model.scores.copy()
    scores[model.bos] = scores[: model.bos].min()  # NEVER would make the steps too large
    levels: dict[str, Any] = {}
    arrays: dict[str, NDArray[np.uint8]] = {}
    ends = np.cumsum([0, *model.sizes]).tolist()
    for length, (start, stop) in enumerate(pairwise(ends), start=1):
        level: dict[str, Any] = {"scores": _coded(scores[start:stop])}
        if length > 1:
            level["words"] = _planes(_gaps(context[start:stop], word[start:stop]))
        if length < model.order:
            level["follow"] = _planes(follow[start + 1 : stop + 1])
            level["backoffs"] = _coded(model.backoffs[start + 1 : stop + 1])
        levels[str(length)] = {name: about for name, (_, about) in level.items()}
        arrays |= {f"{name}.{length}": array for name, (array, _) in level.items()}
    about = {"format": FORMAT_VERSION, "kind": model.kind, "sizes": model.sizes, "levels": levels}
    file = io.BytesIO()
    vocabulary = _bytes("\n".join(model.vocabulary))
    arrays |= {"about": _bytes(json.dumps(about)), "vocabulary": vocabulary}
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def read_ngram(path: Path) -> NGram:
    """The model in a file of `write_ngram`.

    Raises:
        BadData: it is missing, damaged, or not a language model.
    """
    try:
        if path.is_file() and not zipfile.is_zipfile(path):
            raise _damaged(path, "it is no .npz file")
        with np.load(path, allow_pickle=False) as file:
            return _model(file)
    except OSError as error:
        raise BadData(f"language model {path} cannot be read ({error.strerror}).") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, LookupError, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, reason: str) -> BadData:
    return BadData(
        f"{path} is no language model of this earshot ({reason}); build it with `asr lm build`."
    )


def _model(file: Any) -> NGram:
    about = json.loads(file["about"].tobytes())
    if about["format"] != FORMAT_VERSION or about["kind"] not in ("words", "units"):
        raise ValueError(f"format {about['format']!r}, over {about['kind']!r}")
    vocabulary = file["vocabulary"].tobytes().decode("utf-8").split("\n")
    if [*vocabulary[:1], *vocabulary[-2:]] != [UNKNOWN, START, END]:
        raise ValueError("its vocabulary lacks the words that each has")
    sizes: list[int] = about["sizes"]
    levels = [about["levels"][str(length)] for length in range(1, len(sizes) + 1)]
    size, ends = len(vocabulary), np.cumsum([0, *sizes])
    keys = np.arange(ends[-1] + 1)
    keys[-1] = NO_KEY
    scores = np.empty(ends[-1], np.float32)
    backoffs = np.zeros(ends[-2] + 1, np.float32)
    leads = np.zeros(ends[-1], np.bool_)
    follow = np.zeros(0, np.uint32)
    for length, (start, stop) in enumerate(pairwise(ends), start=1):
        level = levels[length - 1]
        scores[start:stop] = _values(file[f"scores.{length}"], level["scores"], stop - start)
        if length > 1:
            words = _words(_joined(file[f"words.{length}"], level["words"]), follow)
            first = start - len(follow) + 1
            keys[start:stop] = np.repeat(np.arange(first, start + 1) * size, follow)
            keys[start:stop] += words
        if length < len(sizes):
            follow = _joined(file[f"follow.{length}"], level["follow"])
            backoffs[start + 1 : stop + 1] = _values(
                file[f"backoffs.{length}"], level["backoffs"], stop - start
            )
            leads[start:stop] = follow > 0
    if sizes[0] != size or not (keys[1:] > keys[:-1]).all():
        raise ValueError("its n-grams are out of order")
    scores[size - 2] = NEVER
    return NGram.build(about["kind"], vocabulary, sizes, (keys, scores, backoffs), leads)


def _words(gaps: NDArray[np.uint32], follow: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Word ids, given how many follow each context."""
    # Sums wrap around at 2 ** 32, which leaves their differences correct.
    sums = np.cumsum(gaps + np.uint32(1), dtype=np.uint32)
    before = np.append(np.uint32(0), sums)[np.cumsum(follow, dtype=np.int64) - follow]
    words: NDArray[np.uint32] = sums - np.repeat(before + np.uint32(1), follow)
    return words


def _gaps(context: NDArray[np.int64], word: NDArray[np.int64]) -> NDArray[np.int64]:
    first = np.diff(context, prepend=-1) != 0
    return np.where(first, word, np.diff(word, prepend=0) - 1)


def _planes(values: NDArray[np.int64]) -> tuple[NDArray[np.uint8], int]:
    """Integers as bytes, all lowest bytes first, and the number of bytes per integer."""
    width = max((int(values.max(initial=0)).bit_length() + 7) // 8, 1)
    planes = [(values >> (8 * plane) & 255).astype(np.uint8) for plane in range(width)]
    return np.concatenate(planes), width


def _joined(planes: NDArray[np.uint8], width: int) -> NDArray[np.uint32]:
    rows = planes.reshape(width, -1)
    values: NDArray[np.uint32] = rows[0].astype(np.uint32)
    for plane, row in enumerate(rows[1:], start=1):
        values |= row.astype(np.uint32) << np.uint32(8 * plane)
    return values


def _coded(values: NDArray[np.float32]) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Values as numbers of steps above the lowest (0 for exactly 0), the lowest, and the step."""
    some = values[values != 0]
    low, high = (float(some.min()), float(some.max())) if len(some) else (0.0, 0.0)
    step = max(_STEP, (high - low) / 254)
    code = 1 + np.rint((values - low) / step)
    return np.where(values == 0, 0, code).astype(np.uint8), (low, step)


def _values(codes: NDArray[np.uint8], about: tuple[float, float], size: int) -> NDArray[np.float32]:
    if len(codes) != size:  # numpy would broadcast a single value
        raise ValueError(f"{len(codes)} values of {size}")
    low, step = about
    table = (low + step * np.arange(-1, 255)).astype(np.float32)
    table[0] = 0.0
    return table[codes]


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode("utf-8"), np.uint8)
