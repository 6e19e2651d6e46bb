"""Checks of manifest lines: what makes one unusable for training, or suspect.

The rules on text and files need no decoding; those on audio use measurements from one pass over
the recordings (`asr.corpus.recordings.cache`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.audio import SAMPLE_RATE
from asr.corpus.findings import Finding, explained, no_file
from asr.corpus.manifest import Utterance, read_manifest
from asr.corpus.recordings.measurements import Measurement
from asr.counting import counted
from asr.errors import BadData
from asr.text import Normaliser, Pronouncer, Tokenizer, frames_needed, normalise

Frames = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]
"""Samples of each clip -> output frames, computed from the model's layers."""

CROWDED = 0.7
"""Units per output frame above which there is little room for blanks."""
LOUDEST = 32.0
"""Peak above which samples are no sound: 30 dB above full scale. `asr.audio` refuses them too, but
older measurements and those in shards may have them."""
MOST_LACKING = 1.0
"""Seconds by which a stretch may end after its recording: some tools round them up."""
SILENT_PEAK = 10 ** (-60 / 20)
CLIPPED_SHARE = 1e-3
_ODD = 5.0  # robust deviations of the logarithm of characters per second


def read_checked(manifest: Path, use: str, normal: Normaliser = normalise) -> list[Utterance]:
    """The utterances of a manifest, whose every line can be used if its recording can be read.

    Args:
        use: completes "the manifest cannot be …", for example "evaluated on".
        normal: gives the texts their normal form.

    Raises:
        BadData: the manifest cannot be read, has no lines, or has lines that cannot be used; the
            message names the first twenty.
    """
    utterances, findings = read_manifest(manifest, normal=normal)
    findings += [*check_lines(utterances), *check_ids(utterances)]
    if findings or not utterances:
        findings += check_files(utterances)  # while the manifest is mended
        listed = explained(manifest, findings, most=20) or [f"{manifest}: no lines"]
        raise BadData(f"{manifest} cannot be {use}; mend these lines.", listed)
    return utterances


def check_lines(utterances: Sequence[Utterance]) -> Iterator[Finding]:
    """Findings on empty texts."""
    for utterance in utterances:
        if not utterance.text:
            yield Finding(utterance.line, "empty text", "the text is empty")


def check_ids(utterances: Iterable[Utterance]) -> Iterator[Finding]:
    """Findings on ids that an earlier line has, of lines without other errors: only what is kept
    holds its id."""
    first: dict[str, int] = {}
    for utterance in utterances:
        line = utterance.line
        if first.setdefault(utterance.id, line) != line:
            reason = f"the id {utterance.id!r} is that of line {first[utterance.id]}"
            yield Finding(line, "duplicate id", reason)


def check_files(utterances: Sequence[Utterance]) -> Iterator[Finding]:
    """Findings on missing recordings."""
    for utterance in utterances:
        if (reason := no_file(utterance.audio)) is not None:
            yield Finding(utterance.line, "missing audio", reason)


def check_spelling(utterances: Sequence[Utterance], tokenizer: Tokenizer) -> Iterator[Finding]:
    """Findings on texts with characters that the units cannot spell."""
    for utterance in utterances:
        if unknown := tokenizer.unknown(utterance.text):
            listed = ", ".join(repr(char) for char in sorted(unknown))
            reason = f"the units cannot spell {listed}"
            yield Finding(utterance.line, "unknown characters", reason)


def check_pronunciations(
    utterances: Sequence[Utterance], pronounce: Pronouncer
) -> Iterator[Finding]:
    """Findings on texts with words that the lexicon lacks, and on phones that the units lack."""
    for utterance in utterances:
        if utterance.phones is None:
            unknown, what = set(pronounce.unknown(utterance.text)), "the lexicon does not have"
        else:
            unknown, what = pronounce.unknown_phones(utterance.phones), "no unit stands for"
        if unknown:
            reason = f"{what} {', '.join(sorted(unknown))}"
            yield Finding(utterance.line, "no pronunciation", reason)


def check_speakers(
    utterances: Sequence[Utterance], others: Sequence[Utterance], name: str
) -> Iterator[Finding]:
    """Findings on lines whose speaker is also in the manifest `name`."""
    speakers = {utterance.speaker for utterance in others if utterance.speaker is not None}
    for utterance in utterances:
        if utterance.speaker in speakers:
            reason = (
                f"the speaker {utterance.speaker!r} is also in {name}: keep each speaker in one of "
                "the two, or set data.shared_speakers to allow"
            )
            yield Finding(utterance.line, "shared speaker", reason)


def check_decoding(
    utterances: Sequence[Utterance], measurements: Sequence[Measurement]
) -> Iterator[Finding]:
    """Findings on recordings that cannot be decoded, whose values are no sound, or that end far
    before their stretch."""
    for utterance, measurement in zip(utterances, measurements, strict=True):
        if measurement.problem is not None:
            yield Finding(utterance.line, "undecodable audio", measurement.problem)
        elif not measurement.peak <= LOUDEST:
            reason = (
                f"{utterance.audio} has samples of {measurement.peak:.4g}, beyond any sound's range"
            )
            yield Finding(utterance.line, "undecodable audio", reason)
        elif utterance.is_part and _lacks(utterance, measurement) > MOST_LACKING:
            yield Finding(utterance.line, "outside audio", _of_stretch(utterance, measurement))


def check_recordings(
    utterances: Sequence[Utterance],
    measurements: Sequence[Measurement],
    tokenizer: Tokenizer,
    frames: Frames,
) -> Iterator[Finding]:
    """Findings on recordings, and on texts that do not fit them.

    The utterances have passed the rules above: each has sound, and a text that the units can spell.
    """
    lengths = np.array([measurement.samples for measurement in measurements], np.int64)
    available = frames(lengths).tolist()
    for utterance, measurement, have in zip(utterances, measurements, available, strict=True):
        units = tokenizer.encode(utterance.text)
        need = frames_needed(units)
        if need > have:
            reason = (
                f"unreachable: the text needs {counted(need, 'output frame')}, the audio has {have}"
            )
            yield Finding(utterance.line, "unreachable", reason)
        elif len(units) > CROWDED * have:
            reason = f"crowded: {len(units) / have:.2f} units for each output frame"
            yield Finding(utterance.line, "crowded", reason)
        yield from _suspect(utterance, measurement)
    yield from _odd_rates(utterances, lengths)


def _suspect(utterance: Utterance, measurement: Measurement) -> Iterator[Finding]:
    seconds = measurement.samples / SAMPLE_RATE
    if abs(_lacks(utterance, measurement)) > max(0.1, 0.01 * seconds):
        reason = f"`duration` says {utterance.duration:.2f} s, the audio has {seconds:.2f} s"
        if utterance.is_part:
            reason = _of_stretch(utterance, measurement)
        yield Finding(utterance.line, "wrong duration", reason)
    if measurement.peak < SILENT_PEAK:
        yield Finding(utterance.line, "silent", "silent: nothing is louder than -60 dBFS")
    if measurement.clipped > CLIPPED_SHARE:
        reason = f"clipped: {measurement.clipped:.1%} of samples are at full scale"
        yield Finding(utterance.line, "clipped", reason)


def _lacks(utterance: Utterance, measurement: Measurement) -> float:
    """Seconds that a recording has fewer than its line says, if it says any."""
    seconds = measurement.samples / SAMPLE_RATE
    return 0.0 if utterance.duration is None else utterance.duration - seconds


def _of_stretch(utterance: Utterance, measurement: Measurement) -> str:
    seconds = measurement.samples / SAMPLE_RATE
    return (
        f"its stretch from {utterance.start:g} s has {utterance.duration or 0:.2f} s, and the "
        f"audio {seconds:.2f} s from there on"
    )


def _odd_rates(
    utterances: Sequence[Utterance], lengths: npt.NDArray[np.int64]
) -> Iterator[Finding]:
    """Findings on texts much longer or shorter, for their audio, than others of the manifest."""
    characters = np.array([len(utterance.text) for utterance in utterances], np.float64)
    seconds = np.maximum(lengths, 1) / SAMPLE_RATE
    rates = characters / seconds
    logs = np.log(np.maximum(rates, 1e-9))
    middle = np.median(logs) if len(logs) else 0.0
    # 1.48 scales the median deviation to a standard one; the floor is for small, even manifests.
    spread = max(0.2, 1.48 * float(np.median(np.abs(logs - middle)))) if len(logs) else 1.0
    odd = (np.abs(logs - middle) > _ODD * spread) & (lengths > 0)
    for index in np.flatnonzero(odd).tolist():
        reason = f"odd rate: {rates[index]:.1f} characters a second, usual is {np.exp(middle):.1f}"
        yield Finding(utterances[index].line, "odd rate", reason)


def hours_by_kind(
    findings: Sequence[Finding], hours: Mapping[int, float]
) -> dict[str, tuple[int, float]]:
    """Kind of error -> lines left out and their hours; each line counts by its first error."""
    kinds: dict[int, str] = {}
    for finding in sorted(findings, key=lambda item: item.line):
        if finding.is_error:
            kinds.setdefault(finding.line, finding.kind)
    table: dict[str, tuple[int, float]] = {}
    for line, kind in kinds.items():
        lines, total = table.get(kind, (0, 0.0))
        table[kind] = (lines + 1, total + hours.get(line, 0.0))
    return table
