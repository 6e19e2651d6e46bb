"""A survey of a manifest: what can be used, and what is wrong with the rest."""

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
    check_ids,
    check_lines,
    check_pronunciations,
    check_recordings,
    check_speakers,
    check_spelling,
    hours_by_kind,
)
from asr.corpus.findings import Finding
from asr.corpus.manifest import Utterance
from asr.corpus.packed import PackedUtterances
from asr.corpus.recordings.cache import Progress, Recordings
from asr.corpus.shards import Source
from asr.corpus.sources import open_corpus, read_utterances
from asr.text import Normaliser, Pronouncer, Tokenizer, normalise

Samples = Callable[[int], npt.NDArray[np.float32]]
"""Returns the samples of the utterance with an index."""

_KEPT = "kept"


@dataclass(frozen=True)
class Survey:
    """The result of surveying a manifest."""

    findings: tuple[Finding, ...]
    usable: Sequence[Utterance]
    """The utterances without errors, in the manifest's order."""
    lengths: npt.NDArray[np.int64]
    """Samples of each usable utterance."""
    pools: npt.NDArray[np.int64]
    """The pool of each usable utterance (see `Buckets`)."""
    samples: Samples
    """The samples of the usable utterance with an index."""
    hours: dict[int, float]
    """Hours of each line that could be decoded, by its number."""

    @property
    def errors(self) -> list[Finding]:
        """The findings that exclude a line from training."""
        return [finding for finding in self.findings if finding.is_error]

    @property
    def dropped(self) -> float:
        """The share of lines that errors exclude, or of hours if it is greater."""
        lines, kept = {finding.line for finding in self.errors}, len(self.usable)
        lost = sum(self.hours.get(line, 0.0) for line in lines)
        hours = lost + sum(self.hours[utterance.line] for utterance in self.usable)
        return max(len(lines) / max(1, len(lines) + kept), lost / hours if hours else 0.0)

    def table(self) -> str:
        """Lines and hours kept, and those left out by the kind of their first error; `-` is for
        recordings that were not read, as the line's text or its file was no use."""
        kept = sum(self.hours[utterance.line] for utterance in self.usable)
        rows = [(_KEPT, len(self.usable), kept)]
        dropped = hours_by_kind(self.errors, self.hours)
        rows += [(kind, *counts) for kind, counts in sorted(dropped.items())]
        lines = [f"{'':20} {'lines':>8} {'hours':>9}"]
        lines += [
            f"{name:20} {count:8} {f'{hours:.3f}' if hours or name == _KEPT else '-':>9}"
            for name, count, hours in rows
        ]
        return "\n".join(lines)


def survey(
    source: Source,
    tokenizer: Tokenizer,
    progress: Progress,
    *,
    frames: Frames | None = None,
    pronounce: Pronouncer | None = None,
    unheard: Source | None = None,
    keep: Callable[[Utterance], bool] = lambda _: True,
    cache: Path | None = None,
    measures: Path | None = None,
    normal: Normaliser = normalise,
) -> Survey:
    """Reads every line of a manifest or of shards, and decodes every recording once.

    Args:
        frames: of the model to be trained; without it, only the rules for any use of a line
            apply, not those for training.
        pronounce: spells texts in phones, if the model has a phone head.
        unheard: a manifest whose speakers must not be trained on.
        keep: selects utterances; others are ignored.
        cache: folder for the decoded samples; without it, each use of a clip decodes it.
        measures: file of measurements, used if there is no `cache`: recordings that have not
            changed are not decoded again.
        normal: gives the texts their normal form, that of a language.

    Raises:
        BadData: a manifest cannot be read.
    """
    corpus = open_corpus(source, cache, measures, normal)
    meant = [utterance for utterance in corpus.utterances if keep(utterance)]
    findings = [*corpus.findings, *check_lines(meant), *check_spelling(meant, tokenizer)]
    if pronounce is not None:
        findings += check_pronunciations(meant, pronounce)
    findings += corpus.check(meant)
    if unheard is not None:
        name = getattr(unheard, "name", str(unheard))
        findings += check_speakers(meant, read_utterances(unheard)[0], name)
    readable = _without(meant, findings)
    recordings = corpus.recordings(readable, progress)
    measurements = recordings.measurements
    rows = {u.line: row for row, u in enumerate(readable)}
    findings += check_decoding(readable, measurements)
    usable = _without(readable, findings)
    hours = {u.line: float(measurements.samples[rows[u.line]]) / SAMPLE_RATE / 3600 for u in usable}
    if frames is not None:
        findings += check_recordings(
            usable, [measurements[rows[u.line]] for u in usable], tokenizer, frames
        )
        usable = _without(usable, findings)
    findings += check_ids(usable)
    usable = _without(usable, findings)
    chosen = np.array([rows[u.line] for u in usable], np.int64)
    return Survey(
        findings=tuple(findings),
        usable=PackedUtterances(usable),
        lengths=measurements.samples[chosen],
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
