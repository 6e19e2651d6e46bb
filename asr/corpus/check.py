"""What keeps a manifest line from being trained on, or makes it suspect.

The rules on text and files need no decoding; those on sound take what one pass over the
recordings has measured (`asr.corpus.store`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from asr.audio import SAMPLE_RATE
from asr.corpus.findings import Finding
from asr.corpus.manifest import Utterance
from asr.corpus.sound import Sound
from asr.text import Tokenizer

Frames = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]
"""Samples of each clip -> output frames of the model, computed from its very layers."""

CROWDED = 0.7
"""Units per output frame above which CTC has hardly room for blanks."""
SILENT_PEAK = 10 ** (-60 / 20)
CLIPPED_SHARE = 1e-3
_ODD = 5.0  # robust deviations of the logarithm of characters per second


def check_lines(utterances: Sequence[Utterance]) -> Iterator[Finding]:
    """Findings on lines alone: an empty text, an id that came before."""
    first: dict[str, int] = {}
    for utterance in utterances:
        line = utterance.line
        if not utterance.text:
            yield Finding(line, "empty text", "the text is empty")
        if first.setdefault(utterance.id, line) != line:
            reason = f"the id {utterance.id!r} is that of line {first[utterance.id]}"
            yield Finding(line, "duplicate id", reason)


def check_files(utterances: Sequence[Utterance]) -> Iterator[Finding]:
    """Findings on recordings that are not there."""
    for utterance in utterances:
        if not utterance.audio.is_file():
            reason = f"there is no file {utterance.audio}"
            yield Finding(utterance.line, "missing audio", reason)


def check_spelling(utterances: Sequence[Utterance], tokenizer: Tokenizer) -> Iterator[Finding]:
    """Findings on texts with characters that no unit spells."""
    for utterance in utterances:
        if unknown := tokenizer.unknown(utterance.text):
            listed = ", ".join(repr(char) for char in sorted(unknown))
            reason = f"the units cannot spell {listed}"
            yield Finding(utterance.line, "unknown characters", reason)


def check_speakers(
    utterances: Sequence[Utterance], others: Sequence[Utterance], name: str
) -> Iterator[Finding]:
    """Findings on lines whose speaker is also in the manifest `name`, which must be unheard."""
    heard = {utterance.speaker for utterance in others if utterance.speaker is not None}
    for utterance in utterances:
        if utterance.speaker in heard:
            reason = f"the speaker {utterance.speaker!r} is also in {name}"
            yield Finding(utterance.line, "shared speaker", reason)


def check_decoding(utterances: Sequence[Utterance], sounds: Sequence[Sound]) -> Iterator[Finding]:
    """Findings on recordings that cannot be decoded."""
    for utterance, sound in zip(utterances, sounds, strict=True):
        if sound.problem is not None:
            yield Finding(utterance.line, "undecodable audio", sound.problem)


def check_sounds(
    utterances: Sequence[Utterance], sounds: Sequence[Sound], tokenizer: Tokenizer, frames: Frames
) -> Iterator[Finding]:
    """Findings on recordings, and on texts that do not fit them.

    The utterances have passed the rules above: each has sound, and a text that the units spell.
    """
    lengths = np.array([sound.samples for sound in sounds], np.int64)
    available = frames(lengths).tolist()
    for utterance, sound, have in zip(utterances, sounds, available, strict=True):
        units = tokenizer.encode(utterance.text)
        need = frames_needed(units)
        if need > have:
            reason = f"unreachable: the text needs {need} output frames, the audio has {have}"
            yield Finding(utterance.line, "unreachable", reason)
        elif len(units) > CROWDED * have:
            reason = f"crowded: {len(units) / have:.2f} units for each output frame"
            yield Finding(utterance.line, "crowded", reason)
        yield from _suspect(utterance, sound)
    yield from _odd_rates(utterances, lengths)


def _suspect(utterance: Utterance, sound: Sound) -> Iterator[Finding]:
    seconds = sound.samples / SAMPLE_RATE
    if utterance.duration is not None and abs(utterance.duration - seconds) > max(
        0.1, 0.01 * seconds
    ):
        reason = f"`duration` says {utterance.duration:.2f} s, the audio has {seconds:.2f} s"
        yield Finding(utterance.line, "wrong duration", reason)
    if sound.peak < SILENT_PEAK:
        yield Finding(utterance.line, "silent", "silent: nothing is louder than -60 dBFS")
    if sound.clipped > CLIPPED_SHARE:
        reason = f"clipped: {sound.clipped:.1%} of samples are at full scale"
        yield Finding(utterance.line, "clipped", reason)


def _odd_rates(
    utterances: Sequence[Utterance], lengths: npt.NDArray[np.int64]
) -> Iterator[Finding]:
    """Findings on texts far longer or shorter, for their audio, than the manifest's others."""
    characters = np.array([len(utterance.text) for utterance in utterances], np.float64)
    seconds = np.maximum(lengths, 1) / SAMPLE_RATE
    rates = characters / seconds
    logs = np.log(np.maximum(rates, 1e-9))
    middle = np.median(logs) if len(logs) else 0.0
    # 1.48 makes the median deviation a standard one; the floor spares small, even manifests.
    spread = max(0.2, 1.48 * float(np.median(np.abs(logs - middle)))) if len(logs) else 1.0
    odd = (np.abs(logs - middle) > _ODD * spread) & (lengths > 0)
    for index in np.flatnonzero(odd).tolist():
        reason = f"odd rate: {rates[index]:.1f} characters a second, usual is {np.exp(middle):.1f}"
        yield Finding(utterances[index].line, "odd rate", reason)


def frames_needed(units: Sequence[int]) -> int:
    """The fewest output frames in which CTC can spell `units`.

    One frame a unit, and a blank between equal neighbours (Graves et al., 2006, eq. 2: the map
    from paths to labellings merges repeats).
    """
    return len(units) + sum(left == right for left, right in pairwise(units))


def hours_by_kind(
    findings: Sequence[Finding], hours: Mapping[int, float]
) -> dict[str, tuple[int, float]]:
    """Kind of error -> lines it keeps out and their hours; each line counts under its first."""
    kinds: dict[int, str] = {}
    for finding in sorted(findings, key=lambda item: item.line):
        if finding.is_error:
            kinds.setdefault(finding.line, finding.kind)
    table: dict[str, tuple[int, float]] = {}
    for line, kind in kinds.items():
        lines, total = table.get(kind, (0, 0.0))
        table[kind] = (lines + 1, total + hours.get(line, 0.0))
    return table
