"""A manifest read whole: what can be used, and what is wrong with the rest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.audio import SAMPLE_RATE
from asr.corpus.check import (
    Frames,
    check_decoding,
    check_lines,
    check_sounds,
    check_speakers,
    check_spelling,
    hours_by_kind,
)
from asr.corpus.findings import Finding
from asr.corpus.manifest import Utterance
from asr.corpus.packed import PackedUtterances
from asr.corpus.shards import Source
from asr.corpus.sources import open_corpus, read_utterances
from asr.corpus.store import Progress, Recordings
from asr.text import Tokenizer

Samples = Callable[[int], npt.NDArray[np.float32]]
"""Gives the samples of an utterance by its index."""


@dataclass(frozen=True)
class Survey:
    """What a manifest holds."""

    findings: tuple[Finding, ...]
    usable: Sequence[Utterance]
    """The utterances without errors, in the manifest's order."""
    lengths: npt.NDArray[np.int64]
    """Samples of each usable utterance."""
    pools: npt.NDArray[np.int64]
    """The pool of each usable utterance: what lies so near together that it can be read at once."""
    samples: Samples
    """The samples of the usable utterance of an index."""
    hours: dict[int, float]
    """Hours of each line that could be decoded, by its number."""

    @property
    def errors(self) -> list[Finding]:
        """The findings that keep a line from being trained on."""
        return [finding for finding in self.findings if finding.is_error]

    @property
    def dropped(self) -> float:
        """The share of lines that errors keep out, or of hours where it is greater."""
        lines, kept = {finding.line for finding in self.errors}, len(self.usable)
        lost = sum(self.hours.get(line, 0.0) for line in lines)
        hours = lost + sum(self.hours[utterance.line] for utterance in self.usable)
        return max(len(lines) / max(1, len(lines) + kept), lost / hours if hours else 0.0)

    def table(self) -> str:
        """Lines and hours kept, and those left out by the kind of their first error."""
        kept = sum(self.hours[utterance.line] for utterance in self.usable)
        rows = [("kept", len(self.usable), kept)]
        dropped = hours_by_kind(self.errors, self.hours)
        rows += [(kind, *counts) for kind, counts in sorted(dropped.items())]
        lines = [f"{'':20} {'lines':>8} {'hours':>9}"]
        lines += [f"{name:20} {count:8} {hours:9.3f}" for name, count, hours in rows]
        return "\n".join(lines)


def survey(
    source: Source,
    tokenizer: Tokenizer,
    progress: Progress,
    *,
    frames: Frames | None = None,
    unheard: Source | None = None,
    keep: Callable[[Utterance], bool] = lambda _: True,
    cache: Path | None = None,
    measures: Path | None = None,
) -> Survey:
    """Read every line of a manifest, or of shards, and decode every recording once.

    Args:
        frames: of the model that is to be trained; without it only those rules apply that any
            use of a line needs, not those for training on it.
        unheard: a manifest whose speakers must not be trained on.
        keep: which utterances are meant at all.
        cache: folder for the decoded samples; without it each use of a clip decodes it.
        measures: file that remembers what recordings measure, for when there is no `cache`; a
            recording that has not changed is then not decoded again.

    Raises:
        BadData: a manifest cannot be read.
    """
    corpus = open_corpus(source, cache, measures)
    meant = [utterance for utterance in corpus.utterances if keep(utterance)]
    findings = [*corpus.findings, *check_lines(meant), *check_spelling(meant, tokenizer)]
    findings += corpus.check(meant)
    if unheard is not None:
        name = getattr(unheard, "name", str(unheard))
        findings += check_speakers(meant, read_utterances(unheard)[0], name)
    readable = _without(meant, findings)
    recordings = corpus.recordings(readable, progress)
    sounds = recordings.sounds
    rows = {u.line: row for row, u in enumerate(readable)}
    findings += check_decoding(readable, sounds)
    usable = _without(readable, findings)
    hours = {u.line: float(sounds.samples[rows[u.line]]) / SAMPLE_RATE / 3600 for u in usable}
    if frames is not None:
        findings += check_sounds(usable, [sounds[rows[u.line]] for u in usable], tokenizer, frames)
        usable = _without(usable, findings)
    chosen = np.array([rows[u.line] for u in usable], np.int64)
    return Survey(
        findings=tuple(findings),
        usable=PackedUtterances(usable),
        lengths=sounds.samples[chosen],
        pools=corpus.pools(usable),
        samples=partial(_samples, recordings, chosen),
        hours=hours,
    )


def _without(utterances: Sequence[Utterance], findings: Sequence[Finding]) -> list[Utterance]:
    bad = {finding.line for finding in findings if finding.is_error}
    return [utterance for utterance in utterances if utterance.line not in bad]


def _samples(
    recordings: Recordings, rows: npt.NDArray[np.int64], index: int
) -> npt.NDArray[np.float32]:
    return recordings[int(rows[index])]
