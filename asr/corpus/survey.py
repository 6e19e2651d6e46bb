"""A manifest read whole: what can be used, and what is wrong with the rest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.audio import SAMPLE_RATE, load
from asr.corpus.check import (
    Frames,
    check_decoding,
    check_lines,
    check_sounds,
    check_speakers,
    check_spelling,
)
from asr.corpus.findings import Finding
from asr.corpus.manifest import Utterance, read_manifest
from asr.corpus.store import AudioStore, Progress, measure
from asr.text import Tokenizer

Samples = Callable[[int], npt.NDArray[np.float32]]
"""Gives the samples of an utterance by its index."""


@dataclass(frozen=True)
class Survey:
    """What a manifest holds."""

    findings: tuple[Finding, ...]
    usable: tuple[Utterance, ...]
    """The utterances without errors, in the manifest's order."""
    lengths: npt.NDArray[np.int64]
    """Samples of each usable utterance."""
    samples: Samples
    """The samples of the usable utterance of an index."""
    hours: dict[int, float]
    """Hours of each line that could be decoded, by its number."""

    @property
    def errors(self) -> list[Finding]:
        """The findings that keep a line from being trained on."""
        return [finding for finding in self.findings if finding.is_error]


def survey(
    path: Path,
    tokenizer: Tokenizer,
    progress: Progress,
    *,
    frames: Frames | None = None,
    unheard: Path | None = None,
    keep: Callable[[Utterance], bool] = lambda _: True,
    cache: Path | None = None,
) -> Survey:
    """Read every line of a manifest and decode every recording once.

    Args:
        frames: of the model that is to be trained; without it only those rules apply that any
            use of a line needs, not those for training on it.
        unheard: a manifest whose speakers must not be trained on.
        keep: which utterances are meant at all.
        cache: folder for the decoded samples; without it each use of a clip decodes it.

    Raises:
        BadData: a manifest cannot be read.
    """
    utterances, malformed = read_manifest(path)
    meant = [utterance for utterance in utterances if keep(utterance)]
    findings = [*malformed, *check_lines(meant), *check_spelling(meant, tokenizer)]
    if unheard is not None:
        findings += check_speakers(meant, read_manifest(unheard)[0], unheard.name)
    readable = _without(meant, findings)
    store = None if cache is None else AudioStore.build(cache, readable, progress)
    sounds = measure(readable, progress) if store is None else store.sounds
    heard = {u.line: sound for u, sound in zip(readable, sounds, strict=True)}
    rows = {u.line: row for row, u in enumerate(readable)}
    findings += check_decoding(readable, sounds)
    usable = _without(readable, findings)
    hours = {u.line: heard[u.line].samples / SAMPLE_RATE / 3600 for u in usable}
    if frames is not None:
        findings += check_sounds(usable, [heard[u.line] for u in usable], tokenizer, frames)
        usable = _without(usable, findings)
    chosen = [rows[u.line] for u in usable]
    return Survey(
        findings=tuple(findings),
        usable=tuple(usable),
        lengths=np.array([sounds[row].samples for row in chosen], np.int64),
        samples=partial(_stored, store, chosen) if store else partial(_decoded, usable),
        hours=hours,
    )


def _without(utterances: Sequence[Utterance], findings: Sequence[Finding]) -> list[Utterance]:
    bad = {finding.line for finding in findings if finding.is_error}
    return [utterance for utterance in utterances if utterance.line not in bad]


def _stored(store: AudioStore, rows: Sequence[int], index: int) -> npt.NDArray[np.float32]:
    return store[rows[index]]


def _decoded(utterances: Sequence[Utterance], index: int) -> npt.NDArray[np.float32]:
    return load(utterances[index].audio).samples
