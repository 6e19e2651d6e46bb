"""Many utterances in little memory, which loader processes share."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import overload

import numpy as np

from asr.corpus.manifest import Utterance


class PackedUtterances(Sequence[Utterance]):
    """A sequence of utterances in one array of bytes; each utterance is created on access.

    Objects in a list would gradually be copied into every loader process, since reference counts
    are written to them (pytorch#13246): hundreds of bytes per clip and process.
    """

    def __init__(self, utterances: Iterable[Utterance]) -> None:
        rows = [_packed(utterance) for utterance in utterances]
        self._ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
        self._bytes = np.frombuffer(b"".join(rows), np.uint8)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Utterance: ...
    @overload
    def __getitem__(self, index: slice) -> list[Utterance]: ...
    def __getitem__(self, index: int | slice) -> Utterance | list[Utterance]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        first = int(self._ends[at - 1]) if at else 0
        values = json.loads(self._bytes[first : int(self._ends[at])].tobytes())
        return Utterance(values[0], Path(values[1]), *values[2:])

    def __iter__(self) -> Iterator[Utterance]:
        return (self[at] for at in range(len(self)))


def _packed(utterance: Utterance) -> bytes:
    return json.dumps(astuple(utterance), default=str, ensure_ascii=False).encode()
