"""What calibrations learn from: words that were decoded in speech and in other sounds."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from asr.audio import SAMPLE_RATE, Audio
from asr.corpus import Finding, Unread, Utterance, read_checked, read_recordings
from asr.counting import counted
from asr.decoding import DecodedWord, align
from asr.errors import BadData
from asr.evaluation.score import Scored, score
from asr.runtime import LogProbs, Recognizer

_GROUP = 64  # clips decoded at a time
_FRAME = 160  # samples, 10 ms
_LOUD = 30.0  # dB below the loudest frames: the threshold of speech
_LARGEST = 0.1  # seconds

Clip = TypeVar("Clip")


@dataclass(frozen=True)
class DecodedClips:
    """The words that a decoder finds in clips."""

    words: list[list[DecodedWord]] = field(default_factory=list)
    right: list[list[bool]] = field(default_factory=list)
    """Whether each word was spoken there; false in recordings without speech."""

    def part(self, wanted: Sequence[bool]) -> "DecodedClips":
        """The selected clips."""

        def chosen(clips: list[Clip]) -> list[Clip]:
            return [clip for clip, is_wanted in zip(clips, wanted, strict=True) if is_wanted]

        return DecodedClips(chosen(self.words), chosen(self.right))

    @property
    def flags(self) -> NDArray[np.bool_]:
        """`(N,)`: for all words, whether they were spoken."""
        return np.array([flag for clip in self.right for flag in clip], dtype=np.bool_)


@dataclass(frozen=True)
class Examples:
    """Decoded clips, by the decoder's name."""

    utterances: list[Utterance]
    speech: dict[str, DecodedClips]
    """In the utterances."""
    noise: dict[str, DecodedClips]
    """In recordings without speech."""
    lags: list[float]
    """Seconds from the last frame of a clip's last word to the end of speech by energy."""

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
    unread: Unread,
) -> Examples:
    """The examples of every decoder that the recogniser has, in all recordings that can be read.

    Raises:
        BadData: a manifest cannot be used, or names a recording that another has too, or none of
            speech or of noise can be read.
    """
    decoders = ["greedy"] if recognizer.lm is None else ["greedy", "beam"]
    normal = recognizer.bundle.normalise
    spoken = [(path, read_checked(path, "calibrated on", normal)) for path in manifests]
    _refuse_repeated(spoken)
    quiet = [] if noise is None else [(noise, _without(read_recordings(noise), without))]
    examples = Examples(
        utterances=[],
        speech={decoder: DecodedClips() for decoder in decoders},
        noise={decoder: DecodedClips() for decoder in decoders},
        lags=[],
    )
    done, total = 0, sum(len(clips) for _, clips in (*spoken, *quiet))
    for is_speech, manifest, group in [
        *((True, *one) for one in _groups(spoken)),
        *((False, *one) for one in _groups(quiet)),
    ]:
        if heard := list(_heard(manifest, group, unread)):
            _add(examples, recognizer, heard, is_speech)
        done += len(group)
        if progress is not None:
            progress(done, total)
    _refuse_unread(examples, manifests, [path for path, clips in quiet if clips])
    return examples


def _refuse_unread(examples: Examples, speech: Sequence[Path], noise: Sequence[Path]) -> None:
    """BadData where no recording of speech, or of noise, could be read."""
    heard = examples.utterances, examples.noise["greedy"].words
    for manifests, clips in zip((speech, noise), heard, strict=True):
        if manifests and not clips:
            names = ", ".join(map(str, manifests))
            raise BadData(f"{names} cannot be calibrated on: none of the recordings can be read.")


def _add(
    examples: Examples,
    recognizer: Recognizer,
    heard: Sequence[tuple[Utterance, Audio]],
    is_speech: bool,
) -> None:
    """Decodes some recordings into the examples."""
    audios = [audio for _, audio in heard]
    texts = [clip.text if is_speech else "" for clip, _ in heard]
    lattices = recognizer.lattices(audios)
    for decoder, clips in (examples.speech if is_speech else examples.noise).items():
        decoded = recognizer.decode(lattices, recognizer.options(decoder=decoder))
        words = [list(clip.words) for clip in decoded]
        clips.words.extend(words)
        clips.right.extend(_right(words, texts))
    if is_speech:
        examples.utterances.extend(clip for clip, _ in heard)
        examples.lags.extend(_lags(recognizer, lattices, audios, texts))


def speech_bounds(samples: NDArray[np.float32]) -> tuple[float, float]:
    """When speech begins and ends in a clean clip, in seconds, by its energy.

    From the first to the last 10 ms within 30 dB of the loudest ones, if their neighbours are
    too, which excludes clicks.
    """
    whole = max(1, len(samples) // _FRAME)
    power = np.array([np.mean(np.square(part)) for part in np.array_split(samples, whole)])
    level = 10 * np.log10(power + 1e-10)
    loud = level >= np.percentile(level, 95) - _LOUD
    among = np.convolve(loud, np.ones(5), mode="same") >= 4
    speech = np.flatnonzero(loud & among if (loud & among).any() else loud)
    begin, end = speech[0] * _FRAME, min((speech[-1] + 1) * _FRAME, len(samples))
    return float(begin / SAMPLE_RATE), float(end / SAMPLE_RATE)


def _without(clips: Sequence[Utterance], ending: str) -> list[Utterance]:
    return [clip for clip in clips if not (ending and clip.id.endswith(ending))]


def _refuse_repeated(manifests: Sequence[tuple[Path, Sequence[Utterance]]]) -> None:
    """BadData where a clip of a manifest is also in one before it: it would count twice."""
    first: dict[tuple[str, float, float | None], Path] = {}
    for manifest, clips in manifests:
        sounds = {(os.path.realpath(clip.audio), clip.start, clip.end) for clip in clips}
        if repeated := sounds & first.keys():
            other = first[min(repeated, key=str)]
            raise BadData(
                f"{manifest} names {counted(len(repeated), 'clip')} that {other} has named before, "
                "and that would count twice: name each once."
            )
        first |= dict.fromkeys(sounds, manifest)


def _groups(
    manifests: Sequence[tuple[Path, Sequence[Utterance]]],
) -> Iterator[tuple[Path, Sequence[Utterance]]]:
    for manifest, clips in manifests:
        for at in range(0, len(clips), _GROUP):
            yield manifest, clips[at : at + _GROUP]


def _heard(
    manifest: Path, clips: Sequence[Utterance], unread: Unread
) -> Iterator[tuple[Utterance, Audio]]:
    """The clips that can be read, with their sound."""
    for clip in clips:
        heard = clip.heard()
        if isinstance(heard, Finding):
            unread(manifest, heard)
        else:
            yield clip, heard


def _right(clips: Sequence[Sequence[DecodedWord]], texts: Sequence[str]) -> list[list[bool]]:
    if not any(texts):
        return [[False] * len(clip) for clip in clips]
    hypotheses = [" ".join(word.text for word in clip) for clip in clips]
    ids = [str(index) for index in range(len(clips))]
    return [_right_of(scored) for scored in score(ids, texts, hypotheses).utterances]


def _right_of(scored: Scored) -> list[bool]:
    right = [False] * len(scored.hypothesis.split())
    for chunk in scored.chunks:
        if chunk.type == "equal":
            words = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
            right[words.start : words.stop] = [True] * len(words)
    return right


def _lags(
    recognizer: Recognizer,
    lattices: Sequence[LogProbs],
    audios: Sequence[Audio],
    texts: Sequence[str],
) -> Iterator[float]:
    tokenizer, frame = recognizer.bundle.tokenizer, recognizer.bundle.model.frame_seconds
    for lattice, audio, text in zip(lattices, audios, texts, strict=True):
        if tokenizer.unknown(text):
            continue
        try:
            (known,) = align(lattice[None], np.array([len(lattice)]), [tokenizer.encode(text)])
        except ValueError:  # spoken in too few frames
            continue
        _, end = speech_bounds(audio.samples)
        yield end - known.ends[-1] * frame
