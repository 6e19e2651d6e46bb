"""Corpora as shards, in Lhotse's Shar format, on a disk or in an object store.

A shard is two files: `cuts.NNNNNN.jsonl.gz` says what is spoken, `recording.NNNNNN.tar` holds the
recordings in the same order. The first are read whole, the second clip by clip when they are asked
for; those from elsewhere are fetched first, a few at a time.
"""

import gzip
import hashlib
import json
import os
import re
import tarfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from asr.audio import load
from asr.corpus.findings import Finding
from asr.corpus.manifest import Utterance
from asr.corpus.sound import Sound, Sounds, decode
from asr.corpus.spool import Spool, read_address
from asr.corpus.store import Progress
from asr.errors import BadData
from asr.text import normalise

Source: TypeAlias = Path | str
"""A manifest or a folder of shards, or the address of shards elsewhere."""

TOGETHER = 8
"""Shards whose clips make batches with one another."""
_KEPT = 3 * TOGETHER  # those of one epoch's end, of the next one's begin, and some to spare
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def locate(root: Path, name: str) -> Source:
    """What a config names: a path, relative to `root`, or an address, which stays as it is."""
    return name if name.startswith("pipe:") or "://" in name else root / name


def is_shards(source: Source) -> bool:
    """Whether `source` is shards and not a manifest."""
    return isinstance(source, str) or source.is_dir()


class _Shard(NamedTuple):
    cuts: Source
    recording: Source


class Shards:
    """The utterances of shards, and their recordings.

    Args:
        source: a folder, or an address with a range of shards in braces, where the names of the
            files come: `s3://bucket/train/{000000..000280}` or
            `pipe:curl -sf https://host/train/{000000..000280}`.
        spool: the folder for shards from elsewhere.

    Raises:
        BadData: they cannot be read.
    """

    def __init__(self, source: Source, spool: Path) -> None:
        self.utterances: list[Utterance] = []
        self.findings: list[Finding] = []
        self._shards = list(_listed(source))
        self._ends: list[int] = []
        self._sounds: list[Sound | None] = []
        for shard in self._shards:
            for line in _lines(shard.cuts):
                self._add(line, shard)
            self._ends.append(len(self._sounds))
        if not self._sounds:
            raise BadData(f"{source} holds no clips; write shards with `asr data shards`.")
        key = hashlib.sha256(str(source).encode()).hexdigest()[:16]
        self._files = _Files(self._shards, Spool(spool / f"shards-{key}", _KEPT))

    def _add(self, line: str, shard: _Shard) -> None:
        number = len(self._sounds) + 1
        self._sounds.append(None)
        try:
            utterance, self._sounds[-1] = _read_cut(json.loads(line), number, shard)
            self.utterances.append(utterance)
        except (ValueError, LookupError, TypeError, AttributeError):
            self.findings.append(Finding(number, "malformed", "not a cut of lhotse with one text"))

    def check(self, utterances: Sequence[Utterance]) -> list[Finding]:  # noqa: ARG002
        """None: the recordings of shards lie beside their cuts."""
        return []

    def pools(self, utterances: Sequence[Utterance]) -> npt.NDArray[np.int64]:
        """The pool of each utterance: those of `TOGETHER` shards in a row are one."""
        return self._shard_of(utterances) // TOGETHER

    def recordings(self, utterances: Sequence[Utterance], progress: Progress) -> "ShardRecordings":
        """The recordings of some of the utterances; what no shard says of them is measured."""
        shards = self._shard_of(utterances)
        firsts = np.array([0, *self._ends[:-1]])[shards]
        places = np.array([utterance.line - 1 for utterance in utterances], np.int64) - firsts
        sounds: list[Sound] = []
        for utterance, shard, place in zip(utterances, shards, places, strict=True):
            known = self._sounds[utterance.line - 1]
            sounds.append(known or decode(self._files.read(shard, place), str(utterance.audio))[0])
            progress(len(sounds), len(utterances))
        return ShardRecordings(self._files, shards, places, Sounds(sounds))

    def _shard_of(self, utterances: Sequence[Utterance]) -> npt.NDArray[np.int64]:
        lines = np.array([utterance.line for utterance in utterances], np.int64)
        return np.searchsorted(self._ends, lines).astype(np.int64)


class ShardRecordings:
    """The recordings of some utterances of shards, in their order."""

    def __init__(
        self,
        files: "_Files",
        shards: npt.NDArray[np.int64],
        places: npt.NDArray[np.int64],
        sounds: Sounds,
    ) -> None:
        self.sounds = sounds
        self._files = files
        self._shards = shards
        self._places = places

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
        shard, place = int(self._shards[index]), int(self._places[index])
        name = f"clip {place + 1} of {self._files.name(shard)}"
        return load(self._files.read(shard, place), name=name).samples


class _Files:
    """The tar files of shards, the last few held open; every process opens its own."""

    def __init__(self, shards: Sequence[_Shard], spool: Spool) -> None:
        self._shards = shards
        self._spool = spool
        self._open: OrderedDict[int, tuple[BinaryIO, list[tuple[int, int]]]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    def name(self, shard: int) -> str:
        """What errors call the shard."""
        return str(self._shards[shard].recording)

    def read(self, shard: int, place: int) -> bytes:
        """The encoded recording at a place of a shard, counted from 0."""
        if shard not in self._open:
            self._open[shard] = self._opened(shard)
        self._open.move_to_end(shard)
        while len(self._open) > _KEPT:
            _, (file, _) = self._open.popitem(last=False)
            file.close()
        file, members = self._open[shard]
        if place >= len(members):
            raise BadData(
                f"{self.name(shard)} holds {len(members)} recordings, fewer than its cuts say: "
                "write or copy it anew."
            )
        offset, size = members[place]
        return os.pread(file.fileno(), size, offset)  # moves no position that processes share

    def _opened(self, shard: int) -> tuple[BinaryIO, list[tuple[int, int]]]:
        address = self._shards[shard].recording
        try:
            file: BinaryIO = (
                address.open("rb")
                if isinstance(address, Path)
                else self._spool.open(address, f"{shard:06d}.tar")
            )
            with tarfile.open(fileobj=file, mode="r:") as tar:
                members = [(member.offset_data, member.size) for member in tar]
        except (OSError, tarfile.TarError) as error:
            raise BadData(f"{address} cannot be read ({error}): write or copy it anew.") from error
        return file, members[::2]  # each is followed by a file that describes it


def _listed(source: Source) -> Iterator[_Shard]:
    if isinstance(source, Path):
        for cuts in sorted([*source.glob("cuts.*.jsonl.gz"), *source.glob("cuts.*.jsonl")]):
            recording = source / f"recording.{cuts.name.split('.')[1]}.tar"
            if not recording.is_file():
                raise BadData(f"{cuts} has no {recording.name} beside it: copy it anew.")
            yield _Shard(cuts, recording)
        return
    found = _RANGE.search(source)
    if found is None:
        raise BadData(
            f"{source} names no shards: end it in a range of them, as {{000000..000280}}."
        )
    before, after = source[: found.start()], source[found.end() :]
    for number in range(int(found[1]), int(found[2]) + 1):
        shard = f"{number:0{len(found[1])}d}"
        yield _Shard(
            f"{before}cuts.{shard}.jsonl.gz{after}", f"{before}recording.{shard}.tar{after}"
        )


def _lines(cuts: Source) -> list[str]:
    try:
        data = cuts.read_bytes() if isinstance(cuts, Path) else read_address(cuts)
        if not data:
            raise BadData(f"{cuts} is empty: check the address, or write the shard anew.")
        # Some readers unpack what they fetch.
        text = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        return [line for line in text.decode().split("\n") if line.strip()]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadData(f"{cuts} cannot be read ({error}): write or copy it anew.") from error


def _read_cut(values: Any, line: int, shard: _Shard) -> tuple[Utterance, Sound | None]:
    """A cut as an utterance, and what the recording measures where the cut says so."""
    (spoken,) = values["supervisions"]
    custom = values.get("custom") or {}
    utterance = Utterance(
        id=str(values["id"]),
        audio=Path(str(shard.recording)) / str(values["id"]),
        text=normalise(spoken["text"]),
        line=line,
        duration=float(values["duration"]),
        speaker=spoken.get("speaker"),
        corpus=custom.get("corpus"),
    )
    measured: list[Any] = [custom.get(name) for name in ("samples", "peak", "clipped")]
    return utterance, None if None in measured else Sound(*measured)
