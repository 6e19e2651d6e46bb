"""Grapheme to phoneme: a joint n-gram model pronounces words that no dictionary has.

A word and its pronunciation are one sequence of graphones (see `alignment`), and an n-gram model
gives the probability of a sequence. Given letters, the search finds the most probable phones; given
phones, the most probable letters.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.counting import counted
from asr.errors import BadData, BadOption
from asr.files import write_atomically
from asr.text.pronunciations.dictionary import Phones
from asr.text.pronunciations.ngram import NO_KEY, NGram
from asr.text.pronunciations.search import Found, Search

FORMAT_VERSION = 1
_LARGEST = 1 << 28  # bytes of a file's arrays
_ROWS = 2000  # words that are searched at a time
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, AttributeError, EOFError, LookupError, TypeError, ValueError,
)  # fmt: skip
LONGEST = 200
"""Letters or phones of the longest word that is read."""


@dataclass(frozen=True)
class Guess:
    """A possible pronunciation of a word."""

    phones: Phones
    probability: float
    """Among the pronunciations that the search followed to the end."""


@dataclass(frozen=True)
class Spelling:
    """A possible spelling of a pronunciation."""

    word: str
    probability: float
    """Among the spellings that the search followed to the end."""


@dataclass(frozen=True)
class G2P:
    """The model. Immutable, safe to use from several threads; `train` makes one."""

    letters: str
    """The letters that it reads, in any order."""
    phones: Phones
    """The phones that it writes."""
    graphones: NDArray[np.int64]
    """`(G, 3)` letter and up to two phones, numbered from 1; 0 for none."""
    model: NGram
    """Over the graphones."""

    @cached_property
    def _pronouncing(self) -> Search:
        letters = np.pad(self.graphones[:, :1], ((0, 0), (0, 1)))
        return Search(self.model, letters, self.graphones[:, 1:])

    @cached_property
    def _spelling(self) -> Search:
        return Search(self.model, self.graphones[:, 1:], self.graphones[:, :1])

    def unknown(self, word: str) -> set[str]:
        """The characters of `word` that it cannot read."""
        return set(word) - set(self.letters)

    def pronounce(self, word: str, nbest: int = 1) -> tuple[Guess, ...]:
        """Up to `nbest` pronunciations of a word in normal form, the most probable first.

        Raises:
            BadData: the word is empty, too long, or has letters in `unknown(word)`.
        """
        return self.pronounce_all([word], nbest)[0]

    def pronounce_all(self, words: Sequence[str], nbest: int = 1) -> list[tuple[Guess, ...]]:
        """`pronounce` for many words, much faster; no result depends on the other words."""
        number = {letter: index for index, letter in enumerate(self.letters, start=1)}
        rows = []
        for word in words:
            if unknown := self.unknown(word):
                listed = ", ".join(map(repr, sorted(unknown)))
                raise BadData(f"{word!r} has {listed}, which no letter of the model is.")
            rows.append(_checked([number[letter] for letter in word], word))
        found = _read(self._pronouncing, rows, nbest)
        phones = np.array(["", *self.phones], dtype=object)
        return [
            tuple(Guess(tuple(phones[list(f.said)]), f.probability) for f in row) for row in found
        ]

    def spell(self, phones: Sequence[str], nbest: int = 1) -> tuple[Spelling, ...]:
        """Up to `nbest` spellings of a pronunciation, the most probable first; rarely none.

        Raises:
            BadData: it has no phones, too many, or phones that the model lacks.
        """
        return self.spell_all([phones], nbest)[0]

    def spell_all(
        self, rows: Sequence[Sequence[str]], nbest: int = 1
    ) -> list[tuple[Spelling, ...]]:
        """`spell` for many pronunciations, much faster; no result depends on the others."""
        number = {phone: index for index, phone in enumerate(self.phones, start=1)}
        numbers = []
        for row in rows:
            if unknown := set(row) - number.keys():
                listed = ", ".join(map(repr, sorted(unknown)))
                raise BadData(f"the model has no phone {listed}; it has {' '.join(self.phones)}.")
            numbers.append(_checked([number[phone] for phone in row], " ".join(row)))
        return [
            tuple(
                Spelling("".join(self.letters[s - 1] for s in f.said), f.probability) for f in row
            )
            for row in _read(self._spelling, numbers, nbest)
        ]

    def save(self, path: Path) -> None:
        """Writes the model atomically.

        Scores are rounded to 254 levels; saving a loaded model again changes nothing.

        Raises:
            BadOption: it cannot be written there.
        """
        write_atomically(path, self.packed())

    def packed(self) -> bytes:
        """The content of the model's file; equal models give equal bytes."""
        model = self.model
        context, last = np.divmod(model.keys[:-1], model.vocabulary)
        scores, score_steps = _coded(model.scores)
        backoffs, backoff_steps = _coded(model.backoffs)
        about = {
            "format": FORMAT_VERSION,
            "letters": self.letters,
            "phones": self.phones,
            "sizes": model.sizes,
            "scores": score_steps,
            "backoffs": backoff_steps,
        }
        arrays: dict[str, NDArray[Any]] = {
            "about": np.frombuffer(json.dumps(about).encode("utf-8"), np.uint8),
            "graphones": self.graphones.astype(np.uint16),
            "follow": _planes(np.bincount(context, minlength=len(model.backoffs))),
            "last": _planes(last),
            "scores": scores,
            "backoffs": backoffs,
        }
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        return file.getvalue()

    @classmethod
    def load(cls, path: Path) -> "G2P":
        """The model in a file that `save` wrote.

        Raises:
            BadData: it is missing, damaged, or something else.
        """
        try:
            if path.is_file() and not zipfile.is_zipfile(path):
                raise _damaged(path, "it is no .npz file")
            with zipfile.ZipFile(path) as packed:
                if sum(entry.file_size for entry in packed.infolist()) > _LARGEST:
                    raise _damaged(path, "it is too large")
            with np.load(path, allow_pickle=False) as file:
                return _unpacked(file)
        except OSError as error:
            raise BadData(f"{path} cannot be read ({error.strerror}).") from error
        except _DAMAGED as error:
            raise _damaged(path, str(error)) from error


def _read(search: Search, rows: Sequence[Sequence[int]], nbest: int) -> Iterable[list[Found]]:
    """The readings of each row; rows with the same start are searched together."""
    if nbest < 1:
        raise BadOption(f"nbest {nbest} is none; ask for 1 or more.")
    order = sorted(range(len(rows)), key=lambda row: tuple(rows[row]))
    found: list[list[Found]] = [[] for _ in rows]
    for start in range(0, len(order), _ROWS):
        part = order[start : start + _ROWS]
        for row, readings in zip(part, search([rows[row] for row in part], nbest), strict=True):
            found[row] = readings
    return found


def _checked(row: list[int], what: str) -> list[int]:
    if not 0 < len(row) <= LONGEST:
        raise BadData(
            f"{what[:40]!r} has {counted(len(row), 'symbol')}, where 1 to {LONGEST} can be read."
        )
    return row


def _damaged(path: Path, reason: str) -> BadData:
    return BadData(
        f"{path} is no pronunciation model of this earshot ({reason}); make it by "
        "`asr lexicon train`."
    )


def _unpacked(file: Any) -> G2P:
    about = json.loads(file["about"].tobytes())
    if about["format"] != FORMAT_VERSION:
        raise ValueError(f"format {about['format']!r}")
    letters, phones, sizes = str(about["letters"]), tuple(about["phones"]), tuple(about["sizes"])
    graphones = file["graphones"].astype(np.int64)
    size = len(graphones) + 2
    last, follow = _joined(file["last"]), _joined(file["follow"])
    scores = _values(file["scores"], about["scores"])
    backoffs = _values(file["backoffs"], about["backoffs"])
    if follow.sum() != len(last):
        raise ValueError(f"{len(last)} n-grams, where {follow.sum()} follow others")
    keys = np.append(np.repeat(np.arange(len(follow)) * size, follow) + last, NO_KEY)
    parts = (
        sum(sizes) == len(scores) == len(last) and len(backoffs) == len(follow),
        len(backoffs) == 1 + sum(sizes[:-1]) and sizes[0] == size and min(sizes) > 0,
        np.array_equal(keys[:size], np.arange(size)) and (keys[1:] > keys[:-1]).all(),
        last.max(initial=0) < size,
        graphones.shape == (size - 2, 3) and graphones[:, 0].all(),
        graphones[:, 0].max(initial=0) <= len(letters),
        graphones[:, 1:].max(initial=0) <= len(phones),
    )
    if not all(parts):
        raise ValueError("its parts do not fit together")
    return G2P(letters, phones, graphones, NGram.build(size, sizes, keys, scores, backoffs))


def _planes(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Integers as planes of bytes, the lowest bytes first: these compress best."""
    width = max((int(values.max(initial=0)).bit_length() + 7) // 8, 1)
    return np.stack([(values >> (8 * plane) & 255).astype(np.uint8) for plane in range(width)])


def _joined(planes: NDArray[np.uint8]) -> NDArray[np.int64]:
    return sum(
        (row.astype(np.int64) << (8 * plane) for plane, row in enumerate(planes[:4])),
        start=np.zeros(planes.shape[1], np.int64),
    )


def _coded(values: NDArray[np.float32]) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Values as levels above the lowest, with 0 for exactly 0; and the lowest and the step."""
    some = values[values != 0]
    low, high = (float(some.min()), float(some.max())) if len(some) else (0.0, 0.0)
    step = max((high - low) / 254, 1e-6)
    code = 1 + np.rint((values - low) / step)
    return np.where(values == 0, 0, code).astype(np.uint8), (low, step)


def _values(codes: NDArray[np.uint8], steps: tuple[float, float]) -> NDArray[np.float32]:
    low, step = steps
    table = (low + step * np.arange(-1, 255)).astype(np.float32)
    table[0] = 0.0
    return table[codes]
