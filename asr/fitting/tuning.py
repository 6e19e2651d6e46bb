"""The decoder's weights for a bundle's language model, tuned on a development set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from asr.corpus import Finding, Unread, Utterance, read_checked, refuse_unread
from asr.errors import BadData, BadOption
from asr.evaluation.score import score
from asr.options import LIMITS
from asr.runtime import LogProbs, Options, Recognizer
from asr.scripts import tokens
from asr.text import Normaliser

STEPS: Mapping[str, float] = {
    "prior_weight": 0.2,
    "lm_weight": 0.2,
    "word_bonus": 0.5,
    "unknown_price": 4.0,
}
"""The options that are tuned, and their first step sizes."""
_FINENESS = (1.0, 0.5, 0.25)
MOST_TRIALS = 60
FEW_WORDS = 1000
"""Fewer words than that tell little: a difference of one per cent is ten of them."""


@dataclass(frozen=True)
class Trial:
    """Options and their word error rate."""

    values: Mapping[str, float]
    wer: float


@dataclass(frozen=True)
class Tuning:
    """The start of a search, and its best trial."""

    clips: int
    before: Trial
    best: Trial
    trials: int
    words: int
    """In the texts of the clips."""


def tune(
    recognizer: Recognizer,
    manifest: Path,
    progress: Callable[[int, int], None],
    most_clips: int,
    unread: Unread = refuse_unread,
    **values: Any,
) -> Tuning:
    """The weights with the fewest word errors in the beam search.

    The acoustic model runs once on every clip. The search then moves one option after the other
    while that helps, and halves the steps (Hooke and Jeeves, 1961).

    Args:
        most_clips: if the manifest has more, clips are taken at even distances.
        values: of `asr.options.Options`, fixed during the search; others are the bundle's defaults.
        progress: told of clips read, then of trials.
        unread: told of each recording that cannot be read, which is left out; by default the first
            of them is an error.

    Raises:
        BadOption: the recogniser has no language model, or a value cannot be.
        BadData: a line cannot be used, or no recording can be read.
    """
    if recognizer.lm is None:
        raise BadOption(
            f"bundle {recognizer.bundle.path} has no language model to tune; add one with "
            "`asr lm add`."
        )
    options = recognizer.options(decoder="beam", written=False, **values)
    sample = _sample(manifest, most_clips, recognizer.bundle.normalise)
    trials = _Trials(recognizer, options, sample, progress, partial(unread, manifest))
    if not trials.references:
        raise BadData(f"{manifest} cannot be tuned on: none of its recordings can be read.")
    start = {name: getattr(trials.options, name) for name in STEPS}
    before = best = trials.of(start)
    for fineness in _FINENESS:
        moved = True
        while moved:
            moved = False
            for name, step in STEPS.items():
                better = _along(trials, best, name, step * fineness)
                moved = moved or better is not best
                best = better
    words = sum(len(tokens(text)) for text in trials.references)
    return Tuning(len(trials.references), before, best, len(trials.known), words)


def _along(trials: "_Trials", best: Trial, name: str, step: float) -> Trial:
    """The best trial in steps of one option, up or down."""
    best_so_far = best
    for signed in (step, -step):
        while True:
            low, high = LIMITS[name]
            value = round(min(max(best_so_far.values[name] + signed, low), high), 4)
            trial = trials.of({**best_so_far.values, name: value})
            if trial.wer >= best_so_far.wer:
                break
            best_so_far = trial
        if best_so_far is not best:
            break
    return best_so_far


def _sample(manifest: Path, most: int, normal: Normaliser) -> list[Utterance]:
    utterances = read_checked(manifest, "tuned on", normal)
    count = min(most, len(utterances))
    return [utterances[index * len(utterances) // count] for index in range(count)]


class _Trials:
    """Error rates by options, on lattices computed once."""

    def __init__(
        self,
        recognizer: Recognizer,
        options: Options,
        utterances: Sequence[Utterance],
        progress: Callable[[int, int], None],
        unread: Callable[[Finding], None],
    ) -> None:
        self.options = options
        self.references: list[str] = []
        self.known: dict[tuple[float, ...], Trial] = {}
        self._recognizer, self._progress = recognizer, progress
        self._ids: list[str] = []
        self._lattices: list[LogProbs] = []
        self._durations: list[float] = []
        for done, utterance in enumerate(utterances, start=1):
            audio = utterance.heard()
            if isinstance(audio, Finding):
                unread(audio)
                continue
            self._ids.append(utterance.id)
            self.references.append(utterance.text)
            self._lattices += recognizer.lattices([audio])
            self._durations.append(audio.duration)
            progress(done, len(utterances))

    def of(self, values: Mapping[str, float]) -> Trial:
        """The trial with these values; after MOST_TRIALS, new ones count as worst."""
        key = tuple(values.values())
        if key not in self.known:
            if len(self.known) == MOST_TRIALS:
                return Trial(values, float("inf"))
            options = replace(self.options, **values)  # type: ignore[arg-type]
            transcripts = self._recognizer.read(self._lattices, self._durations, options)
            normal = self._recognizer.bundle.normalise
            heard = [normal(transcript.text) for transcript in transcripts]
            self.known[key] = Trial(values, score(self._ids, self.references, heard).wer)
            self._progress(len(self.known), MOST_TRIALS)
        return self.known[key]
