"""Workers with faults of a kind that real ones may have; a test names them as the target."""

import os
from collections.abc import Sequence
from typing import Any

from asr.audio import Limits
from service.decoding import decoder
from service.device import Load, Read, Run, device
from service.workers import Answer, Handler, Memory

POISON = 12_345
"""Samples of a recording that the faulty device cannot take."""
DEADLY = 12_347
"""Samples of one that it dies of."""
FULL = 200_000
"""Padded samples in a batch beyond which its memory is full."""
BOMB = b"RIFFbomb"
"""An upload that ends whoever decodes it."""


def faulty(_: None) -> Handler:
    """A device that fails on some batches and dies of others."""
    sound = device(None)

    def answer(message: Load | Run | Read, memory: Sequence[Memory]) -> Answer:
        if isinstance(message, Run):
            sizes = [piece.stop - piece.start for piece in message.pieces]
            if DEADLY in sizes:
                os._exit(9)
            if POISON in sizes:
                raise RuntimeError("a kernel refused these samples")
            if max(sizes) * len(sizes) > FULL:
                raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return sound(message, memory)

    return answer


def fragile(limits: Limits) -> Handler:
    """A decoder that some files end."""
    sound = decoder(limits)

    def decode(message: Any, memory: Sequence[Memory]) -> Answer:
        if message is not None and message[2].startswith(BOMB):
            os._exit(9)
        return sound(message, memory)

    return decode
