"""The weights of a bundle's language model, found on a development set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from asr.audio import load
from asr.corpus import Utterance, check_lines, explain, read_manifest
from asr.decoding import LIMITS
from asr.errors import BadData, BadOption
from asr.evaluation.score import score
from asr.runtime import Options, Recognizer
from asr.text import normalise

STEPS: Mapping[str, float] = {
    "prior_weight": 0.2,
    "lm_weight": 0.2,
    "word_bonus": 0.5,
    "unknown_price": 4.0,
}
"""What is tuned, and how far the first steps go."""
_FINENESS = (1.0, 0.5, 0.25)
MOST_TRIALS = 60


@dataclass(frozen=True)
class Trial:
    """Options, and the word error rate with them."""

    values: Mapping[str, float]
    wer: float


@dataclass(frozen=True)
class Tuning:
    """Where a search began, and the best it found."""

    clips: int
    before: Trial
    best: Trial
    trials: int


def tune(
    recognizer: Recognizer,
    manifest: Path,
    progress: Callable[[int, int], None],
    most_clips: int,
    **values: Any,
) -> Tuning:
    """The weights with the fewest word errors in the beam search.

    The acoustic model reads every clip once; the search then steps along one option after the
    other while that helps, and halves the steps (Hooke and Jeeves, 1961).

    Args:
        most_clips: taken at even distances where the manifest has more.
        values: of `asr.runtime.Options`, to search with; what they leave out is as the bundle says.
        progress: told of clips that are read, then of trials.

    Raises:
        BadOption: the recogniser has no language model, or a value cannot be.
        BadData, BadAudio: a line or recording cannot be used.
    """
    if recognizer.lm is None:
        raise BadOption(
            f"bundle {recognizer.bundle.path} has no language model to tune; add one with "
            "`asr lm add`."
        )
    options = recognizer.options(decoder="beam", **values)
    trials = _Trials(recognizer, options, _sample(manifest, most_clips), progress)
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
    return Tuning(len(trials.references), before, best, len(trials.known))


def _along(trials: "_Trials", best: Trial, name: str, step: float) -> Trial:
    """The best trial in steps of one option, up or down."""
    found = best
    for signed in (step, -step):
        while True:
            low, high = LIMITS[name]
            value = round(min(max(found.values[name] + signed, low), high), 4)
            trial = trials.of({**found.values, name: value})
            if trial.wer >= found.wer:
                break
            found = trial
        if found is not best:
            break
    return found


def _sample(manifest: Path, most: int) -> list[Utterance]:
    utterances, findings = read_manifest(manifest)
    findings += check_lines(utterances)
    if findings or not utterances:
        listed = explain(manifest, findings, most=20) if findings else f"{manifest}: no lines"
        raise BadData(f"{manifest} cannot be tuned on; mend these lines.\n{listed}")
    count = min(most, len(utterances))
    return [utterances[index * len(utterances) // count] for index in range(count)]


class _Trials:
    """Error rates by options, on lattices that are computed once."""

    def __init__(
        self,
        recognizer: Recognizer,
        options: Options,
        utterances: Sequence[Utterance],
        progress: Callable[[int, int], None],
    ) -> None:
        self.options = options
        self.references = [normalise(utterance.text) for utterance in utterances]
        self.known: dict[tuple[float, ...], Trial] = {}
        self._recognizer, self._progress = recognizer, progress
        self._ids = [utterance.id for utterance in utterances]
        self._lattices: list[Tensor] = []
        self._durations: list[float] = []
        for utterance in utterances:
            audio = load(utterance.audio)
            windows = recognizer.windows(len(audio.samples))
            rows = recognizer.run([audio.samples[one.start : one.stop] for one in windows])
            self._lattices.append(recognizer.join(windows, rows))
            self._durations.append(audio.duration)
            progress(len(self._lattices), len(utterances))

    def of(self, values: Mapping[str, float]) -> Trial:
        """The trial with these values; past MOST_TRIALS new ones count as worse than all."""
        key = tuple(values.values())
        if key not in self.known:
            if len(self.known) == MOST_TRIALS:
                return Trial(values, float("inf"))
            options = replace(self.options, **values)  # type: ignore[arg-type]
            found = self._recognizer.read(self._lattices, self._durations, options)
            heard = [normalise(transcript.text) for transcript in found]
            self.known[key] = Trial(values, score(self._ids, self.references, heard).wer)
            self._progress(len(self.known), MOST_TRIALS)
        return self.known[key]
