"""Recordings as callers give them -> one of three kinds of sources."""

import io
import os
from typing import Any, TypeAlias

from asr.audio.limits import Limits
from asr.errors import BadAudio, TooLong

Plain: TypeAlias = str | bytes | tuple[Any, ...]
"""A path, an encoded file's bytes, or `(samples, rate)`."""

_BLOCK_BYTES = 2**20


def plain(source: Any, label: str, limits: Limits) -> Plain:
    """`source` as a path or bytes; a tuple is returned unchanged.

    An open file is read from its position to its end, and stays open. BadAudio for anything that is
    no `AudioSource` or cannot be read; `label` names the source in errors.
    """
    if isinstance(source, str | bytes | tuple):
        return source
    try:
        if isinstance(source, os.PathLike):
            return os.fsdecode(source)
        if isinstance(source, bytearray | memoryview):
            return bytes(source)
        if callable(getattr(source, "read", None)):
            return _content(source, label, limits)
    except (BadAudio, TooLong):
        raise
    except Exception as error:  # a caller's object may raise anything
        raise BadAudio(f"{label} cannot be read ({error}): give the bytes of a file") from error
    if hasattr(source, "ndim"):
        raise BadAudio(f"{label} is an array without a sampling rate: give (samples, rate)")
    raise BadAudio(
        f"{label} is given as {type(source).__name__}: give a path, an open file, a file's bytes, "
        "or (samples, rate)"
    )


def _content(file: Any, label: str, limits: Limits) -> bytes:
    as_text = BadAudio(f"{label} is a file opened as text: open it with the mode 'rb'")
    if isinstance(file, io.TextIOBase):
        raise as_text
    blocks = []
    size = 0
    while block := file.read(_BLOCK_BYTES):
        if isinstance(block, str):
            raise as_text
        blocks.append(bytes(block))
        size += len(block)
        if size > limits.max_bytes:
            raise TooLong(
                f"{label} is too large: over {limits.max_bytes} bytes; cut it into shorter "
                "recordings"
            )
    return b"".join(blocks)
