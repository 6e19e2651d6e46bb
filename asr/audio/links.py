"""Concatenated recordings in one file, as `cat a.mp3 b.mp3` or a radio stream produces them.

Decoders silently stop after the first one. Here each is found by the bytes with which a recording
of its format begins, with enough checks that audio does not contain them by chance.
"""

import io
import os
import re
from collections.abc import Callable, Iterator
from heapq import merge
from typing import TypeAlias

_CHUNK = 2**20
_OVERLAP = 512
"""Bytes around a mark that decide whether a recording begins there."""


class Memory(io.BytesIO):
    """An encoded file in memory.

    A damaged file can make libsndfile seek before its start. As for a file on disk, that fails and
    counts as damage; an exception would be printed with a traceback, as it cannot pass through C.
    """

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return -1


class Disk(io.FileIO):
    """An encoded file on disk; FFmpeg can seek before its start, too."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except OSError:
            return -1


class Part(io.RawIOBase):
    """Bytes `[start, stop)` of a file, as a file.

    `patch` is an offset within the part and the bytes that replace the ones there.
    """

    def __init__(
        self, file: "Encoded", start: int, stop: int, patch: tuple[int, bytes] = (0, b"")
    ) -> None:
        self._file, self._start, self._stop = file, start, stop
        self._at = start
        self._patch = patch

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        at = offset + {os.SEEK_SET: self._start, os.SEEK_CUR: self._at}.get(whence, self._stop)
        if at < self._start:  # see Memory
            return -1
        self._at = at
        return self.tell()

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        self._file.seek(self._at)
        wanted = memoryview(buffer).cast("B")[: max(0, self._stop - self._at)]
        count = self._file.readinto(wanted) or 0
        offset, patch = self._patch
        first = self._start + offset - self._at  # of the patch, within the bytes read
        for place in range(max(0, first), min(count, first + len(patch))):
            wanted[place] = patch[place - first]
        self._at += count
        return count


Encoded: TypeAlias = Memory | Disk
"""A file as it was given."""
Source: TypeAlias = Encoded | Part
"""A file with one recording."""


def links(file: Encoded, size: int) -> list[int]:
    """The offsets at which recordings begin in a file of `size` bytes: `[0]` for a single one."""
    head = _at(file, 0, 64)
    body = _id3_size(head)
    if body:  # a tag before mp3, and sometimes before flac
        head = _at(file, body, 64)
    if head[4:8] == b"ftyp":
        return [0, *_mp4(file, size)]
    if head[:4] in (b"RIFF", b"FORM") and 8 + _size(head) in range(size - 64, size + 2):
        return [0]  # the usual case, which needs no search
    finds = next((finds for begins, finds in _KINDS if begins.match(head)), None)
    if finds is None and not body:
        return [0]
    finds = finds or _mp3  # what follows an unknown tag
    return [0, *sorted(at for at in finds(file) if at > body)]


def _at(file: Encoded, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size) or b""


def _size(head: bytes) -> int:
    return int.from_bytes(head[4:8], "little" if head.startswith(b"RIFF") else "big")


def _mp4(file: Encoded, size: int) -> Iterator[int]:
    """By its boxes, as a film is large: a file begins at certain ones."""
    at = 0
    while at + 16 <= size:
        head = _at(file, at, 16)
        if at and head[4:8] == b"ftyp":
            yield at
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # to the end of the file, or damage
            return
        at += length


def _marked(
    *marks: bytes, begins: bytes, before: tuple[int, ...] = (0,)
) -> Callable[[Encoded], Iterator[int]]:
    """Finds where recordings begin: where `begins` matches, so many bytes before a mark.

    Searching for a mark is fast, and only bytes around one are checked.
    """
    pattern = re.compile(begins, re.DOTALL)

    def find(file: Encoded) -> Iterator[int]:
        seen = -1
        for offset, chunk in _chunks(file):
            for at in merge(*(_each(chunk, mark) for mark in marks)):
                for start in (at - back for back in before if back <= at):
                    if offset + start > seen and pattern.match(chunk, start):
                        seen = offset + start
                        yield seen

    return find


def _chunks(file: Encoded) -> Iterator[tuple[int, bytes]]:
    """The file in large pieces, each preceded by the end of the one before."""
    if isinstance(file, Memory):
        yield 0, file.getvalue()
        return
    offset, kept = 0, b""
    size = file.seek(0, os.SEEK_END)
    # No more than exists: allocating more would cost more than the search.
    while read := _at(file, offset + len(kept), min(_CHUNK, size - offset - len(kept))):
        chunk = kept + read if kept else read
        yield offset, chunk
        kept = chunk[-2 * _OVERLAP :]
        offset += len(chunk) - len(kept)


def _each(chunk: bytes, mark: bytes) -> Iterator[int]:
    at = chunk.find(mark)
    while at >= 0:
        yield at
        at = chunk.find(mark, at + 1)


_BOS = (b"OggS\0\x02" + bytes(8), b"OggS\0\x06" + bytes(8))
"""The start of a stream's first page, at granule 0, which may also be its last."""


def _ogg(file: Encoded) -> Iterator[int]:
    """A recording begins with the first pages of all its streams, in a row."""
    end = -1
    for offset, chunk in _chunks(file):
        for at in merge(*(_each(chunk, mark) for mark in _BOS)):
            if offset + at < end or at + 27 > len(chunk):
                continue
            if offset + at != end:
                yield offset + at
            table = 27 + chunk[at + 26]  # of the lengths of what follows it
            end = offset + at + table + sum(chunk[at + 27 : at + table])


_INFO = re.compile(
    rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][^\xff].(?:(?:..)?(?:\0{32}|\0{17}|\0{9})(?:Xing|Info)|.{32}VBRI)",
    re.DOTALL,
)
"""The first mp3 frame of encoders, without audio, which contains the number of frames."""
_INFOS = _marked(
    *(bytes(5) + b"Xing", bytes(5) + b"Info", b"VBRI\0\1"),
    begins=_INFO.pattern,
    before=(8, 10, 16, 18, 31, 33, 36),
)
_SYNC = re.compile(rb"\xff[\xe2-\xff]")


def _mp3(file: Encoded) -> Iterator[int]:
    """By those frames, and by the end of the audio that the first one states."""
    first = _behind_tags(file, 0)
    begins = list(_INFOS(file))
    if begins and not _SYNC.match(_at(file, first, 2)):
        first = begins.pop(0)  # after an unknown tag
    yield from begins
    head = _at(file, first, 64)
    told = _INFO.match(head)
    if told and not head[: told.end()].endswith(b"VBRI") and head[told.end() + 3] & 2:
        counted = head[told.end() + 3] & 1  # the number of frames is before that of bytes
        size = told.end() + 4 + 4 * counted
        end = _behind_tags(file, first + int.from_bytes(head[size : size + 4], "big"))
        if end > first and _at(file, end, 2) == head[:2] and end not in begins:
            yield end


def _behind_tags(file: Encoded, at: int) -> int:
    head = _at(file, at, 10)
    if head.startswith(b"TAG"):  # ID3v1, after the audio
        at += 128
        head = _at(file, at, 10)
    return at + _id3_size(head)


def _id3_size(head: bytes) -> int:
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << 7 * (3 - place) for place, byte in enumerate(head[6:10]))


_WAVPACK = rb"wvpk.{5}\x04.{6}\0{4}.{5}[%s]" % b"".join(
    b"\\x%02x" % flags for flags in range(256) if flags & 8
)
"""A block of version 4 at sample 0 that is the first of its channels."""

_KINDS: tuple[tuple[re.Pattern[bytes], Callable[[Encoded], Iterator[int]]], ...] = (
    (re.compile(b"OggS"), _ogg),
    (re.compile(b"fLaC"), _marked(b"fLaC\0\0\0\x22", begins=rb"fLaC")),
    (
        re.compile(rb"R(IFF|F64|IFX)....WAVE", re.DOTALL),
        _marked(
            *(b"WAVEfmt ", b"WAVEJUNK", b"WAVEbext", b"WAVEds64"),
            begins=rb"R(?:IFF|F64|IFX).{4}WAVE",
            before=(8,),
        ),
    ),
    (re.compile(b"FORM"), _marked(b"FORM", begins=rb"FORM.{4}AIF[FC](?:COMM|FVER)")),
    (re.compile(b"caff"), _marked(b"caff", begins=rb"caff\0\x01\0\0desc")),
    (re.compile(rb"\.snd"), _marked(b".snd", begins=rb"\.snd\0\0.{6}\0\0\0[\x01-\x1b]\0")),
    (re.compile(b"riff"), _marked(b"riff", begins=rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb")),
    (re.compile(rb"FLV\x01"), _marked(b"FLV\x01", begins=rb"FLV\x01[\0\1\4\5]\0\0\0\x09")),
    (re.compile(rb"#!AMR"), _marked(b"#!AMR", begins=rb"#!AMR(?:-WB)?\n")),
    (
        re.compile(rb"0&\xb2u\x8ef"),
        _marked(b"0&\xb2u", begins=rb"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0\x62\xcel"),
    ),
    (re.compile(b"wvpk"), _marked(b"wvpk", begins=_WAVPACK)),
    (re.compile(b"TTA1"), _marked(b"TTA1", begins=rb"TTA1[\1\2\3]\0[\1-\x40]\0")),
    (_SYNC, _mp3),
)
"""The start of a recording, and how to find others after it."""
