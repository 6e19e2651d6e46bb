"""Headers of programs that write to a pipe and cannot fill in the size afterwards.

libsndfile reads files with most placeholders to the end. For those that it refuses, the size is
replaced by one that it accepts.
"""

import os

from asr.audio.links import Encoded, Part

HEADER_BYTES = 4096
"""A larger file without a single sample has an unfinished header."""
W64_CHUNK = 24
"""Bytes of a chunk's name and size; the size counts them."""
_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_MOST_CHUNKS = 100


def unfinished(file: Encoded, size: int) -> Part | None:
    """The file with a size that libsndfile reads to the end, if it needs one."""
    file.seek(0)
    head = file.read(40) or b""
    patch = None
    if head.startswith(b"RF64") and head[12:16] == b"ds64":
        if int.from_bytes(head[28:36], "little") in (0, 2**64 - 1):
            patch = 0, b"RIFF"  # whose size of audio, 2^32 - 1, means all that follows
    elif head.startswith(b".snd"):
        if head[8:12] == bytes(4):
            patch = 8, b"\xff" * 4
    elif head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        data = _chunk(file, size, b"data", at=12, header=8, aligned=2)
        if data is not None and data[1] == 0 and size > HEADER_BYTES:
            patch = data[0], b"\xff" * 4
    elif head.startswith(_W64_RIFF):
        data = _chunk(file, size, _W64_DATA, at=40, header=W64_CHUNK, aligned=8, counted=True)
        if data is not None and data[1] > 2**62:
            patch = data[0], b"\xff" * 8
    file.seek(0)
    return None if patch is None else Part(file, 0, size, patch)


def _chunk(
    file: Encoded,
    size: int,
    name: bytes,
    *,
    at: int,
    header: int,
    aligned: int,
    counted: bool = False,
) -> tuple[int, int] | None:
    """Where the size of the chunk with a name stands, and that size; None if there is none.

    Args:
        size: bytes of the file.
        at: where the first chunk begins, after the file's own name, size and kind.
        header: bytes of a chunk's name and size.
        aligned: chunks begin at multiples of so many bytes.
        counted: whether a chunk's size counts its header.
    """
    for _ in range(_MOST_CHUNKS):
        file.seek(at, os.SEEK_SET)
        chunk = file.read(header) or b""
        length = int.from_bytes(chunk[len(name) :], "little")
        if chunk.startswith(name):
            return at + len(name), length
        whole = length if counted else header + length
        if len(chunk) < header or not header <= whole <= size:
            return None
        at += -(-whole // aligned) * aligned
    return None
