"""The pronunciations that were spoken in clips with known texts, for training on them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from asr.audio import Audio, load_stretch
from asr.corpus.importers import Discovery
from asr.decoding.pronounced import choose
from asr.errors import AsrError
from asr.text import Pronouncer
from asr.text.phones import SPACE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asr.runtime import Recognizer

_GROUP = 64
"""Clips held at once."""


def pronounced(
    clips: Iterable[Discovery], recognizer: "Recognizer", pronounce: Pronouncer
) -> Iterator[Discovery]:
    """The clips with `phones`: the most probable pronunciation of each word.

    A clip that cannot be aligned has a problem instead.

    Args:
        recognizer: of a bundle with a phone head, with the phones of `pronounce`.
    """
    group: list[Discovery] = []
    for clip in clips:
        group.append(replace(clip, text=recognizer.bundle.normalise(clip.text)))
        if len(group) == _GROUP:
            yield from _group_pronounced(group, recognizer, pronounce)
            group = []
    yield from _group_pronounced(group, recognizer, pronounce)


def _group_pronounced(
    clips: list[Discovery], recognizer: "Recognizer", pronounce: Pronouncer
) -> Iterator[Discovery]:
    opened = [_opened(clip, pronounce) for clip in clips]
    lattices = recognizer.lattices([audio for audio in opened if isinstance(audio, Audio)])
    phones = iter(row[:, recognizer.bundle.tokenizer.n_units :] for row in lattices)
    for clip, audio in zip(clips, opened, strict=True):
        if not isinstance(audio, Audio):
            yield replace(clip, problem=audio)
        else:
            yield _said(clip, next(phones), pronounce)


def _opened(clip: Discovery, pronounce: Pronouncer) -> Audio | str:
    """The clip's audio, or why it cannot be aligned."""
    if clip.problem is not None:
        return clip.problem
    if not clip.text:
        return "its text is empty"
    try:
        if unknown := pronounce.unknown(clip.text):
            return f"the lexicon does not have {', '.join(unknown)}"
        return load_stretch(clip.audio, clip.start, clip.end)
    except AsrError as error:
        return str(error)


def _said(clip: Discovery, log_probs: "NDArray[np.float32]", pronounce: Pronouncer) -> Discovery:
    ways = pronounce.ways(clip.text)
    try:
        chosen = choose(log_probs, ways, SPACE)
    except ValueError as error:
        return replace(clip, problem=str(error))
    words = [
        " ".join(pronounce.tokenizer.phones_of(way[which]))
        for way, which in zip(ways, chosen, strict=True)
    ]
    return replace(clip, extra={**(clip.extra or {}), "phones": " | ".join(words)})
