"""What calibrations learn from: words that were heard in speech and in other sounds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from asr.audio import SAMPLE_RATE, Audio, load
from asr.corpus import Utterance, check_files, check_lines, explain, read_manifest, read_recordings
from asr.decoding import HeardWord, align
from asr.errors import BadData
from asr.evaluation.score import Scored, score
from asr.runtime import Recognizer

_GROUP = 64  # clips read at a time
_FRAME = 160  # samples, 10 ms
_LOUD = 30.0  # dB below the loudest frames, where speech begins and ends
_LARGEST = 0.1  # seconds

Clip = TypeVar("Clip")


@dataclass(frozen=True)
class HeardClips:
    """What a decoder heard in clips."""

    words: list[list[HeardWord]] = field(default_factory=list)
    right: list[list[bool]] = field(default_factory=list)
    """Of each word whether it was said there; never in recordings without speech."""

    def part(self, wanted: Sequence[bool]) -> "HeardClips":
        """The clips that are wanted."""

        def chosen(clips: list[Clip]) -> list[Clip]:
            return [clip for clip, one in zip(clips, wanted, strict=True) if one]

        return HeardClips(chosen(self.words), chosen(self.right))

    @property
    def flags(self) -> NDArray[np.bool_]:
        """`(N,)` of all words whether they were said."""
        return np.array([one for clip in self.right for one in clip], dtype=np.bool_)


@dataclass(frozen=True)
class Examples:
    """What was heard, by the decoder's name."""

    utterances: list[Utterance]
    speech: dict[str, HeardClips]
    """In the utterances."""
    noise: dict[str, HeardClips]
    """In recordings without speech."""
    lags: list[float]
    """Seconds from the last frame of a clip's last word to where its speech ends by its energy."""

    @property
    def end_offset(self) -> float:
        """The median lag, bounded by a tenth of a second."""
        return round(min(max(median(self.lags or [0.0]), -_LARGEST), _LARGEST), 3)


def collect(
    recognizer: Recognizer,
    manifests: Sequence[Path],
    noise: Path | None,
    without: str,
    progress: Callable[[int, int], None] | None,
) -> Examples:
    """The examples of every decoder that the recogniser has.

    Raises:
        BadData: a manifest cannot be used.
        BadAudio: a recording cannot be read.
    """
    decoders = ["greedy"] if recognizer.lm is None else ["greedy", "beam"]
    spoken = [one for path in manifests for one in _read(path)]
    other = [] if noise is None else read_recordings(noise)
    other = [one for one in other if not (without and one.id.endswith(without))]
    found = Examples(
        utterances=spoken,
        speech={decoder: HeardClips() for decoder in decoders},
        noise={decoder: HeardClips() for decoder in decoders},
        lags=[],
    )
    done = 0
    for group, texts in [
        *((group, [one.text for one in group]) for group in _groups(spoken)),
        *((group, None) for group in _groups(other)),
    ]:
        audios = [load(one.audio) for one in group]
        lattices = recognizer.lattices(audios)
        for decoder in decoders:
            heard = recognizer.hear(lattices, recognizer.options(decoder=decoder))
            words = [list(one.words) for one in heard]
            clips = (found.noise if texts is None else found.speech)[decoder]
            clips.words.extend(words)
            clips.right.extend(_right(words, texts or [""] * len(words)))
        if texts is not None:
            found.lags.extend(_lags(recognizer, lattices, audios, texts))
        done += len(group)
        if progress is not None:
            progress(done, len(spoken) + len(other))
    return found


def speech_bounds(samples: NDArray[np.float32]) -> tuple[float, float]:
    """When speech begins and ends in a clean clip, in seconds, by its energy.

    From the first to the last 10 ms that are within 30 dB of the loudest ones and lie among
    others that are, as clicks do not.
    """
    whole = max(1, len(samples) // _FRAME)
    power = np.array([np.mean(np.square(part)) for part in np.array_split(samples, whole)])
    level = 10 * np.log10(power + 1e-10)
    loud = level >= np.percentile(level, 95) - _LOUD
    among = np.convolve(loud, np.ones(5), mode="same") >= 4
    found = np.flatnonzero(loud & among if (loud & among).any() else loud)
    begin, end = found[0] * _FRAME, min((found[-1] + 1) * _FRAME, len(samples))
    return float(begin / SAMPLE_RATE), float(end / SAMPLE_RATE)


def _read(manifest: Path) -> list[Utterance]:
    utterances, findings = read_manifest(manifest)
    findings += [*check_lines(utterances), *check_files(utterances)]
    if findings or not utterances:
        listed = explain(manifest, findings, most=20) if findings else f"{manifest}: no lines"
        raise BadData(f"{manifest} cannot be calibrated on; mend these lines.\n{listed}")
    return utterances


def _groups(utterances: Sequence[Utterance]) -> Iterator[Sequence[Utterance]]:
    return (utterances[at : at + _GROUP] for at in range(0, len(utterances), _GROUP))


def _right(clips: Sequence[Sequence[HeardWord]], texts: Sequence[str]) -> list[list[bool]]:
    if not any(texts):
        return [[False] * len(clip) for clip in clips]
    heard = [" ".join(word.text for word in clip) for clip in clips]
    ids = [str(index) for index in range(len(clips))]
    return [_right_of(scored) for scored in score(ids, texts, heard).utterances]


def _right_of(scored: Scored) -> list[bool]:
    found = [False] * len(scored.hypothesis.split())
    for chunk in scored.chunks:
        if chunk.type == "equal":
            words = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
            found[words.start : words.stop] = [True] * len(words)
    return found


def _lags(
    recognizer: Recognizer,
    lattices: Sequence[torch.Tensor],
    audios: Sequence[Audio],
    texts: Sequence[str],
) -> Iterator[float]:
    tokenizer, frame = recognizer.bundle.tokenizer, recognizer.bundle.model.frame_seconds
    for lattice, audio, text in zip(lattices, audios, texts, strict=True):
        if tokenizer.unknown(text):
            continue
        try:
            (known,) = align(lattice[None], torch.tensor([len(lattice)]), [tokenizer.encode(text)])
        except ValueError:  # said faster than there are frames
            continue
        _, end = speech_bounds(audio.samples)
        yield end - known.ends[-1] * frame
