"""Workers with faults that real ones may have; tests name them as the target."""

import contextlib
import os
import time
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from asr.audio import SAMPLE_RATE, Limits
from service.engine import decode_pool
from service.engine.decode_pool import Decode, decoder
from service.engine.device import Load, RunModel, Search, device
from service.engine.worker import Answer, Handler, Memory

POISON = 12_345
"""Samples of a recording that the faulty device cannot take."""
DEADLY = 12_347
"""Samples of one that it dies of."""
STUCK = 12_349
"""Samples of one that never comes back from it, as from a driver's fault."""
FULL = 200_000
"""Padded samples in a batch beyond which its memory is full."""
BOMB = b"RIFFbomb"
"""An upload that ends whoever decodes it."""
ENDLESS = b"RIFFendless"
"""An upload that the slow decoder never comes back from."""
BUSY = b"RIFFbusy"
"""An upload that the slow decoder works on without end."""
QUOTED = b"RIFFquoted"
"""An upload on which the fragile decoder fails, with a message that has its name."""
HOT_WORD = "marmaduke"
"""Whoever asks the faulty device for it sees it fail, with a message that has all options."""
DEADLY_WORD, SLOW_WORD = "balthazar", "melchior"
"""The mortal device dies of a search for the first, and takes its time for the second."""
GATED_S = 440
"""Seconds of sound that the gated decoder passes."""
SLOWNESS = 0.2
"""Seconds for each second of sound that the slow decoder takes."""


def faulty(_: None) -> Handler:
    """A device that fails on some batches and dies of others."""
    sound = device(None)

    def answer(message: Load | RunModel | Search, memory: Sequence[Memory]) -> Answer:
        if isinstance(message, RunModel):
            sizes = [piece.stop - piece.start for piece in message.pieces]
            if DEADLY in sizes:
                os._exit(9)
            if STUCK in sizes:
                time.sleep(3600)
            if POISON in sizes:
                raise RuntimeError("a kernel refused these samples")
            if max(sizes) * len(sizes) > FULL:
                raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        if isinstance(message, Search) and HOT_WORD in str(message.options):
            raise ValueError(str(message.options))
        return sound(message, memory)

    return answer


def mortal(_: None) -> Handler:
    """A device that dies of some searches, while others are under way."""
    sound = device(None)

    def answer(message: Any, memory: Sequence[Memory]) -> Answer:
        if isinstance(message, Search) and DEADLY_WORD in str(message.options):
            time.sleep(0.5)
            os._exit(9)
        if isinstance(message, Search) and SLOW_WORD in str(message.options):
            time.sleep(2.0)
        return sound(message, memory)

    return answer


def gated(_: None) -> Handler:
    """A device that runs the later windows of recordings once the file $GATE is there."""
    sound = device(None)

    def answer(message: Any, memory: Sequence[Memory]) -> Answer:
        if isinstance(message, RunModel) and any(piece.index for piece in message.pieces):
            while not os.path.exists(os.environ["GATE"]):
                time.sleep(0.02)
        return sound(message, memory)

    return answer


def gated_decoder(limits: Limits) -> Handler:
    """A decoder that comes to the end of long recordings once the file $GATE is there."""
    fast = decode_pool.stream

    def stream(*given: Any, **named: Any) -> Generator[Any]:
        samples = 0
        for block in fast(*given, **named):
            while samples > GATED_S * SAMPLE_RATE and not os.path.exists(os.environ["GATE"]):
                time.sleep(0.02)
            samples += len(block)
            yield block

    decode_pool.stream = stream
    return decoder(limits)


def fragile(limits: Limits) -> Handler:
    """A decoder that some files end."""
    sound = decoder(limits)

    def decode(message: Any, memory: Sequence[Memory]) -> Answer:
        if isinstance(message, Decode) and message.source.startswith(BOMB):
            os._exit(9)
        if isinstance(message, Decode) and message.source.startswith(QUOTED):
            raise ValueError(message.name)
        return sound(message, memory)

    return decode


def doomed(limits: Limits) -> Handler:
    """A decoder that ends at whatever it is given, if it is one of the first two: as if both had
    died before and nobody had noticed."""
    sound, begun = decoder(limits), False

    def decode(message: Any, memory: Sequence[Memory]) -> Answer:
        nonlocal begun
        for name in ("first", "second") if begun else ():
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.join(os.environ["DEATHS"], name))
                os._exit(9)
        begun = True
        return sound(message, memory)

    return decode


def slow(limits: Limits) -> Handler:
    """A decoder that takes its time for each second of sound, and for ever for one upload."""
    fast = decode_pool.stream

    def stream(body: bytes, *given: Any, **named: Any) -> Generator[Any]:
        if body.startswith(ENDLESS):
            time.sleep(3600)
        while body.startswith(BUSY):
            pass
        for block in fast(body, *given, **named):
            for start in range(0, len(block), SAMPLE_RATE):
                piece: np.ndarray = block[start : start + SAMPLE_RATE]
                time.sleep(SLOWNESS * len(piece) / SAMPLE_RATE)
                yield piece

    decode_pool.stream = stream
    return decoder(limits)
