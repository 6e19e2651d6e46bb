"""A bundle's calibration, fitted on development speech and on recordings without speech."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from asr.corpus import Unread, refuse_unread
from asr.counting import counted
from asr.decoding import (
    PAUSE_SECONDS,
    Calibration,
    DecodedWord,
    Logistic,
    stretch_features,
    stretches,
)
from asr.errors import BadData
from asr.evaluation import Reliability
from asr.fitting.examples import DecodedClips, Examples, collect
from asr.runtime import Recognizer

MOST_LOST = 0.002
"""Largest share of the right words of development speech that may be taken for noise."""
MOST_LEFT = 0.005
"""Largest share of the recordings without speech that may keep words, if speech allows it."""
_FEWEST = 20  # right and wrong words needed to fit a curve


@dataclass(frozen=True)
class Fitted:
    """A decoder's calibration, and the results of one fitted to half of the clips on the rest."""

    calibration: Calibration
    before: Reliability
    """Of the confidence without a calibration."""
    after: Reliability
    lost: float
    """Share of right words that were taken for noise."""
    silent: tuple[int, int, int]
    """Clips of speech: without words before and after calibration, and all."""
    noisy: tuple[int, int, int]
    """Recordings without speech: with words before and after calibration, and all."""


def calibrate(
    recognizer: Recognizer,
    manifests: Sequence[Path],
    noise: Path | None = None,
    without: str = "",
    progress: Callable[[int, int], None] | None = None,
    unread: Unread = refuse_unread,
) -> dict[str, Fitted]:
    """The calibration of each decoder that the recogniser has, by its name.

    Args:
        manifests: development speech with its texts.
        noise: a manifest of recordings without speech; without it no word is taken for noise.
        without: recordings in `noise` whose ids end with this are left out, for tests.
        unread: told of each recording that cannot be read, which is left out; by default the first
            of them is an error.

    Raises:
        BadData: a manifest cannot be used, or has too little speech to learn from.
    """
    examples = collect(recognizer, manifests, noise, without, progress, unread)
    frame_seconds = recognizer.bundle.model.frame_seconds
    return {decoder: _fitted(examples, decoder, frame_seconds) for decoder in examples.speech}


def _fitted(examples: Examples, decoder: str, frame_seconds: float) -> Fitted:
    speech, noise = examples.speech[decoder], examples.noise[decoder]
    speakers = [clip.speaker or clip.id for clip in examples.utterances]
    if len(set(speakers)) == 1:
        speakers = [clip.id for clip in examples.utterances]
    first = set(sorted(set(speakers))[::2])
    learnt = [speaker in first for speaker in speakers]
    even = [index % 2 == 0 for index in range(len(noise.words))]
    known = _fit(speech.part(learnt), noise.part(even), frame_seconds)
    held = speech.part([not is_learnt for is_learnt in learnt])
    _refuse_few(held)
    quiet = noise.part([not is_even for is_even in even])
    kept = [known.spoken(clip, frame_seconds) for clip in held.words]
    left = [known.spoken(clip, frame_seconds) for clip in quiet.words]
    saved = [
        flag
        for clip, flags, words in zip(held.words, held.right, kept, strict=True)
        for word, flag in zip(clip, flags, strict=True)
        if word in words
    ]
    words = [word for clip in held.words for word in clip]
    return Fitted(
        calibration=replace(_fit(speech, noise, frame_seconds), end_offset=examples.end_offset),
        before=Reliability.of(
            np.array([Calibration().of_word(word) for word in words]), held.flags
        ),
        after=Reliability.of(np.array([known.of_word(word) for word in words]), held.flags),
        lost=1 - sum(saved) / max(1, int(held.flags.sum())),
        silent=(_empty(held.words), _empty(kept), len(kept)),
        noisy=(len(left) - _empty(quiet.words), len(left) - _empty(left), len(left)),
    )


def _empty(clips: Sequence[Sequence[DecodedWord]]) -> int:
    return sum(not clip for clip in clips)


def _fit(speech: DecodedClips, noise: DecodedClips, frame_seconds: float) -> Calibration:
    _refuse_few(speech)
    right = speech.flags
    features = np.array([word.features() for clip in speech.words for word in clip])
    pause = PAUSE_SECONDS / frame_seconds
    return Calibration(Logistic.fit(features, right), _speech(speech, noise, pause))


def _refuse_few(speech: DecodedClips) -> None:
    right = speech.flags
    if min(int(right.sum()), int((~right).sum())) < _FEWEST:
        raise BadData(
            f"{counted(len(right), 'word')} heard, {int(right.sum())} of them right: calibrating "
            f"each half needs {_FEWEST} right and {_FEWEST} wrong ones; give more speech."
        )


def _speech(speech: DecodedClips, noise: DecodedClips, pause: float) -> Logistic | None:
    """Separates stretches of speech from noise.

    The threshold is halfway between the two limits, or at that of speech if both cannot be kept.
    """
    others = [stretch_features(run) for clip in noise.words for run in stretches(clip, pause)]
    if not others:
        return None
    spoken, hits = [], []
    for clip, flags in zip(speech.words, speech.right, strict=True):
        ordered = iter(flags)
        for run in stretches(clip, pause):
            spoken.append(stretch_features(run))
            hits.append(sum(next(ordered) for _ in run))
    rows = np.array([*spoken, *others])
    curve = Logistic.fit(rows, np.arange(len(rows)) < len(spoken))
    totals = rows @ np.array(curve.weights) + curve.bias
    speaking, sounding = totals[: len(spoken)], np.sort(totals[len(spoken) :])[::-1]
    order = np.argsort(speaking)
    gone = np.cumsum(np.array(hits)[order]) / sum(hits)
    most = float(speaking[order][np.searchsorted(gone, MOST_LOST, side="right")])
    least = float(sounding[min(int(MOST_LEFT * len(noise.words)), len(sounding) - 1)])
    return replace(curve, bias=curve.bias - (most + min(most, least)) / 2)
