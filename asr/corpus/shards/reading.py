"""Corpora as shards, in Lhotse's Shar format, on a disk or in an object store.

A shard is two files: `cuts.NNNNNN.jsonl.gz` has the texts, `recording.NNNNNN.tar` the recordings in
the same order. The first are read at once, the second clip by clip on access. Remote shards are
downloaded first, a few at a time.
"""

import gzip
import hashlib
import json
import os
import re
import tarfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from asr.audio import Audio, load
from asr.corpus.findings import Finding
from asr.corpus.manifest import Utterance
from asr.corpus.recordings.cache import Progress
from asr.corpus.recordings.measurements import Measurement, Measurements, decode
from asr.corpus.shards.downloads import Downloads, read_address
from asr.counting import counted
from asr.errors import BadData
from asr.text import Normaliser, normalise

Source: TypeAlias = Path | str
"""A manifest, a folder of shards, or the address of remote shards."""

TOGETHER = 8
"""Shards in a pool, whose clips are batched together."""
_KEPT = 3 * TOGETHER  # those at the end of an epoch, at the start of the next, and some more
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def locate(root: Path, name: str) -> Source:
    """The source named in a config: a path relative to `root`, or an address, which is kept."""
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
        source: a folder, or an address with a range of shards in braces, in place of the file
            names: `s3://bucket/train/{000000..000280}` or
            `pipe:curl -sf https://host/train/{000000..000280}`.
        downloads: the folder for downloaded shards.
        normal: gives the texts their normal form.

    Raises:
        BadData: they cannot be read.
    """

    def __init__(self, source: Source, downloads: Path, normal: Normaliser = normalise) -> None:
        self._normal = normal
        self.utterances: list[Utterance] = []
        self.findings: list[Finding] = []
        self._shards = list(_listed(source))
        self._ends: list[int] = []
        self._measurements: list[Measurement | None] = []
        for shard in self._shards:
            for line in _lines(shard.cuts):
                self._add(line, shard)
            self._ends.append(len(self._measurements))
        if not self._measurements:
            raise BadData(f"{source} holds no clips; write shards with `asr data shards`.")
        key = hashlib.sha256(str(source).encode()).hexdigest()[:16]
        self._files = _Files(self._shards, Downloads(downloads / f"shards-{key}", _KEPT))

    def _add(self, line: str, shard: _Shard) -> None:
        number = len(self._measurements) + 1
        self._measurements.append(None)
        try:
            utterance, self._measurements[-1] = _read_cut(
                json.loads(line), number, shard, self._normal
            )
            self.utterances.append(utterance)
        except (ValueError, LookupError, TypeError, AttributeError):
            self.findings.append(Finding(number, "malformed", "not a cut of lhotse with one text"))

    def check(self, utterances: Sequence[Utterance]) -> list[Finding]:  # noqa: ARG002
        """No findings: the recordings of shards are stored with their cuts."""
        return []

    def pools(self, utterances: Sequence[Utterance]) -> npt.NDArray[np.int64]:
        """The pool of each utterance: `TOGETHER` consecutive shards are one pool."""
        return self._shard_of(utterances) // TOGETHER

    def recordings(self, utterances: Sequence[Utterance], progress: Progress) -> "ShardRecordings":
        """The recordings of some of the utterances; measurements that shards lack are made now."""
        shards = self._shard_of(utterances)
        firsts = np.array([0, *self._ends[:-1]])[shards]
        places = np.array([utterance.line - 1 for utterance in utterances], np.int64) - firsts
        measurements: list[Measurement] = []
        for utterance, shard, place in zip(utterances, shards, places, strict=True):
            known = self._measurements[utterance.line - 1]
            measurements.append(known or decode(partial(self._load, utterance, shard, place))[0])
            progress(len(measurements), len(utterances))
        return ShardRecordings(self._files, shards, places, Measurements(measurements))

    def _load(self, utterance: Utterance, shard: int, place: int) -> Audio:
        return load(self._files.read(shard, place), name=str(utterance.audio))

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
        measurements: Measurements,
    ) -> None:
        self.measurements = measurements
        self._files = files
        self._shards = shards
        self._places = places

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
        shard, place = int(self._shards[index]), int(self._places[index])
        name = f"clip {place + 1} of {self._files.name(shard)}"
        return load(self._files.read(shard, place), name=name).samples


class _Files:
    """The tar files of shards; the last few stay open, and every process opens its own."""

    def __init__(self, shards: Sequence[_Shard], downloads: Downloads) -> None:
        self._shards = shards
        self._downloads = downloads
        self._open: OrderedDict[int, tuple[BinaryIO, list[tuple[int, int]]]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    def name(self, shard: int) -> str:
        """The shard's name in errors."""
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
                f"{self.name(shard)} holds {counted(len(members), 'recording')}, fewer than its "
                "cuts say: write or copy it anew."
            )
        offset, size = members[place]
        return os.pread(file.fileno(), size, offset)  # leaves the position, which processes share

    def _opened(self, shard: int) -> tuple[BinaryIO, list[tuple[int, int]]]:
        address = self._shards[shard].recording
        try:
            with ExitStack() as closing:
                file: BinaryIO = closing.enter_context(
                    address.open("rb")
                    if isinstance(address, Path)
                    else self._downloads.open(address, f"{shard:06d}.tar")
                )
                with tarfile.open(fileobj=file, mode="r:") as tar:
                    members = [(member.offset_data, member.size) for member in tar]
                closing.pop_all()  # it is read from later
        except (OSError, tarfile.TarError) as error:
            raise BadData(f"{address} cannot be read ({error}): write or copy it anew.") from error
        return file, members[::2]  # each recording is followed by its description


def _listed(source: Source) -> Iterator[_Shard]:
    if isinstance(source, Path):
        for cuts in sorted([*source.glob("cuts.*.jsonl.gz"), *source.glob("cuts.*.jsonl")]):
            recording = source / f"recording.{cuts.name.split('.')[1]}.tar"
            if not recording.is_file():
                raise BadData(f"{cuts} has no {recording.name} beside it: copy it anew.")
            yield _Shard(cuts, recording)
        return
    numbers = _RANGE.search(source)
    if numbers is None:
        raise BadData(
            f"{source} names no shards: end it in a range of them, as {{000000..000280}}."
        )
    before, after = source[: numbers.start()], source[numbers.end() :]
    for number in range(int(numbers[1]), int(numbers[2]) + 1):
        shard = f"{number:0{len(numbers[1])}d}"
        yield _Shard(
            f"{before}cuts.{shard}.jsonl.gz{after}", f"{before}recording.{shard}.tar{after}"
        )


def _lines(cuts: Source) -> list[str]:
    try:
        data = cuts.read_bytes() if isinstance(cuts, Path) else read_address(cuts)
        if not data:
            raise BadData(f"{cuts} is empty: check the address, or write the shard anew.")
        # Some readers decompress what they download.
        text = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        return [line for line in text.decode().split("\n") if line.strip()]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadData(f"{cuts} cannot be read ({error}): write or copy it anew.") from error


def _read_cut(
    values: Any, line: int, shard: _Shard, normal: Normaliser
) -> tuple[Utterance, Measurement | None]:
    """A cut as an utterance, and the recording's measurements if the cut has them."""
    (spoken,) = values["supervisions"]
    custom = values.get("custom") or {}
    utterance = Utterance(
        id=str(values["id"]),
        audio=Path(str(shard.recording)) / str(values["id"]),
        text=normal(spoken["text"]),
        line=line,
        duration=float(values["duration"]),
        speaker=spoken.get("speaker"),
        corpus=custom.get("corpus"),
    )
    measured: list[Any] = [custom.get(name) for name in ("samples", "peak", "clipped")]
    return utterance, None if None in measured else Measurement(*measured)
