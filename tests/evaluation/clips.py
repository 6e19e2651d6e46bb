"""Evaluations made of texts, as if a recogniser had returned them."""

from collections.abc import Sequence

from asr.evaluation import Clip, Evaluation
from asr.evaluation.evaluate import score_clips


def evaluation(
    texts: Sequence[str],
    heard: Sequence[str],
    speakers: Sequence[str | None] | None = None,
    *,
    normaliser: str = "plain",
    durations: Sequence[float] | None = None,
    traits: Sequence[dict[str, str]] | None = None,
) -> Evaluation:
    """An evaluation on clips of these texts, by default of one second each."""
    clips = tuple(
        Clip(
            id=str(index),
            text=text,
            hypothesis=heard[index],
            duration=1.0 if durations is None else durations[index],
            level=-20.0,
            confidence=0.5,
            speaker=None if speakers is None else speakers[index],
            traits={} if traits is None else traits[index],
        )
        for index, text in enumerate(texts)
    )
    return Evaluation(
        score_clips(clips, list(heard), normaliser), clips, normaliser, len(clips), 1.0
    )
