"""A word on recordings whose channels are better read each by itself."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from asr.cli.folder import tell
from asr.cli.output import hushed
from asr.options import SPLIT, Selection

if TYPE_CHECKING:
    from asr.batch import Inputs

_LOOKED_AT = 20
_HEARD = 3
_HEARD_S = 60.0
"""Of so many recordings the headers are read, and of so many with channels the beginning."""


def advising(look: "Callable[[], Inputs]") -> "Callable[[], Inputs]":
    """`look`, which says once if recordings have another voice in each channel."""
    told = False

    def looked() -> "Inputs":
        nonlocal told
        inputs = look()
        if not told:
            told = True
            _advise(inputs)
        return inputs

    return looked


def _advise(inputs: "Inputs") -> None:
    from asr.audio import PIECEWISE, SAMPLE_RATE, have_own_voices, read_header
    from asr.batch import Address, Decoder
    from asr.errors import BadMachine

    several = []
    with hushed():
        for item in inputs[:_LOOKED_AT]:
            if item.problem is None and not isinstance(item.path, Address):
                header = read_header(item.path, every_format=False)
                several += [item] if header.channels > 1 else []
    if not several:
        return
    decoder = Decoder(PIECEWISE, Selection(channels=SPLIT, duration=_HEARD_S))
    try:
        for item in several[:_HEARD]:
            heard = decoder.read(item)
            if isinstance(heard, tuple) and have_own_voices(
                [audio.samples for audio in heard], SAMPLE_RATE
            ):
                tell(
                    f"{item.path} has another voice in each channel, and they are mixed: add "
                    "--channels split to read each by itself, or --channels mix to hide this"
                )
                return
    except BadMachine:
        pass  # the work will say so
    finally:
        decoder.stop()
